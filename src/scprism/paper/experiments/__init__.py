"""The paper's experiments and the tests of its claims, a module each: what there is to compute, how, and what it says.

A module has `plan_…`, which lists the cells of the experiment, `run_…`, which computes one of them, `report_…`, which
makes its section of the audit page, and the `Experiment` that puts these together; all are in `scprism.paper.registry`.
"""
