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
    return _compiled(function)


def compiled_sums(function: F) -> F:
    """Return `function` compiled as by `compiled`, with loops that the processor runs for several numbers at once.

    So sums are added in an order of their own: the same from call to call, but not, to the last bit, number by number.
    A division by zero is infinite, as numpy has it, no error.
    """
    return _compiled(function, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")


def _compiled(function: F, **options: Any) -> F:
    try:
        kernel: F = numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep it: a read-only package folder and no home
        kernel = numba.njit(nogil=True, **options)(function)
    return kernel
