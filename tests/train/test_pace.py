import time

import numpy as np
import pytest
from scipy import sparse

from scprism.estimator.prism import Prism
from scprism.model.network import build_autoencoder
from scprism.model.presets import PRESETS
from scprism.read.synthetic import make_cells
from scprism.train.batches import TrainingCells
from scprism.train.loop import train_model
from scprism.train.pace import Pace, measure_pace


def cells_of(n_cells, n_genes=500):
    counts = np.random.default_rng(0).poisson(0.5, size=(n_cells, n_genes)).astype(np.float32)
    inputs = sparse.csr_matrix(np.log1p(counts))
    return TrainingCells(inputs, inputs)


def test_an_estimate_says_how_long_the_training_takes():
    pace = Pace(n_steps=950, epoch_seconds=0.284, max_epochs=500)
    told = "training takes at most about 2.4 min: 500 epochs of 950 steps, an epoch in 0.28 s; less if the loss"
    assert str(pace).startswith(told)
    assert "about 47 min:" in str(Pace(950, 5.64, 500))
    assert "about 6.9 h:" in str(Pace(950, 50.0, 500))


@pytest.mark.parametrize(("preset", "n_steps"), [("paper", 950), ("as_released", 950), ("default", 17)])
def test_the_estimate_is_what_the_training_then_takes(preset, n_steps):
    config = PRESETS[preset].changed(max_epochs=4, check_every=1, patience=9)
    if preset == "default":
        config = config.changed(likelihood="poisson")
    cells = cells_of(1000)
    pace = measure_pace(cells, config=config)
    rng = np.random.default_rng(1)
    start = time.perf_counter()
    train_model(build_autoencoder(config, n_genes=500, rng=rng), cells, config=config, rng=rng)
    seconds = time.perf_counter() - start
    assert (pace.n_steps, pace.max_epochs) == (n_steps, 4)
    assert seconds / 5 < 4 * pace.epoch_seconds < 5 * seconds  # beside whatever else the machine does


def test_the_estimate_comes_before_the_first_epoch_and_changes_no_weight():
    cells, seen = make_cells(rng=0), []
    trainer = Prism("paper", genes="all", organism="human", max_epochs=2, device="cpu", rng=0)
    model = trainer.fit(cells, on_pace=seen.append, on_epoch=lambda record: seen.append(record.epoch))
    assert [type(entry) for entry in seen] == [Pace, int, int]
    assert seen[0].n_steps == 285
    assert model.weights.fingerprint() == trainer.fit(cells).weights.fingerprint()
