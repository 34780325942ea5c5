"""The command that scores gene lists: as Python does, along a model with programs."""

import numpy as np
import pandas as pd
import pytest

import scprism as library
from scprism.estimator.score import read_scores
from scprism.read.synthetic import make_cells


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder, cells = tmp_path_factory.mktemp("score"), make_cells(rng=0)
    model = library.Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    model.save(folder / "model")
    cells.write_h5ad(folder / "query.h5ad")
    genes = cells.var_names[cells.var["program_0"]]
    (folder / "mine.txt").write_text("\n".join(genes) + "\n")
    return folder


def test_score_writes_what_python_returns(scprism, place):
    call = ("score", place / "model", place / "query.h5ad", "--genes", place / "mine.txt")
    status, _, messages = scprism(*call, "--out", place / "scores.tsv")
    assert status == 0, messages
    assert "mine: 20 of 20 genes found, correlation with their own expression 0." in messages
    expected = library.score(library.load(place / "model"), make_cells(rng=0), place / "mine.txt")
    found = read_scores(place / "scores.tsv")
    pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
    pd.testing.assert_frame_equal(found.units, expected.units, check_exact=False)
    assert np.isfinite(found.lists["correlation"]).all()


def test_a_model_of_raw_units_is_refused_in_the_words_of_the_command_line(scprism, place, folder):
    call = ("score", folder / "model", folder / "query.h5ad", "--genes", place / "mine.txt")
    status, _, messages = scprism(*call, "--out", folder / "scores.tsv")
    assert (status, "scprism fit --units programs" in messages) == (2, True), messages
    assert not list(folder.glob("scores.tsv*"))
