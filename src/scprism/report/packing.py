"""Numbers and scripts made small, as they lie in the page: rounded to 8 or 16 bits, zipped, and written as text."""

import base64
import gzip
from typing import Any

import numpy as np

from scprism.types import FloatArray

__all__ = ["packed", "quantised", "whole_numbers"]


def packed(text: str) -> str:
    """Return text zipped and in base64; the same text gives the same bytes."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()


def quantised(values: FloatArray, *, bits: int = 16) -> dict[str, Any]:
    """Return numbers as whole numbers between the smallest and the largest, in base64; the largest one is "no value".

    With 16 bits they are exact to 1/65,534 of their range, with 8 bits to 1/254.

    Parameters
    ----------
    values
        (cells,); NaN: no value.
    bits
        8 or 16.
    """
    numbers = np.asarray(values, dtype=np.float64)
    has = np.isfinite(numbers)
    low, high = (float(numbers[has].min()), float(numbers[has].max())) if has.any() else (0.0, 0.0)
    none = 2**bits - 1
    codes = np.full(len(numbers), none)
    codes[has] = np.round((numbers[has] - low) / max(high - low, 1e-300) * (none - 1))
    return {"bits": bits, "low": low, "high": high, "codes": _base64(codes, bits)}


def whole_numbers(values: Any) -> dict[str, Any]:
    """Return whole numbers from 0 in base64, as 8 or 16 bits."""
    codes = np.asarray(values)
    bits = 8 if len(codes) == 0 or codes.max() < 256 else 16
    return {"bits": bits, "codes": _base64(codes, bits)}


def _base64(codes: Any, bits: int) -> str:
    return base64.b64encode(np.asarray(codes, dtype="u1" if bits == 8 else "<u2").tobytes()).decode()
