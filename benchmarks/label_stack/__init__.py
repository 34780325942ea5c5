"""A label rule of several classifiers, measured by `benchmarks/label_rules.py`; `scprism label` does not use it yet."""
