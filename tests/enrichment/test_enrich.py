"""Enrichment of explanations: scores, planted programs, counts and the file."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from scprism.enrichment.enrich import enrich
from scprism.enrichment.gsea import gsea
from scprism.enrichment.result import Enrichment, count_significant, read_enrichment, units_by_sets
from scprism.enrichment.settings import GseaSettings
from scprism.errors import BundleError, InputError, PrismWarning
from scprism.explain.explanation import Explanation

COLUMNS = [
    *("group", "unit", "gene_set", "size", "es", "nes"),
    *("p_value", "log_p_error", "p_is_bound", "q_value", "leading_edge"),
]
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
    table = enrich(explanation, SETS, scores=scores, settings=QUICK, rng=0).table
    assert list(table.columns) == COLUMNS
    assert len(table) == 3 * 4 * 4
    for k in range(4):
        assert set(first_sets(table)[f"u{k}"]) == {f"program{k}"}


def test_signed_scores_tell_a_raised_program_from_a_lowered_one(explanation):
    table = (
        enrich(explanation, SETS, settings=QUICK, rng=0)
        .table.set_index(["unit", "gene_set", "group"])["nes"]
        .sort_index()
    )
    signs = np.sign(table.loc["u0", "program0"])
    assert signs.to_dict() == {"all": 1.0, "a": 1.0, "b": -1.0}


def test_difference_is_the_groups_map_less_that_of_all_cells(explanation):
    table = enrich(explanation, SETS, scores="difference", settings=QUICK, rng=0).table
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
    attrs = enrich(explanation, SETS, scores="absolute", settings=QUICK, rng=0).settings
    assert (attrs["null"], attrs["scores"], attrs["one_sided"]) == ("gene permutation", "absolute", True)
    assert (attrs["n_permutations"], attrs["share_matched"]) == (200, 1.0)


def test_dead_unit_has_p_value_one_and_is_named(explanation):
    signed = explanation.signed.copy()
    signed[:, 2] = 0.0
    dead = dataclasses.replace(explanation, signed=signed)
    with pytest.warns(PrismWarning, match="3 rankings.*'a / u2'"):
        result = enrich(dead, SETS, settings=QUICK, rng=0)
    table = result.table
    assert "3 rankings" in result.warnings[0]
    assert (table.loc[table["unit"] == "u2", "p_value"] == 1.0).all()


def test_units_of_one_name_in_two_groups_keep_their_group(explanation):
    odd = dataclasses.replace(explanation, groups=("all", "a / u0", "a"))
    table = enrich(odd, SETS, settings=QUICK, rng=0).table
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


@pytest.mark.parametrize(("suffix", "separator"), [(".tsv", "\t"), (".csv", ",")])
def test_file_comes_back_bit_for_bit_and_pandas_reads_it(explanation, tmp_path, suffix, separator):
    odd = dataclasses.replace(explanation, groups=("all", "NA", 'T cell, "naive"\tCD4'), units=("1", "02", "3.0", ""))
    result = dataclasses.replace(enrich(odd, SETS, settings=QUICK, rng=0), warnings=("one", "two"))
    path = tmp_path / f"enrichment{suffix}"
    result.save(path)
    back = read_enrichment(path)
    texts = dict.fromkeys(("group", "unit", "gene_set", "leading_edge"), object)  # pandas 3 has a type for them
    pd.testing.assert_frame_equal(back.table.astype(texts), result.table.astype(texts), check_exact=True)
    assert back.settings == result.settings
    assert back.settings["seed"] == 0
    assert back.settings["fingerprint"] == "f"
    assert back.warnings == ("one", "two")
    assert list(pd.read_csv(path, sep=separator).columns) == COLUMNS
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"enrichment{suffix}", f"enrichment{suffix}.json"]


def test_files_of_one_stem_keep_their_own_settings(explanation, tmp_path):
    result = enrich(explanation, SETS, settings=QUICK, rng=0)
    for seed, suffix in enumerate((".tsv", ".csv")):
        dataclasses.replace(result, settings={"seed": seed}).save(tmp_path / f"a{suffix}")
    assert [read_enrichment(tmp_path / f"a{suffix}").settings["seed"] for suffix in (".tsv", ".csv")] == [0, 1]


@pytest.mark.parametrize("name", ["x.json", "x.txt", "x", "x.xlsx", "x.h5ad"])
def test_other_kinds_of_files_are_refused(explanation, tmp_path, name):
    result = enrich(explanation, SETS, settings=QUICK, rng=0)
    with pytest.raises(InputError, match=r"ends in \.csv or \.tsv or \.parquet"):
        result.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_settings_never_replace_a_file_of_another_kind(explanation, tmp_path):
    (tmp_path / "x.tsv.json").write_text('{"mine": 1}')
    with pytest.raises(InputError, match="is another file. Choose another name"):
        enrich(explanation, SETS, settings=QUICK, rng=0).save(tmp_path / "x.tsv")
    assert [file.read_text() for file in tmp_path.iterdir()] == ['{"mine": 1}']


def test_table_without_its_settings_is_read_and_says_so(explanation, tmp_path):
    result = enrich(explanation, SETS, settings=QUICK, rng=0)
    result.save(tmp_path / "x.tsv")
    (tmp_path / "x.tsv.json").unlink()
    back = read_enrichment(tmp_path / "x.tsv")
    assert back.settings == {}
    assert "'x.tsv.json' beside it is missing" in back.warnings[0]
    assert len(back.table) == len(result.table)


def test_notebooks_show_the_summary_the_warnings_and_the_first_tests(explanation):
    result = enrich(explanation, SETS, settings=QUICK, rng=0)
    page = dataclasses.replace(result, warnings=("beware <b>",))._repr_html_()
    n_found = int((result.table["q_value"] < 0.05).sum())
    assert f"48 tests, {n_found} with q &lt; 0.05; null: gene permutation" in page
    assert "<li>beware &lt;b&gt;</li>" in page
    assert page.count("<tr>") == 10
    assert repr(result) == f"Enrichment(48 tests, {n_found} with q < 0.05; null: gene permutation)"


def test_failed_write_leaves_the_old_file(explanation, tmp_path):
    path = tmp_path / "enrichment.tsv"
    path.write_text("old")
    result = enrich(explanation, SETS, settings=QUICK, rng=0)
    with pytest.raises(InputError, match="lacks 'q_value'"):
        Enrichment(result.table.drop(columns="q_value"), result.settings).save(path)
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
