"""A model on disk: weights in safetensors, everything else in JSON with a schema version, the log as CSV.

Nothing in a model folder is code, and nothing in it is unpickled.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import safetensors.numpy

from scprism._check import some
from scprism._files import MODEL_NAMES, exact_numbers, foreign_names
from scprism._text import parse_json
from scprism._warnings import warn
from scprism.errors import BundleError, InputError
from scprism.model.asked import Asked
from scprism.model.config import SETTINGS, Config
from scprism.model.record import (
    RECORD,
    TABLE,
    asked_in,
    check_log,
    checked,
    config_in,
    recipe_in,
    summary_in,
    weights_in,
)
from scprism.model.weights import Weights
from scprism.prepare.recipe import Recipe
from scprism.types import PathLike

__all__ = ["SCHEMA_VERSION", "Bundle", "check_target", "load_bundle", "save_bundle"]

SCHEMA_VERSION = 2
WEIGHTS_FILE, MODEL_FILE, LOG_FILE, TRIALS_FILE = "weights.safetensors", "model.json", "log.csv", "trials.csv"


@dataclass(frozen=True)
class Bundle:
    """All that a model folder holds.

    Attributes
    ----------
    config, recipe, weights
        How cells are prepared, and the network.
    log
        One row an epoch.
    summary
        Seeds, versions, fingerprint of the data, cell numbers and losses.
    asked
        What was asked for.
    warnings
        What was warned of during the training.
    trials
        The trials of a search, one row each; None if there was none.
    """

    config: Config
    recipe: Recipe
    weights: Weights
    log: pd.DataFrame
    summary: dict[str, Any]
    asked: Asked = field(default_factory=Asked)
    warnings: tuple[str, ...] = ()
    trials: pd.DataFrame | None = None


def save_bundle(bundle: Bundle, folder: PathLike, *, add: Callable[[Path], None] = lambda _: None) -> None:
    """Write a model folder; an older model of the same name is replaced only when the new one is complete.

    Parameters
    ----------
    bundle
        What to write.
    folder
        Where.
    add
        Called with the folder that is being written, to add files of its own.

    Raises
    ------
    BundleError
        If the path exists and is not a model folder: nothing else is ever overwritten.
    """
    target = Path(folder)
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    scratch.mkdir()
    try:
        arrays, betas = _split_weights(bundle.weights)
        payload = safetensors.numpy.save(arrays)
        (scratch / WEIGHTS_FILE).write_bytes(payload)
        record = {
            "format": "scprism model",
            "schema_version": SCHEMA_VERSION,
            "asked": asdict(bundle.asked),
            "config": bundle.config.to_json(),
            "recipe": bundle.recipe.to_json(),
            "betas": betas,
            "summary": bundle.summary,
            "warnings": list(bundle.warnings),
            "weights_sha256": hashlib.sha256(payload).hexdigest(),
        }
        record["record_sha256"] = _record_hash(record)
        (scratch / MODEL_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        bundle.log.to_csv(scratch / LOG_FILE, index=False)
        if bundle.trials is not None:
            bundle.trials.to_csv(scratch / TRIALS_FILE, index=False)
        add(scratch)
        _replace_folder(target, scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def check_target(target: Path) -> None:
    """Raise `BundleError` if the path holds anything but a model or nothing."""
    if target.is_dir() and _is_model(target) and (foreign := foreign_names(target, MODEL_NAMES)):
        msg = (
            f"{str(target)!r} is a model folder that also holds {some(foreign)}, so it is not replaced. Choose another"
        )
        raise BundleError(f"{msg} place for the model, or move these files.")
    if target.exists() and not (target.is_dir() and (_is_model(target) or not any(target.iterdir()))):
        msg = (
            f"{str(target)!r} exists and is not a model folder, so it is left alone. Choose another place for "
            f"the model."
        )
        raise BundleError(msg)


def load_bundle(folder: PathLike) -> Bundle:
    """Return the model in a folder, after every field and every array of it was checked.

    Models of schema 1 did not keep which layer their counts were in: they are read as models of ``X``, with a warning.

    Raises
    ------
    BundleError
        If the folder is missing, not a model, truncated, edited, or written by a newer scprism.
    """
    source = Path(folder)
    record = _read_record(source)
    payload = _read_bytes(source / WEIGHTS_FILE)
    if hashlib.sha256(payload).hexdigest() != record["weights_sha256"]:
        msg = f"{str(source / WEIGHTS_FILE)!r} is truncated or was edited: its checksum is not the one in {MODEL_FILE}."
        raise BundleError(f"{msg} Copy the whole folder again, or train the model again.")
    try:
        config = config_in(record["config"])
        recipe = recipe_in(record["recipe"], config)
        arrays = safetensors.numpy.load(payload)
        weights = weights_in(arrays, record["betas"], config=config, n_genes=len(recipe.genes))
        log = check_log(_read_table(source / LOG_FILE))
        trials = _read_table(source / TRIALS_FILE) if (source / TRIALS_FILE).is_file() else None
        summary, asked = summary_in(record["summary"]), asked_in(record["asked"])
    except (OSError, ValueError, TypeError, safetensors.SafetensorError) as error:
        msg = f"The model in {str(source)!r} cannot be used: {str(error).rstrip('.')}."
        raise BundleError(f"{msg} Copy the whole folder again, or train the model again (scprism fit).") from error
    return Bundle(config, recipe, weights, log, summary, asked, tuple(record["warnings"]), trials)


def _read_table(path: Path) -> pd.DataFrame:
    log: pd.DataFrame = pd.read_csv(path, **exact_numbers())
    return log


def _read_record(source: Path) -> dict[str, Any]:
    if not source.is_dir() or not (source / MODEL_FILE).is_file():
        msg = (
            f"{str(source)!r} is not a model folder: it has no {MODEL_FILE}. Give the folder that `scprism fit "
            f"--out` wrote."
        )
        raise BundleError(msg)
    name = str(source / MODEL_FILE)
    try:
        record = parse_json(_read_bytes(source / MODEL_FILE))
    except ValueError as error:
        msg = f"{name!r} is truncated or is not JSON ({error}). Copy the whole folder again."
        raise BundleError(msg) from error
    if not isinstance(record, dict) or record.get("format") != "scprism model":
        msg = f"{name!r} was not written by scprism: it does not say format 'scprism model'."
        raise BundleError(msg)
    version = record.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        msg = f"{name!r} must say a schema version from 1 to {SCHEMA_VERSION}, got {version!r}."
        raise BundleError(f"{msg} Copy the whole folder again, or train the model again (scprism fit).")
    if version > SCHEMA_VERSION:
        msg = f"The model in {str(source)!r} has schema version {version}, this scprism reads up to {SCHEMA_VERSION}."
        raise BundleError(f"{msg} Upgrade: pip install --upgrade scprism")
    if record.get("record_sha256") != _record_hash(record):
        msg = f"{name!r} was edited after it was written: its checksum does not fit."
        raise BundleError(f"{msg} Models are not changed by hand; train again with other settings.")
    try:
        return checked(_of_this_schema(record), RECORD, where=name)
    except InputError as error:
        msg = f"{error}. Copy the whole folder again, or train the model again (scprism fit)."
        raise BundleError(msg) from error


def _of_this_schema(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of an older schema as one of this schema."""
    if record["schema_version"] != 1:
        return record
    tables = ("recipe", "summary", "betas")
    checked({name: record.get(name) for name in tables}, dict.fromkeys(tables, TABLE), where="the record")
    warn(
        "This model was saved by an earlier scprism, which did not keep where its counts were: they are looked for in "
        "X. Name the layer if they were in one (`layer`)."
    )
    asked = Asked(
        preset=record.get("preset", "custom"),
        organism=record["recipe"].get("organism"),
        seed=record["summary"].get("seed"),
    )
    rest = {name: value for name, value in record.items() if name != "preset"}
    betas = {name: value for name, value in record["betas"].items() if name != "log_dispersion"}
    if isinstance(rest.get("config"), dict) and set(rest["config"]) == set(SETTINGS):
        rest["config"] = Config.from_json(rest["config"]).to_json()
    return {**rest, "betas": betas, "asked": asdict(asked), "warnings": []}


def _record_hash(record: dict[str, Any]) -> str:
    content = {k: v for k, v in record.items() if k != "record_sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _split_weights(weights: Weights) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
    arrays, betas = {}, {}
    for part in fields(weights):
        value = getattr(weights, part.name)
        if isinstance(value, np.ndarray):
            arrays[part.name] = np.ascontiguousarray(value)
        elif part.name.endswith("_beta"):
            betas[part.name] = value
    return arrays, betas


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{str(path)!r} cannot be read ({error.strerror}). Copy the whole model folder again."
        raise BundleError(msg) from error


def _replace_folder(target: Path, replacement: Path) -> None:
    if not target.exists():
        replacement.rename(target)
        return
    old = replacement.with_name(f"{replacement.name}.old")
    target.rename(old)
    replacement.rename(target)
    shutil.rmtree(old)


def _is_model(folder: Path) -> bool:
    return (folder / MODEL_FILE).is_file()
