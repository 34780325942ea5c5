import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy import sparse

from scprism.errors import InputError, PrismWarning
from scprism.explain.attribution import Attribution
from scprism.explain.explanation import Explanation
from scprism.explain.groups import explain_groups
from scprism.explain.saliency import attribute
from scprism.model.weights import Weights

GENES = [f"g{i}" for i in range(40)]
CODES = np.array([1, 0, -1, 1, 1, 0, -1, 1, 0])
METHODS = ["plain", "guided", "gradient_x_input", "deeplift", "integrated_gradients", "expected_gradients"]


def explain(weights: Weights, cells: object, attribution: Attribution, **options: object) -> Explanation:
    return explain_groups(weights, [(cells, CODES)], genes=GENES, groups=["a", "b"], attribution=attribution, **options)


def chosen(method: str, cells: np.ndarray, **options: object) -> Attribution:
    baseline = cells[:4] * 0.5 if method == "expected_gradients" else None
    return Attribution(method=method, baseline=baseline, **options)


def mean_maps(weights: Weights, cells: np.ndarray, attribution: Attribution) -> tuple[np.ndarray, np.ndarray]:
    """Signed and absolute means of each cell's own map, group by group and over all."""
    maps = attribute(
        weights,
        cells,
        method=attribution.method,
        directions=attribution.directions,
        baseline=attribution.baseline,
        first_unit_plain=attribution.first_unit_plain,
    ).astype(np.float64)
    groups = [CODES == 0, CODES == 1, np.full(len(CODES), True)]
    return np.stack([maps[g].mean(axis=0) for g in groups]), np.stack([np.abs(maps[g]).mean(axis=0) for g in groups])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mixed", [False, True], ids=["units", "mixed"])
def test_streamed_means_are_the_means_of_single_maps(
    weights: Weights, cells: np.ndarray, directions: np.ndarray, method: str, mixed: bool
) -> None:
    attribution = chosen(method, cells, directions=directions if mixed else None)
    why = explain(weights, sparse.csr_matrix(cells), attribution)
    signed, absolute = mean_maps(weights, cells, attribution)
    np.testing.assert_allclose(why.signed, signed, atol=2e-6)
    np.testing.assert_allclose(why.absolute, absolute, atol=2e-6)
    assert why.groups == ("a", "b", "all")
    assert why.n_cells.tolist() == [3, 4, 9]
    assert why.units == tuple(f"direction_{i}" for i in range(3)) if mixed else tuple(f"latent_{i}" for i in range(6))
    assert (why.method, why.fingerprint) == (method, weights.fingerprint())


@pytest.mark.parametrize("mixed", [False, True], ids=["units", "mixed"])
def test_released_first_unit_is_plain_in_the_means_too(
    make_weights: Callable[..., Weights], cells: np.ndarray, directions: np.ndarray, mixed: bool
) -> None:
    net = make_weights((80.0, 40.0))
    attribution = Attribution("guided", directions=directions if mixed else None, first_unit_plain=True)
    signed, absolute = mean_maps(net, cells, attribution)
    why = explain(net, cells, attribution)
    np.testing.assert_allclose(why.signed, signed, atol=2e-6)
    np.testing.assert_allclose(why.absolute, absolute, atol=2e-6)


@pytest.mark.parametrize("method", METHODS)
def test_signed_means_alone_are_the_same(weights: Weights, cells: np.ndarray, method: str) -> None:
    both = explain(weights, cells, chosen(method, cells))
    signed = explain(weights, cells, chosen(method, cells, absolute=False))
    np.testing.assert_allclose(signed.signed, both.signed, atol=1e-6)
    np.testing.assert_allclose(signed.completeness_error, both.completeness_error, atol=1e-6)
    assert np.isnan(signed.absolute).all()


@pytest.mark.parametrize("method", ["gradient_x_input", "deeplift", "integrated_gradients"])
@pytest.mark.parametrize("keep", [0.3, 1.0], ids=["sparse", "dense"])
def test_signed_means_alone_are_the_same_with_baseline_and_fill(
    weights: Weights, cells: np.ndarray, method: str, keep: float
) -> None:
    fill = np.where(np.arange(40) % 5 == 0, 0.7, 0.0).astype(np.float32)
    cells = cells if keep < 1 else cells + 0.1
    for baseline in (None, cells.mean(axis=0)):
        both = explain(weights, cells, Attribution(method, baseline=baseline), fill=fill)
        signed = explain(weights, cells, Attribution(method, baseline=baseline, absolute=False), fill=fill)
        np.testing.assert_allclose(signed.signed, both.signed, atol=2e-6)
        expected = mean_maps(
            weights, cells + fill, Attribution(method, baseline=fill if baseline is None else baseline)
        )
        np.testing.assert_allclose(both.signed, expected[0], atol=2e-6)
        np.testing.assert_allclose(both.absolute, expected[1], atol=2e-6)


@pytest.mark.parametrize("method", METHODS)
def test_constant_part_may_come_apart_from_the_cells(weights: Weights, cells: np.ndarray, method: str) -> None:
    fill = np.where(np.arange(40) % 5 == 0, 0.7, 0.0).astype(np.float32)
    measured = np.where(fill > 0, 0, cells).astype(np.float32)
    baseline = cells[:4] if method == "expected_gradients" else cells[4]
    given = Attribution(method, baseline=None if method in ("plain", "guided") else baseline)
    apart = explain(weights, sparse.csr_matrix(measured), given, fill=fill)
    together = explain(weights, measured + fill, given)
    np.testing.assert_allclose(apart.signed, together.signed, atol=2e-6)
    np.testing.assert_allclose(apart.absolute, together.absolute, atol=2e-6)


def test_genes_that_were_not_measured_get_no_attribution_by_default(
    make_weights: Callable[..., Weights], cells: np.ndarray
) -> None:
    fill = np.where(np.arange(40) < 8, 0.7, 0.0).astype(np.float32)
    cells[:, :8] = 0
    net = make_weights()
    why = explain(net, cells, Attribution(), fill=fill)
    assert (why.absolute[:, :, :8] == 0).all()
    same = explain(net, cells + fill, Attribution(baseline=fill))
    np.testing.assert_allclose(why.signed, same.signed, atol=1e-6)
    assert why.completeness_error < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_means_do_not_depend_on_storage(
    make_weights: Callable[..., Weights], cells: np.ndarray, stored: Callable, method: str
) -> None:
    net, attribution = make_weights((4000.0, 1500.0)), chosen(method, cells)
    one, other = explain(net, cells, attribution), explain(net, stored(cells), attribution)
    np.testing.assert_allclose(one.signed, other.signed, atol=1e-7)
    np.testing.assert_allclose(one.absolute, other.absolute, atol=1e-7)


@pytest.mark.parametrize("method", ["guided", "deeplift", "expected_gradients"])
def test_unsorted_and_repeated_entries_are_taken_for_what_they_add_up_to(
    make_weights: Callable[..., Weights], method: str
) -> None:
    net = make_weights(n_genes=1300)
    tidy, codes = many_cells(9, 1300)
    entries = tidy.tocoo()
    shuffled = np.random.default_rng(0).permutation(np.tile(np.arange(tidy.nnz), 2))
    shuffled = shuffled[np.argsort(entries.row[shuffled], kind="stable")]
    parts = (entries.data[shuffled] / 2, entries.col[shuffled].astype(np.int32), 2 * tidy.indptr)
    messy = sparse.csr_matrix(parts, shape=tidy.shape)
    attribution = chosen(method, tidy[:4])
    names = {"genes": [f"g{i}" for i in range(1300)], "groups": ["a", "b", "c"], "attribution": attribution}
    one, other = (explain_groups(net, [(cells, codes)], **names) for cells in (tidy, messy))
    np.testing.assert_allclose(one.absolute, other.absolute, atol=1e-6)
    np.testing.assert_array_equal(messy.indices, parts[1])


def many_cells(n: int, n_genes: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(3)
    cells = sparse.random(n, n_genes, density=0.2, format="csr", dtype=np.float32, rng=rng)
    return cells, rng.integers(-1, 3, n)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [{"size": 97}, {"size": 700, "threads": 1}], ids=["chunks", "one thread"])
@pytest.mark.parametrize("baseline", [0.0, 0.2], ids=["sparse", "dense"])
def test_means_depend_on_neither_chunks_nor_threads(
    make_weights: Callable[..., Weights], method: str, options: dict, baseline: float
) -> None:
    # More genes than one task of a kernel holds, more cells than one block.
    net = make_weights(n_genes=1300)
    cells, codes = many_cells(700, 1300)
    attribution = chosen(method, cells[:4])
    if baseline and method in METHODS[2:5]:
        attribution = Attribution(method, baseline=np.full(1300, baseline, np.float32))
    names = {"genes": [f"g{i}" for i in range(1300)], "groups": ["a", "b", "c"], "attribution": attribution}
    whole = explain_groups(net, [(cells, codes)], threads=2, **names)
    edges = range(0, 700, options["size"])
    chunks = [(cells[i : i + options["size"]], codes[i : i + options["size"]]) for i in edges]
    cut = explain_groups(net, chunks, threads=options.get("threads"), **names)
    for one, other in ((whole.signed, cut.signed), (whole.absolute, cut.absolute)):
        np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(one).max())


@pytest.mark.parametrize("method", ["guided", "deeplift"])
@pytest.mark.parametrize("density", [0.2, 1.0])
def test_many_directions_are_the_same_as_few_at_a_time(
    make_weights: Callable[..., Weights], method: str, density: float
) -> None:
    # With many directions a task of the kernels is a direction, with few it is a part of the genes.
    net, rows = make_weights(n_genes=1300), np.random.default_rng(8).normal(size=(20, 6))
    cells, codes = many_cells(50, 1300)
    cells = cells if density < 1 else cells.toarray() + np.float32(0.1)
    names = {"genes": [f"g{i}" for i in range(1300)], "groups": ["a", "b", "c"]}
    many, few, rest = (
        explain_groups(net, [(cells, codes)], attribution=Attribution(method, directions=part), **names)
        for part in (rows, rows[:10], rows[10:])
    )
    np.testing.assert_allclose(many.signed, np.concatenate([few.signed, rest.signed], axis=1), atol=1e-6)
    np.testing.assert_allclose(many.absolute, np.concatenate([few.absolute, rest.absolute], axis=1), atol=1e-6)


def test_guided_means_skip_dead_hidden_units_without_a_trace(
    make_weights: Callable[..., Weights], cells: np.ndarray
) -> None:
    net = make_weights((80.0, 40.0))
    net.latent_weight[0] = -np.abs(net.latent_weight[0])
    why = explain(net, cells, Attribution("guided"))
    assert (why.absolute[:, 0] == 0).all()
    assert (why.signed[:, 0] == 0).all()
    np.testing.assert_allclose(why.absolute, mean_maps(net, cells, Attribution("guided"))[1], atol=2e-6)


def test_sums_of_many_cells_keep_their_precision(make_weights: Callable[..., Weights], cells: np.ndarray) -> None:
    net = make_weights()
    many = sparse.csr_matrix(np.tile(cells[:1], (30_000, 1)))
    for method in ("guided", "deeplift"):
        why = explain_groups(net, [(many, np.full(30_000, -1))], genes=GENES, attribution=Attribution(method))
        own = attribute(net, cells[:1], method=method)
        np.testing.assert_allclose(why.signed, own, atol=5e-7 * np.abs(own).max())
        np.testing.assert_allclose(why.absolute, np.abs(own), atol=5e-7 * np.abs(own).max())


@pytest.mark.parametrize("method", ["guided", "deeplift"])
def test_memory_does_not_grow_with_the_number_of_cells(make_weights: Callable[..., Weights], method: str) -> None:
    net = make_weights(n_genes=1300)

    def peak(n_chunks: int) -> int:
        def chunks() -> Iterator[tuple[sparse.csr_matrix, np.ndarray]]:
            for _ in range(n_chunks):
                yield many_cells(400, 1300)

        tracemalloc.start()
        explain_groups(
            net, chunks(), genes=[f"g{i}" for i in range(1300)], groups=["a", "b", "c"],
            attribution=Attribution(method),
        )  # fmt: skip
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1)  # what is compiled or loaded once
    assert peak(12) < 1.1 * peak(2)


@pytest.mark.parametrize("method", ["deeplift", "integrated_gradients", "expected_gradients"])
def test_completeness_error_is_the_largest_gap_of_a_cell_or_group(
    weights: Weights, cells: np.ndarray, method: str
) -> None:
    assert explain(weights, cells, chosen(method, cells)).completeness_error < 1e-5


def test_completeness_error_shows_maps_that_lack_a_gene(
    make_weights: Callable[..., Weights], cells: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = make_weights()
    full = explain(net, cells, Attribution())
    kept = explain_groups.__globals__["differences"]

    def without_first_gene(plan: object, rows: object) -> sparse.csr_matrix:
        change = kept(plan, rows).toarray()
        change[:, 0] = 0
        return sparse.csr_matrix(change)

    monkeypatch.setitem(explain_groups.__globals__, "differences", without_first_gene)
    broken = explain(net, cells, Attribution())
    gain = np.abs(attribute(net, cells).sum(axis=2)).max()
    expected = np.abs(full.signed[:2, :, 0]).max() / gain
    rest = np.abs(attribute(net, cells)[CODES == -1].mean(axis=0)[:, 0]).max() / gain
    np.testing.assert_allclose(broken.completeness_error, max(expected, rest), rtol=1e-4)


@pytest.mark.parametrize("method", ["plain", "guided", "gradient_x_input"])
def test_gradients_promise_no_sum(make_weights: Callable[..., Weights], cells: np.ndarray, method: str) -> None:
    assert np.isnan(explain(make_weights(), cells, Attribution(method)).completeness_error)


def test_names_of_directions_and_baseline_are_kept(make_weights: Callable[..., Weights], cells: np.ndarray) -> None:
    attribution = Attribution("deeplift", directions=np.eye(6)[:2], names=("T cell", "B cell"), baseline=cells[0])
    why = explain(make_weights(), cells, attribution)
    assert why.units == ("T cell", "B cell")
    assert why.baseline == "one given profile"
    assert explain(make_weights(), cells, Attribution()).baseline == "zero expression"


def test_empty_groups_are_left_out_with_a_warning(make_weights: Callable[..., Weights], cells: np.ndarray) -> None:
    with pytest.warns(PrismWarning, match="No cell is in group 'b', 'c'; left out"):
        why = explain_groups(make_weights(), [(cells, np.full(9, 2))], genes=GENES, groups=["b", "c", "d"])
    assert why.groups == ("d", "all")


@pytest.mark.parametrize(
    ("codes", "names", "message"),
    [
        (CODES[:8], {}, "one group code a cell"),
        (CODES + 1, {}, "integers from -1"),
        (CODES * 1.0, {}, "integers from -1"),
        (CODES, {"genes": GENES[1:]}, "must name the model's 40 genes"),
        (CODES, {"groups": ["a", "all"]}, "other than 'all'"),
        (CODES, {"groups": ["a", "a"]}, "must be different names"),
        (CODES, {"fill": np.zeros(39)}, "`fill` must hold one value for each"),
        (CODES, {"attribution": Attribution(names=("x",))}, "`names` must be 6 different names"),
    ],
)
def test_what_does_not_fit_is_refused(
    make_weights: Callable[..., Weights], cells: np.ndarray, codes: np.ndarray, names: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        explain_groups(make_weights(), [(cells, codes)], **{"genes": GENES, "groups": ["a", "b"], **names})


def test_no_cells_at_all_are_refused(make_weights: Callable[..., Weights]) -> None:
    with pytest.raises(InputError, match="no cells to explain"):
        explain_groups(make_weights(), [], genes=GENES)
