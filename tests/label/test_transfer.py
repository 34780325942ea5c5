"""Label transfer from AnnData to AnnData."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, concat
from scipy import sparse
from sklearn.metrics import accuracy_score, f1_score

from scprism.errors import InputError, PrismWarning
from scprism.estimator.prism import Prism
from scprism.label import transfer
from scprism.model.config import Config
from scprism.prepare.cell_hashes import cell_marks
from scprism.query.view import open_query
from scprism.read.synthetic import make_cells


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def model(cells):
    return Prism(units="raw", genes="all", organism="human", max_epochs=40, device="cpu", rng=0).fit(cells)


@pytest.fixture
def query(cells, model):
    return open_query(cells, model.recipe, model.config)


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_no_order_changes_a_bit_of_the_labels(cells, preset):
    """Genes, cells of the reference and of the query, categories, and empty genes of unknown names."""
    model = Prism(preset, units="raw", genes="all", organism="human", max_epochs=3, device="cpu", rng=0).fit(cells)
    query, rng = cells[::3].copy(), np.random.default_rng(3)
    first = model.label(query, reference=cells, labels="cell_type")
    recoded = cells.copy()
    recoded.obs["cell_type"] = recoded.obs["cell_type"].astype("category")
    names = recoded.obs["cell_type"].cat.categories
    recoded.obs["cell_type"] = recoded.obs["cell_type"].cat.reorder_categories(names[::-1])
    empty = AnnData(
        sparse.csr_matrix((cells.n_obs, 5), dtype=np.float32), var=pd.DataFrame(index=[f"XX{i}" for i in range(5)])
    )
    empty.obs_names = cells.obs_names
    more = concat([empty, cells], axis=1)
    more.obs = cells.obs
    for other in (
        cells[:, rng.permutation(cells.n_vars)].copy(),
        cells[rng.permutation(cells.n_obs)].copy(),
        recoded,
        more,
    ):
        again = model.label(query, reference=other, labels="cell_type")
        pd.testing.assert_frame_equal(again.table, first.table, check_exact=True)
    order = rng.permutation(query.n_obs)
    turned = model.label(query[order][:, rng.permutation(query.n_vars)].copy(), reference=cells, labels="cell_type")
    pd.testing.assert_frame_equal(turned.table, first.table.iloc[order], check_exact=True)


def test_a_model_knows_the_cells_again_that_it_was_not_trained_on(cells, model, query):
    marks = [mark for chunk in query.chunks() for mark in cell_marks(chunk.inputs)]
    unseen = model.summary["unseen_cells"]
    assert len(unseen) == model.summary["n_validation"] + model.summary["n_test"] == 30
    assert set(unseen) <= set(marks)
    assert len(set(marks)) == cells.n_obs


def test_marks_ignore_the_genes_order_in_the_file(cells, model, query):
    turned = open_query(cells[:, ::-1].copy(), model.recipe, model.config)
    marks = [[mark for chunk in q.chunks() for mark in cell_marks(chunk.inputs)] for q in (query, turned)]
    assert marks[0] == marks[1]


def test_in_the_latent_confidence_is_learned_on_cells_that_training_left_out(cells, monkeypatch):
    config = Config(label_by="latent", max_epochs=3, genes="all")
    model = Prism(config, units="raw", organism="human", device="cpu", rng=0).fit(cells)
    judged, learn = [], transfer.learn_reference
    monkeypatch.setattr(transfer, "learn_reference", lambda c, rule: judged.append(len(c.judged)) or learn(c, rule))
    model.label(cells, reference=cells, labels="cell_type")
    other = cells.copy()  # the same cells measured again: none of them is one that training left out
    other.X = np.random.default_rng(0).binomial(cells.X.toarray().astype(int), 0.9).astype(np.float32)
    model.label(cells, reference=other, labels="cell_type")
    assert judged == [30, 300]


def test_of_a_large_reference_every_label_keeps_cells(cells, model, monkeypatch):
    monkeypatch.setattr(transfer, "MOST_CELLS", 100)
    reference = model.index(cells, labels="cell_type").labels_known["cell_type"]
    codes = reference.rule.classifier.codes
    sizes = cells.obs["cell_type"].value_counts()
    assert (len(codes), reference.n_cells) == (100, 300)
    assert np.bincount(codes).min() == min(sizes.min(), 100 // len(sizes))


def test_a_low_threshold_changes_nothing_and_a_high_one_leaves_labels_open(cells, model):
    known = model.index(cells, labels="cell_type")
    plain, none, all_ = (known.label(cells, threshold=t) for t in (None, 0.0, 1.0))
    pd.testing.assert_series_equal(plain["label"], none["label"])
    assert set(all_["label"]) == {"unassigned"}
    assert set(plain["label"]) == set(cells.obs["cell_type"])
    with pytest.raises(InputError, match="`threshold` is a probability, between 0 and 1, got 50"):
        known.label(cells, threshold=50)


def test_groups_of_cells_get_the_label_of_the_highest_mean_probability(cells, model):
    grouped = cells.copy()
    grouped.obs["group"] = np.where(cells.obs["cell_type"] == cells.obs["cell_type"].iloc[0], "x", "y")
    known = model.index(cells, labels="cell_type")
    plain, calls = known.label(cells), known.label(grouped, over="group")
    pd.testing.assert_series_equal(calls["cell_label"], plain["label"], check_names=False)
    for group in "xy":
        own = (grouped.obs["group"] == group).to_numpy()
        assert set(calls["label"][own]) == {plain.probabilities[own].mean().idxmax()}
    with pytest.raises(InputError, match="`over` must be a column of the cells' `.obs`, or 'leiden', got 'grup'"):
        known.label(grouped, over="grup")
    grouped.obs["group"] = grouped.obs["group"].where(np.arange(cells.n_obs) > 3)
    with pytest.raises(InputError, match="4 have none in 'group'"):
        known.label(grouped, over="group")


def test_agreement_with_known_labels_is_scikit_learns(cells, model):
    calls = model.index(cells[::2].copy(), labels="cell_type").label(cells)
    truth = cells.obs["cell_type"].astype(object).copy()
    truth.iloc[:7], truth.iloc[7:12] = None, "a new type"
    found = calls.agreement(truth)
    known = truth.notna() & (truth != "a new type")
    given = calls["label"][known.to_numpy()].astype(str)
    assert found.n_cells == known.sum()
    assert found.n_unknown == 5
    assert found.accuracy == pytest.approx(accuracy_score(truth[known].astype(str), given))
    assert found.macro_f1 == pytest.approx(f1_score(truth[known].astype(str), given, average="macro"))
    assert found.confusion.to_numpy().sum() == 293
    assert found.confusion.loc["a new type"].sum() == 5
    assert found.calibration["n_cells"].sum() == known.sum()
    right = (given == truth[known].astype(str)).mean()
    weighted = (found.calibration["right"] * found.calibration["n_cells"]).sum() / known.sum()
    assert weighted == pytest.approx(right)
    with pytest.raises(InputError, match="None of the known labels .other, …. is a label of the reference"):
        calls.agreement(pd.Series(["other"] * 300))
    with pytest.raises(InputError, match="there are 300, got 2"):
        calls.agreement(pd.Series(["a", "b"]))


def test_a_query_like_the_reference_is_labelled_without_a_warning(cells, model):
    calls = model.label(cells[::3].copy(), reference=cells, labels="cell_type")
    assert calls["novel"].mean() < 0.15


def test_a_shallow_query_is_warned_of_with_what_differs(cells, model):
    shallow = cells[:100].copy()
    shallow.X = np.random.default_rng(0).binomial(shallow.X.toarray().astype(int), 0.02).astype(np.float32)
    with pytest.warns(
        PrismWarning, match=r"unlike the reference: .*counts per cell in the genes that labels are told by: median"
    ):
        model.label(shallow, reference=cells, labels="cell_type")
