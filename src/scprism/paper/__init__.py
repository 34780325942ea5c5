"""paper: the experiments of Walbech et al. (Cells 2022, 11, 85), and what exists for them alone."""
