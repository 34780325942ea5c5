"""Enrichment of explanations: scores, planted programs, counts and the file."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from scprism.enrich.gsea import gsea
from scprism.enrich.pathways import count_significant, enrich, read_enrichment, units_by_sets, write_enrichment
from scprism.enrich.settings import GseaSettings
from scprism.errors import BundleError, InputError, PrismWarning
from scprism.explain.explanation import Explanation

COLUMNS = ["group", "unit", "gene_set", "size", "es", "nes", "p_value", "q_value", "leading_edge"]
GENES = [f"g{k:03d}" for k in range(200)]
SETS = {f"program{k}": GENES[25 * k : 25 * k + 25] for k in range(4)}
QUICK = GseaSettings(n_permutations=200)


@pytest.fixture
def explanation():
    """Unit k raises program k everywhere; in group "b" unit 0 lowers it, more strongly."""
    rng = np.random.default_rng(0)
    signed = rng.normal(0, 0.2, (3, 4, 200)).astype(np.float32)
    for k in range(4):
        signed[:, k, 25 * k : 25 * k + 25] += 1.0
    signed[2, 0, :25] -= 3.0
    return Explanation(
        signed=signed,
        absolute=np.abs(signed) + np.float32(0.01),
        groups=("all", "a", "b"),
        units=("u0", "u1", "u2", "u3"),
        genes=tuple(GENES),
        n_cells=np.array([30, 10, 20]),
        method="plain",
        completeness_error=float("nan"),
        baseline="zero",
        fingerprint="f",
    )


def first_sets(table):
    return table.pivot_table(index="group", columns="unit", values="gene_set", aggfunc="first")


@pytest.mark.parametrize("scores", ["signed", "absolute"])
def test_each_units_program_comes_first(explanation, scores):
    table = enrich(explanation, SETS, scores=scores, settings=QUICK, rng=0)
    assert list(table.columns) == COLUMNS
    assert len(table) == 3 * 4 * 4
    for k in range(4):
        assert set(first_sets(table)[f"u{k}"]) == {f"program{k}"}


def test_signed_scores_tell_a_raised_program_from_a_lowered_one(explanation):
    table = (
        enrich(explanation, SETS, settings=QUICK, rng=0).set_index(["unit", "gene_set", "group"])["nes"].sort_index()
    )
    signs = np.sign(table.loc["u0", "program0"])
    assert signs.to_dict() == {"all": 1.0, "a": 1.0, "b": -1.0}


def test_difference_is_the_groups_map_less_that_of_all_cells(explanation):
    table = enrich(explanation, SETS, scores="difference", settings=QUICK, rng=0)
    assert list(table["group"].unique()) == ["a", "b"]
    difference = explanation.absolute[2, 0].astype(float) - explanation.absolute[0, 0]
    by_hand = gsea(pd.DataFrame([difference], columns=GENES), SETS, n_permutations=200, rng=0).set_index("gene_set")
    row = table[(table["group"] == "b") & (table["unit"] == "u0")].set_index("gene_set")
    np.testing.assert_allclose(row["es"], by_hand.loc[row.index, "es"], atol=1e-12)
    # Only there does a unit's map change: by 1 in all of program 0.
    assert row.index[0] == "program0"


def test_difference_needs_all_cells_and_a_group(explanation):
    alone = dataclasses.replace(
        explanation, signed=explanation.signed[:1], absolute=explanation.absolute[:1], groups=("all",)
    )
    with pytest.raises(InputError, match="needs the group 'all' and at least one other"):
        enrich(alone, SETS, scores="difference")


def test_attributes_state_the_null_and_the_scores(explanation):
    attrs = enrich(explanation, SETS, scores="absolute", settings=QUICK, rng=0).attrs
    assert (attrs["null"], attrs["scores"], attrs["one_sided"]) == ("gene permutation", "absolute", True)
    assert (attrs["n_permutations"], attrs["share_matched"]) == (200, 1.0)


def test_dead_unit_has_p_value_one_and_is_named(explanation):
    signed = explanation.signed.copy()
    signed[:, 2] = 0.0
    dead = dataclasses.replace(explanation, signed=signed)
    with pytest.warns(PrismWarning, match="3 rankings.*'a / u2'"):
        table = enrich(dead, SETS, settings=QUICK, rng=0)
    assert (table.loc[table["unit"] == "u2", "p_value"] == 1.0).all()


def test_units_of_one_name_in_two_groups_keep_their_group(explanation):
    odd = dataclasses.replace(explanation, groups=("all", "a / u0", "a"))
    table = enrich(odd, SETS, settings=QUICK, rng=0)
    assert list(table["group"].unique()) == ["all", "a / u0", "a"]


def small_table():
    """Return q-values of 3 groups, 2 units, 3 sets: u0 has s0 in two groups and s1 in one, u1 s2 in all cells only."""
    significant = {("a", "u0", "s0"), ("b", "u0", "s0"), ("a", "u0", "s1"), ("all", "u1", "s2")}
    tests = [(g, u, s) for g in ("all", "a", "b") for u in ("u0", "u1") for s in ("s0", "s1", "s2")]
    rows = [(*test, 0.01 if test in significant else 0.5) for test in tests]
    return pd.DataFrame(rows, columns=["group", "unit", "gene_set", "q_value"])


def test_count_of_significant_groups_leaves_out_all_cells():
    expected = pd.DataFrame([[2, 1, 0], [0, 0, 0]], index=["u0", "u1"], columns=["s0", "s1", "s2"])
    counts = count_significant(small_table())
    pd.testing.assert_frame_equal(counts, expected.rename_axis(index="unit", columns="gene_set"))


def test_count_of_significant_groups_uses_all_cells_where_they_are_alone():
    table = small_table()
    counts = count_significant(table[table["group"] == "all"])
    assert counts.to_numpy().tolist() == [[0, 0, 0], [0, 0, 1]]


def test_threshold_of_the_count_is_strict():
    assert count_significant(small_table(), alpha=0.01).to_numpy().sum() == 0


def test_units_are_counted_by_their_number_of_sets():
    assert units_by_sets(small_table()).to_dict() == {0: 1, 1: 0, 2: 1}


def test_file_comes_back_bit_for_bit(explanation, tmp_path):
    odd = dataclasses.replace(explanation, groups=("all", "NA", 'T cell, "naive"\tCD4'), units=("1", "02", "3.0", ""))
    table = enrich(odd, SETS, settings=QUICK, rng=0)
    path = tmp_path / "enrichment.tsv"
    write_enrichment(table, path)
    back = read_enrichment(path)
    pd.testing.assert_frame_equal(back, table.astype({"group": object, "unit": object}), check_exact=True)
    assert back.attrs == table.attrs
    assert sorted(file.name for file in tmp_path.iterdir()) == ["enrichment.tsv", "enrichment.tsv.json"]


def test_failed_write_leaves_the_old_file(explanation, tmp_path):
    path = tmp_path / "enrichment.tsv"
    path.write_text("old")
    table = enrich(explanation, SETS, settings=QUICK, rng=0)
    with pytest.raises(InputError, match="lacks 'q_value'"):
        write_enrichment(table.drop(columns="q_value"), path)
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    "text", [pytest.param("a\tb\n1\t2\n", id="foreign"), pytest.param("", id="empty"), pytest.param(None, id="missing")]
)
def test_file_that_is_no_enrichment_is_refused(text, tmp_path):
    path = tmp_path / "enrichment.tsv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BundleError, match=r"enrichment\.tsv"):
        read_enrichment(path)


def test_unknown_scores_are_refused(explanation):
    with pytest.raises(InputError, match="`scores` must be one of 'signed', 'absolute', 'difference'"):
        enrich(explanation, SETS, scores="sign")
