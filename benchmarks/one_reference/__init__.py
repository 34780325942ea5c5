"""How well one labelled reference labels cells of another data set: cells, voices, rules, results."""
