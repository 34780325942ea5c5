import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from scipy import sparse

from scprism.errors import InputError, TrainingError
from scprism.model.network import build_autoencoder
from scprism.model.presets import PRESETS
from scprism.prepare.recipe import Recipe
from scprism.search.search import Search, best_settings, tune_network
from scprism.search.space import SPACES, STARTS, Span
from scprism.search.study import trials_table
from scprism.search.task import Task
from scprism.search.trials import expected_fall, open_task, run_trials, rung_of
from scprism.search.workers import load_task, save_task
from scprism.train.batches import TrainingCells, split_cells
from scprism.train.fit import fit_network

CONFIG = dataclasses.replace(PRESETS["paper"], search_epochs=2, final_epochs=3, batch_size=16, check_every=1)
MEASURED = ["validation_loss", "learning_rate", "hidden_size"]
SIMPLE = {
    "learning_rate": (1e-5, 1e-3, "log"),
    "penalty_weight": (1e-25, 1e-5, "log"),
    "hidden_size": (50, 140, "even"),
    "bottleneck_size": (35, 75, "even"),
}


@pytest.fixture(scope="module")
def prepared():
    counts = np.random.default_rng(0).poisson(2.0, size=(40, 12)).astype(np.float32)
    inputs = sparse.csr_matrix(np.log1p(counts))
    nothing = np.zeros(12)
    genes = tuple(f"gene_{i}" for i in range(12))
    recipe = Recipe(genes, None, "per_cell", 1e6, "all", "refuse", nothing, nothing, nothing, 40)
    return recipe, TrainingCells(inputs, inputs)


def tuned(prepared, config=CONFIG, *, seed=0, **search):
    return tune_network(*prepared, config=config, search=Search(**search), seed=seed)


def test_spaces_are_those_of_the_paper():
    assert SPACES["simple"] == SIMPLE
    assert SPACES["complex"] == {
        **SIMPLE,
        "l1_weight": (1e-25, 1e-5, "log"),
        "weight_decay": (1e-25, 1e-5, "log"),
    }


def test_presets_search_as_the_paper_says_and_as_we_found_best():
    paper, ours = (Search().resolved(PRESETS[name]) for name in ("paper", "default"))
    assert (paper.space, paper.stopping, paper.n_trials) == ("simple", "none", 40)
    assert (ours.space, ours.stopping, ours.n_trials) == ("effective", "none", 40)
    assert (PRESETS["paper"].search_epochs, PRESETS["default"].search_epochs) == (100, 100)


def test_halving_takes_fifteen_trials_unless_told_otherwise():
    quick, config = Search(stopping="halving"), PRESETS["default"]
    assert quick.resolved(config).n_trials == 15
    assert dataclasses.replace(quick, n_trials=5).resolved(config).n_trials == 5
    told = dataclasses.replace(config, search_stopping="halving", search_trials=60)
    assert (Search().resolved(told).stopping, Search().resolved(told).n_trials) == ("halving", 60)
    assert rung_of(config) == 33


def test_scores_are_the_held_out_losses_after_the_trials_epochs(prepared):
    # rows 8 and 9: so many trials of so many epochs, then further epochs with the best settings
    recipe, cells = prepared
    fitted, best, table = tuned(prepared, n_trials=3)
    assert table["epochs"].tolist() == [2, 2, 2]
    winner = table.loc[table["validation_loss"].idxmin()]
    assert best.hidden_size == winner["hidden_size"]
    assert best.max_epochs == 2 + 3
    trial = dataclasses.replace(best, max_epochs=2, patience=2)
    log = fit_network(recipe, cells, config=trial, rng=0).log
    assert log["validation_loss"].iloc[-1] == winner["validation_loss"]
    # the final training repeats the trial bit for bit and goes on from there
    assert fitted.log["train_loss"].iloc[:2].tolist() == log["train_loss"].tolist()


@pytest.mark.parametrize("stopping", ["none", "halving"])
def test_a_search_in_two_parts_proposes_what_one_in_one_part_does(prepared, tmp_path, stopping):
    # beyond the tenth trial proposals come from the model of the former ones
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    tuned(prepared, n_trials=2, storage=storage, stopping=stopping)
    with pytest.raises(InputError, match="already holds the study 'simple'. Go on with it"):
        tuned(prepared, n_trials=12, storage=storage, stopping=stopping)
    _, _, parts = tuned(prepared, n_trials=12, storage=storage, stopping=stopping, resume=True)
    _, _, whole = tuned(prepared, n_trials=12, stopping=stopping)
    pd.testing.assert_frame_equal(parts.drop(columns="seconds"), whole.drop(columns="seconds"))
    assert len(whole.drop_duplicates(["learning_rate", "hidden_size", "bottleneck_size", "penalty_weight"])) == 12


# what a killed process leaves: its third trial begun, its settings drawn, no word of its end
KILLED = """
import os, signal, sys
from pathlib import Path
from scprism.search import trials
from scprism.search.workers import load_task

fit, n_fits = trials.fit_network, 0

def killed(*arguments, **options):
    global n_fits
    n_fits += 1
    if n_fits == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return fit(*arguments, **options)

trials.fit_network = killed
task = load_task(Path(sys.argv[1]))
trials.run_trials(trials.open_task(task, resume=False), task)
"""


def test_a_killed_trial_is_tried_again_and_counts_once(prepared, tmp_path):
    search = Search(n_trials=5, space="simple", stopping="none", storage=f"sqlite:///{tmp_path / 'study.db'}")
    task = Task(*prepared, CONFIG, search, 0)
    save_task(task, tmp_path)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    _, _, table = tune_network(*prepared, config=CONFIG, search=dataclasses.replace(search, resume=True), seed=0)
    _, _, whole = tuned(prepared, n_trials=5)
    # number 2 was killed; its settings were tried again as number 3, and nothing else changed
    assert table["trial"].tolist() == [0, 1, 3, 4, 5]
    trials = optuna.load_study(study_name="simple", storage=search.storage).trials
    assert trials[3].user_attrs["repeats"] == 2
    assert table[MEASURED].to_numpy().tolist() == whole[MEASURED].to_numpy().tolist()


def test_an_interrupted_trial_is_tried_again_in_the_same_process(prepared, monkeypatch):
    task = Task(*prepared, CONFIG, Search(n_trials=2).resolved(CONFIG), 0)
    study = open_task(task, resume=False)

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scprism.search.trials.fit_network", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_trials(study, task)
    run_trials(study, task)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert study.trials[0].params == study.trials[1].params
    assert study.trials[1].user_attrs["repeats"] == 0


@pytest.mark.parametrize("storage", ["sqlite:///", None])  # None: a journal file of its own
def test_two_processes_share_one_study_and_run_no_trial_too_many(prepared, tmp_path, storage):
    seen: list[int] = []
    _, _, table = tune_network(
        *prepared,
        config=CONFIG,
        search=Search(n_trials=9, jobs=2, storage=storage and f"{storage}{tmp_path / 'study.db'}"),
        seed=0,
        on_trial=lambda number, _: seen.append(number),
    )
    _, _, alone = tuned(prepared, n_trials=9)
    assert sorted(seen) == sorted(table["trial"]) == list(range(9))
    # the first ten trials are drawn by their numbers, whoever runs them: both give the same losses
    np.testing.assert_allclose(table["validation_loss"], alone["validation_loss"], rtol=1e-5)


def test_a_task_survives_its_files_and_its_cells_stay_on_disk(prepared, tmp_path):
    search = Search(space={"learning_rate": Span(1e-4, 1e-2)}, n_trials=3, stopping="halving")
    task = Task(*prepared, CONFIG, search, 7)
    save_task(task, tmp_path)
    loaded = load_task(tmp_path)
    assert loaded.context() == task.context()
    assert (loaded.search, loaded.seed, loaded.device) == (task.search, 7, "auto")
    assert loaded.cells.targets is loaded.cells.inputs
    np.testing.assert_array_equal(loaded.cells.inputs.toarray(), task.cells.inputs.toarray())
    assert not loaded.cells.inputs.data.flags.writeable  # a read-only map of the file, not a copy


def test_processes_that_all_end_early_are_reported_with_their_last_words(prepared, monkeypatch):
    def dying(folder: Path, number: int, n_jobs: int) -> "subprocess.Popen[bytes]":
        (folder / f"{number}.txt").write_text("Traceback\nMemoryError: none left\n")
        return subprocess.Popen(["true"])

    monkeypatch.setattr("scprism.search.workers._start", dying)
    with pytest.raises(TrainingError, match=r"All 2 processes of the search ended early \(MemoryError: none left\)"):
        tuned(prepared, n_trials=2, jobs=2)


def test_halving_stops_the_worse_and_trains_the_best_to_the_end(prepared):
    config = dataclasses.replace(CONFIG, search_epochs=14, learning_rate=1e-3)
    _, best, table = tuned(prepared, config, n_trials=20, stopping="halving", space={"learning_rate": Span(1e-6, 1e-2)})
    stopped = table[table["state"] == "stopped"]
    assert set(stopped["epochs"]) == {4}
    assert 0 < len(stopped) < 20
    complete = table[table["state"] == "complete"]
    assert best.learning_rate == complete.loc[complete["validation_loss"].idxmin(), "learning_rate"]
    # with one setting that decides alone, what is stopped would have ended worse
    assert stopped["validation_loss"].min() > complete["validation_loss"].min()
    assert stopped["learning_rate"].median() < best.learning_rate


@pytest.mark.parametrize(
    ("span", "first"), [(Span(1e-4, 1e-2), 1e-3), (Span(1e-2, 1.0), 1e-2), (Span(1e-6, 1e-5), 1e-5)]
)
def test_halving_begins_with_the_models_own_settings_as_far_as_the_spans_go(prepared, span, first):
    space = {"learning_rate": span, "hidden_size": Span(4, 20)}
    config = dataclasses.replace(CONFIG, hidden_size=10)
    _, _, table = tuned(prepared, config, n_trials=2, stopping="halving", space=space)
    assert table.loc[0, ["learning_rate", "hidden_size"]].tolist() == [pytest.approx(first), 10]
    assert table.loc[1, "hidden_size"] != 10


def test_halving_of_our_space_goes_on_with_settings_that_did_well_elsewhere(prepared):
    starts = STARTS["effective"]
    for settings in starts:
        assert list(settings) == list(SPACES["effective"])
        assert all(span.low <= settings[name] <= span.high for name, span in SPACES["effective"].items())
    config = dataclasses.replace(PRESETS["default"], search_epochs=3, final_epochs=1)
    _, _, table = tuned(prepared, config, n_trials=2 + len(starts), stopping="halving")
    pd.testing.assert_frame_equal(table.loc[1 : len(starts), list(starts[0])], pd.DataFrame(starts, index=range(1, 7)))
    _, _, thorough = tuned(prepared, config, n_trials=2)
    assert thorough.loc[1, "learning_rate"] != starts[0]["learning_rate"]


@pytest.mark.parametrize("n_before", [1, 4, 8])
def test_an_interrupted_quick_search_ends_as_one_that_was_not(prepared, n_before, monkeypatch):
    config = dataclasses.replace(PRESETS["default"], search_epochs=4)
    task = Task(*prepared, config, Search(stopping="halving", n_trials=10).resolved(config), 0)
    tables = []
    for is_interrupted in (False, True):
        study = open_task(task, resume=False)
        if is_interrupted:
            n_fits = 0

            def interrupted(*arguments, **options):
                nonlocal n_fits
                n_fits += 1
                if n_fits > n_before:
                    raise KeyboardInterrupt
                return fit_network(*arguments, **options)

            with monkeypatch.context() as patch:
                patch.setattr("scprism.search.trials.fit_network", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    run_trials(study, task)
            study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)  # killed before it had settings
        run_trials(study, task)
        tables.append(trials_table(study).drop(columns=["trial", "seconds"]))
    pd.testing.assert_frame_equal(*tables)


def test_halving_scores_a_trial_by_its_last_loss_not_by_its_lowest(prepared):
    # the best settings go on training, where what ends low does better than what was low at first
    config = dataclasses.replace(PRESETS["default"], search_epochs=30, final_epochs=1, patience=5)
    _, _, table = tuned(prepared, config, n_trials=1, stopping="halving", space={"learning_rate": Span(0.05, 0.1)})
    trial = dataclasses.replace(config, learning_rate=0.05, max_epochs=30, patience=30)
    losses = fit_network(*prepared, config=trial, rng=0).log["validation_loss"]
    assert table.loc[0, "validation_loss"] == losses.iloc[-1] > losses.min()
    assert table.loc[0, "epochs"] == 30


def test_a_stopped_trial_is_expected_to_fall_as_far_as_whole_ones_did_from_there():
    study = optuna.create_study()
    for value, curve, attributes in [
        (1.0, {4: 2.0, 12: 1.5}, {}),
        (2.5, {4: 3.0}, {}),  # ended before the second comparison
        (0.0, {4: 9.0, 12: 9.0}, {"ended": "stopped"}),
    ]:
        study.add_trial(optuna.create_trial(value=value, intermediate_values=curve, user_attrs=attributes))
    assert [expected_fall(study, n_epochs) for n_epochs in (4, 12, 36)] == [-0.75, -0.5, 0.0]


def test_the_search_never_looks_at_the_cells_of_the_report(prepared):
    recipe, cells = prepared
    config = dataclasses.replace(CONFIG, split=(0.7, 0.1, 0.2))
    generator = np.random.default_rng(0)
    build_autoencoder(config, n_genes=12, rng=generator)
    _, _, reported = split_cells(cells.n_cells, config.split, generator)
    other = cells.inputs.toarray()
    other[reported] *= 3
    changed = TrainingCells(sparse.csr_matrix(other), sparse.csr_matrix(other))
    first, _, table = tuned((recipe, cells), config, n_trials=2)
    second, _, same = tuned((recipe, changed), config, n_trials=2)
    assert first.summary["test_loss"] != second.summary["test_loss"]
    assert table["validation_loss"].tolist() == same["validation_loss"].tolist()


def test_a_trial_whose_loss_explodes_is_counted_and_never_the_best(prepared):
    config = dataclasses.replace(CONFIG, batch_size=8)
    space = {"learning_rate": Span(1e-4, 1e30)}
    _, best, table = tuned(prepared, config, n_trials=8, space=space)
    diverged = table[table["state"] == "diverged"]
    assert len(diverged) >= 3
    assert diverged["validation_loss"].isna().all()
    assert best.learning_rate == table.loc[table["validation_loss"].idxmin(), "learning_rate"]
    with pytest.raises(TrainingError, match="Every trial ended with an infinite loss"):
        best_settings(diverged, space)


def test_a_study_of_other_data_or_settings_is_refused(prepared, tmp_path):
    recipe, cells = prepared
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    tuned(prepared, n_trials=1, storage=storage)
    half = TrainingCells(cells.inputs[:20], cells.targets[:20])
    for other, changes, seed, what in [
        ((recipe, half), {}, 0, "data"),
        (prepared, {"batch_size": 8}, 0, "batch_size"),
        (prepared, {}, 1, "seed"),
    ]:
        with pytest.raises(
            InputError, match=f"The study 'simple' in sqlite.* was made with another {what}, so its loss"
        ):
            tuned(other, dataclasses.replace(CONFIG, **changes), seed=seed, n_trials=2, storage=storage, resume=True)
    _, _, table = tuned(prepared, seed=1, n_trials=1, storage=storage, study="another")
    assert len(table) == 1


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"storage": "nonsense://x"}, "storage 'nonsense://x' cannot be opened: .*Storages look like: sqlite:///"),
        ({"storage": "study.db"}, "storage 'study.db' cannot be opened"),
        ({"space": "efective"}, "`space` must be one of .*Closest: 'effective'"),
        ({"space": {"learning": Span(1e-3, 1e-2)}}, "'learning', which is not a setting with a number"),
        ({"space": {"learning_rate": Span(1e-2, 1e-3)}}, "'learning_rate' must go from low to high"),
        ({"space": {"weight_decay": Span(0.0, 1e-3)}}, "above 0 on a logarithmic scale"),
        ({"space": {}}, "nothing to search"),
        ({"stopping": "median"}, "`stopping` must be one of 'none', 'halving'"),
        ({"n_trials": 0}, "`n_trials` must be at least 1, got 0"),
        ({"jobs": 0}, "`jobs` must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_searched_is_refused(prepared, search, message):
    with pytest.raises(InputError, match=message):
        tuned(prepared, **{"n_trials": 1, **search})


def test_a_search_needs_a_whole_number_as_seed(prepared):
    with pytest.raises(InputError, match="needs a whole number as seed, such as rng=0, got None"):
        tuned(prepared, seed=None, n_trials=1)
