"""explain: which genes drive each unit, in closed form and streamed over cells."""
