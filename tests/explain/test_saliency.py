from collections.abc import Callable

import numpy as np
import pytest
import torch

from scprism.errors import InputError
from scprism.explain.saliency import attribute
from scprism.model.weights import Weights

METHODS = ["plain", "guided", "gradient_x_input", "deeplift", "integrated_gradients"]


def encoder(weights: Weights) -> torch.nn.Sequential:
    """The encoder in torch, in double precision."""

    def linear(weight: np.ndarray, bias: np.ndarray) -> torch.nn.Linear:
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        layer.weight.data[:] = torch.from_numpy(weight)
        layer.bias.data[:] = torch.from_numpy(bias)
        return layer

    def softplus(beta: float | None) -> torch.nn.Module:
        return torch.nn.Identity() if beta is None else torch.nn.Softplus(beta, threshold=30)

    return torch.nn.Sequential(
        linear(weights.hidden_weight, weights.hidden_bias),
        softplus(weights.hidden_beta),
        linear(weights.latent_weight, weights.latent_bias),
        softplus(weights.latent_beta),
    )


def gradients(network: torch.nn.Module, x: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Automatic differentiation of each direction, (cells, directions, genes)."""
    inputs = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    output = network(inputs) @ torch.from_numpy(directions).T
    maps = [torch.autograd.grad(output[:, d].sum(), inputs, retain_graph=True)[0] for d in range(len(directions))]
    return torch.stack(maps, dim=1).numpy()


def guided_gradients(weights: Weights, x: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The same with every signal that leaves a softplus towards the input cut at 0 (`method.md` 5.1)."""
    network = encoder(weights)
    for layer in network:
        if isinstance(layer, torch.nn.Softplus):
            layer.register_full_backward_hook(lambda _layer, signal, _out: (signal[0].clamp(min=0),))
    return gradients(network, x, directions)


def latent(weights: Weights, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return encoder(weights)(torch.tensor(x, dtype=torch.float64)).numpy()


@pytest.fixture(params=["units", "mixed"])
def rows(request: pytest.FixtureRequest, directions: np.ndarray) -> np.ndarray:
    return np.eye(6) if request.param == "units" else directions


def test_plain_equals_automatic_differentiation(weights: Weights, cells: np.ndarray, rows: np.ndarray) -> None:
    maps = attribute(weights, cells, method="plain", directions=rows)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, gradients(encoder(weights), cells, rows), atol=1e-5)


def test_guided_equals_hooked_differentiation(weights: Weights, cells: np.ndarray, rows: np.ndarray) -> None:
    maps = attribute(weights, cells, method="guided", directions=rows)
    expected = guided_gradients(weights, cells, rows)
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    if weights.hidden_beta is not None:
        assert np.abs(expected - gradients(encoder(weights), cells, rows)).max() > 0.1  # the rule does something


@pytest.mark.parametrize("method", METHODS)
def test_units_are_the_default_directions(weights: Weights, cells: np.ndarray, method: str) -> None:
    by_default = attribute(weights, cells, method=method)
    np.testing.assert_allclose(by_default, attribute(weights, cells, method=method, directions=np.eye(6)), atol=1e-6)


def test_first_unit_can_have_the_plain_gradient(weights: Weights, cells: np.ndarray, rows: np.ndarray) -> None:
    released = attribute(weights, cells, method="guided", directions=rows, first_unit_plain=True)
    np.testing.assert_allclose(released[:, 0], attribute(weights, cells, method="plain", directions=rows)[:, 0])
    np.testing.assert_allclose(released[:, 1:], attribute(weights, cells, method="guided", directions=rows)[:, 1:])


@pytest.mark.parametrize("method", ["deeplift", "integrated_gradients"])
@pytest.mark.parametrize("with_baseline", [False, True], ids=["zeros", "given"])
def test_attributions_sum_to_the_change_of_activation(
    weights: Weights, cells: np.ndarray, rows: np.ndarray, method: str, with_baseline: bool
) -> None:
    baseline = cells.mean(axis=0) if with_baseline else None
    maps = attribute(weights, cells, method=method, directions=rows, baseline=baseline)
    start = latent(weights, cells.mean(axis=0) if with_baseline else np.zeros(40))
    np.testing.assert_allclose(maps.sum(axis=2), (latent(weights, cells) - start) @ rows.T, atol=1e-5)


def test_deeplift_of_one_hidden_unit_is_its_share_by_hand() -> None:
    # softplus(3·1 + 1·2) - softplus(0), cut in the ratio of the inputs 3 : 2.
    one = np.ones(1, np.float32)
    net = Weights(
        np.array([[3.0, 1.0]], np.float32), 0 * one, one[None], 0 * one, one[None], one, np.ones((2, 1)), np.ones(2),
        latent_beta=None,
    )  # fmt: skip
    rise = np.log1p(np.exp(5.0)) - np.log(2.0)
    maps = attribute(net, np.array([1.0, 2.0], np.float32), method="deeplift")
    np.testing.assert_allclose(maps, [[[rise * 3 / 5, rise * 2 / 5]]], rtol=1e-6)


def test_deeplift_tends_to_the_gradient_at_the_baseline(
    make_weights: Callable[..., Weights], cells: np.ndarray
) -> None:
    net = make_weights((1.0, 1.0))
    near = cells[:1] * (1 + 1e-6)
    maps = attribute(net, near, method="deeplift", baseline=cells[0])
    change = near.astype(np.float64) - cells[0]
    np.testing.assert_allclose(maps, gradients(encoder(net), cells[:1], np.eye(6)) * change[:, None], rtol=1e-4)
    assert (attribute(net, cells[:1], method="deeplift", baseline=cells[0]) == 0).all()


def test_gradient_x_input_is_plain_times_the_difference(weights: Weights, cells: np.ndarray) -> None:
    baseline = cells.mean(axis=0)
    plain = attribute(weights, cells, method="plain")
    maps = attribute(weights, cells, method="gradient_x_input", baseline=baseline)
    np.testing.assert_allclose(maps, plain * (cells - baseline)[:, None, :], atol=1e-6)


def riemann_sum(weights: Weights, x: np.ndarray, start: np.ndarray, n_steps: int) -> np.ndarray:
    shares = (np.arange(n_steps) + 0.5) / n_steps
    points = start + shares[:, None] * (x - start)
    return gradients(encoder(weights), points, np.eye(6)).mean(axis=0) * (x - start)


@pytest.mark.parametrize("betas", [(1.0, 1.0), (20.0, 20.0), (None, 20.0), (20.0, None)], ids=str)
def test_integrated_gradients_equal_a_fine_riemann_sum(
    make_weights: Callable[..., Weights], cells: np.ndarray, betas: tuple
) -> None:
    net, baseline = make_weights(betas), cells.mean(axis=0)
    maps = attribute(net, cells[:3], method="integrated_gradients", baseline=baseline)
    expected = np.stack([riemann_sum(net, x, baseline, 4000) for x in cells[:3].astype(np.float64)])
    np.testing.assert_allclose(maps, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("betas", [(1.0, None), (None, 1.0)], ids=str)
def test_integrated_gradients_are_deeplift_with_one_nonlinear_layer(
    make_weights: Callable[..., Weights], cells: np.ndarray, betas: tuple
) -> None:
    net = make_weights(betas)
    maps = attribute(net, cells, method="integrated_gradients")
    np.testing.assert_allclose(maps, attribute(net, cells, method="deeplift"), atol=1e-6)


def test_expected_gradients_average_over_the_baselines(weights: Weights, cells: np.ndarray, rows: np.ndarray) -> None:
    maps = attribute(weights, cells[4:], method="expected_gradients", directions=rows, baseline=cells[:4])
    each = [
        attribute(weights, cells[4:], method="integrated_gradients", directions=rows, baseline=b) for b in cells[:4]
    ]
    np.testing.assert_allclose(maps, np.mean(each, axis=0), atol=1e-5)
    expected = (latent(weights, cells[4:]) - latent(weights, cells[:4]).mean(axis=0)) @ rows.T
    np.testing.assert_allclose(maps.sum(axis=2), expected, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_network_is_its_own_explanation(
    make_weights: Callable[..., Weights], cells: np.ndarray, method: str
) -> None:
    net = make_weights((None, None))
    maps = attribute(net, cells, method=method)
    slopes = np.broadcast_to(net.latent_weight @ net.hidden_weight, maps.shape)
    expected = slopes if method in ("plain", "guided") else slopes * cells[:, None, :]
    np.testing.assert_allclose(maps, expected, atol=1e-6)


@pytest.mark.parametrize("method", ["plain", "gradient_x_input", "deeplift", "integrated_gradients"])
def test_map_of_a_contrast_is_the_difference_of_maps(weights: Weights, cells: np.ndarray, method: str) -> None:
    contrast = np.array([[1.0, 0.0, -1.0, 0.0, 0.0, 0.0]])
    units = attribute(weights, cells, method=method)
    maps = attribute(weights, cells, method=method, directions=contrast)
    np.testing.assert_allclose(maps[:, 0], units[:, 0] - units[:, 2], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_maps_do_not_depend_on_storage(
    make_weights: Callable[..., Weights], cells: np.ndarray, stored: Callable, method: str
) -> None:
    net = make_weights((80.0, 40.0))
    np.testing.assert_array_equal(attribute(net, stored(cells), method=method), attribute(net, cells, method=method))


def test_one_cell_gives_its_row(make_weights: Callable[..., Weights], cells: np.ndarray) -> None:
    net = make_weights()
    np.testing.assert_allclose(attribute(net, cells[2]), attribute(net, cells)[2:3], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "saliency"}, "`method` must be one of"),
        ({"method": "plain", "baseline": np.zeros(40)}, "`baseline` has no meaning for 'plain'"),
        ({"method": "deeplift", "baseline": np.zeros(39)}, "must be one row of the model's 40 genes"),
        ({"method": "expected_gradients"}, "needs cells as `baseline`"),
        ({"method": "expected_gradients", "baseline": np.zeros((3, 39))}, "`baseline` must have the model's 40 genes"),
        ({"method": "plain", "first_unit_plain": True}, "a switch of the guided rule"),
        ({"directions": np.ones((2, 5))}, "one row a direction with 6 units"),
        ({"directions": np.full((2, 6), np.nan)}, "must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(
    make_weights: Callable[..., Weights], cells: np.ndarray, arguments: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        attribute(make_weights(), cells, **arguments)


def test_other_genes_and_missing_values_are_refused(make_weights: Callable[..., Weights], cells: np.ndarray) -> None:
    with pytest.raises(InputError, match="`x` must have the model's 40 genes"):
        attribute(make_weights(), cells[:, 1:])
    cells[3, 3] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        attribute(make_weights(), cells)
