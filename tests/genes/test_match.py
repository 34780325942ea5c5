import pandas as pd
import pytest

from scprism.genes import match
from scprism.genes.match import find_genes, ortholog_sources, ortholog_sources_by_alias, other_names
from scprism.genes.tables import read_gene_aliases

# Renamings as the nomenclature committees announced them: HGNC for human, MGI for mouse; the newer symbol second.
HUMAN = [
    ("MARCH1", "MARCHF1"),  # 2020: symbols that a spreadsheet takes for dates
    ("SEPT7", "SEPTIN7"),
    ("FAM46C", "TENT5C"),
    ("KIAA0101", "PCLAF"),
    ("HIST1H4C", "H4C3"),  # 2019: the histones
    ("C10orf10", "DEPP1"),
    ("TMEM173", "STING1"),
    ("GNB2L1", "RACK1"),
    ("ATP5D", "ATP5F1D"),
    ("TCEB2", "ELOB"),
    ("WARS", "WARS1"),
    ("GPR56", "ADGRG1"),
    ("IGJ", "JCHAIN"),
    ("SEP15", "SELENOF"),
]
MOUSE = [
    ("Fam46c", "Tent5c"),
    ("2810417H13Rik", "Pclaf"),
    ("March1", "Marchf1"),
    ("Sept7", "Septin7"),
    ("Casc5", "Knl1"),
    ("Tmem173", "Sting1"),
    ("Gnb2l1", "Rack1"),
    ("Aes", "Tle5"),
    ("Igj", "Jchain"),
    ("Emr1", "Adgre1"),
    ("Wars", "Wars1"),
]


@pytest.mark.parametrize(
    ("old", "new", "organism"), [(*pair, "human") for pair in HUMAN] + [(*pair, "mouse") for pair in MOUSE]
)
def test_a_renamed_gene_is_one_gene_from_either_side(old, new, organism):
    assert other_names([new], [old, "Gpx1"], organism=organism) == {new: old}
    assert other_names([old], [new, "Gpx1"], organism=organism) == {old: new}


def test_two_old_names_are_one_gene():
    # MARCHF1, once MARCH1, was RNF171 before
    assert other_names(["MARCH1"], ["RNF171"], organism="human") == {"MARCH1": "RNF171"}


@pytest.mark.parametrize(
    ("symbol", "gene"),
    [
        pytest.param("GPX1", "GPX4", id="two genes with no common name"),
        pytest.param("TMSB4X", "TMSB4Y", id="X and Y"),
        pytest.param("MYH1", "MYH2", id="neighbours of a family"),
        pytest.param("MARC1", "MARCHF1", id="MARC1 is now MTARC1"),
    ],
)
def test_genes_that_are_alike_only_are_two(symbol, gene):
    assert other_names([gene], [symbol], organism="human") == {}
    assert other_names([symbol], [gene], organism="human") == {}


@pytest.mark.parametrize(
    ("symbol", "gene"),
    [
        pytest.param("MIF", "S100A8", id="MIF"),
        pytest.param("MET", "RNMT", id="MET"),
        pytest.param("CAT", "CRAT", id="CAT"),
        pytest.param("DRG1", "NDRG1", id="DRG1"),
        pytest.param("VDR", "CYP27B1", id="VDR"),
        pytest.param("PEMT", "MUC1", id="PEMT"),
        pytest.param("AR", "AREG", id="AR"),
    ],
)
def test_a_current_symbol_is_never_an_alias_of_another_gene(symbol, gene):
    # NCBI Gene lists each of these symbols among the other gene's aliases
    assert other_names([gene], [symbol], organism="human") == {}
    assert read_gene_aliases("human").get(symbol, symbol) == symbol


@pytest.mark.parametrize(
    ("name", "genes"),
    [
        pytest.param("MLL2", ["KMT2B", "KMT2D"], id="MLL2"),  # was used of both
        pytest.param("P40", ["TP63", "RPSA", "IL9"], id="p40"),
        pytest.param("MT1", ["MT1A", "MT1E", "MT1X"], id="MT1"),
        pytest.param("PC1", ["PKD1", "PCSK1"], id="PC1"),
    ],
)
def test_a_name_of_several_genes_stands_for_none(name, genes):
    for gene in genes:
        assert other_names([gene], [name], organism="human") == {}


def test_a_former_symbol_of_one_gene_goes_before_an_alias_of_another():
    # STRA13 was the symbol of CENPX until 2014 and is an alias of BHLHE40
    assert other_names(["CENPX", "BHLHE40"], ["STRA13"], organism="human") == {"CENPX": "STRA13"}


def test_two_names_of_one_gene_are_not_chosen_between():
    assert other_names(["MARCHF1"], ["MARCH1", "RNF171"], organism="human") == {}
    assert other_names(["MARCHF1", "RNF171"], ["MARCH1"], organism="human") == {}
    assert other_names(["MARCHF1"], ["March1", "MARCH1"], organism="human") == {}  # differ in case only


def test_letters_case_is_ignored():
    assert other_names(["tent5c"], ["FAM46C"], organism="mouse") == {"tent5c": "FAM46C"}


@pytest.mark.parametrize("date", ["1-Mar", "Mar-01", "7-Sep", "2-Dec", "2001/03/01"])
def test_dates_that_a_spreadsheet_made_are_no_names(date):
    for organism in ("human", "mouse"):
        assert date.upper() not in read_gene_aliases(organism)


def test_names_of_one_organism_say_nothing_of_the_other():
    # 4930431B09Rik is the mouse gene's first name only
    assert other_names(["TENT5C"], ["4930431B09Rik"], organism="human") == {}


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_a_gene_has_itself_among_its_names(organism):
    table = read_gene_aliases(organism)
    assert {table[symbol.upper()] for symbol in set(table.values())} == set(table.values())
    assert all(name == name.upper() and name for name in table)


def test_orthologs_are_known_by_the_old_symbol_of_either_organism():
    # the table of orthologs has TENT5C and Tent5c; PCLAF was KIAA0101
    found = ortholog_sources_by_alias(["FAM46C", "KIAA0101", "nothing"], of="human", source="mouse")
    assert found == {"FAM46C": ("Tent5c",), "KIAA0101": ("Pclaf",)}
    assert ortholog_sources_by_alias(["Fam46c"], of="mouse", source="human") == {"Fam46c": ("TENT5C",)}


@pytest.fixture
def table(monkeypatch):
    pairs = pd.DataFrame(
        [
            ("CD3E", "Cd3e"),  # one to one
            ("HLA-A", "H2-D1"),  # one human gene, two mouse genes, neither of its name
            ("HLA-A", "H2-K1"),
            ("DEFA1", "Defa-a"),  # two human genes, one mouse gene
            ("DEFA3", "Defa-a"),
            ("ISG15", "Isg15"),  # one of its partners has its name
            ("ISG15", "Gm9706"),
        ],
        columns=["human", "mouse"],
    )
    monkeypatch.setattr(match, "read_orthologs", lambda: pairs)


@pytest.mark.parametrize(
    ("gene", "sources"),
    [
        ("Cd3e", ("CD3E",)),
        ("Defa-a", ("DEFA1", "DEFA3")),
        ("Isg15", ("ISG15",)),
        ("Gm9706", None),
        ("H2-D1", None),
        ("Xyz", None),
    ],
)
def test_no_count_is_used_twice(table, gene, sources):
    assert ortholog_sources([gene], of="mouse", source="human").get(gene) == sources


def test_the_other_direction_drops_genes_with_two_partners(table):
    found = ortholog_sources(["DEFA1", "DEFA3", "HLA-A"], of="human", source="mouse")
    assert found == {"HLA-A": ("H2-D1", "H2-K1")}


def test_real_table_maps_most_hallmark_genes():
    from scprism.prepare.selection import hallmark_genes

    genes = hallmark_genes("mouse")
    found = ortholog_sources(genes, of="mouse", source="human")
    assert found["Cd3e"] == ("CD3E",)
    assert len(found) > 0.9 * len(genes)


def test_counts_of_all_names_of_a_gene_are_found():
    found = find_genes(["Cd74", "Cd3e"], ["Cd74", "CD3E", "Cd74"], organism="mouse", source="mouse")
    assert [gene.positions for gene in found] == [(0, 2), (1,)]
    assert find_genes(["Cd74"], ["CD74", "CD74"], organism=None, source=None)[0].positions == (0, 1)
