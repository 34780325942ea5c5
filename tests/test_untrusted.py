"""Files from strangers: whatever their bytes, a message or a result; no code run, no memory for what is not there."""

import shutil
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import io, sparse

import scprism
from scprism import Prism, make_cells, read_cells
from scprism.errors import InputError, PrismError
from scprism.genes.tables import read_gmt
from scprism.label.result import read_labels
from scprism.prepare.selection import requested_genes

CELLS = make_cells(n_cells=120, rng=0)
LIMIT = 200 * 2**20
"""Bytes; the files are smaller than a thousandth of it."""

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
few = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def changes(content):
    """Draw changes of a file's bytes: cut off, bytes replaced, pieces left out or put in."""
    place = st.integers(0, len(content) - 1)
    return st.one_of(
        place.map(lambda n: content[:n]),
        st.tuples(place, st.binary(min_size=1, max_size=9)).map(
            lambda t: content[: t[0]] + t[1] + content[t[0] + len(t[1]) :]
        ),
        st.tuples(place, st.integers(1, 40)).map(lambda t: content[: t[0]] + content[t[0] + t[1] :]),
        st.tuples(place, st.sampled_from([b"\n", b"\0", b"-1", b"1e999", b'"', b"\xff\xfe", b"9" * 20, b"../"])).map(
            lambda t: content[: t[0]] + t[1] + content[t[0] :]
        ),
        st.binary(max_size=64),
    )


def survives(read, path):
    """Read a file: it is read, or refused by one of our own errors, in bounded memory."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except PrismError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < LIMIT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder with units and an index, a zip file of it, and one of each file of text."""
    path = tmp_path_factory.mktemp("untrusted")
    model = Prism(genes="all", organism="human", max_epochs=1, units="raw", device="cpu", rng=0).fit(CELLS)
    model = model.index(CELLS, labels="cell_type")
    model.save(path / "model")
    shutil.make_archive(str(path / "model"), "zip", path / "model")
    model.label(CELLS).save(path / "labels.csv")
    (path / "sets.gmt").write_text("SET_A\tabout\tCD3E\tCD19\nSET_B\tabout\tMS4A1\n")
    (path / "genes.txt").write_text("gene_000\ngene_001\n")
    CELLS[:5, :6].to_df().to_csv(path / "cells.csv")
    return path


READERS = {
    "sets.gmt": read_gmt,
    "genes.txt": lambda path: requested_genes(str(path), matrix=CELLS.X, names=list(CELLS.var_names), organism="human"),
    "cells.csv": read_cells,
    "labels.csv": read_labels,
    "model.zip": scprism.load,
}


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_read_or_refused(folder, tmp_path, name):
    content = (folder / name).read_bytes()
    path = tmp_path / name
    beside = folder / f"{name}.json"
    if beside.exists():
        shutil.copy(beside, tmp_path)

    @few
    @given(changes(content))
    def check(changed):
        path.write_bytes(changed)
        survives(READERS[name], path)

    check()


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "log.csv", "index.json", "index.safetensors"])
def test_a_changed_file_of_a_model_is_read_or_refused(folder, tmp_path, name):
    shutil.copytree(folder / "model", tmp_path / "model")
    path = tmp_path / "model" / name

    @few
    @given(changes((folder / "model" / name).read_bytes()))
    def check(changed):
        path.write_bytes(changed)
        survives(scprism.load, tmp_path / "model")

    check()


@pytest.mark.parametrize("name", ["model.json", "index.json", "labels.csv.json"])
def test_json_that_is_nested_without_end_is_refused(folder, tmp_path, name):
    if name.startswith("labels"):
        shutil.copy(folder / "labels.csv", tmp_path)
        path, read, source = tmp_path / name, read_labels, tmp_path / "labels.csv"
    else:
        shutil.copytree(folder / "model", tmp_path / "model")
        path, read, source = tmp_path / "model" / name, scprism.load, tmp_path / "model"
    path.write_text("[" * 100_000)
    with pytest.raises(PrismError):
        read(source)


def test_a_zip_file_writes_nothing_outside(folder, tmp_path):
    before = set(tmp_path.rglob("*"))

    @few
    @given(st.text(alphabet="./\\:a~model.json", min_size=1, max_size=20))
    def check(name):
        path = tmp_path / "model.zip"
        shutil.copy(folder / "model.zip", path)
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
            warnings.simplefilter("ignore")
            archive.writestr(f"{name}/../../evil", "x")
        with pytest.raises(PrismError, match="leads out of its folder"):
            scprism.load(path)
        assert set(tmp_path.rglob("*")) - before == {path}
        assert not Path(tmp_path.parent, "evil").exists()

    check()


def test_a_matrix_market_file_that_says_more_values_than_it_has_is_refused(tmp_path):
    io.mmwrite(tmp_path / "matrix.mtx", sparse.csr_matrix(CELLS.X[:5, :6].T).astype(int))
    for name, names in (("barcodes.tsv", CELLS.obs_names[:5]), ("genes.tsv", CELLS.var_names[:6])):
        (tmp_path / name).write_text("\n".join(names) + "\n")
    assert read_cells(tmp_path).shape == (5, 6)
    text = (tmp_path / "matrix.mtx").read_text().splitlines()
    sizes = next(n for n, line in enumerate(text) if not line.startswith("%"))
    for header, message in (
        ("6 5 9999999999", "says that it holds 60.0 GB"),
        ("6000000000 5 3", "do not belong together"),
    ):
        text[sizes] = header
        (tmp_path / "matrix.mtx").write_text("\n".join(text))
        with pytest.raises(InputError, match=message):
            read_cells(tmp_path)


@pytest.mark.parametrize("backed", [False, True])
def test_an_h5ad_that_says_more_values_than_it_has_is_refused(tmp_path, backed):
    CELLS.write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        attributes = dict(file["X/data"].attrs)
        del file["X/data"]
        data = file["X"].create_dataset("data", (2**36,), "float32", chunks=(1000,), compression="gzip")
        data[:10] = np.ones(10)
        data.attrs.update(attributes)
    with pytest.raises(InputError, match="says that it holds 274.9 GB, and there are"):
        read_cells(tmp_path / "a.h5ad", backed=backed)
