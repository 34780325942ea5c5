"""The reference index beside a model: latents and labels, so that labelling needs no reference file.

Latents and label numbers in safetensors, names and calibration in JSON; no counts and no cell names.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from scprism.errors import BundleError
from scprism.label.calibrate import Calibration
from scprism.label.classifier import LabelShape
from scprism.label.query_shift import UsualRange
from scprism.label.reference import LabelReference
from scprism.types import PathLike

__all__ = ["INDEX_VERSION", "read_index", "write_index"]

INDEX_VERSION = 2
ARRAYS_FILE, RECORD_FILE = "index.safetensors", "index.json"
CELL_ARRAYS, SHAPE_ARRAYS = ("latent", "codes"), ("usual_distance", "centroid", "whitening")


def write_index(references: Mapping[str, LabelReference], folder: PathLike, *, fingerprint: str) -> None:
    """Write the references of a model, by the name of their label column, into its folder.

    Parameters
    ----------
    references
        What to write; with none of them nothing is written.
    folder
        A model folder.
    fingerprint
        Of the weights that the latents came from.
    """
    if not references:
        return
    arrays = {
        f"{number}.{name}": np.ascontiguousarray(getattr(owner, name))
        for number, reference in enumerate(references.values())
        for owner, names in ((reference, CELL_ARRAYS), (reference.shape, SHAPE_ARRAYS))
        for name in names
    }
    payload = safetensors.numpy.save(arrays)
    columns = [
        {
            "column": column,
            "labels": list(reference.names),
            "calibration": reference.calibration.to_json(),
            "usual": reference.usual.to_json(),
        }
        for column, reference in references.items()
    ]
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


def read_index(folder: PathLike, *, fingerprint: str) -> dict[str, LabelReference]:
    """Return the references in a model folder by the name of their label column; none where there is no index.

    Parameters
    ----------
    folder
        A model folder.
    fingerprint
        Of the model's weights.

    Raises
    ------
    BundleError
        If the index is of another model, truncated, edited, or of another version of scprism.
    """
    source = Path(folder)
    if not (source / RECORD_FILE).is_file():
        return {}
    try:
        record = json.loads((source / RECORD_FILE).read_text(encoding="utf-8"))
        _check_record(record, source, fingerprint)
        payload = (source / ARRAYS_FILE).read_bytes()
        if hashlib.sha256(payload).hexdigest() != record["arrays_sha256"]:
            raise _refusal(source, f"{ARRAYS_FILE} is truncated or was edited")
        arrays = safetensors.numpy.load(payload)
        return {entry["column"]: _reference(entry, arrays, number) for number, entry in enumerate(record["columns"])}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, safetensors.SafetensorError) as error:
        raise _refusal(source, f"it cannot be read ({error})") from error


def _check_record(record: dict[str, Any], source: Path, fingerprint: str) -> None:
    version = record["schema_version"]
    if version > INDEX_VERSION:
        msg = f"The reference index in {str(source)!r} has schema version {version}, this scprism reads up to"
        raise BundleError(f"{msg} {INDEX_VERSION}. Upgrade: pip install --upgrade scprism")
    if version < INDEX_VERSION:
        raise _refusal(source, f"it was made by an earlier scprism (schema version {version})")
    if record["fingerprint"] != fingerprint:
        raise _refusal(source, f"it is of the model {record['fingerprint']}, and these weights are {fingerprint}")


def _reference(entry: dict[str, Any], arrays: dict[str, np.ndarray], number: int) -> LabelReference:
    latent, codes = (arrays[f"{number}.{name}"] for name in CELL_ARRAYS)
    shape = LabelShape(*(arrays[f"{number}.{name}"] for name in SHAPE_ARRAYS))
    names = tuple(str(name) for name in entry["labels"])
    fits = len(latent) == len(codes) and 0 <= codes.min() <= codes.max() < len(names) == len(shape.centroid)
    if not fits:
        msg = f"the arrays of {entry['column']!r} do not fit together"
        raise ValueError(msg)
    calibration, usual = Calibration.from_json(entry["calibration"]), UsualRange.from_json(entry["usual"])
    return LabelReference(latent, codes, names, shape, calibration, usual)


def _refusal(source: Path, reason: str) -> BundleError:
    msg = f"The reference index in {str(source)!r} does not belong here: {reason}."
    return BundleError(f"{msg} Make it again: scprism index MODEL REFERENCE --labels KEY")
