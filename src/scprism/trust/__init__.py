"""trust: which units of a model may be named."""
