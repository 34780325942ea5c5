"""How the kernels of this step are compiled."""

from collections.abc import Callable
from typing import TypeVar

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Return `function` compiled by numba, without the interpreter lock, and kept on disk where that is possible.

    Kernels that call each other stand in one file: numba renews what it kept when that file changes, not when a callee
    elsewhere does. Where neither the package's folder nor a home can be written to, each process compiles anew.
    """
    try:
        kernel: F = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        kernel = numba.njit(nogil=True)(function)
    return kernel
