import pytest

from scprism.errors import InputError
from scprism.genes.naming import genomes_of, plain_names


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        pytest.param(["mm10_Cd3e", "mm10_Actb", "ERCC-00002"], ["Cd3e", "Actb", "ERCC-00002"], id="prefix"),
        pytest.param(["GRCh38______CD3E", "GRCh38______ACTB"], ["CD3E", "ACTB"], id="long joint"),
        pytest.param(["CD3E_ENSG00000198851", "ACTB"], ["CD3E_ENSG00000198851", "ACTB"], id="half is not most"),
        pytest.param(["CD3E_ENSG00000198851", "CD19|ENSG00000177455.3"], ["CD3E", "CD19"], id="symbol, id"),
        pytest.param(
            ["ENSMUSG00000032093.8_Cd3e", "ENSMUSG00000000001_"], ["Cd3e", "ENSMUSG00000000001"], id="id, symbol"
        ),
        pytest.param(["mm10_Cd3e_ENSMUSG00000032093"], ["Cd3e"], id="prefix and id"),
        pytest.param(["H2.Aa", "H2.D1", "Actb"], ["H2-Aa", "H2-D1", "Actb"], id="R, mouse"),
        pytest.param(["HLA.A", "MT.CO1", "X9930104L06Rik"], ["HLA-A", "MT-CO1", "9930104L06Rik"], id="R, human"),
        pytest.param(["H2.Aa", "H2-D1"], ["H2.Aa", "H2-D1"], id="a hyphen shows that it was not R"),
        pytest.param(["Tex19.1", "AC109138.1", "X1"], ["Tex19.1", "AC109138.1", "X1"], id="points of their own"),
        pytest.param(["Cd74", "Cd74-1", "Cd74-2", "Cd8-1"], ["Cd74", "Cd74", "Cd74", "Cd8-1"], id="numbered"),
        pytest.param(["Cd74", "Cd74.1", "Gm", "Gm-2"], ["Cd74", "Cd74", "Gm", "Gm-2"], id="numbers begin at 1"),
        pytest.param(
            ["Krtap13", "Krtap13-1", "Trbv13", "Trbv13-2"], ["Krtap13", "Krtap13-1", "Trbv13", "Trbv13-2"], id="genes"
        ),
    ],
)
def test_names_that_other_programs_changed_are_put_right(names, plain):
    found = plain_names(tuple(names))
    assert list(found.names) == plain
    assert bool(found.notes) == (plain != names)


@pytest.mark.parametrize("date", ["1-Mar", "Mar-01", "7-Sep", "2-DEC", "X1.Mar", "2001/03/01", "2001-09-07 00:00:00"])
def test_dates_are_told(date):
    found = plain_names((date, "Actb"))
    assert found.names == (date, "Actb")
    assert found.notes[0].startswith(f"1 genes are named by dates ({date!r})")


@pytest.mark.parametrize("name", ["SEPT7", "MARCH1", "DEC1", "Mar1", "MARCHF1", "Sept-7x"])
def test_symbols_that_look_like_months_are_no_dates(name):
    assert plain_names((name, "Actb")).notes == ()


def test_two_genomes_are_refused_with_their_sizes():
    names = [f"GRCh38_G{i}" for i in range(20)] + [f"mm10_g{i}" for i in range(10)]
    with pytest.raises(InputError, match=r"2 genomes: 20 of GRCh38 and 10 of mm10\. .* genome='GRCh38' when reading"):
        plain_names(tuple(names))


def test_an_added_gene_of_another_genome_is_no_genome():
    names = [f"GRCh38_G{i}" for i in range(300)] + ["mm10_Gfp"]
    assert genomes_of(names) == {"GRCh38": 300}
    assert plain_names(tuple(names)).names[-1] == "Gfp"


def test_notes_have_numbers():
    found = plain_names(("Cd74", "Cd74-1", "Cd74-2"))
    assert found.notes[0].startswith("2 genes have the name of another and a number ('Cd74-1', 'Cd74-2')")
