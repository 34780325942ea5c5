"""R's Seurat where R is there, and what is said where it is not."""

import os
import sys
import tempfile
from pathlib import Path

import anndata
import numpy as np
import pytest

import scprism
from scprism.errors import InputError, PrismError
from scprism.integration.joined import join_data_sets, log_values
from scprism.integration.seurat import seurat


@pytest.fixture
def fake_r(tmp_path, monkeypatch):
    """Put a shell script in R's place; temporary files go to a folder of their own, which must be empty afterwards."""

    def place(script: str) -> None:
        fake = tmp_path / "bin" / "Rscript"
        fake.parent.mkdir()
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.defpath}")

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield place
    assert list(scratch.iterdir()) == []


def test_without_r_the_message_says_how_to_install_it(two_batches, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PrismError, match=r"there is no Rscript on the PATH. Debian and Ubuntu: apt-get install r-cran"):
        seurat([two_batches], batch="batch")


def test_r_without_seurat_says_how_to_install_it(two_batches, fake_r):
    fake_r("exit 3")
    with pytest.raises(PrismError, match=r"R package Seurat, which .*Rscript does not find. Debian and Ubuntu"):
        seurat([two_batches], batch="batch")


def test_an_error_of_r_is_shown_in_its_own_words(two_batches, fake_r):
    fake_r("echo 'Error in FindIntegrationAnchors(parts) : ' >&2; echo '  no anchors were found' >&2; exit 1")
    with pytest.raises(PrismError, match=r"exit status 1.*\n.*Error in FindIntegrationAnchors.*\n.*no anchors were"):
        seurat([two_batches], batch="batch")


def test_r_that_takes_too_long_is_ended(two_batches, fake_r):
    fake_r("exec sleep 20")
    with pytest.raises(PrismError, match="did not end within 0.2 seconds and was stopped"):
        seurat([two_batches], batch="batch", timeout_seconds=0.2)


def test_cut_off_output_is_refused(two_batches, fake_r):
    fake_r('printf "1\\n2\\n" > "$2/genes.tsv"; printf "abcd" > "$2/integrated.bin"')
    with pytest.raises(PrismError, match="Seurat wrote 1 values for 200 cells × 2 genes: its output is cut off"):
        seurat([two_batches], batch="batch")


def test_what_r_is_given_and_gives_back_is_in_the_order_of_the_cells(two_batches, fake_r):
    """The script in R's place returns cell numbers times ten plus the gene's place, for genes 3 and 1."""
    fake_r(
        'n=$(wc -l < "$2/batches.tsv"); '
        f'printf "3\\n1\\n" > "$2/genes.tsv"; {sys.executable} -c '
        "\"import sys,struct;n=int(sys.argv[2]);open(sys.argv[1],'wb').write("
        "b''.join(struct.pack('<2f',10*i+3,10*i+1) for i in range(n)))\" "
        '"$2/integrated.bin" $n'
    )
    result = seurat([two_batches], batch="batch")
    genes = sorted(two_batches.var_names)
    assert result.var_names.tolist() == [genes[0], genes[2]]
    assert result.obs_names.tolist() == two_batches.obs_names.tolist()
    np.testing.assert_array_equal(result.X[:2], [[1, 3], [11, 13]])


def test_a_tiny_batch_is_refused(two_batches, fake_r):
    fake_r("exit 1")
    cells = two_batches[two_batches.obs["batch"] == "batch_0"].copy()
    cells.obs["lab"] = ["small"] * 4 + ["large"] * (cells.n_obs - 4)
    with pytest.raises(InputError, match="fewer than 10 cells, and batch 'small' of 'lab' has 4"):
        seurat([cells], batch="lab")


def test_options_of_seurat_are_refused_for_other_methods(two_batches):
    with pytest.raises(InputError, match="`n_genes` can be set for method='seurat' only, not 'combat'"):
        scprism.integrate([two_batches], batch="batch", n_genes=500)


def test_a_method_that_returns_an_embedding_is_not_offered(two_batches):
    with pytest.raises(InputError, match="`method` must be one of 'combat', 'scanorama', 'seurat', got 'harmony'"):
        scprism.integrate([two_batches], batch="batch", method="harmony")


@pytest.mark.usefixtures("needs_seurat")
def test_seurat_mixes_batches_keeps_types_and_the_order_of_cells(two_batches):
    rng = np.random.default_rng(0)
    shuffled = two_batches[rng.permutation(two_batches.n_obs)].copy()
    result = scprism.integrate([shuffled], batch="batch", method="seurat", n_genes=150)
    assert result.obs_names.tolist() == shuffled.obs_names.tolist()
    assert result.n_vars == 150
    assert set(result.var_names) <= set(shuffled.var_names)
    other = scprism.integrate([shuffled], batch="batch", method="combat")[:, result.var_names]
    assert _share_of_own(result.X, shuffled.obs["batch"]) == pytest.approx(0.5, abs=0.1)
    assert _share_of_own(result.X, shuffled.obs["cell_type"]) > 0.8
    assert np.corrcoef(result.X.ravel(), other.X.ravel())[0, 1] > 0.9


@pytest.mark.usefixtures("needs_seurat")
def test_cell_lines_of_two_platforms_meet(shared_data):
    """Real cells, 100 a platform of three lines told by genotype: the platform fades, the lines hardly."""
    cells = anndata.read_h5ad(shared_data / "sc_mixology.h5ad")
    cells = cells[cells.obs["cell_line"].isin(["H1975", "H2228", "HCC827"])]
    rng = np.random.default_rng(0)
    rows = [
        rng.choice(np.flatnonzero(cells.obs["platform"] == p), 100, replace=False) for p in ("CEL-seq2", "Drop-seq")
    ]
    common = np.argsort(-cells.X.sum(axis=0).A1)[:3000]
    cells = cells[np.concatenate(rows), common].copy()
    result = scprism.integrate([cells], batch="platform", method="seurat", n_genes=500)
    before = join_data_sets([cells], batch="platform")
    places = [before.genes.index(g) for g in result.var_names]
    raw = log_values(before, target_sum=1e4).toarray()[:, places]
    platform, line = (
        _share_of_own(raw, cells.obs[key]) - _share_of_own(result.X, cells.obs[key])
        for key in ("platform", "cell_line")
    )
    assert platform > 0.2
    assert line < platform / 2


@pytest.mark.usefixtures("needs_seurat")
def test_an_error_inside_seurat_is_shown(two_batches):
    constant = two_batches.copy()
    constant.X = np.ones(constant.shape, dtype=np.float32)
    with pytest.raises(
        PrismError, match=r"(?s)Seurat failed \(exit status 1\). R said last:\n.*Error in .*invalid 'x'"
    ):
        seurat([constant], batch="batch")


def _share_of_own(values, groups, k=15):
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=k).fit(values).kneighbors(return_distance=False)
    return (np.asarray(groups)[neighbours] == np.asarray(groups)[:, None]).mean()


def test_the_script_is_beside_its_caller():
    import scprism.integration.seurat as module

    assert Path(module.__file__).parent / "seurat.R" == module.SCRIPT
    assert module.SCRIPT.is_file()
