"""denoise: expression as the model decodes it, adjusted to the query."""
