"""The code of `docs/training.md`, run as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
from anndata import AnnData

import scprism
from scprism.prepare.selection import hallmark_genes
from scprism.read.synthetic import Simulation, simulate_cells

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"


@pytest.fixture(scope="module")
def ref() -> AnnData:
    return simulate_cells(Simulation(n_cells=60, genes=hallmark_genes("mouse")[:150]), rng=0)


def run_code_with(words: str, **names: Any) -> dict[str, Any]:
    """Run the one block of the page that has these words, and return its names."""
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S) if words in block
    ]
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102  it is our own page
    return names


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_the_losses_of_each_epoch(ref, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    run_code_with("SummaryWriter", ref=ref)
    log = scprism.Prism(units="raw", rng=0).fit(ref).log
    for part in ("train", "validation"):
        shown = EventAccumulator(str(tmp_path / "runs" / "first" / f"loss_{part}")).Reload().Scalars("loss")
        assert [point.step for point in shown] == log["epoch"].tolist()
        assert [point.value for point in shown] == pytest.approx(log[f"{part}_loss"].tolist(), rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*too few to see which units come back")
def test_a_run_goes_on_from_its_checkpoint_in_python_too(ref, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, again = (run_code_with("Checkpoint(", ref=ref)["model"] for _ in range(2))
    assert again.weights.fingerprint() == model.weights.fingerprint()
    assert again.log["seconds"][0] == model.log["seconds"][0]  # the second began where the first had left a checkpoint
