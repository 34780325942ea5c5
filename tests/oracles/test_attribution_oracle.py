"""Attributions against captum, where captum is right."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import DeepLift, GuidedBackprop, InputXGradient, IntegratedGradients, Saliency

from scprism.explain.saliency import attribute
from scprism.model.weights import Weights

pytestmark = pytest.mark.filterwarnings("ignore:Setting .*hooks:UserWarning")

N_GENES, N_HIDDEN, N_UNITS, N_CELLS = 60, 15, 8, 10


@pytest.fixture
def net() -> Weights:
    rng = np.random.default_rng(11)
    shapes = [(N_HIDDEN, N_GENES), (N_HIDDEN,), (N_UNITS, N_HIDDEN), (N_UNITS,)]
    encoder = [rng.normal(scale=0.35, size=shape).astype(np.float32) for shape in shapes]
    decoder = [np.zeros(shape[::-1], np.float32) for shape in ((N_UNITS, N_HIDDEN), (N_HIDDEN,), (N_HIDDEN, N_GENES))]
    return Weights(*encoder, *decoder, np.zeros(N_GENES, np.float32))


@pytest.fixture
def cells() -> np.ndarray:
    rng = np.random.default_rng(12)
    shape = (N_CELLS, N_GENES)
    return (rng.exponential(1.5, shape) * (rng.random(shape) < 0.3)).astype(np.float32)


def twin(net: Weights, first: torch.nn.Module, second: torch.nn.Module) -> torch.nn.Module:
    """The encoder with other activations, in double precision."""
    layers = torch.nn.Sequential(
        torch.nn.Linear(N_GENES, N_HIDDEN), first, torch.nn.Linear(N_HIDDEN, N_UNITS), second
    ).double()
    with torch.no_grad():
        layers[0].weight[:] = torch.from_numpy(net.hidden_weight)
        layers[0].bias[:] = torch.from_numpy(net.hidden_bias)
        layers[2].weight[:] = torch.from_numpy(net.latent_weight)
        layers[2].bias[:] = torch.from_numpy(net.latent_bias)
    return layers


def softplus(beta: float) -> torch.nn.Module:
    return torch.nn.Softplus(beta, threshold=30)


def maps(captum: object, cells: np.ndarray, **options: object) -> np.ndarray:
    """captum's attributions of every unit, (cells, units, genes)."""
    x = torch.tensor(cells, dtype=torch.float64)
    each = [captum.attribute(x.clone().requires_grad_(), target=u, **options).detach() for u in range(N_UNITS)]
    return torch.stack(each, dim=1).numpy()


@pytest.mark.parametrize("beta", [1.0, 80.0])
def test_plain_equals_captums_saliency(net: Weights, cells: np.ndarray, beta: float) -> None:
    expected = maps(Saliency(twin(net, softplus(beta), softplus(beta))), cells, abs=False)
    ours = attribute(replace(net, hidden_beta=beta, latent_beta=beta), cells, method="plain")
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_guided_equals_captum_on_a_relu_twin(net: Weights, cells: np.ndarray) -> None:
    # captum hooks nothing but ReLU, so on softplus it would silently give the plain gradient.
    expected = maps(GuidedBackprop(twin(net, torch.nn.ReLU(), torch.nn.ReLU())), cells)
    ours = attribute(replace(net, hidden_beta=1e7, latent_beta=1e7), cells, method="guided")
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert np.abs(maps(Saliency(twin(net, torch.nn.ReLU(), torch.nn.ReLU())), cells, abs=False) - expected).max() > 0.1


@pytest.mark.parametrize("beta", [1.0, 80.0])
def test_gradient_x_input_equals_captum(net: Weights, cells: np.ndarray, beta: float) -> None:
    expected = maps(InputXGradient(twin(net, softplus(beta), softplus(beta))), cells)
    ours = attribute(replace(net, hidden_beta=beta, latent_beta=beta), cells, method="gradient_x_input")
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("beta", [1.0, 80.0])
@pytest.mark.parametrize("with_baseline", [False, True], ids=["zeros", "mean"])
def test_deeplift_equals_captum(net: Weights, cells: np.ndarray, beta: float, with_baseline: bool) -> None:
    baseline = cells.mean(axis=0) if with_baseline else np.zeros(N_GENES, np.float32)
    reference = torch.tensor(baseline, dtype=torch.float64)[None]
    expected = maps(DeepLift(twin(net, softplus(beta), softplus(beta))), cells, baselines=reference)
    ours = attribute(replace(net, hidden_beta=beta, latent_beta=beta), cells, method="deeplift", baseline=baseline)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("beta", [1.0, 20.0])
def test_integrated_gradients_equal_captum_with_many_steps(net: Weights, cells: np.ndarray, beta: float) -> None:
    captum = IntegratedGradients(twin(net, softplus(beta), softplus(beta)))
    expected = maps(captum, cells[:3], n_steps=1000, method="riemann_middle")
    ours = attribute(replace(net, hidden_beta=beta, latent_beta=beta), cells[:3], method="integrated_gradients")
    np.testing.assert_allclose(ours, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("beta", [1.0, 20.0])
def test_expected_gradients_equal_captums_integrated_gradients_averaged(
    net: Weights, cells: np.ndarray, beta: float
) -> None:
    captum = IntegratedGradients(twin(net, softplus(beta), softplus(beta)))
    each = [
        maps(captum, cells[:2], n_steps=500, method="riemann_middle", baselines=torch.tensor(row).double()[None])
        for row in cells[5:8]
    ]
    expected = np.mean(each, axis=0)
    steep = replace(net, hidden_beta=beta, latent_beta=beta)
    ours = attribute(steep, cells[:2], method="expected_gradients", baseline=cells[5:8])
    np.testing.assert_allclose(ours, expected, atol=1e-3 * np.abs(expected).max())
