"""The commands on files whose values stay on disk: the same results as in memory, whatever the format."""

import sys

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from safetensors.numpy import load_file

import scprism.read.chunks
from scprism import load, make_cells
from scprism._stores import write_anndata
from scprism.cli import main, options

FIT = ("--genes", "variable:80", "--organism", "human", "--units", "raw", "--rng", "3")


@pytest.fixture(scope="module")
def cells():
    found = make_cells(n_cells=240, rng=0)
    found.layers["counts"] = found.X.copy()
    found.raw = found
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("large")
    write_anndata(cells, path / "cells.h5ad")
    write_anndata(cells, path / "cells.zarr")
    (path / "settings.toml").write_text("max_epochs = 2\nhidden_size = 8\nbottleneck_size = 4\n")
    run("fit", path / "cells.h5ad", "--out", path / "model", "--config", path / "settings.toml", *FIT)
    return path


def run(*arguments):
    sys.argv = ["scprism", *map(str, arguments)]
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0


@pytest.fixture
def on_disk(monkeypatch):
    """Leave every file's values on disk, and refuse to take them into memory."""
    monkeypatch.setattr(options, "MAX_MEMORY", 0.0)
    monkeypatch.setattr(AnnData, "to_memory", lambda *_: pytest.fail("all values were read"))
    monkeypatch.setattr(scprism.read.chunks.CSRDataset, "to_memory", lambda *_: pytest.fail("all values were read"))


@pytest.mark.parametrize("name", ["cells.h5ad", "cells.zarr"])
@pytest.mark.parametrize("layer", [None, "counts", "raw"])
def test_fit_in_blocks_is_fit_in_memory(folder, tmp_path, on_disk, capsys, name, layer):
    chosen = [] if layer is None else ["--layer", layer]
    common = ("--config", folder / "settings.toml", "--max-memory", "0", *FIT, *chosen)
    run("fit", folder / name, "--out", tmp_path / "model", *common)
    assert "values left on disk" in capsys.readouterr().err
    found, wanted = (load_file(place / "model" / "weights.safetensors") for place in (tmp_path, folder))
    assert all(np.array_equal(found[part], wanted[part]) for part in wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("source", ["h5ad", "zarr"])
@pytest.mark.parametrize("target", ["h5ad", "zarr"])
def test_annotated_cells_are_copied_as_they_came(folder, tmp_path, on_disk, cells, source, target):
    out = tmp_path / f"out.{target}"
    run("embed", folder / "model", folder / f"cells.{source}", "--out", out, "--no-umap")
    read = anndata.read_h5ad if target == "h5ad" else anndata.io.read_zarr
    found = read(out)
    for name, one, other in (
        ("X", found.X, cells.X),
        ("layer", found.layers["counts"], cells.layers["counts"]),
        ("raw", found.raw.X, cells.raw.X),
    ):
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one.toarray(), other.toarray(), err_msg=name)
    assert list(found.obs_names) == list(cells.obs_names)
    np.testing.assert_array_equal(found.obsm["X_prism"], load(folder / "model").embed(cells))


@pytest.mark.parametrize("name", ["cells.h5ad", "cells.zarr"])
def test_other_commands_give_what_they_give_in_memory(folder, tmp_path, on_disk, cells, name):
    model = load(folder / "model")
    run("label", folder / "model", folder / name, "--reference", folder / name, "--labels", "cell_type", "--out",
        tmp_path / "labels.csv")  # fmt: skip
    wanted = model.label(cells, reference=cells, labels="cell_type").table
    assert pd.read_csv(tmp_path / "labels.csv")["label"].tolist() == wanted["label"].tolist()
    run("explain", folder / "model", folder / name, "--groupby", "cell_type", "--out", tmp_path / "why.h5ad")
    why = anndata.read_h5ad(tmp_path / "why.h5ad")
    np.testing.assert_array_equal(why.X, model.explain(cells, groupby="cell_type").to_anndata().X)
    run("denoise", folder / "model", folder / name, "--out", tmp_path / "denoised.h5ad")
    np.testing.assert_allclose(anndata.read_h5ad(tmp_path / "denoised.h5ad").X, model.denoise(cells), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*have the name of another:scprism.PrismWarning")
def test_repeated_symbols_are_added_on_disk_as_in_memory(folder, tmp_path, on_disk, cells):
    ids = cells.copy()
    del ids.raw
    ids.var["feature_name"] = [*ids.var_names[:-1], ids.var_names[0]]
    ids.var_names = [f"ENSG{number:011d}" for number in range(ids.n_vars)]
    write_anndata(ids, tmp_path / "ids.h5ad")
    results = {}
    for limit in (0.0, 1.0):
        options.MAX_MEMORY = limit
        run(
            "embed",
            folder / "model",
            tmp_path / "ids.h5ad",
            "--out",
            tmp_path / f"{limit}.csv",
            "--min-coverage",
            "0.1",
        )
        results[limit] = pd.read_csv(tmp_path / f"{limit}.csv", index_col=0)
    pd.testing.assert_frame_equal(results[0.0], results[1.0])
