"""The paper's experiments, each a function that returns a table."""
