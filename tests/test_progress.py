"""Progress: a bar in a terminal, a line a step where there is none, nothing where it is not wanted."""

import logging

import pytest

import scprism
from scprism._progress import bar, on_log
from scprism.cli.console import console, step_progress, training_progress
from scprism.read.synthetic import make_cells
from scprism.train.loop import EpochRecord


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture(autouse=True)
def _console():
    console.begin({}, quiet=False, verbose=False)
    yield
    console.begin({}, quiet=False, verbose=False)


def fit(**options):
    trainer = scprism.Prism(
        units="raw", genes="all", organism="human", hidden_size=8, max_epochs=3, device="cpu", rng=0
    )
    return trainer.fit(make_cells(rng=0), **options)


def test_fit_draws_its_epochs_when_asked_and_the_weights_are_the_same(terminal, capsys):
    epochs = []
    shown = fit(progress=True, on_epoch=lambda record: epochs.append(record.epoch))
    err = capsys.readouterr().err
    assert "training" in err
    assert "validation loss" in err
    assert "3/3" in err
    assert epochs == [1, 2, 3]
    assert fit().fingerprint == shown.fingerprint
    assert capsys.readouterr().err == ""


def test_nothing_is_drawn_without_a_terminal(capsys):
    with bar("work", 2) as advance:
        advance(1, "half")
    assert capsys.readouterr().err == ""


def test_the_bar_of_a_training_says_when_units_are_sought(terminal, capsys):
    with training_progress(5) as on_epoch:
        on_epoch(EpochRecord(epoch=4, train_loss=1.0, validation_loss=1.5, penalty=0.0, seconds=1.0))
        logging.getLogger("scprism").info("best epoch 4 of 5, test loss 1")
    assert "finding units" in capsys.readouterr().err


def test_steps_of_the_library_are_lines_without_a_terminal(capsys):
    logger = logging.getLogger("scprism")
    level = logger.level
    with step_progress("networks", 3, steps=("refit ",)):
        logger.info("refit %d of %d", 1, 2)
        logger.info("something else")
        logger.info("refit %d of %d", 2, 2)
    logger.info("refit %d of %d", 3, 2)
    assert capsys.readouterr().err.splitlines() == ["  refit 1 of 2", "  refit 2 of 2"]
    assert logger.level == level
    console.begin({}, quiet=True, verbose=False)
    with step_progress("networks", 3, steps=("refit ",)):
        logger.info("refit %d of %d", 1, 2)
    assert capsys.readouterr().err == ""


def test_messages_are_heard_in_the_block_alone():
    heard = []
    with on_log(heard.append):
        logging.getLogger("scprism").info("inside %s", "it")
    logging.getLogger("scprism").warning("outside")
    assert heard == ["inside it"]


def test_tune_draws_its_trials_when_asked(terminal, capsys):
    pytest.importorskip("optuna")
    from scprism.search.task import Search

    config = scprism.Config(hidden_size=8, bottleneck_size=3, search_epochs=1, final_epochs=1, max_epochs=1)
    trainer = scprism.Prism(config, units="raw", genes="all", organism="human", device="cpu", rng=0)
    told = []
    trainer.tune(
        make_cells(rng=0), search=Search(n_trials=2), on_trial=lambda number, _: told.append(number), progress=True
    )
    err = capsys.readouterr().err
    assert "trials" in err
    assert "2/2" in err
    assert told == [0, 1]
