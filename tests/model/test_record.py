"""Every field of a model folder deleted or made wrong, every array of a wrong shape, type or value."""

import dataclasses
import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save

from scprism.errors import BundleError
from scprism.model.asked import Asked
from scprism.model.bundle import Bundle, load_bundle, save_bundle
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.prepare.recipe import Recipe

GENES = ("a", "b", "c", "d")
SUMMARY = {
    **dict.fromkeys(("seed", "n_cells", "best_epoch", "n_train", "n_validation", "n_test", "n_epochs", "threads"), 2),
    **dict.fromkeys(("validation_loss", "test_loss", "seconds"), 0.5),
    "data_fingerprint": "beef",
    "unseen_cells": ["0123456789ab"],
    "versions": {"torch": "2"},
}


@pytest.fixture(scope="module")
def bundle():
    rng = np.random.default_rng(0)
    config = Config(hidden_size=5, bottleneck_size=3, likelihood="negative_binomial")
    weights = to_weights(build_autoencoder(config, n_genes=4, rng=rng))
    moments = {name: rng.random(4) for name in ("mean", "spread", "share")}
    recipe = Recipe(GENES, "mouse", "per_cell", 1e4, "recipe", "refuse", n_cells=9, **moments)
    columns = ("epoch", "train_loss", "validation_loss", "penalty", "seconds")
    log = pd.DataFrame([dict.fromkeys(columns, row) for row in (1, 2)])
    return Bundle(config, recipe, weights, log, SUMMARY, Asked(settings={"hidden_size": 5}, seed=0))


@pytest.fixture
def folder(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "model")
    return tmp_path / "model"


def record_of(folder):
    return json.loads((folder / "model.json").read_text())


def write_record(folder, record):
    """Write a record whose checksum fits, as a faulty program might."""
    record = {name: value for name, value in record.items() if name != "record_sha256"}
    told = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps({**record, "record_sha256": told}))


def write_weights(folder, arrays):
    payload = save(arrays)
    (folder / "weights.safetensors").write_bytes(payload)
    write_record(folder, {**record_of(folder), "weights_sha256": hashlib.sha256(payload).hexdigest()})


def paths_in(record):
    """Every field of a record, and of the tables in it."""
    for name, value in record.items():
        yield (name,)
        if name in ("asked", "recipe", "betas", "summary"):
            yield from ((name, inner) for inner in value)
        if name == "config":
            for part, settings in value.items():
                yield (name, part)
                yield from ((name, part, inner) for inner in settings)


def changed(record, path, change):
    new = json.loads(json.dumps(record))
    table = new
    for name in path[:-1]:
        table = table[name]
    change(table, path[-1])
    return new


def refusal(folder, record):
    """The message with which a record is refused; None if it is taken."""
    write_record(folder, record)
    try:
        load_bundle(folder)
    except BundleError as error:
        return str(error)
    return None


def test_a_whole_record_is_taken(folder):
    assert refusal(folder, record_of(folder)) is None


def test_each_missing_field_is_named(folder):
    record = record_of(folder)
    missing = [path for path in paths_in(record) if path not in (("record_sha256",), ("format",), ("schema_version",))]
    assert len(missing) > 90
    for path in missing:
        message = refusal(folder, changed(record, path, lambda table, name: table.pop(name)))
        assert message is not None, path
        assert repr(path[-1]) in message, (path, message)
        assert "again" in message, (path, message)  # what to do


def test_each_unknown_field_is_named(folder):
    record = record_of(folder)
    tables = [(name,) for name in ("asked", "config", "recipe", "betas", "summary")]
    for path in [(), *tables, *(("config", part) for part in record["config"])]:
        message = refusal(folder, changed(record, (*path, "extra"), lambda table, name: table.update({name: 1})))
        assert message is not None, path
        assert "'extra'" in message, (path, message)


@pytest.mark.parametrize("wrong", [{"a": 1}, [[]], "bogus", -3, True, None, float("nan"), float("inf")], ids=repr)
def test_no_field_takes_a_value_of_any_other_kind(folder, wrong):
    record, taken = record_of(folder), []
    for path in paths_in(record):
        if path in (("record_sha256",), ("asked", "settings")) or may_be(path, wrong):
            continue
        message = refusal(folder, changed(record, path, lambda table, name: table.update({name: wrong})))
        names_it = path in (("format",), ("weights_sha256",)) or re.search(path[-1].replace("_", "[_ ]"), message or "")
        if not names_it:
            taken.append((path, message))
    assert not taken


def may_be(path, value):
    """Whether a field may be this, by its description."""
    names = {".".join(path), path[-1]}
    if value is None:
        return bool(
            names
            & {
                "layer",
                "organism",
                "asked.seed",
                "summary.seed",
                "stratify",
                "latent_beta",
                "output_beta",
                "asked.units",
                "asked.runs",
            }
        )
    if value == "bogus":
        return bool(names & {"layer", "genes", "data_fingerprint", "stratify"})
    if value is True:
        return path[-1] in ("penalty_gradient", "l1_gradient", "reshuffle", "adjust_denoised", "whiten_latent") or (
            path[-1] in ("standardise_latent", "first_unit_plain")
        )
    if value == -3:
        return path[-1] in ("seed", "validation_loss", "test_loss")
    return False


def test_an_array_of_another_shape_type_or_value_is_named(folder, bundle):
    arrays = load_file(folder / "weights.safetensors")
    assert set(arrays) == {f.name for f in dataclasses.fields(bundle.weights) if "beta" not in f.name}
    for name, array in arrays.items():
        not_a_number, infinite = array.copy(), array.copy()
        not_a_number.flat[0], infinite.flat[-1] = np.nan, -np.inf
        wrong = {
            "of length 1": array[:1],
            "transposed": np.ascontiguousarray(array.reshape(array.shape[::-1]))[:, None],
            "double": array.astype(np.float64),
            "whole": array.astype(np.int32),
            "NaN": not_a_number,
            "infinite": infinite,
        }
        for what, values in wrong.items():
            write_weights(folder, {**arrays, name: values})
            assert re.search(f"'{name}' of the weights .*again", refusal(folder, record_of(folder)) or ""), what
        write_weights(folder, {k: v for k, v in arrays.items() if k != name})
        with pytest.raises(BundleError, match=f"the file of weights lacks '{name}'"):
            load_bundle(folder)
    write_weights(folder, {**arrays, "surplus": arrays["hidden_bias"]})
    with pytest.raises(BundleError, match="the file of weights has 'surplus', which is unknown there"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema_version",), 0, "schema version from 1 to 2, got 0"),
        (("schema_version",), 1.0, "schema version from 1 to 2, got 1.0"),
        (("recipe", "genes"), ["a", "b", "b", "c"], "'genes' of 'recipe' must be a list of gene names"),
        (("recipe", "mean"), [0.0, 1.0], "'mean' of 'recipe' has 2 values for 4 genes"),
        (("recipe", "share"), [0.1, 0.1, float("nan"), 0.1], "'share' of 'recipe' must be a list of numbers from 0"),
        (("recipe", "normalise"), "none", "'normalise' is 'none' in 'recipe' and 'per_cell' in 'config'"),
        (("betas", "hidden_beta"), 2.0, "'hidden_beta' of 'betas' must be 1 by the settings, got 2.0"),
        (("config", "network", "hidden_size"), 6, r"'hidden_weight' of the weights must be float32 \(6, 4\)"),
        (("config", "network", "likelihood"), "multinomial", "the file of weights has 'log_dispersion'"),
        (("asked", "settings"), {"hiden_size": 5}, "'hiden_size' is not a setting .* Closest: 'hidden_size'"),
        (("asked", "preset"), "bogus", "'preset' of 'asked' must be one of 'default', 'paper'"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(folder, path, value, message):
    record = changed(record_of(folder), path, lambda table, name: table.update({name: value}))
    write_record(folder, record)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


@pytest.mark.parametrize(
    "text", ["", "epoch\n1\n", "epoch,train_loss,validation_loss,penalty,seconds\n1,x,2,3,4\n", "\x00"]
)
def test_a_log_that_is_none_is_refused(folder, text):
    (folder / "log.csv").write_text(text)
    with pytest.raises(BundleError, match="cannot be used"):
        load_bundle(folder)


def test_a_model_of_schema_1_is_read_with_a_word_on_its_layer(folder, bundle):
    record = record_of(folder)
    old = {name: value for name, value in record.items() if name not in ("asked", "warnings")}
    old["config"] = {name: value for part in record["config"].values() for name, value in part.items()}
    old["betas"]["log_dispersion"] = None  # as it stood there in models without one
    write_record(folder, {**old, "schema_version": 1, "preset": "custom"})
    with pytest.warns(UserWarning, match=r"earlier scprism, which .* looked for in X"):
        again = load_bundle(folder)
    assert again.asked == Asked(preset="custom", organism="mouse", seed=2)
    assert (again.config, again.weights.fingerprint()) == (bundle.config, bundle.weights.fingerprint())
