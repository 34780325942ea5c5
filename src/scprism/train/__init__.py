"""train: batches, the training loop and the search for settings."""
