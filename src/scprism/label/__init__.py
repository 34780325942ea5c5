"""label: cell types of a query by the labelled cells of a reference."""
