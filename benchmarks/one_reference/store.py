"""What voices said, on disk: one row a pair, voice and seed, so that nothing is computed twice."""

import sqlite3
import zlib
from pathlib import Path

import numpy as np

__all__ = ["Store"]

VERSION = 1
"""Raise it when the code of a voice changes what it says."""
SCHEMA = """CREATE TABLE IF NOT EXISTS said (
    pair TEXT, voice TEXT, seed INTEGER, version INTEGER, seconds REAL, n_rows INTEGER, n_cells INTEGER, logs BLOB,
    PRIMARY KEY (pair, voice, seed, version))"""


class Store:
    """Log probabilities in an SQLite file, float16."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, timeout=60)
        self.connection.execute(SCHEMA)

    def read(self, pair: str, voice: str, seed: int = 0) -> np.ndarray | None:
        """Return (rows, cells, labels), None if it is not there."""
        query = "SELECT n_rows, n_cells, logs FROM said WHERE pair = ? AND voice = ? AND seed = ? AND version = ?"
        row = self.connection.execute(query, (pair, voice, seed, VERSION)).fetchone()
        if row is None:
            return None
        values = np.frombuffer(zlib.decompress(row[2]), dtype=np.float16)
        return values.reshape(row[0], row[1], -1).astype(np.float64)

    def write(self, pair: str, voice: str, seed: int, *, logs: np.ndarray, seconds: float) -> None:
        """Keep what a voice said."""
        blob = zlib.compress(logs.astype(np.float16).tobytes())
        row = (pair, voice, seed, VERSION, seconds, *logs.shape[:2], blob)
        self.connection.execute("INSERT OR REPLACE INTO said VALUES (?,?,?,?,?,?,?,?)", row)
        self.connection.commit()
