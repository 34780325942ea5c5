"""The paper's experiments, and the tests of its claims: sources → grid of cells → results, kept as they come.

`sources` finds the data, `plan` lists what there is to compute, `grid` runs it side by side and keeps it in SQLite, and
each experiment is a module of its own: what its cells are, and how one is computed.
"""
