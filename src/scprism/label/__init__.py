"""Labels of one reference for cells of another data set, and how far to trust them."""
