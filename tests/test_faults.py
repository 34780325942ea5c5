"""What goes wrong from outside: damaged files, no room, no permission. One message, status 2, nothing half-written."""

import shutil
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from scprism import make_cells
from scprism._stores import write_anndata
from scprism.cli import main, options

SETTINGS = "max_epochs = 2\nhidden_size = 8\nbottleneck_size = 4\n"


def run(*arguments):
    sys.argv = ["scprism", *map(str, arguments)]
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("faults")
    cells = make_cells(n_cells=400, rng=0)
    for name in ("cells.h5ad", "cells.zarr"):
        write_anndata(cells, path / name)
    (path / "settings.toml").write_text(SETTINGS)
    assert run(*fit(path, path / "cells.h5ad", path / "model")) == 0
    return path


def fit(folder, cells, out):
    common = ("--genes", "all", "--organism", "human", "--units", "raw", "--config", folder / "settings.toml")
    return ("fit", cells, "--out", out, *common)


COMMANDS = {
    "fit": lambda folder, cells, out: fit(folder, cells, out / "model"),
    "fit from a scratch file": lambda folder, cells, out: (*fit(folder, cells, out / "model"), "--max-memory", "0"),
    "embed": lambda folder, cells, out: ("embed", folder / "model", cells, "--no-umap", "--out", out / "a.h5ad"),
    "embed zarr": lambda folder, cells, out: ("embed", folder / "model", cells, "--no-umap", "--out", out / "a.zarr"),
    "denoise": lambda folder, cells, out: ("denoise", folder / "model", cells, "--out", out / "a.h5ad"),
}


@pytest.fixture(params=[0.0, 1.0], ids=["on disk", "in memory"])
def limit(request, monkeypatch):
    monkeypatch.setattr(options, "MAX_MEMORY", request.param)


@pytest.mark.parametrize("command", COMMANDS)
def test_without_room_there_is_one_message_and_no_file(folder, tmp_path, command):
    # a process of its own: a file that HDF5 could not write leaves it unusable
    arguments = [str(part) for part in COMMANDS[command](folder, folder / "cells.h5ad", tmp_path)]
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); from scprism.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith(("read ", "  training"))]
    assert done.returncode == 2, done.stderr
    assert len(said) == 1, done.stderr
    assert "too large" in said[0]
    assert not list(tmp_path.iterdir())


def damaged(folder, tmp_path, kind):
    """Return cells whose last values cannot be read, which is not seen when the file is opened."""
    path = tmp_path / f"cells.{kind}"
    if kind == "zarr":
        shutil.copytree(folder / "cells.zarr", path)
        piece = max(
            (p for p in (path / "X" / "data").rglob("*") if p.is_file() and not p.name.startswith((".", "z"))), key=str
        )
        piece.write_bytes(piece.read_bytes()[: piece.stat().st_size // 2])
        return path
    with h5py.File(folder / "cells.h5ad") as source, h5py.File(path, "w") as target:
        for name in source:
            source.copy(name, target)
        target.attrs.update(source.attrs)
        values = source["X/data"][:]
        del target["X/data"]
        data = target["X"].create_dataset("data", data=values, chunks=(1000,), compression="gzip")
        data.attrs.update(source["X/data"].attrs)
        place = data.id.get_chunk_info(data.id.get_num_chunks() - 1)
    with path.open("r+b") as file:
        file.seek(place.byte_offset)
        file.write(bytes(place.size))
    return path


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_values_that_cannot_be_read_are_told_with_the_file(folder, tmp_path, limit, capsys, kind):
    cells = damaged(folder, tmp_path, kind)
    out = tmp_path / "out"
    out.mkdir()
    for command in ("fit", "embed"):
        assert run(*COMMANDS[command](folder, cells, out)) == 2
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("scprism: ")]
        assert len(said) == 1
        assert "cannot be read" in said[0]
        assert f"cells.{kind}" in said[0]
        assert not list(out.iterdir())


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_told(folder, tmp_path, limit, capsys, share):
    whole = (folder / "cells.h5ad").read_bytes()
    cut = tmp_path / "cut.h5ad"
    cut.write_bytes(whole[: int(len(whole) * share)])
    assert run(*COMMANDS["embed"](folder, cut, tmp_path)) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("scprism: ")]
    assert len(said) == 1
    assert "cut.h5ad" in said[0]
    assert [path.name for path in tmp_path.iterdir()] == ["cut.h5ad"]


def test_a_matrix_that_says_more_values_than_the_file_has_is_told(folder, tmp_path, limit, capsys):
    path = tmp_path / "cells.h5ad"
    shutil.copy(folder / "cells.h5ad", path)
    with h5py.File(path, "r+") as file:
        del file["X/indptr"]
        file["X/indptr"] = np.linspace(0, 2**40, 401).astype(np.int64)
    assert run(*COMMANDS["embed"](folder, path, tmp_path)) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("scprism: ")]
    assert len(said) == 1
    assert "cannot be read" in said[0] or "is damaged" in said[0]


def test_a_full_disk_is_seen_before_a_file_is_begun(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5000))
    for command in ("embed", "denoise", "embed zarr"):
        assert run(*COMMANDS[command](folder, folder / "cells.h5ad", tmp_path)) == 2
        assert "GB, and its disk has 5e-06 GB left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
