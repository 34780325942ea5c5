"""A model on disk: weights in safetensors, everything else in JSON with a schema version, the log as CSV.

Nothing in a model folder is code, and nothing in it is unpickled.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import safetensors.numpy

from scprism._check import some
from scprism._files import MODEL_NAMES, foreign_names
from scprism.errors import BundleError
from scprism.model.config import Config
from scprism.model.weights import Weights
from scprism.prepare.recipe import Recipe
from scprism.types import PathLike

__all__ = ["SCHEMA_VERSION", "Bundle", "check_target", "load_bundle", "save_bundle"]

SCHEMA_VERSION = 1
WEIGHTS_FILE, MODEL_FILE, LOG_FILE = "weights.safetensors", "model.json", "log.csv"


@dataclass(frozen=True)
class Bundle:
    """All that a model folder holds.

    Attributes
    ----------
    preset
        The name of the preset it started from, or ``"custom"``.
    config, recipe, weights
        How cells are prepared, and the network.
    log
        One row an epoch.
    summary
        Seeds, versions, fingerprint of the data, cell numbers and losses.
    """

    preset: str
    config: Config
    recipe: Recipe
    weights: Weights
    log: pd.DataFrame
    summary: dict[str, Any]


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
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        arrays, betas = _split_weights(bundle.weights)
        payload = safetensors.numpy.save(arrays)
        (scratch / WEIGHTS_FILE).write_bytes(payload)
        record = {
            "format": "scprism model",
            "schema_version": SCHEMA_VERSION,
            "preset": bundle.preset,
            "config": bundle.config.to_json(),
            "recipe": bundle.recipe.to_json(),
            "betas": betas,
            "summary": bundle.summary,
            "weights_sha256": hashlib.sha256(payload).hexdigest(),
        }
        record["record_sha256"] = _record_hash(record)
        (scratch / MODEL_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        bundle.log.to_csv(scratch / LOG_FILE, index=False)
        add(scratch)
        scratch.chmod(0o777 & ~_umask())
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
    """Return the model in a folder.

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
        arrays: dict[str, Any] = safetensors.numpy.load(payload)
        weights = Weights(**arrays, **record["betas"])
        config, recipe = Config.from_json(record["config"]), Recipe.from_json(record["recipe"])
        log = pd.read_csv(source / LOG_FILE, float_precision="round_trip")
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        msg = (
            f"The model in {str(source)!r} is incomplete: {error}. Copy the whole folder again, or train the "
            f"model again."
        )
        raise BundleError(msg) from error
    if weights.n_genes != len(recipe.genes):
        msg = (
            f"The model in {str(source)!r} has weights for {weights.n_genes:,} genes and a recipe of "
            f"{len(recipe.genes):,}."
        )
        raise BundleError(msg)
    return Bundle(record["preset"], config, recipe, weights, log, record["summary"])


def _read_record(source: Path) -> dict[str, Any]:
    if not source.is_dir() or not (source / MODEL_FILE).is_file():
        msg = (
            f"{str(source)!r} is not a model folder: it has no {MODEL_FILE}. Give the folder that `scprism fit "
            f"--out` wrote."
        )
        raise BundleError(msg)
    try:
        record = json.loads(_read_bytes(source / MODEL_FILE))
    except ValueError as error:
        msg = f"{str(source / MODEL_FILE)!r} is truncated or is not JSON ({error}). Copy the whole folder again."
        raise BundleError(msg) from error
    if not isinstance(record, dict) or record.get("format") != "scprism model":
        msg = f"{str(source / MODEL_FILE)!r} was not written by scprism: it does not say format 'scprism model'."
        raise BundleError(msg)
    version = record.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        msg = f"The model in {str(source)!r} has schema version {version}, this scprism reads up to {SCHEMA_VERSION}."
        raise BundleError(f"{msg} Upgrade: pip install --upgrade scprism")
    if record.get("record_sha256") != _record_hash(record):
        msg = f"{str(source / MODEL_FILE)!r} was edited after it was written: its checksum does not fit."
        raise BundleError(f"{msg} Models are not changed by hand; train again with other settings.")
    return record


def _record_hash(record: dict[str, Any]) -> str:
    content = {k: v for k, v in record.items() if k != "record_sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _split_weights(weights: Weights) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
    arrays, betas = {}, {}
    for field in fields(weights):
        value = getattr(weights, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = np.ascontiguousarray(value)
        else:
            betas[field.name] = value
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
