"""Gene sets by name, from files and dictionaries, and their match to a ranking's genes."""

import numpy as np
import pandas as pd
import pytest

from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import gene_sets, match_sets
from scprism.enrichment.gsea import gsea
from scprism.enrichment.over_representation import ora
from scprism.enrichment.settings import GseaSettings
from scprism.errors import InputError, PrismWarning
from scprism.explain.explanation import Explanation


@pytest.mark.parametrize(
    ("organism", "gene", "n_symbols"),
    [pytest.param("human", "CD44", 4384, id="human"), pytest.param("mouse", "Cd44", 4289, id="mouse")],
)
def test_hallmark_has_the_fifty_sets_of_the_organism(organism, gene, n_symbols):
    sets = gene_sets("hallmark", organism=organism)
    assert len(sets) == 50
    assert len({symbol for members in sets.values() for symbol in members}) == n_symbols
    assert gene in sets["HALLMARK_EPITHELIAL_MESENCHYMAL_TRANSITION"]


def test_hallmark_without_an_organism_is_refused():
    with pytest.raises(InputError, match="`organism` must be 'human' or 'mouse'"):
        gene_sets("hallmark")
    with pytest.raises(InputError, match="`organism` must be one of 'human', 'mouse', got 'rat'"):
        gene_sets("hallmark", organism="rat")


def test_gmt_file_gives_its_sets(tmp_path):
    path = tmp_path / "two.gmt"
    path.write_text("clock\tabout\tPer1\tPer2\nlight\t\tOpn4\n")
    assert gene_sets(path) == {"clock": ("Per1", "Per2"), "light": ("Opn4",)}


def test_dictionary_comes_back_as_tuples_without_repeats():
    assert gene_sets({"s": ["b", "a", "b"]}) == {"s": ("b", "a")}


def test_set_that_is_one_string_or_empty_is_refused():
    with pytest.raises(InputError, match="gene set 's' must be a list"):
        gene_sets({"s": "Per1"})
    with pytest.raises(InputError, match="gene set 's' must be a list"):
        gene_sets({"s": []})


def test_sets_of_the_other_organism_warn():
    sets = gene_sets("hallmark", organism="human")
    with pytest.warns(PrismWarning, match="look like human symbols.*`organism` is mouse"):
        gene_sets(sets, organism="mouse")


def test_symbols_match_exactly_before_they_match_in_any_case():
    genes = ["Per1", "PER2", "Sox2", "SOX2"]
    matched = match_sets({"a": ["PER1", "PER2"], "b": ["SOX2"], "c": ["sox2", "Per1"]}, genes)
    np.testing.assert_array_equal(matched.members["a"], [0, 1])
    np.testing.assert_array_equal(matched.members["b"], [3])
    # 'sox2' could be either of two genes, so it is neither.
    np.testing.assert_array_equal(matched.members["c"], [0])


def test_two_spellings_of_one_gene_count_once():
    np.testing.assert_array_equal(match_sets({"a": ["Per1", "PER1"]}, ["Per1", "Per2"]).members["a"], [0])


def test_share_matched_is_that_of_distinct_symbols():
    assert match_sets({"a": ["x", "y", "z"], "b": ["x", "w"]}, ["X", "Y", "v"]).share == pytest.approx(2 / 4)


def test_message_when_no_symbol_matches_shows_both_sides():
    with pytest.raises(InputError, match="^None of the 2 symbols.*'ENSG1'.*among the 1 genes.*'Per1'"):
        match_sets({"a": ["ENSG1", "ENSG2"]}, ["Per1"])


def test_few_matches_are_told():
    (message,) = match_sets({"a": [f"g{k}" for k in range(10)]}, ["g3", "other"]).messages
    assert message.startswith("Only 1 of the 10 symbols of the gene sets (10%; such as 'g0'")
    assert match_sets({"a": ["g1", "g2"]}, ["g1", "g2"]).messages == ()


def test_sets_of_another_organism_are_told_with_the_numbers_in_common():
    human, mouse = (gene_sets("hallmark", organism=organism) for organism in ("human", "mouse"))
    genes = sorted({gene for members in human.values() for gene in members})
    matched = match_sets(mouse, genes)
    n_found = round(matched.share * 4289)
    (message,) = matched.messages
    assert message.startswith(
        f"The gene sets are mouse genes and the genes tested are human genes: {n_found:,} of the 4,289 symbols"
    )
    assert "`organism='human'`" in message
    assert "--organism human" in message
    assert match_sets(human, genes).messages == ()


def test_gsea_enrich_and_ora_warn_of_sets_of_another_organism():
    human, mouse = (gene_sets("hallmark", organism=organism) for organism in ("human", "mouse"))
    genes = sorted({gene for members in human.values() for gene in members})
    scores = np.random.default_rng(0).standard_normal((1, len(genes)))
    message = "The gene sets are mouse genes and the genes tested are human genes"
    with pytest.warns(PrismWarning, match=message):
        gsea(pd.DataFrame(scores, columns=genes), mouse, n_permutations=20, rng=0)
    with pytest.warns(PrismWarning, match=message):
        ora(genes[:50], mouse, background=genes)
    maps = scores[None].astype(np.float32)
    units, nothing = ("u0",), float("nan")
    explanation = Explanation(maps, abs(maps), ("all",), units, tuple(genes), np.ones(1), "plain", nothing, "zero", "f")
    with pytest.warns(PrismWarning, match=message):
        result = enrich(explanation, mouse, settings=GseaSettings(n_permutations=20), rng=0)
    assert message in result.warnings[0]


def test_no_sets_are_refused():
    with pytest.raises(InputError, match="at least one gene set"):
        match_sets({}, ["Per1"])
