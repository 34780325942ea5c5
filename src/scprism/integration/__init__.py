"""integration: batch correction that returns corrected expression."""
