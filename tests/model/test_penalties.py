import dataclasses

import numpy as np
import pytest
import torch

from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.penalties import decorrelation_penalty, l1_penalty, map_penalty, weight_penalty, wide_maps

WEIGHT = torch.tensor([[1.0, 1.0], [0.0, 2.0]])  # W Wᵀ = [[2, 2], [2, 4]], Wᵀ W = [[1, 1], [1, 5]]


def test_row_penalty_is_zero_for_orthonormal_rows():
    rows = torch.linalg.qr(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)))[0].T
    assert float(weight_penalty(rows, form="rows", has_gradient=True)) < 1e-6


def test_column_penalty_cannot_fall_below_the_root_of_the_missing_rank():
    # row 2: W^T W has rank 3 at most, so its distance from the identity of size 6 is at least sqrt(6 - 3)
    rows = torch.linalg.qr(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)))[0].T
    assert float(weight_penalty(rows, form="columns", has_gradient=True)) == pytest.approx(3**0.5, rel=1e-5)


def test_penalty_is_the_unsquared_frobenius_norm():
    weight = torch.tensor([[1.0, 1.0], [0.0, 2.0]])
    by_hand = np.linalg.norm(np.eye(2) - weight.numpy() @ weight.numpy().T, ord="fro")
    assert float(weight_penalty(weight, form="rows", has_gradient=True)) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("has_gradient", [True, False])
def test_switch_decides_whether_penalties_have_a_gradient(has_gradient):
    weight = torch.tensor([[1.0, 1.0], [0.0, 2.0]], requires_grad=True)
    penalty = weight_penalty(weight, form="rows", has_gradient=has_gradient)
    l1 = l1_penalty([weight], has_gradient=has_gradient)
    assert (penalty.requires_grad, l1.requires_grad) == (has_gradient, has_gradient)
    assert l1.item() == 4.0


@pytest.mark.parametrize(
    ("form", "by_hand"),
    [
        ("rows", (1 + 4 + 4 + 9) ** 0.5),
        ("columns", (0 + 1 + 1 + 16) ** 0.5),
        ("squared", 18.0),
        ("double_soft", 18.0 + 18.0),
        ("coherence", 3.0),
    ],
)
def test_weight_penalties_by_hand(form, by_hand):
    assert float(weight_penalty(WEIGHT, form=form, has_gradient=True)) == pytest.approx(by_hand, rel=1e-6)


def test_decorrelation_is_the_mean_squared_correlation_of_numpy(rng):
    latent = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4))
    correlation = np.corrcoef(latent.T)
    by_numpy = (correlation[~np.eye(4, dtype=bool)] ** 2).mean()
    assert float(decorrelation_penalty(torch.from_numpy(latent))) == pytest.approx(by_numpy, rel=1e-6)


def test_a_constant_unit_and_a_single_cell_have_no_correlations():
    latent = torch.tensor([[1.0, 3.0], [2.0, 3.0], [5.0, 3.0]])
    assert float(decorrelation_penalty(latent)) == 0.0
    assert float(decorrelation_penalty(latent[:1])) == 0.0


def network(**changes):
    config = dataclasses.replace(Config(), **{"hidden_size": 3, "bottleneck_size": 2, **changes})
    return build_autoencoder(config, n_genes=5, rng=np.random.default_rng(0))


def test_map_penalty_is_the_mean_squared_cosine_between_gene_maps_by_hand():
    model, hidden = network(), torch.tensor([[0.0, 100.0, -100.0], [0.0, 100.0, 100.0]])
    weights = to_weights(model)
    gate = np.array([0.5, 1.0, 0.5])  # means of sigmoid(0), of two ones, of a zero and a one
    maps = weights.latent_weight @ np.diag(gate) @ weights.hidden_weight
    np.testing.assert_allclose(wide_maps(model, hidden).detach().numpy(), maps, rtol=1e-5)
    cosine = maps[0] @ maps[1] / np.linalg.norm(maps[0]) / np.linalg.norm(maps[1])
    assert float(map_penalty(model, hidden).detach()) == pytest.approx(cosine**2, rel=1e-4)


def test_hard_penalty_keeps_the_rows_orthonormal_whatever_the_parameters(rng):
    model = network(penalty="hard", penalty_weight=1.0)
    (stored,) = model.latent.parametrizations.weight.parameters()
    with torch.no_grad():
        signs = stored.diagonal().clone()  # a step of the optimiser leaves them alone
        stored.copy_(torch.from_numpy(rng.normal(size=stored.shape)))
        stored.diagonal().copy_(signs)
    np.testing.assert_allclose(
        to_weights(model).latent_weight @ to_weights(model).latent_weight.T, np.eye(2), atol=1e-5
    )


def test_hard_penalty_of_weight_zero_is_none():
    first, second = network(penalty="hard", penalty_weight=0.0), network(penalty="rows")
    assert to_weights(first).fingerprint() == to_weights(second).fingerprint()
