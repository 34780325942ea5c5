"""The small networks of `tests/small_networks.py`, for the tests of this folder."""

from small_networks import cells, directions, make_weights, stored, weights  # noqa: F401
