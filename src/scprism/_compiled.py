"""How kernels are compiled."""

from collections.abc import Callable
from typing import TypeVar

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Return `function` compiled by numba, without the interpreter's lock, and kept on disk where that is possible.

    Kernels that call each other stand in one file: numba renews what it kept when that file changes, not when a callee
    elsewhere does.
    """
    try:
        kernel: F = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # nowhere to keep it: a read-only package folder and no home
        kernel = numba.njit(nogil=True)(function)
    return kernel
