"""Runs that are really killed, and what they leave."""

import dataclasses
import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from scprism.errors import BundleError, InputError, PrismWarning, TrainingError
from scprism.model.config import Config
from scprism.prepare.recipe import Recipe
from scprism.train import loop
from scprism.train.batches import TrainingCells
from scprism.train.checkpoint import Checkpoint
from scprism.train.fit import fit_network

CONFIG = dataclasses.replace(
    Config(), hidden_size=8, bottleneck_size=3, max_epochs=12, patience=50, batch_size=16, penalty_weight=0.1
)
COMPILED = {"optimiser": "sgd", "batch_size": 1, "input_dropout": 0.0, "gene_dropout": 0.0, "weight_decay": 1e-3}
N_GENES = 15

CHILD = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started deaf to it
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_checkpoint import CONFIG, prepared
from scprism.train.checkpoint import Checkpoint
from scprism.train.fit import fit_network
def slow(record):
    print(record.epoch, flush=True)
    time.sleep(0.05)
recipe, cells = prepared()
checkpoint = Checkpoint(Path(sys.argv[1]), every_seconds=0)
fit_network(recipe, cells, config=CONFIG, rng=0, device="cpu", on_epoch=slow, checkpoint=checkpoint)
"""


def prepared(seed=0, *, config=CONFIG):
    counts = np.random.default_rng(seed).poisson(0.5, size=(80, N_GENES)).astype(np.float32)
    matrix = sparse.csr_matrix(counts)
    nothing = np.zeros(N_GENES)
    genes = tuple(f"gene_{i}" for i in range(N_GENES))
    recipe = Recipe(genes, None, "per_cell", 1e4, "recipe", "refuse", nothing, nothing, nothing, 80)
    inputs = matrix.log1p()
    return recipe, TrainingCells(inputs, matrix if config.counts_as_targets else inputs)


class Stop(BaseException):
    """What Ctrl-C is: no `Exception`."""


def fit(config=CONFIG, *, rng=0, seed=0, **options):
    recipe, cells = prepared(seed, config=config)
    return fit_network(recipe, cells, config=config, rng=rng, device="cpu", **options)


def interrupted(path, config=CONFIG, *, after=5, rng=0):
    def stop(record):
        if record.epoch == after:
            raise Stop

    with pytest.raises(Stop):
        fit(config, rng=rng, on_epoch=stop, checkpoint=Checkpoint(path, every_seconds=0))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="adam"),
        pytest.param({"optimiser": "sgd", "penalty": "hard"}, id="sgd, hard"),
        pytest.param({"optimiser": "sgd", "momentum": 0.0, "patience": 3, "learning_rate": 1e-30}, id="stops early"),
        pytest.param({"likelihood": "poisson", **COMPILED}, id="sgd, compiled"),
    ],
)
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, changes):
    config = dataclasses.replace(CONFIG, **changes)
    whole = fit(config)
    interrupted(tmp_path / "c", config, after=2)
    seen = []
    resumed = fit(config, on_epoch=lambda r: seen.append(r.epoch), checkpoint=Checkpoint(tmp_path / "c", resume=True))
    assert resumed.weights.fingerprint() == whole.weights.fingerprint()
    columns = ["epoch", "train_loss", "validation_loss", "penalty"]
    assert resumed.log[columns].equals(whole.log[columns])
    assert seen == list(range(3, len(whole.log) + 1))
    assert {**resumed.summary, "seconds": 0} == {**whole.summary, "seconds": 0}


def test_without_a_seed_too_a_resumed_run_keeps_its_split_and_goes_on(tmp_path):
    generator = np.random.default_rng(7)
    whole = fit(rng=generator)
    interrupted(tmp_path / "c", rng=np.random.default_rng(7))
    resumed = fit(rng=np.random.default_rng(99), checkpoint=Checkpoint(tmp_path / "c", resume=True))
    assert resumed.weights.fingerprint() == whole.weights.fingerprint()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_killed_process_is_resumed_bit_for_bit(tmp_path, how):
    path = tmp_path / "c"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(tests=str(Path(__file__).parent)), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    while child.stdout.readline().strip() != "4":
        assert child.poll() is None, child.stderr.read()
    child.send_signal(how)
    child.communicate(timeout=60)
    assert child.returncode != 0
    seen = []
    resumed = fit(on_epoch=lambda r: seen.append(r.epoch), checkpoint=Checkpoint(path, resume=True))
    assert 4 < seen[0] < 12
    assert resumed.weights.fingerprint() == fit().weights.fingerprint()


def test_a_full_disk_keeps_the_checkpoint_before_it(tmp_path, monkeypatch):
    interrupted(tmp_path / "c", after=3)
    before = (tmp_path / "c").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(TrainingError, match=r"cannot be written \(No space left on device\).*Make room.*--resume"):
            fit(checkpoint=Checkpoint(tmp_path / "c", resume=True, every_seconds=0))
    assert (tmp_path / "c").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, "is of another run .*data: "),
        ({"rng": 1}, r"is of another run \(seed: 0 there, 1 here\)"),
        ({"config": dataclasses.replace(CONFIG, batch_size=7)}, r"\(batch_size: 16 there, 7 here\)"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, options, message):
    interrupted(tmp_path / "c")
    with pytest.raises(InputError, match=message):
        fit(checkpoint=Checkpoint(tmp_path / "c", resume=True), **options)


def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    interrupted(tmp_path / "c")
    monkeypatch.setattr("scprism.train.fit.__version__", "99")
    with pytest.raises(InputError, match="scprism: .* there, '99' here"):
        fit(checkpoint=Checkpoint(tmp_path / "c", resume=True))


def test_other_threads_are_warned_of(tmp_path, monkeypatch):
    interrupted(tmp_path / "c")
    monkeypatch.setattr("scprism.train.fit.torch.get_num_threads", lambda: 99)
    with pytest.warns(PrismWarning, match="threads: .* there, 99 here.*not be those of an uninterrupted run"):
        fit(checkpoint=Checkpoint(tmp_path / "c", resume=True))


def test_a_forgotten_checkpoint_is_not_overwritten(tmp_path):
    interrupted(tmp_path / "c")
    with pytest.raises(InputError, match="checkpoint of a training that was interrupted. Go on with it"):
        fit(checkpoint=Checkpoint(tmp_path / "c"))


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "c").write_bytes(b"not a checkpoint")
    with pytest.raises(BundleError, match="cannot be read .* Delete it to begin anew"):
        fit(checkpoint=Checkpoint(tmp_path / "c", resume=True))


def test_after_an_exploding_loss_training_goes_on_from_the_epochs_before_at_a_lower_rate(tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, optimiser="sgd", learning_rate=0.01)
    losses = []

    def explode(*arguments, **options):
        losses.append(loss := loop.batch_loss_before(*arguments, **options))
        return float("nan") if len(losses) == 3 else loss

    monkeypatch.setattr(loop, "batch_loss_before", loop.batch_loss, raising=False)
    monkeypatch.setattr(loop, "batch_loss", explode)
    with pytest.raises(
        TrainingError, match=r"Training stopped in epoch 3: the loss became nan.*--resume takes another"
    ):
        fit(config, checkpoint=Checkpoint(tmp_path / "c", every_seconds=0))
    lower = dataclasses.replace(config, learning_rate=0.001)
    seen = []
    with pytest.warns(PrismWarning, match="learning_rate: 0.01 there, 0.001 here"):
        fit(lower, on_epoch=lambda r: seen.append(r.epoch), checkpoint=Checkpoint(tmp_path / "c", resume=True))
    assert seen[0] == 3


def test_checkpoints_come_at_their_interval(tmp_path):
    times = []

    def watch(record):
        path = tmp_path / "c"
        times.append(path.stat().st_mtime_ns if path.exists() else 0)
        time.sleep(0.02)

    fit(on_epoch=watch, checkpoint=Checkpoint(tmp_path / "c", every_seconds=3600))
    assert len(set(times)) == 1
    assert times[0] > 0
