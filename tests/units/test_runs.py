"""What single runs say of units: on planted programs, and on what is planted in the sets."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from scprism.estimator import units as estimator_units
from scprism.estimator.units import found_sets
from scprism.units.fitting import fit_with_runs
from scprism.units.runs import RunPrograms, gene_shuffled, leading_overlap
from scprism.units.verdict import coherence_needed, run_reasons, run_rules


@pytest.fixture(scope="module")
def fitted(planted, settings):
    return fit_with_runs(planted[0], settings=settings, rng=0)


def test_units_of_planted_programs_may_be_named(fitted, matched):
    reasons = run_reasons(fitted[0])
    assert [reasons[unit] for unit in matched[0]] == [[]] * 4
    assert fitted[0].n_cells == 600


def test_programs_of_runs_are_those_of_the_unit(fitted, matched):
    units, runs = fitted
    assert np.bincount(runs.unit).tolist() == units.n_runs_found.tolist()
    counted = units.programs * units.gene_weights
    scores = counted / np.linalg.norm(counted, axis=1, keepdims=True)
    scores = scores - scores.mean(axis=0)
    of_planted = np.isin(runs.unit, matched[0])
    alike = np.array([np.corrcoef(score, scores)[0, 1:] for score in runs.scores[of_planted]])
    np.testing.assert_array_equal(alike.argmax(axis=1), runs.unit[of_planted])


def test_leading_genes_of_runs_are_the_same_and_those_of_shuffled_cells_are_not(fitted, matched):
    units = fitted[0]
    for number in matched[0]:
        assert units.overlap[number] >= 0.7
        assert units.shuffled_overlap[number] < 0.5
        assert units.coherence[number] > coherence_needed(300)


def test_overlap_counts_the_leading_twenty():
    program = np.arange(100.0)
    other = np.where(np.arange(100) >= 90, 1000.0, -np.arange(100.0))  # ten of its leading genes
    np.testing.assert_array_equal(leading_overlap(program, np.stack([program, other])), [1.0, 0.5])


def test_shuffled_genes_keep_their_values_and_lose_their_company(planted):
    values = planted[0]
    shuffled = gene_shuffled(values, np.random.default_rng(3))
    np.testing.assert_array_equal(np.sort(shuffled.toarray(), axis=0), np.sort(values.toarray(), axis=0))
    before, after = (np.corrcoef(part.toarray()[:, :25].T) for part in (values, shuffled))
    off = ~np.eye(25, dtype=bool)
    assert before[off].mean() > 0.1
    assert abs(after[off].mean()) < 0.02


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"replication": 0.79}, "comes back by 0.79, needs 0.8", id="replication"),
        pytest.param({"coherence": 0.1}, "its genes move together by 0.10, needs 0.23", id="coherence"),
        pytest.param({"overlap": 0.4}, "leading genes overlap by 0.40, shuffled genes reach 0.45", id="overlap"),
        pytest.param({"coherence": np.nan}, "move together by nan", id="unknown"),
    ],
)
def test_one_broken_rule_is_enough_and_is_named(fitted, change, reason):
    good = {"replication": 0.9, "coherence": 0.5, "overlap": 0.8, "shuffled_overlap": 0.45}
    n_units = len(fitted[0].names)
    arrays = {name: np.full(n_units, value) for name, value in {**good, **change}.items()}
    told = run_reasons(replace(fitted[0], **arrays))[0]
    assert len(told) == 1
    assert reason in told[0]
    assert len(run_rules()) == 3


def two_units(members, *, runs_with_set, shuffled_has_set):
    """Two units, the first of which a set forms, in so many of its ten runs, and maybe in shuffled cells."""
    rng = np.random.default_rng(0)
    genes = members.size

    def program(has_set):
        return rng.gamma(1.0, 1.0, genes) + 4.0 * has_set * members

    scores = np.stack([program(number < runs_with_set) for number in range(10)] + [program(False) for _ in range(10)])
    scores = scores - scores.mean(axis=1, keepdims=True)
    shuffled = np.stack([program(shuffled_has_set and number == 0) for number in range(5)])
    runs = RunPrograms(scores, np.repeat([0, 1], 10), shuffled - shuffled.mean(axis=1, keepdims=True))
    return np.stack([program(True), program(False)]), runs


@pytest.mark.parametrize(
    ("runs_with_set", "shuffled_has_set", "is_found"),
    [
        pytest.param(10, False, True, id="in all runs"),
        pytest.param(8, False, True, id="in four fifths"),
        pytest.param(5, False, False, id="in fewer"),
        pytest.param(10, True, False, id="in shuffled cells too"),
    ],
)
def test_a_set_is_found_in_four_fifths_of_the_runs_and_not_in_shuffled_cells(
    fitted, monkeypatch, runs_with_set, shuffled_has_set, is_found
):
    members = np.zeros(300, dtype=bool)
    members[:30] = True
    names = tuple(f"g{number}" for number in range(300))
    other = [names[number] for number in range(100, 130)]
    sets = {"PLANTED": list(names[:30]), "OTHER": other}
    monkeypatch.setattr(estimator_units, "gene_sets", lambda *_, **__: sets)
    programs, runs = two_units(members, runs_with_set=runs_with_set, shuffled_has_set=shuffled_has_set)
    units = replace(
        fitted[0],
        **dict.fromkeys(("programs", "low", "high"), programs),
        names=("U01", "U02"),
        gene_weights=np.ones(300),
    )
    first, _ = found_sets(units, runs, names, organism="human", rng=np.random.default_rng(1))
    found = [one for one in first if one.name == "PLANTED"]
    assert bool(found) == is_found
    if is_found:
        assert found[0].direction == "up"
        assert found[0].share_of_runs == runs_with_set / 10
        assert set(found[0].leading_edge) <= set(names[:30])
        assert len(found[0].leading_edge) > 15


def test_an_organism_that_is_unknown_has_no_sets(fitted):
    units, runs = fitted
    found = found_sets(units, runs, ("x",) * 200, organism=None, rng=np.random.default_rng(0))
    assert found == ((),) * len(units.names)


def test_shuffled_genes_of_an_empty_gene_stay_empty():
    values = sparse.csr_matrix(np.array([[0.0, 1.0], [0.0, 2.0]]))
    assert gene_shuffled(values, np.random.default_rng(0))[:, [0]].nnz == 0
