import numpy as np
import pytest

from scprism.explain.softplus import secant, slope, softplus

BETAS = [1.0, 80.0, 4000.0]
Z = np.array([-50.0, -2.0, -1e-3, 0.0, 1e-4, 0.7, 3.0, 50.0])


def exact(z: np.ndarray, beta: float) -> np.ndarray:
    """Softplus in extended precision."""
    return np.asarray(np.logaddexp(np.longdouble(0), np.longdouble(beta) * z) / np.longdouble(beta))


@pytest.mark.parametrize("beta", BETAS)
def test_softplus_is_exact_and_never_overflows(beta: float) -> None:
    np.testing.assert_allclose(softplus(Z, beta=beta), exact(Z, beta).astype(float), rtol=0, atol=1e-15 * 50)


@pytest.mark.parametrize("beta", BETAS)
def test_slope_is_the_derivative(beta: float) -> None:
    step = np.longdouble(1e-6) / beta
    numeric = (exact(Z + step, beta) - exact(Z - step, beta)) / (2 * step)
    np.testing.assert_allclose(slope(Z, beta=beta), numeric.astype(float), atol=1e-9)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-6, 0.9e-4, 1.1e-4, 1e-2, 1.0, 100.0, -1e-6, -1.0])
def test_secant_is_exact_at_any_distance(beta: float, distance: float) -> None:
    start = Z - distance / beta
    gap = Z.astype(np.longdouble) - start
    meets = gap == 0
    rise = (exact(Z.astype(np.longdouble), beta) - exact(start.astype(np.longdouble), beta)) / np.where(meets, 1, gap)
    expected = np.where(meets, slope(Z, beta=beta), rise.astype(float))
    # Extended precision itself loses digits where the points all but meet.
    np.testing.assert_allclose(secant(Z, start, beta=beta), expected, atol=1e-6 if abs(distance) < 1e-9 else 1e-7)


def test_a_linear_layer_passes_everything() -> None:
    np.testing.assert_array_equal(softplus(Z, beta=None), Z)
    np.testing.assert_array_equal(slope(Z, beta=None), np.ones(8))
    np.testing.assert_array_equal(secant(Z, Z - 1, beta=None), np.ones(8))
