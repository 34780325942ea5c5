"""What several tests share: simulated cells, every kind of storage, the real data."""

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side; set before a numerical library is loaded

import anndata
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from scprism.read.synthetic import make_cells

PYTHON_WORDS = re.compile(r"`(?!scprism |\.)[^`]*`|(?<![\w/&?-])\w+=(?=[\w'\"])|\b(?:scprism|model)\.\w+\(|Prism\(")
"""Advice for Python, which is no help on the command line: an argument in backticks, ``name=``, a call."""
Storage = Callable[[AnnData], AnnData]


@pytest.fixture
def small_cells() -> AnnData:
    """300 simulated cells of 3 types, 200 genes, 4 programs of 20 genes; a fresh copy for each test."""
    return make_cells(rng=0)


@pytest.fixture(params=["dense", "csr", "csc", "view", "backed"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """A function that returns the same cells in another storage; a test that takes it runs once for each."""
    opened: list[AnnData] = []

    def stored(cells: AnnData) -> AnnData:
        if request.param == "view":
            # Turned about first, so that the view has to put cells and genes back in order.
            return cells[::-1, ::-1].copy()[cells.obs_names, cells.var_names]
        if request.param == "backed":
            path = tmp_path / f"backed_{len(opened)}.h5ad"
            cells.write_h5ad(path)
            opened.append(anndata.read_h5ad(path, backed="r"))
            return opened[-1]
        convert = {"dense": _dense, "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}[request.param]
        copy = cells.copy()
        copy.X = convert(cells.X)
        return copy

    yield stored
    for cells in opened:
        cells.file.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"the real data are not at {path}")
    return path


def _dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else matrix


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of known seed."""
    return np.random.default_rng(0)


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run `scprism` in this process; return its exit status, its output and its messages."""
    from scprism.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scprism", *map(str, arguments)])
        status = 0
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            try:
                main()
            except SystemExit as stop:
                status = int(stop.code or 0)
        output = capsys.readouterr()
        told = [line for line in output.err.splitlines() if line.startswith(("scprism: ", "warning: "))]
        assert not [line for line in told if PYTHON_WORDS.search(line)]
        return status, output.out, output.err

    return run
