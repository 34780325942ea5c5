"""query: a data set as a trained model sees it, and its latent."""
