import dataclasses

import numpy as np
import pytest
from scipy import sparse

from scprism.errors import InputError
from scprism.model.presets import PRESETS
from scprism.prepare.recipe import Recipe
from scprism.train.batches import TrainingCells
from scprism.train.fit import fit_network
from scprism.train.tune import SPACES, Search, tune_network

CONFIG = dataclasses.replace(PRESETS["paper"], search_epochs=2, final_epochs=3, batch_size=16, check_every=1)


@pytest.fixture(scope="module")
def prepared():
    counts = np.random.default_rng(0).poisson(2.0, size=(40, 12)).astype(np.float32)
    inputs = sparse.csr_matrix(np.log1p(counts))
    nothing = np.zeros(12)
    genes = tuple(f"gene_{i}" for i in range(12))
    recipe = Recipe(genes, None, "per_cell", 1e6, "all", "refuse", nothing, nothing, nothing, 40)
    return recipe, TrainingCells(inputs, inputs)


def test_spaces_are_those_of_the_paper():
    simple = {
        "learning_rate": (1e-5, 1e-3),
        "penalty_weight": (1e-25, 1e-5),
        "hidden_size": (50, 140),
        "bottleneck_size": (35, 75),
    }
    assert SPACES["simple"] == simple
    assert SPACES["complex"] == {**simple, "l1_weight": (1e-25, 1e-5), "weight_decay": (1e-25, 1e-5)}


def test_scores_are_the_held_out_losses_after_the_trials_epochs(prepared):
    # rows 8 and 9: so many trials of so many epochs, then further epochs with the best settings
    recipe, cells = prepared
    fitted, best, table = tune_network(recipe, cells, config=CONFIG, search=Search(n_trials=3), seed=0)
    assert len(table) == 3
    winner = table.loc[table["value"].idxmin()]
    assert best.hidden_size == winner["params_hidden_size"]
    assert best.max_epochs == 2 + 3
    trial = dataclasses.replace(best, max_epochs=2, patience=2)
    log = fit_network(recipe, cells, config=trial, rng=0).log
    assert log["validation_loss"].iloc[-1] == winner["value"]
    # the final training repeats the trial bit for bit and goes on from there
    assert fitted.log["train_loss"].iloc[:2].tolist() == log["train_loss"].tolist()


def test_an_interrupted_study_goes_on(prepared, tmp_path):
    recipe, cells = prepared
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    search = Search(n_trials=2, storage=storage)
    tune_network(recipe, cells, config=CONFIG, search=search, seed=0)
    with pytest.raises(InputError, match="already holds a simple study. Go on with it"):
        tune_network(recipe, cells, config=CONFIG, search=search, seed=0)
    longer = dataclasses.replace(search, n_trials=3, resume=True)
    _, _, table = tune_network(recipe, cells, config=CONFIG, search=longer, seed=0)
    assert table["number"].tolist() == [0, 1, 2]
