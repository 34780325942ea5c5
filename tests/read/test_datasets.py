import gzip

import pytest

from scprism._bundled import bundled_path
from scprism.errors import InputError
from scprism.read.counts import checked_counts
from scprism.read.datasets import dataset_table, load_dataset


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("tm_droplet_immune", {"B cell": 477, "T cell": 312, "NK cell": 74, "Monocyte": 69, "Granulocyte": 68}),
        ("mouse_lung_immune", {"B cells": 200, "NK cells": 200, "Neutrophils": 200, "T cells": 200}),
    ],
)
def test_bundled_data_are_raw_counts_as_the_table_says(name, labels):
    row = dataset_table().set_index("name").loc[name]
    cells = load_dataset(name)
    matrix, _ = checked_counts(cells)
    assert matrix.shape == (row["cells"], row["genes"])
    assert cells.obs[row["labels"]].value_counts().to_dict() == labels


def test_every_data_set_is_cited_in_the_sources():
    sources = bundled_path("SOURCES.md").read_text(encoding="utf-8")
    for row in dataset_table().itertuples():
        assert f"{row.name}.h5ad" in sources
        assert row.citation.split("doi:")[1].split(";")[0] in sources


def test_every_bundled_file_is_in_the_sources_and_all_fit_in_8_mb():
    files = [file for file in bundled_path("SOURCES.md").parent.iterdir() if file.is_file()]
    sources = bundled_path("SOURCES.md").read_text(encoding="utf-8")
    assert [file.name for file in files if file.name not in sources and file.name != "SOURCES.md"] == []
    assert sum(file.stat().st_size for file in files) < 8e6


def test_the_ortholog_table_carries_no_time_stamp():
    header = bundled_path("orthologs_human_mouse.tsv.gz").read_bytes()[:10]
    assert header[4:8] == b"\0\0\0\0"
    assert gzip.decompress(bundled_path("orthologs_human_mouse.tsv.gz").read_bytes()).startswith(b"human\tmouse\n")


def test_an_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="`name` must be one of 'tm_droplet_immune', 'mouse_lung_immune', got 'pbmc'"):
        load_dataset("pbmc")


def test_an_unknown_file_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"'x.gmt' is not among the files .*'mh.all.v2023.1.Mm.symbols.gmt'"):
        bundled_path("x.gmt")
