import gzip

import pytest

from scprism._bundled import bundled_path
from scprism.errors import InputError
from scprism.genes.tables import read_gmt, read_orthologs


def write(tmp_path, text):
    (tmp_path / "a.gmt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / "a.gmt"


def test_sets_are_read_in_order_with_each_gene_once(tmp_path):
    path = write(tmp_path, "B\tfrom a paper\tCd3e\tCd19\tCd3e\t\r\n\nA\t\tActb\n")
    assert read_gmt(path) == {"B": ("Cd3e", "Cd19"), "A": ("Actb",)}
    assert list(read_gmt(str(path))) == ["B", "A"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "A\td\tx\nB\tx\n", r"Line 2 .* must hold a name, a description and at least one gene", id="no gene"
        ),
        pytest.param("A x y z\n", r"Line 1 .* parted by tabs; it starts with 'A x y z'", id="blanks"),
        pytest.param("\td\tx\n", "Line 1 .* must hold a name", id="no name"),
        pytest.param("A\td\tx\nA\td\ty\n", "names the set 'A' twice, again in line 2", id="twice"),
        pytest.param("\n", "is empty. Each line of a GMT file is a set", id="empty"),
        pytest.param(b"\x1f\x8b\x08\x00\xff", "is a gzip file that is cut off or damaged", id="cut off"),
        pytest.param("A\td\tr\xe9sum\xe9\n".encode("latin-1"), "byte 0xe9 in line 1 is not UTF-8", id="Latin-1"),
        pytest.param(b"A\td\tx\0\n", "is not text", id="zeros"),
    ],
)
def test_bad_gene_set_files_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_gmt(write(tmp_path, text))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_gene_set_files_are_read_by_their_mark(tmp_path, encoding, compress):
    text = "A\td\tCd3e\tTNF\N{GREEK SMALL LETTER ALPHA}\n"
    assert read_gmt(write(tmp_path, compress(text.encode(encoding)))) == {"A": ("Cd3e", "TNFα")}


def test_a_missing_gene_set_file_is_refused_with_its_neighbours(tmp_path):
    write(tmp_path, "A\td\tx\n")
    with pytest.raises(InputError, match=r"'.*b.gmt' does not exist. GMT files in that folder: 'a.gmt'"):
        read_gmt(tmp_path / "b.gmt")


@pytest.mark.parametrize(
    ("file", "n_genes", "member"),
    [("mh.all.v2023.1.Mm.symbols.gmt", 4289, "Ifit3"), ("h.all.v2024.1.Hs.symbols.gmt", 4384, "IFIT3")],
)
def test_bundled_hallmark_has_50_sets_and_the_published_number_of_genes(file, n_genes, member):
    sets = read_gmt(bundled_path(file))
    assert len(sets) == 50
    assert len(set().union(*sets.values())) == n_genes
    assert member in sets["HALLMARK_INTERFERON_ALPHA_RESPONSE"]


def test_orthologs_hold_known_pairs_one_to_one_and_one_to_many():
    table = read_orthologs()
    assert list(table.columns) == ["human", "mouse"]
    partners = table.groupby("human")["mouse"].agg(set)
    assert partners["CD3E"] == {"Cd3e"}
    assert partners["TP53"] == {"Trp53"}
    assert partners["GZMB"] == {f"Gzm{letter}" for letter in "bcdefgn"}
    assert "GZMH" not in partners  # mice have none
    assert (table != "").all(axis=None)
    assert not table.duplicated().any()


def test_orthologs_are_the_callers_own():
    table = read_orthologs()
    table.loc[0, "human"] = "changed"
    assert read_orthologs().loc[0, "human"] != "changed"
