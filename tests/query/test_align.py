import numpy as np
import pytest

from scprism.errors import InputError
from scprism.prepare.recipe import Recipe
from scprism.query.align import align_genes, check_coverage, coverage_summary


def recipe(genes, organism="mouse", share=None):
    unknown = np.zeros(len(genes))
    share = np.full(len(genes), 1 / len(genes)) if share is None else np.asarray(share)
    settings = {"normalise": "per_cell", "target_sum": 1e4, "library": "all", "negative_values": "refuse"}
    return Recipe(
        genes=tuple(genes), organism=organism, mean=unknown, spread=unknown, share=share, n_cells=1, **settings
    )


def sources(alignment):
    return dict(zip(alignment.coverage["gene"], alignment.coverage["sources"], strict=True))


def test_genes_are_found_by_name_in_any_order():
    alignment = align_genes(["Myc", "other", "Cd3e"], recipe(["Cd3e", "Myc"]))
    counts = np.array([[1, 2, 3]])
    np.testing.assert_array_equal(counts @ alignment.gene_map.selection.toarray(), [[3, 1]])


def test_letters_case_is_ignored_where_no_name_fits_exactly():
    assert sources(align_genes(["CD3E", "Myc"], recipe(["Cd3e", "Myc"]), organism="mouse")) == {
        "Cd3e": "CD3E",
        "Myc": "Myc",
    }


def test_two_names_that_differ_in_case_only_match_only_exactly():
    genes = ["Cd3e", "Myc"]
    assert sources(align_genes(["CD3E", "cd3E", "MYC", "Myc"], recipe(genes), organism="mouse")) == {
        "Cd3e": "",
        "Myc": "Myc",
    }


def test_a_human_query_meets_a_mouse_model_through_orthologs():
    # H2-D1 has no human gene of its name; Trp53 is TP53 in human, which no rule of case could find
    alignment = align_genes(["TP53", "CD3E", "MYC"], recipe(["Cd3e", "Myc", "Trp53"]), organism="human")
    assert sources(alignment) == {"Cd3e": "CD3E", "Myc": "MYC", "Trp53": "TP53"}
    assert set(alignment.coverage["found"]) == {"ortholog"}


def test_counts_of_several_orthologs_of_one_gene_are_added(monkeypatch):
    monkeypatch.setattr("scprism.genes.match.ortholog_sources", lambda *_, **__: {"Defa-a": ("DEFA1", "DEFA3")})
    alignment = align_genes(["DEFA3", "x", "DEFA1"], recipe(["Defa-a"]), organism="human")
    np.testing.assert_array_equal(np.array([[5, 9, 2]]) @ alignment.gene_map.selection.toarray(), [[7]])


def test_without_an_ortholog_the_gene_of_the_same_name_is_taken(monkeypatch):
    monkeypatch.setattr("scprism.genes.match.ortholog_sources", lambda *_, **__: {"Ccl6": ("CCL5",)})
    assert sources(align_genes(["CCL4", "CCL5"], recipe(["Ccl4", "Ccl5", "Ccl6"]), organism="human")) == {
        "Ccl4": "CCL4",
        "Ccl5": "",  # its name is used for another gene
        "Ccl6": "CCL5",
    }


def test_orthologs_are_found_whatever_the_case():
    assert sources(align_genes(["tp53", "cd3e"], recipe(["Trp53", "Cd3e"]), organism="human")) == {
        "Trp53": "tp53",
        "Cd3e": "cd3e",
    }


def test_ensembl_ids_count_for_their_symbols_and_are_added():
    # two human ids, one with a version, and a mouse model; the last id is unknown
    names = ["ENSG00000198851.10", "ENSG00000141510", "ENSG00000999999"]
    alignment = align_genes(names, recipe(["Cd3e", "Trp53"]))
    assert alignment.organism == "human"
    assert sources(alignment) == {"Cd3e": names[0], "Trp53": names[1]}
    same_species = align_genes(names, recipe(["CD3E", "TP53"], organism="human"))
    assert coverage_summary(same_species).startswith("0 of 2 genes found by name, 2 by Ensembl id, 0 by ortholog")


def test_two_ids_of_one_symbol_are_added(monkeypatch):
    table = {"ENSG00000000001": "MYC", "ENSG00000000002": "MYC"}
    monkeypatch.setattr("scprism.genes.identifiers.read_gene_ids", lambda: table)
    alignment = align_genes(list(table), recipe(["MYC"], organism="human"))
    np.testing.assert_array_equal(np.array([[3, 4]]) @ alignment.gene_map.selection.toarray(), [[7]])


def test_an_id_is_not_counted_beside_its_symbol():
    alignment = align_genes(["MYC", "ENSG00000136997"], recipe(["MYC"], organism="human"), organism="human")
    assert sources(alignment) == {"MYC": "MYC"}


def test_an_id_that_the_model_knows_by_this_name_stays():
    assert sources(align_genes(["ENSG00000136997", "X"], recipe(["ENSG00000136997"], organism="human"))) == {
        "ENSG00000136997": "ENSG00000136997"
    }


def test_coverage_by_hand():
    alignment = align_genes(["Cd3e"], recipe(["Cd3e", "Myc", "Xist"], share=[0.1, 0.2, 0.1]), organism="mouse")
    assert alignment.share_of_genes == pytest.approx(1 / 3)
    assert alignment.share_of_expression == pytest.approx(0.25)
    assert coverage_summary(alignment) == (
        "1 of 3 genes found by name, 0 by ortholog, 2 missing; the genes found hold 25.0% of the reference's "
        "expression."
    )


def test_low_coverage_is_refused_with_what_is_missing_and_how_to_go_on():
    alignment = align_genes(["Cd3e"], recipe(["Cd3e", "Myc", "Xist"], share=[0.1, 0.2, 0.1]), organism="mouse")
    with pytest.raises(
        InputError,
        match=r"has 1 of the model's 3 genes \(33%.*Missing, highest first: 'Myc', 'Xist'.*--min-coverage 0.33",
    ):
        check_coverage(alignment, min_coverage=0.5)
    check_coverage(alignment, min_coverage=0.33)


def test_spike_ins_are_left_out_of_the_library():
    assert align_genes(["Cd3e", "ERCC-00002"], recipe(["Cd3e"])).gene_map.in_library.tolist() == [1.0, 0.0]


def found(alignment):
    return dict(zip(alignment.coverage["gene"], alignment.coverage["found"], strict=True))


@pytest.mark.parametrize(
    ("model", "query"),
    [
        pytest.param("TENT5C", "FAM46C", id="query is older"),
        pytest.param("FAM46C", "TENT5C", id="model is older"),
        pytest.param("MARCH1", "RNF171", id="both are old"),
    ],
)
def test_a_renamed_gene_is_found_by_its_other_name(model, query):
    alignment = align_genes(["GPX1", "x", query], recipe(["GPX1", model], organism="human"), organism="human")
    assert sources(alignment) == {"GPX1": "GPX1", model: query}
    assert found(alignment) == {"GPX1": "name", model: "alias"}
    np.testing.assert_array_equal(np.array([[1, 2, 4]]) @ alignment.gene_map.selection.toarray(), [[1, 4]])
    assert coverage_summary(alignment).startswith("1 of 2 genes found by name, 0 by ortholog, 1 by alias, 0 missing")


@pytest.mark.parametrize(
    ("model", "query"),
    [
        pytest.param("TENT5C", "Fam46c", id="query is older than the table of orthologs"),
        pytest.param("FAM46C", "Tent5c", id="model is older"),
        pytest.param("FAM46C", "4930431B09Rik", id="both are"),
    ],
)
def test_a_query_of_the_other_organism_is_renamed_before_orthologs_are_looked_up(model, query):
    alignment = align_genes(["Cd3e", query], recipe(["CD3E", model], organism="human"), organism="mouse")
    assert sources(alignment) == {"CD3E": "Cd3e", model: query}
    assert found(alignment)["CD3E"] == "ortholog"


def test_a_name_that_serves_a_gene_serves_no_other():
    genes = ["FAM46C", "TENT5C"]
    # the model has the gene twice, the query once: it goes to the gene of its name
    alignment = align_genes(["TENT5C"], recipe(genes, organism="human"), organism="human")
    assert sources(alignment) == {"FAM46C": "", "TENT5C": "TENT5C"}
    # the query has it twice: each goes to its own, no count is used twice
    alignment = align_genes(genes, recipe(genes, organism="human"), organism="human")
    assert sources(alignment) == {"FAM46C": "FAM46C", "TENT5C": "TENT5C"}
    alignment = align_genes(genes, recipe(["TENT5C"], organism="human"), organism="human")
    assert sources(alignment) == {"TENT5C": "TENT5C"}


def test_a_name_that_two_genes_want_goes_to_neither(monkeypatch):
    monkeypatch.setattr(
        "scprism.genes.match.ortholog_sources", lambda *_, **__: {"A": ("Fam46c",), "B": ("Fam46c",), "C": ("Igj",)}
    )
    alignment = align_genes(["Tent5c", "Jchain"], recipe(["A", "B", "C"], organism="human"), organism="mouse")
    assert sources(alignment) == {"A": "", "B": "", "C": "Jchain"}


def test_a_gene_that_is_found_is_not_looked_for_under_other_names(monkeypatch):
    def unread(organism):
        raise AssertionError(organism)

    monkeypatch.setattr("scprism.genes.match.read_gene_aliases", unread)
    alignment = align_genes(["TENT5C", "FAM46C"], recipe(["TENT5C"], organism="human"), organism="human")
    assert found(alignment) == {"TENT5C": "name"}


def test_an_id_of_a_renamed_gene_is_found():
    # ENSG00000145416 is MARCHF1; the bundled table of ids has the symbol of its year, MARCH1
    alignment = align_genes(["ENSG00000145416", "GPX1"], recipe(["MARCHF1", "GPX1"], organism="human"))
    assert sources(alignment) == {"MARCHF1": "ENSG00000145416", "GPX1": "GPX1"}


def test_names_of_no_known_organism_have_no_aliases():
    assert found(align_genes(["FAM46C"], recipe(["TENT5C"], organism=None))) == {"TENT5C": "missing"}
