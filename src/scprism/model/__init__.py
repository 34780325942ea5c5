"""model: configuration, presets, the autoencoder, its losses and its folder on disk."""
