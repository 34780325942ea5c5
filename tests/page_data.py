"""What a page holds, unpacked as its script does."""

import base64
import gzip
from typing import Any

import numpy as np


def unpacked(text: str) -> str:
    return gzip.decompress(base64.b64decode(text)).decode()


def whole(packed: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["codes"]), dtype="u1" if packed["bits"] == 8 else "<u2")
