import numpy as np
import pytest

from scprism.paper.experiments.integrate import batch_mixing, transfer_f1


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def two_types(rng, shift):
    """Return 400 cells of two types in two batches of unequal size, the second batch moved by `shift`."""
    types, batches = np.repeat(["a", "b"], 200), np.tile(["x", "x", "x", "y"], 100)
    values = np.where(types[:, None] == "a", [10.0, 0, 0], [0, 10.0, 0]) + rng.normal(size=(400, 3))
    values[batches == "y"] += [0, 0, shift]
    return values, batches, types


def test_batches_that_cannot_be_told_apart_mix_as_chance_would(rng):
    assert batch_mixing(*two_types(rng, 0)) == pytest.approx(1.0, abs=0.06)


def test_batches_that_lie_apart_do_not_mix_but_types_may_still_be_told(rng):
    values, batches, types = two_types(rng, 30)
    assert batch_mixing(values, batches, types) == 0.0
    assert transfer_f1(values, batches, types) > 0.9


def test_a_type_of_one_batch_is_not_asked_to_mix(rng):
    values, batches, types = two_types(rng, 0)
    alone = (types == "b") & (batches == "y")
    kept = ~alone
    assert batch_mixing(values[kept], batches[kept], types[kept]) == pytest.approx(1.0, abs=0.08)
