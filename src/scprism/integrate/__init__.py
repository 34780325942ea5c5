"""integrate: batch correction that returns corrected expression."""
