"""The model of human blood that comes with the package: it is small, tells where it is from, and labels blood."""

import re

import anndata
import pytest

import scprism
from scprism._bundled import bundled_models, model_archive
from scprism.annotation import read_annotated
from scprism.estimator.card import model_card
from train_blood import SAME, foreign_share

pytestmark = pytest.mark.skipif(
    "blood" not in bundled_models(), reason="there is no model of blood; `make blood` trains it"
)


@pytest.fixture(scope="module")
def model():
    return scprism.load("blood")


def test_it_is_small():
    assert model_archive("blood").stat().st_size <= 5e6


def test_it_knows_its_labels_and_its_card_says_where_it_is_from(model):
    assert set(model.labels_known["cell_type"].names) == {
        "B",
        "CD14+ Mono",
        "CD8 T",
        "DC",
        "FCGR3A+ Mono",
        "Memory CD4 T",
        "NK",
        "Naive CD4 T",
        "Platelet",
    }
    card = model_card(model)
    assert 'license: "cc-by-4.0"' in card
    assert "one healthy donor" in card
    assert "doi:10.1038/ncomms14049" in card


@pytest.mark.filterwarnings("ignore::scprism.errors.PrismWarning")
def test_it_labels_blood_of_another_laboratory_as_well_as_its_card_says(model, shared_data):
    cells = anndata.read_h5ad(shared_data / "ifnb_2800.h5ad")
    right, n_counted = foreign_share(model, cells)
    n, told = re.search(r"of (\d+) resting cells .* ([\d.]+)% the right", model_card(model)).groups()
    assert int(n) == n_counted
    assert right == pytest.approx(float(told) / 100, abs=0.005)
    types = cells.obs.loc[cells.obs["condition"] == "CTRL", "cell_type"].astype(str).map(SAME)
    assert right > 2 * types.value_counts(normalize=True).max()  # than by calling all cells the most frequent type


@pytest.mark.filterwarnings("ignore::scprism.errors.PrismWarning")
def test_the_command_line_knows_it_by_name(command_line, shared_data, tmp_path):
    cells = anndata.read_h5ad(shared_data / "ifnb_2800.h5ad")[:100].copy()
    cells.write_h5ad(tmp_path / "query.h5ad")
    call = ("label", "blood", tmp_path / "query.h5ad", "--no-umap", "--out", tmp_path / "labelled.h5ad")
    status, _, messages = command_line(*call)
    assert status == 0, messages
    assert set(read_annotated(tmp_path / "labelled.h5ad").obs["prism_label"]) <= set(
        scprism.load("blood").labels_known["cell_type"].names
    )
