"""What is learned from labelled cells, and the labels of other cells by it."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from scprism.errors import InputError, PrismWarning
from scprism.label import reasons as reasons_module
from scprism.label import reference as reference_module
from scprism.label.genes import label_recipe
from scprism.label.labels import known_labels
from scprism.label.reasons import reasons
from scprism.label.reference import learn_reference
from scprism.label.stacking import ranked
from scprism.label.transfer import Learner, keys_of, label_query, labelled_cells, learn_labels
from scprism.model.config import Config
from scprism.query.view import query_in
from scprism.read.checked import check_cells

LEARNER = Learner(Config(), None, None)
N_GENES = 120


def drawn(codes, rng, *, signal=1.0, depth=400):
    """Return counts of cells of some types, whose genes differ by `signal` in the logarithm."""
    rates = np.exp(np.random.default_rng(99).normal(size=(int(codes.max()) + 1, N_GENES)) * signal)
    shares = rates[codes] / rates[codes].sum(axis=1, keepdims=True)
    counts = np.stack([rng.multinomial(depth, share) for share in shares]).astype(np.float32)
    cells = AnnData(sparse.csr_matrix(counts))
    cells.var_names = [f"GENE{i}" for i in range(N_GENES)]
    cells.obs_names = [f"cell{i}" for i in range(len(codes))]
    cells.obs["type"] = pd.Categorical(np.array(list("ABCDEFGHIJKLMNOPQRST"))[codes])
    return cells


def learned(cells, learner=LEARNER):
    return learn_labels(check_cells(cells), "type", learner=learner, organism=None)["type"]


def labelled(cells, reference):
    query = query_in(check_cells(cells), reference.recipe, Config())
    return label_query(query, reference, names=cells.obs_names)


@pytest.fixture(scope="module")
def four():
    """A reference of four types, what it teaches, and new cells of the same types."""
    rng = np.random.default_rng(0)
    cells, new = drawn(np.arange(240) % 4, rng), drawn(np.arange(200) % 4, rng)
    return cells, learned(cells), new


def test_cells_get_the_label_of_their_type(four):
    _, reference, new = four
    table, probabilities = labelled(new, reference)
    assert (table["label"].astype(str) == new.obs["type"].astype(str)).mean() > 0.97
    assert list(table.columns) == ["label", "confidence", "runner_up", "margin", "distance", "novelty_p", "novel"]
    assert list(probabilities.columns) == list("ABCD")
    assert probabilities.sum(axis=1).to_numpy() == pytest.approx(np.ones(200), rel=1e-5)
    assert (probabilities.idxmax(axis=1) == table["label"]).all()
    order = np.sort(probabilities.to_numpy(), axis=1)
    assert table["margin"].to_numpy() == pytest.approx(order[:, -1] - order[:, -2], abs=1e-5)
    assert (table["runner_up"] != table["label"]).all()


def test_new_cells_of_the_references_kind_are_seldom_novel(four):
    _, reference, new = four
    assert labelled(new, reference)[0]["novel"].mean() <= 0.05


@pytest.mark.filterwarnings("ignore:The query is unlike")
def test_a_type_that_the_reference_lacks_is_novel_and_not_confident():
    rng = np.random.default_rng(1)
    reference = learned(drawn(np.arange(240) % 3, rng))
    new = drawn(np.arange(200) % 4, rng)
    table, _ = labelled(new, reference)
    is_new = (new.obs["type"] == "D").to_numpy()
    assert table["novel"][is_new].mean() > 0.95
    assert table["novel"][~is_new].mean() <= 0.05
    assert table["confidence"][is_new].max() < 0.5 < 0.9 < table["confidence"][~is_new].median()


def test_a_query_of_a_new_type_alone_is_warned_of():
    rng = np.random.default_rng(1)
    reference = learned(drawn(np.arange(240) % 3, rng))
    with pytest.warns(PrismWarning, match="nine tenths of its cells or more are stranger"):
        labelled(drawn(np.full(60, 3), rng), reference)


def test_labels_without_any_signal_are_right_by_chance_and_known_to_be():
    """20 labels of 15 cells that no gene tells apart: each cell must be judged by a reference without it."""
    rng = np.random.default_rng(2)
    codes = np.repeat(np.arange(20), 15)
    cells, new = drawn(codes, rng, signal=0.0), drawn(codes, rng, signal=0.0)
    table, _ = labelled(new, learned(cells))
    right = table["label"].astype(str) == new.obs["type"].astype(str)
    assert right.mean() == pytest.approx(0.05, abs=0.045)
    assert table["confidence"].mean() == pytest.approx(0.05, abs=0.04)


def test_evidence_is_the_product_of_two_regressions_and_of_neighbours_with_centroids(four):
    cells, reference, new = four
    rule = reference.rule
    query = query_in(check_cells(new), reference.recipe, Config())
    (chunk,) = query.chunks()
    values, genes = chunk.inputs.toarray().astype(float), list(reference.recipe.genes)
    own = cells[:, genes].X.toarray()
    train = np.log1p(own * (1e4 / own.sum(axis=1, keepdims=True)))
    codes = np.array([reference.names.index(name) for name in cells.obs["type"]])
    peer = LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000, tol=1e-8).fit(train, codes)
    by_peer = peer.predict_log_proba(values)  # all genes vary, so that both regressions read all
    shares, _ = rule.classifier.shares((values @ rule.loadings - rule.centre).astype(np.float32))
    least = np.log(1e-3)
    expected = log_softmax(np.maximum(by_peer, least) + np.maximum(np.log(np.maximum(shares, 1e-9)), least), axis=1)
    np.testing.assert_allclose(np.exp(rule.evidence(chunk).log_probabilities), np.exp(expected), atol=0.01)


def test_components_are_those_of_the_centred_expression(four):
    cells, reference, _ = four
    own = cells[:, list(reference.recipe.genes)].X.toarray()
    values = np.log1p(own * (1e4 / own.sum(axis=1, keepdims=True)))
    points = values @ reference.rule.loadings - reference.rule.centre
    u, s, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    theirs = u[:, :50] * s[:50]
    np.testing.assert_allclose(points @ points.T, theirs @ theirs.T, atol=0.02 * np.abs(theirs @ theirs.T).max())


def test_what_genes_say_adds_up_to_the_log_odds_of_both_methods(four, monkeypatch):
    _, reference, new = four
    monkeypatch.setattr(reasons_module, "N_GENES", N_GENES)
    query = query_in(check_cells(new), reference.recipe, Config())
    table = reasons(query, reference, names=new.obs_names, cells=["cell7"])
    own = table[table["cell"] == "cell7"]
    assert len(own) == N_GENES
    rule = reference.rule
    (chunk,) = query.chunks()
    x, mean = chunk.inputs.toarray()[7].astype(float), reference.recipe.mean
    best = ranked(rule.evidence(chunk).log_probabilities)
    a, b = int(best.label[7]), int(best.runner_up[7])
    slopes = sum(r.weights[:, a] - r.weights[:, b] for r in rule.regressions) / 2
    assert own["regressions"].sum() == pytest.approx(float((x - mean) @ slopes), rel=1e-4)
    # the centroids' log odds, step by step: lengths, whitening, cosines from the middle of the centroids
    space, centroids = rule.classifier.space, rule.classifier.centroids

    def odds(value):
        z = value @ rule.loadings - rule.centre
        return z, (z / lengths[0] - space.whitening.middle) @ space.whitening.turn

    lengths = [np.linalg.norm(x @ rule.loadings - rule.centre)]
    _, w = odds(x)
    lengths.append(np.linalg.norm(w))
    middle = centroids.mean(axis=0)
    q = w / lengths[1] - middle
    lengths.append(np.linalg.norm(q))
    directions = (centroids - middle) / np.linalg.norm(centroids - middle, axis=1, keepdims=True)
    cosines = directions @ q / lengths[2]
    at_mean = (odds(mean)[1] / lengths[1] - middle) @ (directions[a] - directions[b]) / lengths[2]
    expected = (cosines[a] - cosines[b] - at_mean) / 0.1
    assert own["centroids"].sum() == pytest.approx(expected, rel=1e-3)


def test_reasons_name_the_genes_that_mark_a_type(four):
    _, reference, new = four
    query = query_in(check_cells(new), reference.recipe, Config())
    table = reasons(query, reference, names=new.obs_names)
    assert set(table["label"]) == set("ABCD")
    assert (table["cell"] == "").all()
    rates = np.exp(np.random.default_rng(99).normal(size=(4, N_GENES)))
    shares = np.log(rates / rates.sum(axis=1, keepdims=True))
    for (label, against), part in table.groupby(["label", "against"]):
        a, b = ("ABCD".index(name) for name in (label, against))
        genes = [int(gene.removeprefix("GENE")) for gene in part["gene"]]
        mean = reference.recipe.mean[[reference.recipe.genes.index(gene) for gene in part["gene"]]]
        # a gene of which there is more than usual speaks for the type that has more of it
        expected = (shares[a, genes] - shares[b, genes]) * (part["expression"].to_numpy() - mean)
        assert (np.sign(expected) == np.sign(part["regressions"] + part["centroids"])).mean() > 0.8


def test_reasons_for_a_cell_that_is_not_there_are_refused(four):
    _, reference, new = four
    query = query_in(check_cells(new), reference.recipe, Config())
    with pytest.raises(InputError, match="no cell 'cell7777'.*Closest: 'cell"):
        reasons(query, reference, names=new.obs_names, cells=["cell7777"])


@pytest.mark.filterwarnings("ignore")
def test_a_reference_of_a_few_cells_is_refused():
    cells = drawn(np.array([0, 0, 1]), np.random.default_rng(0))
    with pytest.raises(InputError, match="at least 10 labelled cells to tell how often its labels are right, got 3"):
        learned(cells)


@pytest.mark.filterwarnings("ignore")
def test_labels_of_very_few_cells_are_no_trouble():
    codes = np.array([0] * 8 + [1] * 3 + [2])
    rng = np.random.default_rng(3)
    table, _ = labelled(drawn(np.arange(30) % 3, rng), learned(drawn(codes, rng)))
    assert set(table["label"]) <= set("ABC")


def test_equal_cells_are_no_trouble():
    cells = drawn(np.repeat([0, 1], 20), np.random.default_rng(4))
    cells.X = sparse.csr_matrix(np.repeat(cells.X.toarray()[[0, 20]], 20, axis=0))
    table, _ = labelled(cells, learned(cells))
    assert table["label"].tolist() == ["A"] * 20 + ["B"] * 20
    assert table["distance"].max() < 1e-6
    assert not table["novel"].any()


def test_the_genes_are_hallmark_and_the_most_variable_ones():
    import scprism

    cells = scprism.load_dataset("tm_droplet_immune")[:200]
    recipe, is_variable = label_recipe(sparse.csr_matrix(cells.X), list(cells.var_names), organism=None)
    hallmark = {gene for genes in scprism.gene_sets("hallmark", organism="mouse").values() for gene in genes}
    assert recipe.organism == "mouse"
    assert (recipe.library, recipe.target_sum) == ("all", 1e4)
    assert list(recipe.genes) == sorted(recipe.genes)
    genes = np.array(recipe.genes)
    assert set(genes[~is_variable]) <= hallmark
    assert is_variable.sum() <= 2000
    assert len(set(genes) & hallmark) > 1000


def test_of_a_large_reference_what_judges_cells_is_learned_from_some(monkeypatch):
    """The final rule is learned from all cells, those of the folds from as many of each label, and the judged."""
    monkeypatch.setattr(reference_module, "LEARNED_FROM", 60)
    monkeypatch.setattr(reference_module, "JUDGED", 30)
    cells, asked = drawn(np.repeat([0, 1, 2], [200, 60, 20]), np.random.default_rng(5)), []
    checked = check_cells(cells)
    known = known_labels(cells, "type")
    labelled_part, learn = labelled_cells(
        checked, known, keys_of(checked), learner=LEARNER, organism=None, seen_as=None
    )

    def recorded(query, codes, *, keys):
        asked.append(np.bincount(codes, minlength=3))
        return learn(query, codes, keys=keys)

    reference = learn_reference(labelled_part, recorded)
    assert asked[-1].sum() == 280
    assert all(sizes.min() >= 16 and sizes.sum() <= 60 + 30 for sizes in asked[:-1])
    new = drawn(np.arange(150) % 3, np.random.default_rng(6))
    table, _ = labelled(new, reference)
    right = table["label"].astype(str) == new.obs["type"].astype(str)
    assert table["confidence"].mean() == pytest.approx(right.mean(), abs=0.05)
