import numpy as np
import pandas as pd
import pytest

from scprism.errors import InputError
from scprism.paper.data_sets import combined, combined_sources, file_sources, read_source


def by_name(sources):
    return {source.name: source for source in sources}


def test_data_sets_and_their_platforms_are_found_with_types_in_common_words(sources):
    found = by_name(sources)
    assert list(found) == ["first", "first/platform_0", "first/platform_1", "second"]
    assert {name for name, _ in found["first"].types} == {"T cell", "B cell", "NK cell"}
    assert {name for name, _ in found["second"].types} == {"T cell", "B cell", "monocyte"}
    assert found["first/platform_1"].platform == "platform_1"
    assert found["first"].organism == "human"


def test_a_part_has_its_cells_only(sources, tmp_path):
    part = by_name(sources)["first/platform_1"]
    cells = read_source(part, max_cells=1000, scratch=tmp_path)
    assert set(cells.obs["platform"]) == {"platform_1"}
    assert cells.obs["type"].value_counts().to_dict() == dict(part.types)


def test_a_sample_keeps_the_shares_of_the_types(sources, tmp_path):
    cells = read_source(by_name(sources)["first"], max_cells=60, scratch=tmp_path)
    assert cells.n_obs == 60
    assert cells.obs["type"].value_counts().tolist() == [20, 20, 20]


def test_data_with_other_content_have_another_fingerprint(sources):
    assert len({source.fingerprint for source in sources}) == len(sources)


def test_joined_sources_have_the_counts_of_both(sources, tmp_path):
    found = by_name(sources)
    both = combined([found["first/platform_0"], found["first/platform_1"]], method="none")
    cells = read_source(both, max_cells=1000, scratch=tmp_path)
    parts = [read_source(part, max_cells=1000, scratch=tmp_path) for part in both.members]
    # genes that no cell expresses are left out, so the counts are all there
    assert cells.X.sum() == sum(part.X.sum() for part in parts)
    assert cells.obs["source"].value_counts().to_dict() == {
        part.name: n.n_obs for part, n in zip(both.members, parts, strict=True)
    }


def test_what_is_combined_comes_corrected_and_joined(sources):
    pairs = combined_sources(sources, method="combat")
    # first and second share two types only; the platforms of the first share three
    assert [(s.name, s.is_corrected) for s in pairs] == [
        ("first/platform_0 + first/platform_1", True),
        ("first/platform_0 + first/platform_1 (uncorrected)", False),
    ]


def test_corrected_expression_is_computed_once(sources, tmp_path):
    both = combined_sources(sources, method="combat")[0]
    first = read_source(both, max_cells=100, scratch=tmp_path)
    (kept,) = tmp_path.glob("combined-*.h5ad")
    written = kept.stat().st_mtime_ns
    again = read_source(both, max_cells=100, scratch=tmp_path)
    assert kept.stat().st_mtime_ns == written
    np.testing.assert_array_equal(first.X, again.X)
    pd.testing.assert_series_equal(first.obs["type"], again.obs["type"])


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="no folder .*nowhere"):
        file_sources(tmp_path / "nowhere")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "broken.h5ad").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match=r"broken\.h5ad' cannot be read"):
        file_sources(tmp_path)
