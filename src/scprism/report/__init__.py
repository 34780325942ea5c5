"""report: figures and the self-contained page."""
