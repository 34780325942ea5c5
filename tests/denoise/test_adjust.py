import logging

import numpy as np
import pytest
from anndata import AnnData
from scipy import optimize, sparse

from scprism.denoise import adjust
from scprism.denoise.adjust import (
    denoise_query,
    gene_factors,
    is_adjusted,
    learn_adjustment,
    scaled_by_gene,
    shrunk_to_counts,
)
from scprism.errors import InputError, PrismWarning
from scprism.model.config import Config
from scprism.model.presets import PRESETS
from scprism.model.weights import Weights
from scprism.paper.measures.denoise import deviance
from scprism.prepare.recipe import Recipe
from scprism.query.embed import denoised, embed_cells
from scprism.query.view import open_query

N_GENES = 40
GENES = tuple(f"gene_{i}" for i in range(N_GENES))


def recipe_of(genes, share=1.0, normalise="per_cell"):
    zeros, equal = np.zeros(len(genes)), np.full(len(genes), share / len(genes))
    return Recipe(tuple(genes), None, normalise, 1e4, "recipe", "refuse", zeros, zeros + 1, equal, 100)


def one_unit(reads, bias, answers):
    """Return a network of one unit, z = reads · x, that decodes to softmax(bias + z · answers)."""
    one, zero = np.ones((1, 1), dtype=np.float32), np.zeros(1, dtype=np.float32)
    return Weights(
        hidden_weight=np.atleast_2d(reads).astype(np.float32), hidden_bias=zero, latent_weight=one, latent_bias=zero,
        decoder_weight=one, decoder_bias=zero, output_weight=np.reshape(answers, (-1, 1)).astype(np.float32),
        output_bias=np.asarray(bias, dtype=np.float32),
        hidden_beta=None, latent_beta=None, decoder_beta=None, output_beta=None,
    )  # fmt: skip


def cells_of(counts, genes=GENES):
    cells = AnnData(sparse.csr_matrix(np.asarray(counts, dtype=np.float32)))
    cells.var_names, cells.obs_names = list(genes), [f"cell_{i}" for i in range(len(counts))]
    return cells


def opened(counts, genes=GENES, recipe=None, **options):
    return open_query(cells_of(counts, genes), recipe or recipe_of(GENES), Config(), min_coverage=0.0, **options)


@pytest.fixture
def planted(rng):
    """Two types, a network that tells them apart, and cells of a platform that sees each gene by its own factor."""
    profiles = rng.dirichlet(np.full(N_GENES, 3.0), size=2)
    profiles[0, :10] *= 5
    profiles[1, 10:20] *= 5
    profiles /= profiles.sum(axis=1, keepdims=True)
    factors = rng.lognormal(0, 0.8, N_GENES)
    kinds = rng.integers(0, 2, 400)
    truth = profiles[kinds] * factors
    truth /= truth.sum(axis=1, keepdims=True)
    counts = np.stack([rng.multinomial(n, p) for n, p in zip(rng.integers(200, 600, 400), truth, strict=True)])
    contrast = (np.log(profiles[0]) - np.log(profiles[1])) / 2
    reads = np.zeros(N_GENES)
    reads[:10], reads[10:20] = 0.05, -0.05
    centre = np.log1p(1e4 * truth) @ reads
    middle = (centre[kinds == 0].mean() + centre[kinds == 1].mean()) / 2
    half = (centre[kinds == 0].mean() - centre[kinds == 1].mean()) / 2
    network = one_unit(reads / half, np.log(profiles).mean(axis=0) - middle / half * contrast, contrast)
    return network, counts, truth, factors


def totals_met(shares, seen, molecules):
    """Return shares whose totals are what was seen, by a solver of equations.

    log f = m log((seen + 1) / (e + 1)) / (m + 10), where e is what a factor of 1 would expect of a gene, and m the
    greater of e and of what was seen.
    """

    def scaled(log_factors):
        values = shares * np.exp(log_factors)
        return values / values.sum(axis=1, keepdims=True)

    def off(log_factors):
        alone = molecules @ scaled(log_factors) / np.exp(log_factors)
        most = np.maximum(seen, alone)
        return log_factors - most / (most + 10) * np.log((seen + 1) / (alone + 1))

    found = optimize.root(off, np.zeros(shares.shape[1]), method="hybr", tol=1e-12)
    assert np.abs(off(found.x)).max() < 1e-8
    return scaled(found.x)


def shares(values):
    per_million = np.expm1(values.astype(np.float64))
    return per_million / per_million.sum(axis=1, keepdims=True)


def test_adjusted_values_are_nearer_to_the_truth_of_a_foreign_platform_than_model_or_counts(planted):
    network, counts, truth, factors = planted
    query = opened(counts)
    plain, fitted = (
        shares(denoise_query(query, weights=network, config=Config(), adjust=asked)) for asked in (False, True)
    )
    own = counts / counts.sum(axis=1, keepdims=True)
    errors = {name: np.abs(found - truth).sum(axis=1).mean() for name, found in
              (("plain", plain), ("fitted", fitted), ("own", own))}  # fmt: skip
    assert errors["fitted"] < min(errors["plain"], errors["own"])
    found = learn_adjustment(query, weights=network, config=Config())
    assert found.molecules == np.median(counts.sum(axis=1))
    assert np.corrcoef(np.log(found.factors), np.log(factors))[0, 1] > 0.95
    assert found.strength >= 1000  # what the model says of these cells is true but for the factors


def test_a_model_that_says_nothing_of_the_cells_counts_little(rng):
    network = one_unit(np.zeros(N_GENES), np.zeros(N_GENES), np.zeros(N_GENES))
    truth = rng.dirichlet(np.full(N_GENES, 0.3), size=200)
    query = opened(np.stack([rng.multinomial(5000, p) for p in truth]))
    with pytest.warns(PrismWarning, match=r"cells' own counts but for 0\.[26]%.*`adjust=False`"):
        found = learn_adjustment(query, weights=network, config=Config())
    assert (found.strength <= 30, found.molecules) == (True, 5000)
    assert found.share_of_model == found.strength / (found.strength + 5000)


def test_values_by_hand_with_a_gene_that_the_query_lacks(monkeypatch):
    """The model says 1/2, 1/4, 1/8, 1/8; the query lacks the last gene, whose value stays."""
    monkeypatch.setattr(adjust, "STRENGTHS", (6.0,))
    genes = ("gene_0", "gene_1", "gene_2", "gene_3")
    network = one_unit(np.zeros(4), np.log([1 / 2, 1 / 4, 1 / 8, 1 / 8]), np.zeros(4))
    counts = np.array([[10, 0, 4], [0, 0, 0], [6, 0, 8]])
    with pytest.warns(PrismWarning, match="Low gene coverage"):
        query = opened(np.column_stack([counts, [7, 7, 7]]), (*genes[:3], "other"), recipe_of(genes, share=0.4))
    values = denoise_query(query, weights=network, config=Config(), adjust=True)
    prior = totals_met(np.array([[4, 2, 1]]) / 7, np.array([16, 0, 12]), np.array([28]))
    expected = (6 * prior + counts) / (6 + counts.sum(axis=1, keepdims=True))
    per_million = 0.4e6 * np.column_stack([7 / 8 * expected, np.full(3, 1 / 8)])
    np.testing.assert_allclose(values, np.log1p(per_million), rtol=2e-3)
    assert values.dtype == np.float32


def test_chunks_and_storage_do_not_change_what_is_adjusted(planted, storage, monkeypatch):
    network, counts, _, _ = planted
    whole = denoise_query(opened(counts), weights=network, config=Config(), adjust=True)
    monkeypatch.setattr(adjust, "DENSE_VALUES", 7 * N_GENES)
    query = open_query(storage(cells_of(counts)), recipe_of(GENES), Config())
    np.testing.assert_allclose(denoise_query(query, weights=network, config=Config(), adjust=True), whole, rtol=1e-5)


def test_the_same_cells_give_the_same_values_to_the_bit(rng, monkeypatch):
    """Over a grid so fine that another sample or another thinning would choose another strength."""
    monkeypatch.setattr(adjust, "SAMPLE", 50)
    monkeypatch.setattr(adjust, "STRENGTHS", tuple(np.geomspace(1, 1000, 400)))
    network = one_unit(np.zeros(N_GENES), np.zeros(N_GENES), np.zeros(N_GENES))
    query = opened(np.stack([rng.multinomial(100, p) for p in rng.dirichlet(np.full(N_GENES, 2.0), size=200)]))
    first, second = (denoise_query(query, weights=network, config=Config(), adjust=True) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("preset", ["paper", "as_released"])
def test_the_papers_presets_and_those_who_ask_for_it_get_the_decoded_values_to_the_bit(planted, preset):
    network, counts, _, _ = planted
    if preset == "paper":  # whose output are log values above 0
        network = one_unit(network.hidden_weight, network.output_bias + 9, network.output_weight)
    query = opened(counts)
    for config, asked in ((PRESETS[preset], None), (Config(), False)):
        latent = embed_cells(network, query.chunks(), fill=query.fill)
        decoded = denoised(network, latent, recipe=query.recipe, config=config)
        np.testing.assert_array_equal(denoise_query(query, weights=network, config=config, adjust=asked), decoded)
    assert is_adjusted(query.recipe, Config(), adjust=None)


def test_a_model_without_counts_of_a_cell_is_not_adjusted_and_says_so():
    corrected = recipe_of(GENES, normalise="none")
    assert not is_adjusted(corrected, Config(), adjust=None)
    with pytest.raises(InputError, match=r"`adjust` needs a model of each cell's counts.*normalise='none'.*Leave"):
        is_adjusted(corrected, Config(), adjust=True)


def test_one_cell_keeps_its_molecules_and_the_models_shape(planted, monkeypatch):
    monkeypatch.setattr(adjust, "STRENGTHS", (100.0,))
    network, counts, _, _ = planted
    plain, fitted = (
        shares(denoise_query(opened(counts[:1]), weights=network, config=Config(), adjust=asked))
        for asked in (False, True)
    )
    own, n = counts[:1] / counts[0].sum(), counts[0].sum()
    prior = totals_met(plain, counts[0], np.array([n]))
    np.testing.assert_allclose(fitted, (100 * prior + n * own) / (100 + n), rtol=0.01)


def test_cells_without_molecules_get_the_models_values_scaled_by_gene(planted):
    network, counts, _, _ = planted
    counts = np.concatenate([counts, np.zeros((1, N_GENES))])
    query = opened(np.column_stack([counts, np.ones(len(counts))]), (*GENES, "other"))
    plain, fitted = (
        shares(denoise_query(query, weights=network, config=Config(), adjust=asked))[-1:] for asked in (False, True)
    )
    factors = learn_adjustment(query, weights=network, config=Config()).factors
    np.testing.assert_allclose(fitted, scaled_by_gene(plain, factors), rtol=1e-4)


def test_what_was_chosen_is_logged(planted, caplog):
    network, counts, _, _ = planted
    with caplog.at_level(logging.INFO, logger="scprism"):
        found = learn_adjustment(opened(counts), weights=network, config=Config())
    low, high = np.quantile(found.factors, [0.05, 0.95])
    assert f"most genes are multiplied with {low:.2g} to {high:.2g}" in caplog.text
    own = f"beside a cell's own, {found.molecules:g} in the median cell"
    assert f"the model counts as {found.strength:g} molecules {own}" in caplog.text


@pytest.mark.parametrize("likelihood", ["poisson_counts", "negative_binomial", "poisson", "poisson_log_input"])
def test_other_likelihoods_keep_what_the_model_gives_to_all_genes(planted, likelihood):
    network, counts, _, _ = planted
    config = Config(likelihood=likelihood)
    bias = network.output_bias + (9.0 if likelihood == "poisson" else np.log(N_GENES))
    network = one_unit(network.hidden_weight, bias, network.output_weight)
    plain, fitted = (
        np.expm1(denoise_query(opened(counts), weights=network, config=config, adjust=asked).astype(np.float64))
        for asked in (False, True)
    )
    np.testing.assert_allclose(fitted.sum(axis=1), plain.sum(axis=1), rtol=1e-4)
    assert np.corrcoef(fitted.mean(axis=0), counts.sum(axis=0))[0, 1] > np.corrcoef(plain.mean(0), counts.sum(0))[0, 1]


def test_shrinking_is_best_at_the_strength_that_the_proportions_were_drawn_with(rng):
    """Cells drawn from a Dirichlet around known profiles: the posterior of that strength predicts best."""
    profile = rng.dirichlet(np.ones(30), size=400)
    drawn = np.stack([rng.dirichlet(100 * p) for p in profile])
    counts = sparse.csr_matrix(np.stack([rng.multinomial(200, p) for p in drawn]).astype(np.float32))
    new = sparse.csr_matrix(np.stack([rng.multinomial(2000, p) for p in drawn]).astype(np.float32))
    strengths = (3, 10, 30, 100, 300, 1000, 3000)
    losses = {s: deviance(new, shrunk_to_counts(profile, counts, strength=s)).mean() for s in strengths}
    assert min(losses, key=losses.get) == 100
    np.testing.assert_allclose(
        shrunk_to_counts(np.array([[0.5, 0.5]]), sparse.csr_matrix([[3.0, 1.0]]), strength=4), [[5 / 8, 3 / 8]]
    )


def test_gene_factors_by_hand():
    """Genes of 990, 0 and 5 molecules weigh 990, 10 and 5 against ten molecules that speak for a factor of 1."""
    seen, expected = np.array([990.0, 0.0, 5.0]), np.array([98.1, 10.0, 5.0])
    by_hand = [10 ** (0.99), 11 ** (-0.5), 1.0]
    np.testing.assert_allclose(gene_factors(seen, expected), by_hand)
    np.testing.assert_allclose(gene_factors(seen, 3 * expected, np.full(3, 3.0)), by_hand)
    np.testing.assert_allclose(
        scaled_by_gene(np.array([[0.5, 0.3, 0.2]]), np.array([2.0, 0.0, 1.0])), [[5 / 6, 0, 1 / 6]]
    )


@pytest.mark.filterwarnings("ignore:Denoised values are cells' own counts")
def test_the_totals_are_met_not_in_one_pass_alone(rng):
    """A platform that sees genes up to a thousandfold differently: rows add up to 1 again, which moves all totals."""
    proportions = rng.dirichlet(np.full(N_GENES, 0.5), size=2)[rng.integers(0, 2, 500)]
    truth = proportions * rng.lognormal(0, 2.5, N_GENES)
    truth /= truth.sum(axis=1, keepdims=True)
    counts = np.stack([rng.multinomial(2000, p) for p in truth])
    centre = np.log(proportions[0]) / 2 + np.log(proportions[-1]) / 2
    network = one_unit(np.zeros(N_GENES), centre, np.zeros(N_GENES))
    query = opened(counts)
    model = shares(denoise_query(query, weights=network, config=Config(), adjust=False))
    factors = learn_adjustment(query, weights=network, config=Config()).factors
    seen, many = counts.sum(axis=0), counts.sum(axis=0) >= 1000

    def met(by):
        return (counts.sum(axis=1) @ scaled_by_gene(model, by) / seen)[many]

    np.testing.assert_allclose(met(factors), 1, atol=0.06)
    once = gene_factors(seen.astype(float), counts.sum(axis=1) @ model)
    assert np.abs(met(once) - 1).max() > 0.1  # so that the test would notice


def test_the_order_of_cells_and_genes_changes_nothing(planted, rng, monkeypatch):
    """Neither which cells and molecules are drawn, over a grid so fine that others would choose another strength."""
    monkeypatch.setattr(adjust, "SAMPLE", 50)
    monkeypatch.setattr(adjust, "STRENGTHS", tuple(np.geomspace(1, 1e5, 4000)))
    network, counts, _, _ = planted
    cells, order, genes = cells_of(counts), rng.permutation(len(counts)), rng.permutation(N_GENES)
    first = learn_adjustment(opened(counts), weights=network, config=Config())
    turned = open_query(cells[order][:, genes].copy(), recipe_of(GENES), Config())
    second = learn_adjustment(turned, weights=network, config=Config())
    assert second.strength == first.strength
    np.testing.assert_allclose(second.factors, first.factors, rtol=1e-9)
