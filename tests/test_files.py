import os

import pandas as pd
import pytest

from scprism._files import check_suffix, read_record, read_table, record_path, replacing, write_table
from scprism.errors import InputError

TABLE = pd.DataFrame({"name": ["a", "", "NA"], "value": [0.1, 1 / 3, 1e-300]})


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(TypeError), replacing(path) as scratch:
        scratch.write_text(scratch.write_text("half"))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_failed_record_leaves_table_and_record(tmp_path):
    path = tmp_path / "a.csv"
    write_table(TABLE, path, record={"n": 1})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(TypeError):
        write_table(TABLE.iloc[:1], path, record={"n": object()})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".CSV"])
def test_a_table_comes_back_to_the_last_bit(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"t{ending}"
    write_table(TABLE, path, record={"warnings": ["w"]})
    found = read_table(path, dtypes={"name": str, "value": float})
    assert found["name"].tolist() == TABLE["name"].tolist()
    assert found["value"].tolist() == TABLE["value"].tolist()
    assert read_record(path) == {"warnings": ["w"]}


def test_tables_of_one_stem_have_records_of_their_own(tmp_path):
    for ending in (".csv", ".tsv"):
        write_table(TABLE, tmp_path / f"results{ending}", record={"ending": ending})
    assert [read_record(tmp_path / f"results{e}") for e in (".csv", ".tsv")] == [{"ending": ".csv"}, {"ending": ".tsv"}]
    assert record_path(tmp_path / "results.csv").name == "results.csv.json"


@pytest.mark.parametrize("name", ["x.json", "x.xlsx", "x", "x.csv.gz"])
def test_other_endings_are_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(InputError, match=r"ends in \.csv or \.tsv or \.parquet"):
        write_table(TABLE, tmp_path / name, record={})
    assert not list(tmp_path.iterdir())


def test_pipes_and_folders_are_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, message in (("pipe.csv", "is a pipe"), ("folder.csv", "is a folder")):
        with pytest.raises(InputError, match=message):
            write_table(TABLE, tmp_path / name)
    assert (tmp_path / "pipe.csv").is_fifo()


def test_only_a_zarr_store_is_replaced_by_one(tmp_path):
    theirs = tmp_path / "theirs.zarr"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="is no zarr store, so it is left alone"), replacing(theirs):
        pass
    ours = tmp_path / "ours.zarr"
    for content in ("1", "2"):
        with replacing(ours) as scratch:
            scratch.mkdir()
            (scratch / "zarr.json").write_text(content)
    assert (ours / "zarr.json").read_text() == "2"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ours.zarr", "theirs.zarr"]


def test_a_name_of_the_longest_length_can_be_written(tmp_path):
    name = f"{'n' * 246}.csv"
    write_table(TABLE, tmp_path / name)
    assert check_suffix(name, (".csv",)) == ".csv"
    assert [p.name for p in tmp_path.iterdir()] == [name]
