"""One cell of each experiment about units, through the grid, and the section that is made of it."""

import matplotlib.pyplot as plt
import pytest

from scprism.paper.experiments.grid import Results, run_grid
from scprism.paper.experiments.registry import EXPERIMENTS, UNITS
from scprism.paper.sections.sections import SECTIONS

NAMES = tuple(experiment.name for experiment in UNITS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("audit")


@pytest.fixture
def frames(small_plan, folder):
    planned = {name: EXPERIMENTS[name].plan(small_plan) for name in NAMES}
    # the released penalty's first and last cell: without gradients, and with them
    chosen = {
        name: cells[:: max(1, len(cells) - 1)][: 1 + (name == "released-penalty")] for name, cells in planned.items()
    }
    results = Results(folder / "results.sqlite", max_cells=small_plan.scale.max_cells)
    every = [cell for cells in chosen.values() for cell in cells]
    run_grid(every, EXPERIMENTS, results, folder=folder, jobs=1)
    return {name: results.frame(cells, EXPERIMENTS[name]) for name, cells in chosen.items()}


def test_every_experiment_about_units_runs_and_has_its_section(frames):
    failed = {name: list(frame["message"]) for name, frame in frames.items() if frame["message"].any()}
    assert failed == {}
    sections = {name: SECTIONS[name](frames) for name in NAMES}
    assert {name for name, section in sections.items() if section.verdicts[-1].outcome == "no data"} == {"tissue-genes"}
    assert list(sections["ablation"].tables[0][1]["switch"]) == ["as_released"]
    plt.close("all")
    released = frames["released-penalty"]
    assert released.loc[~released["gradient"].astype(bool), "identical"].all()
    assert not released.loc[released["gradient"].astype(bool), "identical"].any()
