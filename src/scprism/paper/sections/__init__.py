"""The audit page: each experiment's results as tables and figures, and what they say of the paper's claims."""
