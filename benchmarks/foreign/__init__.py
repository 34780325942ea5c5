"""The transfer benchmark's parts: which cells, which methods, what is kept, what is printed."""
