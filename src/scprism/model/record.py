"""What a model folder holds, checked field by field and tensor by tensor."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, get_args

import numpy as np
import pandas as pd

from scprism._check import some
from scprism.errors import InputError
from scprism.model.asked import Asked
from scprism.model.betas import layer_betas
from scprism.model.config import SETTINGS, Config
from scprism.model.presets import PRESETS
from scprism.model.weights import Weights
from scprism.prepare.recipe import Recipe
from scprism.types import Organism, UnitKind

__all__ = ["RECORD", "asked_in", "check_log", "checked", "config_in", "recipe_in", "summary_in", "weights_in"]

Check = tuple[Callable[[Any], bool], str]
"""Whether a value can be used, and what is allowed in words."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


TEXT: Check = (lambda v: isinstance(v, str), "text")
TEXTS: Check = (_is_texts, "a list of texts")
TABLE: Check = (lambda v: isinstance(v, dict), "a table of names and values")
COUNT: Check = (lambda v: _is_whole(v) and v >= 0, "a whole number from 0 on")
NUMBER: Check = (lambda v: _is_number(v) and math.isfinite(v), "a finite number")
POSITIVE: Check = (lambda v: _is_number(v) and 0 < v < math.inf, "a number above 0")
ORGANISM: Check = (lambda v: v in (None, *get_args(Organism)), "human, mouse or null")
SEED: Check = (lambda v: v is None or _is_whole(v), "a whole number or null")
FRACTIONS: Check = (
    lambda v: isinstance(v, list) and all(_is_number(x) and math.isfinite(x) for x in v),
    "a list of finite numbers",
)
NOT_NEGATIVE: Check = (lambda v: FRACTIONS[0](v) and min(v, default=0) >= 0, "a list of numbers from 0 on")
GENES: Check = (
    lambda v: _is_texts(v) and 0 < len(v) == len(set(v)) and "" not in v,
    "a list of gene names, each of them once",
)


def _one_of(*names: str) -> Check:
    return (lambda v: v in names, f"one of {some(names)}")


RECORD: dict[str, Check] = {
    "format": TEXT,
    "schema_version": COUNT,
    "asked": TABLE,
    "config": TABLE,
    "recipe": TABLE,
    "betas": TABLE,
    "summary": TABLE,
    "warnings": TEXTS,
    "weights_sha256": TEXT,
    "record_sha256": TEXT,
}
ASKED: dict[str, Check] = {
    "preset": _one_of(*PRESETS, "custom"),
    "settings": TABLE,
    "layer": (lambda v: v is None or isinstance(v, str), "text or null"),
    "organism": ORGANISM,
    "seed": SEED,
    "device": _one_of("auto", "cpu", "cuda", "mps"),
    "units": (lambda v: v in (None, *get_args(UnitKind)), "programs, raw or null"),
    "runs": (lambda v: v is None or (_is_whole(v) and v >= 4), "a whole number from 4 on, or null"),
}
RECIPE: dict[str, Check] = {
    "genes": GENES,
    "organism": ORGANISM,
    "normalise": _one_of("per_cell", "per_gene", "none"),
    "target_sum": POSITIVE,
    "library": _one_of("all", "recipe"),
    "negative_values": _one_of("refuse", "clip", "keep"),
    "mean": FRACTIONS,
    "spread": NOT_NEGATIVE,
    "share": NOT_NEGATIVE,
    "n_cells": COUNT,
}
SUMMARY: dict[str, Check] = {
    "seed": SEED,
    **dict.fromkeys(("n_cells", "n_train", "n_validation", "n_test", "best_epoch", "n_epochs", "threads"), COUNT),
    **dict.fromkeys(("validation_loss", "test_loss"), NUMBER),
    "seconds": (lambda v: NUMBER[0](v) and v >= 0, "a number from 0 on"),
    "data_fingerprint": TEXT,
    "unseen_cells": TEXTS,
    "versions": (lambda v: isinstance(v, dict) and _is_texts(list(v.values())), "a table of texts"),
}
LOG_COLUMNS = ("epoch", "train_loss", "validation_loss", "penalty", "seconds")


def checked(values: object, checks: Mapping[str, Check], *, where: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return `values`, a table with the fields of `checks`, each as it must be.

    Parameters
    ----------
    values
        As JSON gave it.
    checks
        By field.
    where
        What the table is of, for the message.
    more
        Fields that may be there.

    Raises
    ------
    InputError
        If a field is missing, unknown, or holds what it cannot.
    """
    if not isinstance(values, dict):
        msg = f"{where} must be a table of names and values, got {_cut(values)}"
        raise InputError(msg)
    if lacking := [name for name in checks if name not in values]:
        msg = f"{where} lacks {some(lacking)}"
        raise InputError(msg)
    if unknown := [name for name in values if name not in checks and name not in more]:
        msg = f"{where} has {some(unknown)}, which is unknown there"
        raise InputError(msg)
    for name, (is_good, allowed) in checks.items():
        if not is_good(values[name]):
            msg = f"{name!r} of {where} must be {allowed}, got {_cut(values[name])}"
            raise InputError(msg)
    return values


def asked_in(values: object) -> Asked:
    """Return what was asked for; `InputError` if a field is missing or wrong."""
    known = checked(values, ASKED, where="'asked'")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in known["settings"].items()}
    Config.from_json(settings)  # names and values of settings
    return Asked(**{**known, "settings": settings})


def config_in(values: object) -> Config:
    """Return the settings; `InputError` if one is missing or wrong."""
    parts: dict[str, Check] = dict.fromkeys((f.name for f in fields(Config)), TABLE)
    known = checked(values, parts, where="'config'")
    for part, settings in known.items():
        names = [name for name, home in SETTINGS.items() if home == part]
        checked(settings, dict.fromkeys(names, (lambda _: True, "")), where=f"{part!r} of 'config'")
    return Config.from_json(known)


def recipe_in(values: object, config: Config) -> Recipe:
    """Return the recipe; `InputError` if a field is missing, wrong, or at odds with the settings."""
    known = checked(values, RECIPE, where="'recipe'")
    for name in ("mean", "spread", "share"):
        if len(known[name]) != len(known["genes"]):
            msg = f"{name!r} of 'recipe' has {len(known[name]):,} values for {len(known['genes']):,} genes"
            raise InputError(msg)
    for name in ("normalise", "target_sum", "library", "negative_values"):
        if known[name] != getattr(config, name):
            msg = f"{name!r} is {known[name]!r} in 'recipe' and {getattr(config, name)!r} in 'config'"
            raise InputError(msg)
    return Recipe.from_json(known)


def summary_in(values: object) -> dict[str, Any]:
    """Return the record of the training, empty for a network that was never trained."""
    if values == {}:
        return {}
    known = checked(values, SUMMARY, where="'summary'", more=("adapted_from", "about"))
    about = known.get("about", {})
    if not isinstance(about, dict) or not _is_texts([*about, *about.values()]):
        msg = f"'about' of 'summary' must be a table of texts, got {_cut(about)}"
        raise InputError(msg)
    return known


def weights_in(arrays: Mapping[str, np.ndarray], betas: object, *, config: Config, n_genes: int) -> Weights:
    """Return the weights; `InputError` unless every array is there, finite float32, in the shape that settings say."""
    hidden, units = config.hidden_size, config.bottleneck_size
    shapes: dict[str, tuple[int, ...]] = {
        "hidden_weight": (hidden, n_genes),
        "hidden_bias": (hidden,),
        "latent_weight": (units, hidden),
        "latent_bias": (units,),
        "decoder_weight": (hidden, units),
        "decoder_bias": (hidden,),
        "output_weight": (n_genes, hidden),
        "output_bias": (n_genes,),
    }
    if config.likelihood == "negative_binomial":
        shapes["log_dispersion"] = (n_genes,)
    checked(dict(arrays), dict.fromkeys(shapes, (lambda _: True, "")), where="the file of weights")
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            got = f"{array.dtype} {array.shape}"
            msg = f"{name!r} of the weights must be float32 {shape} by the settings and the recipe, got {got}"
            raise InputError(msg)
        if not np.isfinite(array).all():
            msg = f"{name!r} of the weights has {np.sum(~np.isfinite(array)):,} values that are NaN or infinite"
            raise InputError(msg)
    expected = {f"{name}_beta": beta for name, beta in asdict(layer_betas(config, n_genes)).items()}
    checks = {name: _equal(beta) for name, beta in expected.items()}
    parts: dict[str, Any] = {**arrays, **checked(betas, checks, where="'betas'")}
    return Weights(**parts)


def check_log(log: pd.DataFrame) -> pd.DataFrame:
    """Return the log; `InputError` unless it has a row of numbers an epoch."""
    wanted = LOG_COLUMNS if len(log) else LOG_COLUMNS[:1]
    lacking = [name for name in wanted if name not in log.columns]
    if lacking or not all(pd.api.types.is_numeric_dtype(log[name]) for name in LOG_COLUMNS if len(log)):
        msg = f"the log must have the columns {some(LOG_COLUMNS)}, numbers all, got {some(log.columns)}"
        raise InputError(msg)
    return log


def _equal(expected: float | None) -> Check:
    words = "null by the settings" if expected is None else f"{expected:g} by the settings"
    return (lambda v: v is None if expected is None else _is_number(v) and v == expected), words


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
