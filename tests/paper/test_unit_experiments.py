"""One cell of each experiment about units, through the grid, and the section that is made of it."""

import matplotlib.pyplot as plt
import pytest

from scprism.paper.grid import frame_of, run_grid
from scprism.paper.registry import EXPERIMENTS, OF_UNITS
from scprism.paper.results import ResultStore

NAMES = tuple(experiment.name for experiment in OF_UNITS)


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
    results, max_cells = ResultStore(folder / "results.sqlite"), small_plan.scale.max_cells
    every = [cell for cells in chosen.values() for cell in cells]
    run_grid(every, EXPERIMENTS, results, folder=folder, max_cells=max_cells, jobs=1)
    return {name: frame_of(cells, EXPERIMENTS[name], results, max_cells=max_cells) for name, cells in chosen.items()}


def test_every_experiment_about_units_runs_and_has_its_section(frames):
    failed = {name: list(frame["message"]) for name, frame in frames.items() if frame["message"].any()}
    assert failed == {}
    sections = {name: EXPERIMENTS[name].section(frames) for name in NAMES}
    assert {name for name, section in sections.items() if section.verdicts[-1].outcome == "no data"} == {"tissue-genes"}
    assert list(sections["ablation"].tables[0][1]["switch"]) == ["as_released"]
    plt.close("all")
    released = frames["released-penalty"]
    assert released.loc[~released["gradient"].astype(bool), "identical"].all()
    assert not released.loc[released["gradient"].astype(bool), "identical"].any()
