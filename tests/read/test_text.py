import gzip

import pytest

from scprism.errors import InputError
from scprism.read.files import read_cells


def write_table(path, frame, *, separator, corner=""):
    text = frame.to_csv(sep=separator, index_label=corner)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("corner", ["", "cell"])
@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.csv.gz", ","), ("a.tsv", "\t"), ("a.txt.gz", "\t")]
)
def test_tables_are_read(table, assert_read, tmp_path, name, separator, corner):
    assert_read(read_cells(write_table(tmp_path / name, table, separator=separator, corner=corner)), table)


def test_tables_with_genes_in_rows_are_turned(table, assert_read, tmp_path):
    path = write_table(tmp_path / "Kidney-counts.csv", table.T, separator=",")
    assert_read(read_cells(path, transpose=True), table)


def test_a_table_as_r_writes_it_is_read(table, assert_read, tmp_path):
    lines = ["\t".join(f'"{gene}"' for gene in table.columns)]
    lines += [f'"{cell}"\t' + "\t".join(map(str, row)) for cell, row in zip(table.index, table.to_numpy(), strict=True)]
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    assert_read(read_cells(tmp_path / "a.tsv"), table)


def test_a_table_is_read_in_blocks(table, assert_read, tmp_path, monkeypatch):
    monkeypatch.setattr("scprism.read.text.VALUES_AT_ONCE", 8)  # two rows at once
    assert_read(read_cells(write_table(tmp_path / "a.csv", table, separator=",")), table)


def test_repeated_genes_of_a_table_are_seen(tmp_path):
    (tmp_path / "a.csv").write_text("cell,Actb,Actb\nx,1,2\n")
    with pytest.raises(InputError, match="used more than once: 'Actb'"):
        read_cells(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "needs a line of names", id="empty"),
        pytest.param("cell;a;b\nx;1;2\n", r"counts parted by ','; its second line is 'x;1;2'", id="other separator"),
        pytest.param("cell,a\nx,1,2,3\n", "2 fields in its first line and 4 in its second", id="header too short"),
        pytest.param("cell,a,type\nx,1,B cell\n", "these columns hold other things: 'type'", id="labels"),
        pytest.param("cell,a\nx,1\ny,many\n", "must hold numbers .*'many'", id="a word further down"),
        pytest.param("cell,a,b\nx,1,2\ny,1,2,3\n", "must hold numbers .*line 3, saw 4", id="a long line"),
        pytest.param("cell,a,b\nx,1,\ny,1,2\n", "1 values are missing", id="a gap in the first line"),
        pytest.param("cell,a,b\nx,1,2\ny,1,\n", "1 values are missing", id="a gap further down"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_cells(tmp_path / "a.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_table_is_read_by_its_mark(table, assert_read, tmp_path, encoding, name):
    content = table.to_csv(index_label="cell").encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert_read(read_cells(tmp_path / name), table)


@pytest.mark.parametrize("text", ["cell,r\xe9sum\xe9\nx,1\n", "cell,Actb\nr\xe9sum\xe9,1\n"])
def test_a_table_in_latin_1_is_refused_with_the_line(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(
        InputError, match=r"table '.*a.csv' is not text that can be read: byte 0xe9 in line \d is not UTF-8"
    ):
        read_cells(tmp_path / "a.csv")
