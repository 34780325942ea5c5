"""Denoised expression written in blocks of cells: the same values, never held whole, read back."""

import numpy as np
import pytest

import scprism
from scprism.denoise import adjust as adjusting
from scprism.errors import BundleError, InputError
from scprism.estimator.denoised import read_denoised, write_denoised
from scprism.read.synthetic import make_cells


@pytest.fixture(scope="module")
def model():
    return scprism.Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(make_cells(rng=0))


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
@pytest.mark.parametrize("adjust", [None, False])
def test_the_file_holds_what_denoise_returns(model, tmp_path, monkeypatch, ending, adjust):
    cells = make_cells(rng=1)
    expected = model.denoise(cells, adjust=adjust)
    monkeypatch.setattr(adjusting, "DENSE_VALUES", 70 * 200)  # 70 cells a block
    view = model.view(cells)
    write_denoised(tmp_path / f"d{ending}", view, adjust=adjust, made_by={"command": "scprism denoise"})
    again = read_denoised(tmp_path / f"d{ending}")
    np.testing.assert_allclose(again.X, expected, rtol=1e-5, atol=1e-6)
    assert again.X.dtype == np.float32
    assert list(again.var_names) == list(model.genes)
    assert list(again.obs_names) == list(cells.obs_names)
    np.testing.assert_array_equal(again.obsm["X_prism"], view.embed())
    np.testing.assert_array_equal(again.obsm["X_prism_units"], view.activity().to_numpy())
    assert bool(again.uns["scprism"]["adjusted"]) == (adjust is None)
    assert again.uns["scprism"]["command"] == "scprism denoise"


def test_a_block_at_a_time_is_decoded(model, tmp_path, monkeypatch):
    monkeypatch.setattr(adjusting, "DENSE_VALUES", 70 * 200)
    sizes = []
    decode = adjusting.denoised

    def watched(weights, latent, **rest):
        sizes.append(len(latent))
        return decode(weights, latent, **rest)

    monkeypatch.setattr(adjusting, "denoised", watched)
    for adjust in (True, False):
        write_denoised(tmp_path / "d.h5ad", model.view(make_cells(rng=1)), adjust=adjust)
    assert max(sizes) == 70


def test_values_can_stay_on_disk(model, tmp_path):
    write_denoised(tmp_path / "d.h5ad", model.view(make_cells(rng=1)))
    write_denoised(tmp_path / "d.zarr", model.view(make_cells(rng=1)))
    again = read_denoised(tmp_path / "d.h5ad", backed=True)
    assert again.isbacked
    np.testing.assert_array_equal(again.X[10:20], read_denoised(tmp_path / "d.zarr").X[10:20])
    again.file.close()
    with pytest.raises(InputError, match="`backed` is for h5ad files"):
        read_denoised(tmp_path / "d.zarr", backed=True)


def test_other_files_are_refused(tmp_path):
    make_cells(rng=1).write_h5ad(tmp_path / "cells.h5ad")
    (tmp_path / "text.h5ad").write_text("no cells")
    with pytest.raises(BundleError, match="holds no denoised expression"):
        read_denoised(tmp_path / "cells.h5ad")
    with pytest.raises(BundleError, match="cannot be read as denoised expression"):
        read_denoised(tmp_path / "text.h5ad")


def test_a_run_that_breaks_off_leaves_the_old_file(model, tmp_path, monkeypatch):
    write_denoised(tmp_path / "d.h5ad", model.view(make_cells(rng=1)))
    before = (tmp_path / "d.h5ad").read_bytes()

    def broken(*_, **__):
        yield slice(0, 10), np.zeros((10, 200), dtype=np.float32)
        msg = "no space left"
        raise OSError(msg)

    monkeypatch.setattr("scprism.estimator.denoised.denoised_chunks", broken)
    with pytest.raises(OSError, match="no space left"):
        write_denoised(tmp_path / "d.h5ad", model.view(make_cells(rng=1)))
    assert (tmp_path / "d.h5ad").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["d.h5ad"]
