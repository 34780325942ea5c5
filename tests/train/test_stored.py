"""Training cells in a scratch file: the same batches, the same network, each cell once an epoch."""

import os
import tempfile

import numpy as np
import pytest
from scipy import sparse

from scprism import Prism, make_cells, read_cells
from scprism._stores import write_anndata
from scprism.errors import InputError
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.presets import PRESETS
from scprism.train.batches import StoredCells, TrainingCells
from scprism.train.fit import data_fingerprint, prepare_training
from scprism.train.loop import train_model
from scprism.train.stored import ScratchRows, row_blocks

CELLS = make_cells(n_cells=300, rng=0)


def prepared(config, max_bytes):
    return prepare_training(CELLS.X, list(CELLS.var_names), config=config, organism=None, max_bytes=max_bytes)


def small(preset, **changes):
    sizes = {"genes": "all", "hidden_size": 8, "bottleneck_size": 4, "max_epochs": 3, "patience": 9, "check_every": 1}
    return PRESETS[preset].changed(**{**sizes, **changes})


@pytest.fixture
def matrix():
    return sparse.random(50, 30, 0.2, format="csr", dtype=np.float32, random_state=0)


@pytest.fixture
def stored(matrix):
    scratch = ScratchRows(None, with_counts=True)
    for start in range(0, 50, 7):
        part = matrix[start : start + 7]
        scratch.add(part, sparse.csr_matrix((part.data * 3, part.indices, part.indptr), shape=part.shape))
    return scratch.rows()


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(np.array([3, 3, 49, 0, 1, 2]), id="any order, twice"),
        pytest.param(np.array([], dtype=int), id="none"),
        pytest.param(slice(10, 23), id="a span"),
        pytest.param(slice(None), id="all"),
    ],
)
def test_rows_are_those_of_the_matrix_in_memory(matrix, stored, rows):
    for kept, values in zip(stored, (matrix, matrix * np.float32(3)), strict=True):
        found, wanted = kept[rows], values[rows]
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part))
            assert getattr(found, part).dtype == getattr(wanted, part).dtype


def test_blocks_are_all_rows_in_order(matrix, stored):
    blocks = list(row_blocks(stored[0]))
    np.testing.assert_array_equal(sparse.vstack(blocks).toarray(), matrix.toarray())


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_the_network_is_that_of_cells_in_memory_to_the_bit(preset):
    # "default" takes PyTorch's steps on counts, with dropout; "paper" those of the compiled kernel on single cells
    config = small(preset)
    trained = []
    for max_bytes, kind in ((np.inf, TrainingCells), (0, StoredCells)):
        recipe, cells = prepared(config, max_bytes)
        assert isinstance(cells, kind)
        rng = np.random.default_rng(0)
        network = build_autoencoder(config, n_genes=len(recipe.genes), rng=rng)
        result = train_model(network, cells, config=config, rng=rng)
        losses = [(e.train_loss, e.validation_loss) for e in result.log]
        trained.append((to_weights(network).fingerprint(), losses, data_fingerprint(recipe, cells)))
    assert trained[0] == trained[1]


def test_each_training_cell_is_read_once_an_epoch(monkeypatch):
    config = small("default", max_epochs=2, input_dropout=0.0, gene_dropout=0.0)
    recipe, cells = prepared(config, 0)
    read = []
    take = type(cells.inputs).__getitem__

    def watched(self, rows):
        if self is cells.inputs:
            read.append(rows)
        return take(self, rows)

    monkeypatch.setattr(type(cells.inputs), "__getitem__", watched)
    network = build_autoencoder(config, n_genes=len(recipe.genes), rng=np.random.default_rng(0))
    result = train_model(network, cells, config=config, rng=np.random.default_rng(0))
    times = np.bincount(np.concatenate(read), minlength=300)
    unseen = np.zeros(300, dtype=bool)
    unseen[result.unseen] = True
    assert set(times[~unseen]) == {2}  # two epochs
    assert unseen.sum() == result.n_validation + result.n_test


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_fit_of_a_file_is_fit_in_memory(tmp_path, suffix):
    path = tmp_path / f"cells{suffix}"
    write_anndata(CELLS, path)
    options = {"genes": "variable:100", "organism": "human", "max_epochs": 2, "device": "cpu", "rng": 0, "runs": 4}
    whole = Prism(**options).fit(CELLS)
    blocks = Prism(**options).fit(read_cells(path, backed=True), max_memory=0)
    assert blocks.fingerprint == whole.fingerprint
    assert blocks.summary["unseen_cells"] == whole.summary["unseen_cells"]
    assert blocks.summary["data_fingerprint"] == whole.summary["data_fingerprint"]
    assert list(blocks.units.index) == list(whole.units.index)


def test_the_limit_decides_where_cells_lie():
    config = small("default")
    cells = prepared(config, np.inf)[1]
    size = 12 * cells.inputs.nnz  # places, inputs and counts, four bytes each
    assert isinstance(prepared(config, size)[1], TrainingCells)
    assert isinstance(prepared(config, size - 1)[1], StoredCells)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_told_and_how_to_go_on(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: PTH123,SIM115
    with pytest.raises(InputError, match=r"too many for `max_memory`, and the folder .* No space left .* TMPDIR"):
        prepared(small("default"), 0)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="gone' cannot hold them meanwhile: No such file"):
        ScratchRows(tmp_path / "gone", with_counts=False)


def test_no_file_is_left(tmp_path):
    config = Config(genes="all")
    cells = prepare_training(
        CELLS.X, list(CELLS.var_names), config=config, organism=None, max_bytes=0, folder=tmp_path
    )[1]
    assert isinstance(cells, StoredCells)
    assert not list(tmp_path.iterdir())  # they have no name, so that a killed process leaves none
