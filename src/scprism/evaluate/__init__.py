"""evaluate: measures of transfer, reconstruction and the experiments of the paper."""
