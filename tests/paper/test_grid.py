import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import scprism
from scprism.errors import InputError
from scprism.paper.grid import failures, frame_of, run_grid
from scprism.paper.plan import Cell, Experiment
from scprism.paper.results import ResultStore
from scprism.paper.section import Section


def squared(cell, store):
    number = cell.settings["number"]
    with (store.folder / "runs.txt").open("a") as file:
        file.write(f"{number}\n")
    if number == 3:
        raise InputError("three is refused")
    return [{"square": number**2, "process": os.getpid()}]


SQUARES = {"squares": Experiment("squares", "Squares", lambda _: [], squared, lambda _: Section(""))}
CELLS = [Cell("squares", {"number": n}) for n in range(5)]


def runs(folder):
    return sorted(int(line) for line in (folder / "runs.txt").read_text().split())


def test_cells_are_computed_once_and_refusals_are_results(tmp_path):
    results = ResultStore(tmp_path / "results.sqlite")
    states = []
    run_grid(CELLS, SQUARES, results, folder=tmp_path, max_cells=10, jobs=1, on_progress=states.append)
    frame = frame_of(CELLS, SQUARES["squares"], results, max_cells=10)
    assert frame["number"].tolist() == [0, 1, 2, 3, 4]
    assert frame["square"].dropna().tolist() == [0, 1, 4, 16]
    assert frame.set_index("number").loc[3, "message"] == "three is refused"
    assert (states[-1].n_done, states[-1].n_steps, states[-1].seconds_left) == (5, 5, 0)
    assert set(frame["process"].dropna()) == {os.getpid()}

    run_grid(CELLS, SQUARES, results, folder=tmp_path, max_cells=10, jobs=2)
    assert runs(tmp_path) == [0, 1, 2, 3, 4]
    failed = failures(CELLS, SQUARES, results, max_cells=10)
    assert failed.to_dict("records") == [{"experiment": "squares", "settings": "3", "message": "three is refused"}]


@pytest.mark.slow
def test_several_jobs_are_processes_of_their_own(tmp_path):
    results = ResultStore(tmp_path / "results.sqlite")
    run_grid(CELLS[:3], SQUARES, results, folder=tmp_path, max_cells=10, jobs=2)
    frame = frame_of(CELLS, SQUARES["squares"], results, max_cells=10)
    assert frame["square"].tolist() == [0, 1, 4]
    assert os.getpid() not in set(frame["process"])


def test_a_new_version_of_an_experiment_is_computed_anew(tmp_path):
    results = ResultStore(tmp_path / "results.sqlite")
    run_grid(CELLS[:1], SQUARES, results, folder=tmp_path, max_cells=10, jobs=1)
    newer = {"squares": replace(SQUARES["squares"], version=2)}
    run_grid(CELLS[:1], newer, results, folder=tmp_path, max_cells=10, jobs=1)
    assert runs(tmp_path) == [0, 0]


def test_a_file_that_holds_no_results_is_left_alone(tmp_path):
    path = tmp_path / "results.sqlite"
    path.write_text("my notes, long enough to be no empty database " * 20)
    with pytest.raises(InputError, match="holds no results"):
        ResultStore(path)
    assert path.read_text().startswith("my notes")


SLOW = """
import sys, time
from pathlib import Path
from scprism.paper.grid import frame_of, run_grid
from scprism.paper.plan import Cell, Experiment
from scprism.paper.results import ResultStore
from scprism.paper.section import Section

def slow(cell, store):
    (store.folder / f"started-{cell.settings['number']}").touch()
    time.sleep(0.05 if cell.settings["number"] < 2 or (store.folder / "quick").exists() else 60)
    return [{"number": cell.settings["number"]}]

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    cells = [Cell("slow", {"number": n}) for n in range(4)]
    slow_one = {"slow": Experiment("slow", "", lambda _: [], slow, lambda _: Section(""))}
    results = ResultStore(folder / "results.sqlite")
    run_grid(cells, slow_one, results, folder=folder, max_cells=1, jobs=2)
    print(len(frame_of(cells, slow_one["slow"], results, max_cells=1)))
"""


@pytest.mark.slow
def test_a_killed_grid_leaves_no_process_and_goes_on_where_it_was(tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    environment = {**os.environ, "PYTHONPATH": str(Path(scprism.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, script, tmp_path], env=environment)
    wait_for(lambda: all((tmp_path / f"started-{n}").exists() for n in (2, 3)))
    children = children_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(is_running(child) for child in children))

    (tmp_path / "quick").touch()
    (tmp_path / "started-0").unlink()
    again = subprocess.run(
        [sys.executable, script, tmp_path], env=environment, capture_output=True, text=True, check=True
    )
    assert again.stdout.strip() == "4"
    assert not (tmp_path / "started-0").exists()


def children_of(pid):
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def is_running(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().split(")")[1].split()[0] != "Z"


def wait_for(condition):
    for _ in range(900):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not come about within 90 s")
