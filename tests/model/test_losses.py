import numpy as np
import pytest
import torch
from scipy.stats import nbinom
from torch.nn.functional import poisson_nll_loss

from scprism.model.losses import loss_and_slopes, reconstruction_loss


@pytest.fixture
def target() -> torch.Tensor:
    return torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.5]])


@pytest.fixture
def output() -> torch.Tensor:
    return torch.tensor([[0.5, 1.5, 2.0], [2.0, 0.1, 0.7]])


def test_paper_loss_is_torchs_poisson_loss_with_the_reconstruction_as_input(output, target):
    # row 15: PyTorch calls the prediction "input", which is how x and y came to change places in the paper's formula
    expected = poisson_nll_loss(output, target, log_input=False, full=False, eps=1e-8, reduction="none").mean(dim=1)
    torch.testing.assert_close(reconstruction_loss(output, target, likelihood="poisson"), expected)


def test_paper_loss_by_hand():
    y, x = torch.tensor([[2.0, 1.0]]), torch.tensor([[3.0, 0.0]])
    by_hand = ((2 - 3 * np.log(2 + 1e-8)) + 1) / 2
    assert float(reconstruction_loss(y, x, likelihood="poisson")) == pytest.approx(by_hand, rel=1e-6)


def test_released_loss_is_torchs_poisson_loss_of_a_logarithm(output, target):
    expected = poisson_nll_loss(output, target, log_input=True, full=False, reduction="none").mean(dim=1)
    torch.testing.assert_close(reconstruction_loss(output, target, likelihood="poisson_log_input"), expected)


@pytest.mark.parametrize(
    ("x", "best", "loss"), [(0.3, 0.0, 1.0), (1.0, 0.0, 1.0), (1.5, 0.405, 0.892), (3.0, 1.099, -0.296)]
)
def test_released_loss_has_a_dead_zone_up_to_one(x, best, loss):
    # row 6 and method.md 3.5: with y >= 0 the best output for any x <= 1 is 0, with a loss of exactly 1
    grid = torch.linspace(0, 3, 30001).unsqueeze(1)
    losses = reconstruction_loss(grid, torch.full_like(grid, x), likelihood="poisson_log_input")
    assert float(grid[losses.argmin()]) == pytest.approx(best, abs=1e-3)
    assert float(losses.min()) == pytest.approx(loss, abs=1e-3)


def test_multinomial_loss_is_the_cross_entropy_of_the_counts(output):
    counts = torch.tensor([[4.0, 1.0, 0.0], [0.0, 2.0, 2.0]])
    p = np.exp(output.numpy()) / np.exp(output.numpy()).sum(axis=1, keepdims=True)
    by_hand = -(counts.numpy() * np.log(p)).sum(axis=1) / counts.numpy().sum(axis=1)
    np.testing.assert_allclose(
        reconstruction_loss(output, counts, likelihood="multinomial").numpy(), by_hand, rtol=1e-6
    )


def test_a_cell_without_counts_has_no_multinomial_loss(output):
    assert reconstruction_loss(output, torch.zeros(2, 3), likelihood="multinomial").tolist() == [0.0, 0.0]


def test_counts_poisson_by_hand():
    # N = 4, G = 2: the means are 2 exp(y)
    y, n = torch.tensor([[0.0, np.log(2.0)]]), torch.tensor([[3.0, 1.0]])
    by_hand = ((2 - 3 * np.log(2)) + (4 - np.log(4))) / 2
    assert float(reconstruction_loss(y, n, likelihood="poisson_counts")) == pytest.approx(by_hand, rel=1e-6)


def test_negative_binomial_loss_is_that_of_scipy(rng):
    counts = rng.poisson(2.0, size=(4, 6))
    y, log_dispersion = rng.normal(size=(4, 6)), rng.normal(size=6)
    p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    mean, theta = counts.sum(axis=1, keepdims=True) * p, np.exp(log_dispersion)
    expected = -nbinom.logpmf(counts, theta, theta / (theta + mean)).mean(axis=1)
    tensors = (torch.from_numpy(y), torch.from_numpy(counts.astype(float)))
    losses = reconstruction_loss(
        *tensors, likelihood="negative_binomial", log_dispersion=torch.from_numpy(log_dispersion)
    )
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("likelihood", ["poisson_counts", "poisson", "poisson_log_input"])
@pytest.mark.parametrize("beta", [None, 1.0, 6.0])
def test_written_out_derivatives_are_those_of_autograd(likelihood, beta, rng):
    if likelihood == "poisson" and beta is None:
        pytest.skip("the logarithm needs a positive output")
    z = torch.from_numpy(rng.normal(size=(5, 7)).astype(np.float32)).requires_grad_()
    target = torch.from_numpy(rng.poisson(1.0, size=(5, 7)).astype(np.float32))
    target[2] = 0  # a cell without counts
    y = z if beta is None else torch.nn.functional.softplus(z, beta=beta)
    losses = reconstruction_loss(y, target, likelihood=likelihood)
    (expected,) = torch.autograd.grad(losses.sum(), z)
    loss, (slope, _) = loss_and_slopes(z.detach().clone(), target.clone(), likelihood=likelihood, beta=beta)
    assert loss == pytest.approx(float(losses.sum().detach()), rel=1e-6)
    torch.testing.assert_close(slope, expected, atol=1e-7, rtol=1e-5)
