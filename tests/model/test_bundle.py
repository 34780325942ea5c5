import dataclasses
import json
import os
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest

from scprism.errors import BundleError
from scprism.model.asked import Asked
from scprism.model.bundle import Bundle, load_bundle, save_bundle
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.prepare.recipe import Recipe

SUMMARY = {
    "seed": 0,
    "n_cells": 9,
    "best_epoch": 2,
    "validation_loss": 1 / 3,
    "test_loss": 1 / 3,
    "n_train": 7,
    "n_validation": 1,
    "n_test": 1,
    "n_epochs": 2,
    "seconds": 0.5,
    "data_fingerprint": "beef",
    "unseen_cells": ["0123456789ab"],
    "threads": 1,
    "versions": {"torch": "2"},
}


@pytest.fixture(params=["multinomial", "negative_binomial"])
def bundle(request, rng):
    config = Config(hidden_size=5, bottleneck_size=3, likelihood=request.param)
    weights = to_weights(build_autoencoder(config, n_genes=4, rng=rng))
    moments = {name: rng.random(4) for name in ("mean", "spread", "share")}
    recipe = Recipe(("a", "b", "c", "d"), "mouse", "per_cell", 1e4, "recipe", "refuse", n_cells=9, **moments)
    columns = ("train_loss", "validation_loss", "penalty", "seconds")
    log = pd.DataFrame({"epoch": [1, 2], **{name: [0.1 + 0.2, 1 / 3] for name in columns}})
    asked = Asked(preset="paper", settings={"genes": ("a", "b"), "hidden_size": 5}, layer="counts", seed=3)
    trials = pd.DataFrame({"trial": [0, 1], "state": ["complete", "diverged"], "validation_loss": [1 / 3, np.nan]})
    return Bundle(config, recipe, weights, log, SUMMARY, asked, ("Few genes.",), trials)


@pytest.fixture
def folder(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "model")
    return tmp_path / "model"


def test_everything_comes_back_to_the_bit(bundle, folder):
    again = load_bundle(folder)
    assert again.weights.fingerprint() == bundle.weights.fingerprint()
    assert (again.weights.log_dispersion is None) == (bundle.config.likelihood == "multinomial")
    assert again.recipe.to_json() == bundle.recipe.to_json()
    assert (again.config, again.summary, again.asked) == (bundle.config, bundle.summary, bundle.asked)
    assert again.warnings == bundle.warnings
    pd.testing.assert_frame_equal(again.log, bundle.log, check_exact=True)
    pd.testing.assert_frame_equal(again.trials, bundle.trials, check_exact=True)


def test_the_folder_holds_the_three_files_of_the_design_and_the_trials(folder, bundle, tmp_path):
    assert sorted(p.name for p in folder.iterdir()) == ["log.csv", "model.json", "trials.csv", "weights.safetensors"]
    save_bundle(dataclasses.replace(bundle, trials=None), folder)
    assert sorted(p.name for p in folder.iterdir()) == ["log.csv", "model.json", "weights.safetensors"]
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_saving_again_gives_the_same_bytes(bundle, folder, tmp_path):
    save_bundle(bundle, tmp_path / "again")
    for name in ("model.json", "weights.safetensors", "log.csv"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_model_is_replaced_by_a_model(bundle, folder):
    save_bundle(bundle, folder)
    assert load_bundle(folder).summary == bundle.summary
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_folder_of_other_things_is_never_replaced(bundle, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(BundleError, match="exists and is not a model folder, so it is left alone"):
        save_bundle(bundle, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_a_write_that_fails_leaves_the_old_model(bundle, folder, monkeypatch):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_bundle(bundle, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def edit(folder, change):
    record = json.loads((folder / "model.json").read_text())
    change(record)
    (folder / "model.json").write_text(json.dumps(record))


def truncate_weights(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def flip_weight(folder):
    path = folder / "weights.safetensors"
    payload = bytearray(path.read_bytes())
    payload[-1] ^= 1
    path.write_bytes(bytes(payload))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(truncate_weights, "truncated or was edited: its checksum", id="truncated weights"),
        pytest.param(flip_weight, "truncated or was edited: its checksum", id="one bit of a weight"),
        pytest.param(lambda f: (f / "weights.safetensors").unlink(), "cannot be read", id="no weights"),
        pytest.param(lambda f: (f / "log.csv").unlink(), "cannot be used: .*log.csv", id="no log"),
        pytest.param(
            lambda f: (f / "model.json").write_text('{"format": "scpr'),
            "truncated or is not JSON",
            id="truncated record",
        ),
        pytest.param(
            lambda f: edit(f, lambda r: r["recipe"]["genes"].reverse()),
            "was edited after it was written",
            id="genes in another order",
        ),
        pytest.param(
            lambda f: edit(f, lambda r: r.update(schema_version=99)),
            "schema version 99, this scprism reads up to 2.* Upgrade",
            id="newer",
        ),
        pytest.param(
            lambda f: (f / "model.json").write_text('{"model": "other"}'), "was not written by scprism", id="foreign"
        ),
        pytest.param(lambda f: (f / "model.json").write_text("[1]"), "was not written by scprism", id="foreign list"),
        pytest.param(
            lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"), "truncated or is not JSON", id="binary"
        ),
        pytest.param(lambda f: shutil.rmtree(f), "is not a model folder", id="no folder"),
    ],
)
def test_damage_is_named(folder, damage, message):
    damage(folder)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def test_nothing_in_a_model_folder_can_run_code(folder, monkeypatch):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    (folder / "weights.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(BundleError, match="checksum"):
        load_bundle(folder)
    edit(folder, lambda r: r.update(weights_sha256=__import__("hashlib").sha256(pickle.dumps(Trap())).hexdigest()))
    with pytest.raises(BundleError):
        load_bundle(folder)


def test_weights_are_plain_safetensors(bundle, folder):
    from safetensors.numpy import load_file

    stored = load_file(folder / "weights.safetensors")
    np.testing.assert_array_equal(stored["hidden_weight"], bundle.weights.hidden_weight)
    assert len(stored) == 8 + (bundle.config.likelihood == "negative_binomial")


def test_saving_leaves_the_umask_alone_and_keeps_to_it(bundle, tmp_path, monkeypatch):
    beside = tmp_path / "beside"
    beside.mkdir()
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask is that of all threads"))
    save_bundle(bundle, tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode == beside.stat().st_mode
