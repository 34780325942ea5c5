"""How kernels are compiled."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["compiled", "compiled_sums"]

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Return `function` compiled by numba, without the interpreter's lock, and kept on disk where that is possible.

    Kernels that call each other stand in one file: numba renews what it kept when that file changes, not when a callee
    elsewhere does.
    """
    return _compiled(function, fastmath=False)


def compiled_sums(function: F) -> F:
    """Return `function` compiled as by `compiled`, its sums of several numbers at once, in an order of their own.

    A sum is the same from call to call; it is not, to the last bit, the one that is taken number by number.
    """
    return _compiled(function, fastmath={"reassoc", "contract", "nsz"})


def _compiled(function: F, *, fastmath: Any) -> F:
    try:
        kernel: F = numba.njit(nogil=True, cache=True, fastmath=fastmath)(function)
    except RuntimeError:  # nowhere to keep it: a read-only package folder and no home
        kernel = numba.njit(nogil=True, fastmath=fastmath)(function)
    return kernel
