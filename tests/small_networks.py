"""Networks of every combination of linear and nonlinear layers, and cells, for the tests of this step."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from scprism.model.weights import Weights

N_GENES, N_HIDDEN, N_UNITS = 40, 12, 6

BETAS = [
    pytest.param((1.0, 1.0), id="softplus"),
    pytest.param((80.0, 40.0), id="steep"),
    pytest.param((4000.0, 1500.0), id="nearly relu"),
    pytest.param((1.0, None), id="linear bottleneck"),
    pytest.param((None, 1.0), id="linear hidden layer"),
]


def _make_weights(betas: tuple[float | None, float | None] = (1.0, 1.0), *, n_genes: int = N_GENES) -> Weights:
    rng = np.random.default_rng(5)

    def draw(*shape: int, scale: float) -> np.ndarray:
        return rng.normal(scale=scale, size=shape).astype(np.float32)

    return Weights(
        hidden_weight=draw(N_HIDDEN, n_genes, scale=0.3),
        hidden_bias=draw(N_HIDDEN, scale=0.3),
        latent_weight=draw(N_UNITS, N_HIDDEN, scale=0.6),
        latent_bias=draw(N_UNITS, scale=0.3),
        decoder_weight=draw(N_HIDDEN, N_UNITS, scale=0.6),
        decoder_bias=draw(N_HIDDEN, scale=0.3),
        output_weight=draw(n_genes, N_HIDDEN, scale=0.3),
        output_bias=draw(n_genes, scale=0.3),
        hidden_beta=betas[0],
        latent_beta=betas[1],
    )


@pytest.fixture
def make_weights() -> Callable[..., Weights]:
    return _make_weights


@pytest.fixture(params=BETAS)
def weights(request: pytest.FixtureRequest) -> Weights:
    """One network after the other: every combination of layers."""
    return _make_weights(request.param)


@pytest.fixture
def cells() -> np.ndarray:
    """Nine normalised cells, float32, about a third of the values not zero."""
    rng = np.random.default_rng(6)
    return (rng.exponential(1.5, (9, N_GENES)) * (rng.random((9, N_GENES)) < 0.35)).astype(np.float32)


@pytest.fixture
def directions() -> np.ndarray:
    """Three directions that mix units with both signs."""
    return np.random.default_rng(7).normal(size=(3, N_UNITS))


@pytest.fixture(params=["dense", "csr", "csc", "csr_array", "float64", "column order"])
def stored(request: pytest.FixtureRequest) -> Callable[[np.ndarray], object]:
    """A function that stores a matrix in one way after the other."""
    ways = {
        "dense": np.asarray,
        "csr": sparse.csr_matrix,
        "csc": sparse.csc_matrix,
        "csr_array": sparse.csr_array,
        "float64": np.float64,
        "column order": np.asfortranarray,
    }
    return ways[request.param]
