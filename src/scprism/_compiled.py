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
        return numba.njit(nogil=True, **options)(function)  # type: ignore[no-any-return]
    _forget_what_cannot_be_read(kernel)
    return kernel


def _forget_what_cannot_be_read(kernel: Any) -> None:
    """Let a kernel be compiled anew where what was kept of it is of an earlier scprism, or damaged.

    Numba reads the types of the kernel's arguments before it sees that the source has changed since, and fails if one
    of them is gone.
    """
    kept = kernel._cache._cache_file
    kept._load_index = _or_else(kept._load_index, dict)
    kept.load = _or_else(kept.load, lambda: None)


def _or_else(read: Callable[..., Any], nothing: Callable[[], Any]) -> Callable[..., Any]:
    def readable(*arguments: Any) -> Any:
        try:
            return read(*arguments)
        except Exception:  # a pickle may fail in any way
            return nothing()

    return readable
