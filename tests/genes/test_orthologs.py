import pandas as pd
import pytest

from scprism.genes import orthologs


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
    monkeypatch.setattr(orthologs, "read_orthologs", lambda: pairs)


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
    assert orthologs.ortholog_sources([gene], of="mouse", source="human").get(gene) == sources


def test_the_other_direction_drops_genes_with_two_partners(table):
    found = orthologs.ortholog_sources(["DEFA1", "DEFA3", "HLA-A"], of="human", source="mouse")
    assert found == {"HLA-A": ("H2-D1", "H2-K1")}


def test_real_table_maps_most_hallmark_genes():
    from scprism.prepare.selection import hallmark_genes

    genes = hallmark_genes("mouse")
    found = orthologs.ortholog_sources(genes, of="mouse", source="human")
    assert found["Cd3e"] == ("CD3E",)
    assert len(found) > 0.9 * len(genes)
