"""The card of a model: front matter that hubs read, units and labels by name, whatever text is in them."""

from dataclasses import replace

import pytest

import scprism
from scprism.errors import BundleError
from scprism.estimator.card import model_card
from scprism.read.synthetic import make_cells

pytestmark = pytest.mark.filterwarnings("ignore:The query is unlike")  # cells of another seed are another tissue

NASTY = "T|cell <script>*x*"


@pytest.fixture(scope="module")
def model():
    cells = make_cells(rng=0)
    cells.obs["cell_type"] = cells.obs["cell_type"].astype(str).replace("type_0", NASTY)
    trained = scprism.Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0).fit(cells)
    return trained.index(cells, labels="cell_type")


def front_matter(card):
    yaml = pytest.importorskip("yaml")
    assert card.startswith("---\n")
    return yaml.safe_load(card.split("---\n")[1])


def test_every_model_folder_carries_a_card(model, tmp_path):
    model.save(tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert card == model_card(model)
    assert "300 cells (" in card
    assert "200 genes (`all`)" in card
    for unit, row in model.units.iterrows():
        line = next(text for text in card.splitlines() if text.startswith(f"| {unit} "))
        assert row["top_genes"].split(";")[0].replace("_", "\\_") in line
        assert f"{row['replication']:.2f}" in line
    assert "`cell_type`, 300 cells" in card
    assert f"{model.summary['test_loss']:.6g}" in card
    assert "was not measured" in card
    assert scprism.load(tmp_path / "m").fingerprint == model.fingerprint
    model.save(tmp_path / "m")  # the card is of the model, so the folder is replaced with it


def test_text_of_the_data_is_text_in_the_card(model):
    card = model_card(model)
    assert "<script>" not in card
    assert "T\\|cell &lt;script>\\*x\\*" in card


def test_hubs_read_the_front_matter(model):
    facts = front_matter(model_card(model))
    assert facts["library_name"] == "scprism"
    assert facts["license"] == "unknown"
    assert {"single-cell", "human"} <= set(facts["tags"])


def test_what_is_told_of_a_model_stays_with_it(model, tmp_path):
    about = {"title": "Blood", "licence": "cc-by-4.0", "data": "10x, one donor", "held_out": "90 % of labels right"}
    told = replace(model, summary={**model.summary, "about": about})
    told.save(tmp_path / "m")
    scprism.load(tmp_path / "m").save(tmp_path / "again")
    card = (tmp_path / "again" / "README.md").read_text(encoding="utf-8")
    assert front_matter(card)["license"] == "cc-by-4.0"
    for text in ("# Blood\n", "10x, one donor", "90 % of labels right"):
        assert text in card
    assert "was not measured" not in card
    replace(model, summary={**model.summary, "about": {"title": 3}}).save(tmp_path / "bad")
    with pytest.raises(BundleError, match="'about' of 'summary' must be a table of texts"):
        scprism.load(tmp_path / "bad")


def test_the_code_of_the_card_runs(model, tmp_path, monkeypatch):
    model.save(tmp_path / "m")
    make_cells(rng=1).write_h5ad(tmp_path / "query.h5ad")
    monkeypatch.chdir(tmp_path)
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0].replace("FOLDER", "m")
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102
    assert len(names["calls"]) == 300
