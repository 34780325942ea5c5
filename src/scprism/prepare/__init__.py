"""prepare: genes, orthologs, normalisation and the recipe that travels with a model."""
