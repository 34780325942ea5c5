"""Results on disk: one row a pair, result and seed, found again by what it was computed from."""

import ast
import hashlib
import json
import sqlite3
import zlib
from functools import cache
from pathlib import Path

import numpy as np

import scprism
from foreign.cells import PARTS, Pair
from foreign.methods import BASELINES, WHOLE, Method, Task
from scprism.model.presets import PRESETS

__all__ = ["Store", "method_key"]

BASELINE_VERSION = 1
"""Raise it when a baseline's code changes what it computes."""
SOURCE = Path(scprism.__file__).parent
PREPARING = ("prepare", "transfer/align.py", "transfer/query.py", "read/symbols.py", "read/chunks.py")
GENES_AND_SCALE = (
    *(f"prepare/{name}.py" for name in ("aliases", "genes", "ids", "learn", "names", "normalise", "organism")),
    "prepare/orthologs.py",
    "transfer/align.py",
    "transfer/votes.py",
    "read/symbols.py",
)
"""What decides a baseline's input. `prepare/stream.py` only carries it out: raise `BASELINE_VERSION` if it changes."""
NETWORK = (
    *PREPARING,
    "model",
    "train/batches.py",
    "train/fit.py",
    "train/loop.py",
    "train/step.py",
    "transfer/embed.py",
    "transfer/votes.py",
)
IGNORED = frozenset(
    [
        "adjust_denoised",
        "attribution",
        "first_unit_plain",
        "foreign_loss",
        "gene_count",
        "knn_neighbours",
        "min_coverage",
        "n_neighbours",
        "projection",
        "search_trials",
        "neighbour_weights",
        "whiten_latent",
        "search_epochs",
        "final_epochs",
    ]
)
"""Settings that do not change an embedding."""
SETTINGS_FILES = {"config.py", "presets.py", "describe.py", "bundle.py"}
SCHEMA = """CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, pair TEXT, method TEXT, result TEXT, seed INTEGER, seconds REAL, types TEXT, truth BLOB,
    calls BLOB, n_rows INTEGER)"""


@cache
def code_hash(parts: tuple[str, ...]) -> str:
    """Return a hash of the source of these files and folders, comments and docstrings aside."""
    digest = hashlib.sha256()
    for part in parts:
        place = SOURCE / part
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            if file.name in SETTINGS_FILES or not file.exists():
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                body = getattr(node, "body", None)
                if isinstance(body, list):
                    node.body = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
            digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


@cache
def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def method_key(method: Method) -> str:
    """Return what a method's results depend on besides the cells: its settings and its code."""
    if method.config is not None:
        settings = {k: v for k, v in method.config.flat().items() if k not in IGNORED}
        return f"{json.dumps(settings, sort_keys=True)} {method.trained} {code_hash(NETWORK)}"
    if method.name in BASELINES:
        shared = [
            {name: config.flat()[name] for name in ("genes", "min_max_count", "normalise", "target_sum", "library")}
            for config in (PRESETS["default"], WHOLE)
        ]
        chosen = shared[1:] if method.name == "hvg_pca" else shared[:1]
        return f"{method.name} {BASELINE_VERSION} {json.dumps(chosen)} {code_hash(GENES_AND_SCALE)}"
    return f"{method.name} {BASELINE_VERSION} {code_hash(GENES_AND_SCALE)}"


class Store:
    """The results in an SQLite file; each is written as soon as it is there."""

    def __init__(self, path: Path, data: Path) -> None:
        self.data = data
        self.connection = sqlite3.connect(path, timeout=60)
        self.connection.execute(SCHEMA)

    def key(self, pair: Pair, method: Method, result: str, seed: int) -> str:
        """Return a hash of all that a result was computed from."""
        files = [file_hash(self.data / f"{PARTS[name].file}.h5ad") for name in (pair.reference, pair.query)]
        text = json.dumps([pair.name, PARTS[pair.reference].where, PARTS[pair.query].where, files, result, seed])
        return hashlib.sha256((text + method_key(method)).encode()).hexdigest()[:32]

    def has(self, pair: Pair, method: Method, seed: int) -> bool:
        """Return whether all results of a method on a pair are there."""
        keys = [self.key(pair, method, result, seed) for result in method.rows]
        marks = ",".join("?" * len(keys))
        found = self.connection.execute(f"SELECT count(*) FROM results WHERE key IN ({marks})", keys)  # noqa: S608
        return bool(found.fetchone()[0] == len(keys))

    def write(self, task: Task, method: Method, seed: int, *, calls: dict[str, np.ndarray], seconds: float) -> None:
        """Keep the calls of a method for a pair, one row a result."""
        for result, values in zip(method.rows, calls.values(), strict=True):
            row = (
                self.key(task.pair, method, result, seed),
                task.pair.name,
                method.name,
                result,
                seed,
                seconds,
                json.dumps([[task.words.index(t) for t in task.types], task.words]),
                zlib.compress(task.truth.astype(np.int16).tobytes()),
                zlib.compress(np.atleast_2d(values).astype(np.int16).tobytes()),
                len(np.atleast_2d(values)),
            )
            self.connection.execute("INSERT OR REPLACE INTO results VALUES (?,?,?,?,?,?,?,?,?,?)", row)
        self.connection.commit()

    def read(self, pair: Pair, method: Method, result: str) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
        """Return truth (cells,), calls (seeds, numbers of neighbours, cells) as places among the types, and types.

        A call of a type that is not scored is −1. None if no seed is there.
        """
        truth, calls, types = np.zeros(0), [], []
        for seed in range(method.seeds):
            query = "SELECT types, truth, calls, n_rows FROM results WHERE key = ?"
            row = self.connection.execute(query, (self.key(pair, method, result, seed),)).fetchone()
            if row is None:
                continue
            (chosen, words), n_rows = json.loads(row[0]), row[3]
            place = np.full(len(words) + 1, -1)
            place[chosen] = np.arange(len(chosen))
            types = [words[i] for i in chosen]
            truth = place[np.frombuffer(zlib.decompress(row[1]), dtype=np.int16)]
            calls.append(place[np.frombuffer(zlib.decompress(row[2]), dtype=np.int16).reshape(n_rows, -1)])
        return (truth, np.array(calls), types) if calls else None
