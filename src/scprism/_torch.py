"""torch, loaded so that its threads sleep while they wait for work.

OpenMP, which torch computes with, lets idle threads spin by default. Beside another busy process that makes training
several times slower. How threads wait is read from the environment once, when OpenMP is loaded; it is set here for just
that moment, unless the user has chosen. Where torch was loaded before scprism it is too late: set
``OMP_WAIT_POLICY=PASSIVE`` before Python starts, or import scprism.Prism first.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["adam", "nn", "sgd", "torch"]

CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@contextmanager
def _sleeping_threads() -> Iterator[None]:
    """Let threads of libraries that are loaded in this block sleep while they wait, unless the user chose otherwise."""
    if any(name in os.environ for name in CHOICES):
        yield
        return
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    try:
        yield
    finally:
        del os.environ["OMP_WAIT_POLICY"]


with _sleeping_threads():
    import torch
    from torch import nn
    from torch.optim.adam import adam
    from torch.optim.sgd import sgd
