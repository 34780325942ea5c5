"""units: programs of genes that come back, their activity in cells, and what differs between conditions."""
