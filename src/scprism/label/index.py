"""The reference index beside a model: what was learned from labelled cells, so that labelling needs no reference file.

Arrays in safetensors; names, recipes and calibration in JSON; no counts and no cell names.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from scprism._text import parse_json
from scprism.errors import BundleError
from scprism.label.calibrate import Calibration, Confidence
from scprism.label.centroids import Space, Whitening
from scprism.label.classifier import Classifier, classifier_in
from scprism.label.evidence import Rule
from scprism.label.expression_rule import ExpressionRule
from scprism.label.latent_rule import LatentRule
from scprism.label.neighbours import Scaling
from scprism.label.novelty import Novelty
from scprism.label.profiles import Profiles
from scprism.label.query_shift import UsualRange
from scprism.label.reference import LabelReference
from scprism.label.regression import Regression
from scprism.model.settings import LabelSettings
from scprism.model.weights import Weights
from scprism.prepare.recipe import Recipe
from scprism.types import FloatArray, PathLike

__all__ = ["INDEX_VERSION", "read_index", "write_index"]

INDEX_VERSION = 4
ARRAYS_FILE, RECORD_FILE = "index.safetensors", "index.json"
MOMENTS = ("mean", "spread", "share")
"""What a recipe has of each gene."""
Arrays = dict[str, np.ndarray]


def write_index(references: Mapping[str, LabelReference], folder: PathLike, *, fingerprint: str) -> None:
    """Write the references of a model, by the name of their label column, into its folder.

    Parameters
    ----------
    references
        What to write; with none of them nothing is written.
    folder
        A model folder.
    fingerprint
        Of the weights that the references were learned with.
    """
    if not references:
        return
    arrays: Arrays = {}
    columns = []
    for number, (column, reference) in enumerate(references.items()):
        own = _arrays_of(reference)
        arrays |= {f"{number}.{name}": np.ascontiguousarray(value) for name, value in own.items()}
        columns.append({"column": column, **_record_of(reference)})
    payload = safetensors.numpy.save(arrays)
    record = {
        "format": "scprism reference index",
        "schema_version": INDEX_VERSION,
        "fingerprint": fingerprint,
        "columns": columns,
        "arrays_sha256": hashlib.sha256(payload).hexdigest(),
    }
    target = Path(folder)
    (target / ARRAYS_FILE).write_bytes(payload)
    (target / RECORD_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_index(
    folder: PathLike, *, fingerprint: str, weights: Weights, settings: LabelSettings
) -> dict[str, LabelReference]:
    """Return the references in a model folder by the name of their label column; none where there is no index.

    Parameters
    ----------
    folder
        A model folder.
    fingerprint, weights, settings
        Of the model.

    Raises
    ------
    BundleError
        If the index is of another model, truncated, edited, or of another version of scprism.
    """
    source = Path(folder)
    if not (source / RECORD_FILE).is_file():
        return {}
    try:
        record = parse_json((source / RECORD_FILE).read_text(encoding="utf-8"))
        _check_record(record, source, fingerprint)
        payload = (source / ARRAYS_FILE).read_bytes()
        if hashlib.sha256(payload).hexdigest() != record["arrays_sha256"]:
            raise _refusal(source, f"{ARRAYS_FILE} is truncated or was edited")
        arrays = safetensors.numpy.load(payload)
        references = {}
        for number, entry in enumerate(record["columns"]):
            start = f"{number}."
            own = {name[len(start) :]: value for name, value in arrays.items() if name.startswith(start)}
            references[str(entry["column"])] = _reference(entry, own, weights=weights, settings=settings)
        return references
    except (OSError, KeyError, TypeError, ValueError, AttributeError, safetensors.SafetensorError) as error:
        raise _refusal(source, f"it cannot be read ({error})") from error


def _arrays_of(reference: LabelReference) -> Arrays:
    rule, novelty = reference.rule, reference.calibration.novelty
    classifier: Classifier = rule.classifier
    arrays: Arrays = {
        "points": classifier.points,
        "codes": classifier.codes,
        "middle": novelty.middle,
        "spread": novelty.spread,
        **{f"recipe.{name}": getattr(reference.recipe, name) for name in MOMENTS},
        **{f"known.{i}": known for i, known in enumerate(novelty.known)},
    }
    space = classifier.space
    if space.scaling is not None:
        arrays |= {"scaling.mean": space.scaling.mean, "scaling.spread": space.scaling.spread}
    if space.whitening is not None:
        arrays |= {"whitening.middle": space.whitening.middle, "whitening.turn": space.whitening.turn}
    if isinstance(rule, ExpressionRule):
        arrays |= {"loadings": rule.loadings, "centre": rule.centre, "log_share": rule.profiles.log_share}
        for i, regression in enumerate(rule.regressions):
            arrays |= {f"weights.{i}": regression.weights, f"intercept.{i}": regression.intercept}
    return arrays


def _record_of(reference: LabelReference) -> dict[str, Any]:
    recipe = reference.recipe.to_json()
    return {
        "labels": list(reference.names),
        "n_cells": reference.n_cells,
        "told_by": "expression" if isinstance(reference.rule, ExpressionRule) else "latent",
        "recipe": {name: value for name, value in recipe.items() if name not in MOMENTS},
        "accuracy": reference.calibration.accuracy,
        "confidence": reference.calibration.confidence.to_json(),
        "trends": reference.calibration.novelty.to_json(),
        "usual": reference.usual.to_json(),
    }


def _check_record(record: dict[str, Any], source: Path, fingerprint: str) -> None:
    version = record["schema_version"]
    if version > INDEX_VERSION:
        msg = f"The reference index in {str(source)!r} has schema version {version}, this scprism reads up to"
        raise BundleError(f"{msg} {INDEX_VERSION}. Upgrade: pip install --upgrade scprism")
    if version < INDEX_VERSION:
        raise _refusal(source, f"it was made by an earlier scprism (schema version {version})")
    if record["fingerprint"] != fingerprint:
        raise _refusal(source, f"it is of the model {record['fingerprint']}, and these weights are {fingerprint}")


def _reference(entry: dict[str, Any], arrays: Arrays, *, weights: Weights, settings: LabelSettings) -> LabelReference:
    names = tuple(str(name) for name in entry["labels"])
    recipe = Recipe.from_json({**entry["recipe"], **{name: arrays[f"recipe.{name}"] for name in MOMENTS}})
    _check_arrays(arrays, recipe, n_labels=len(names), column=entry["column"])
    classifier = classifier_in(
        _space(arrays, settings), arrays["points"], arrays["codes"], settings, n_labels=len(names)
    )
    rule: Rule
    if entry["told_by"] == "latent":
        rule = LatentRule(weights, classifier)
    else:
        regressions = [Regression(arrays[f"weights.{i}"], arrays[f"intercept.{i}"]) for i in (0, 1)]
        profiles = Profiles(arrays["log_share"])
        rule = ExpressionRule(
            arrays["loadings"], arrays["centre"], (regressions[0], regressions[1]), profiles, classifier
        )
    known = tuple(arrays[f"known.{i}"] for i in range(sum(name.startswith("known.") for name in arrays)))
    novelty = Novelty.from_parts(entry["trends"], arrays["middle"], arrays["spread"], known)
    calibration = Calibration(Confidence.from_json(entry["confidence"]), novelty, float(entry["accuracy"]))
    return LabelReference(names, recipe, rule, calibration, UsualRange.from_json(entry["usual"]), int(entry["n_cells"]))


def _space(arrays: Arrays, settings: LabelSettings) -> Space:
    scaling = Scaling(arrays["scaling.mean"], arrays["scaling.spread"]) if "scaling.mean" in arrays else None
    turned = "whitening.turn" in arrays
    whitening = Whitening(arrays["whitening.middle"], arrays["whitening.turn"]) if turned else None
    return Space(scaling, settings.metric, whitening)


def _check_arrays(arrays: Arrays, recipe: Recipe, *, n_labels: int, column: str) -> None:
    codes, points, n_genes = arrays["codes"], arrays["points"], len(recipe.genes)
    fits = len(points) == len(codes) and 0 <= codes.min() <= codes.max() < n_labels
    shapes: list[tuple[FloatArray, tuple[int, ...]]] = [(getattr(recipe, name), (n_genes,)) for name in MOMENTS]
    n_scores = len(arrays["middle"])
    shapes += [(arrays[name], (n_scores, n_labels)) for name in ("middle", "spread")]
    if "loadings" in arrays:
        shapes += [(arrays["loadings"], (n_genes, points.shape[1])), (arrays["centre"], (points.shape[1],))]
        for i in (0, 1):
            shapes += [(arrays[f"weights.{i}"], (n_genes, n_labels)), (arrays[f"intercept.{i}"], (n_labels,))]
        fits = fits and arrays["log_share"].ndim == 2 and len(arrays["log_share"]) == n_genes
    finite = all(np.isfinite(array).all() for name, array in arrays.items() if name != "codes")
    if not (fits and finite and all(array.shape == shape for array, shape in shapes)):
        msg = f"the arrays of {column!r} do not fit together"
        raise ValueError(msg)


def _refusal(source: Path, reason: str) -> BundleError:
    msg = f"The reference index in {str(source)!r} does not belong here: {reason}."
    return BundleError(f"{msg} Make it again: scprism index MODEL REFERENCE --labels KEY")
