"""Measures that the paper's experiments and the benchmarks use."""
