"""estimator: what users hold in their hands: a model to train, and the trained one."""
