"""Denoising scored by molecules that no method has seen: the parts of `benchmarks/denoise.py`."""
