"""The units of a model as its users meet them: programs, proposed names, and the file beside the model."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import safetensors.numpy

from scprism.errors import BundleError
from scprism.genes.sets import set_name
from scprism.types import PathLike
from scprism.units.card import top_genes
from scprism.units.record import ACTIVITY_QUANTILES, Units, UnitSettings

__all__ = ["UNITS_VERSION", "FoundSet", "NamedUnits", "read_units", "write_units"]

UNITS_VERSION = 1
ARRAYS_FILE, RECORD_FILE = "units.safetensors", "units.json"
ARRAYS = ("programs", "gene_weights", "replication", "low", "high", "quantiles", "n_runs_found")
N_TOP_GENES = 8
TRUSTED_REPLICATION = 0.8
"""A unit is trusted whose activity correlates at least so well with that of its counterpart in disjoint cells."""


@dataclass(frozen=True)
class FoundSet:
    """A gene set that a unit's genes form: its name, its q-value, and its genes up to the peak of the running sum."""

    name: str
    q_value: float
    leading_edge: tuple[str, ...]


@dataclass(frozen=True)
class NamedUnits:
    """Units with the genes that they speak of and the sets that these form.

    Attributes
    ----------
    units
        Programs, replication, ranges.
    genes
        The genes of the programs, in order.
    sets
        For each unit the gene sets that it was found to form, the strongest first.
    """

    units: Units
    genes: tuple[str, ...]
    sets: tuple[tuple[FoundSet, ...], ...]

    @property
    def trusted(self) -> np.ndarray:
        """Whether each unit comes back well enough to be named, bool (units,)."""
        return np.asarray(self.units.replication >= TRUSTED_REPLICATION)

    @property
    def proposed_names(self) -> tuple[str, ...]:
        """For each unit the gene set that it forms best, else its three leading genes; empty if it is not trusted.

        Where several units form the same set best, the leading gene of each stands behind it.
        """
        leading = top_genes(self.units, self.genes, n_genes=3).groupby("unit")["gene"].agg(list)
        genes = [leading.get(unit, []) for unit in self.units.names]
        best = [set_name(found[0].name) if found else "" for found in self.sets]
        named = [name for name, trusted in zip(best, self.trusted, strict=True) if trusted]
        proposed = []
        for name, first, trusted in zip(best, genes, self.trusted, strict=True):
            told = f"{name} ({first[0]})" if named.count(name) > 1 and first else name
            proposed.append("" if not trusted else told if name else ", ".join(first))
        return tuple(proposed)

    def table(self) -> pd.DataFrame:
        """Return a row a unit: ``proposed_name replication trusted sets top_genes n_runs_found``.

        ``replication`` is the correlation of the unit's activity with that of its counterpart found in other cells
        from other starts, ``sets`` the gene sets that it forms joined by ``;``, ``top_genes`` its eight leading genes
        joined by ``;``.
        """
        leading = top_genes(self.units, self.genes, n_genes=N_TOP_GENES).groupby("unit")["gene"].agg(";".join)
        return pd.DataFrame(
            {
                "proposed_name": list(self.proposed_names),
                "replication": self.units.replication.astype(np.float64),
                "trusted": self.trusted,
                "sets": [";".join(found.name for found in sets) for sets in self.sets],
                "top_genes": [str(leading.get(unit, "")) for unit in self.units.names],
                "n_runs_found": self.units.n_runs_found,
            },
            index=pd.Index(self.units.names, name="unit"),
        )

    def programs(self) -> pd.DataFrame:
        """Return the programs, units × genes: what a unit adds to log1p counts per 10,000 where its activity is 1."""
        return pd.DataFrame(self.units.programs, index=list(self.units.names), columns=list(self.genes))


def write_units(named: NamedUnits | None, folder: PathLike, *, fingerprint: str) -> None:
    """Write the units of a model into its folder: ``units.safetensors`` and ``units.json``; None writes nothing."""
    if named is None:
        return
    payload = safetensors.numpy.save({name: np.ascontiguousarray(getattr(named.units, name)) for name in ARRAYS})
    record = {
        "format": "scprism units",
        "schema_version": UNITS_VERSION,
        "fingerprint": fingerprint,
        "names": named.units.names,
        "n_dropped": named.units.n_dropped,
        "settings": dataclasses.asdict(named.units.settings),
        "sets": [[dataclasses.asdict(found) for found in sets] for sets in named.sets],
        "arrays_sha256": hashlib.sha256(payload).hexdigest(),
    }
    target = Path(folder)
    (target / ARRAYS_FILE).write_bytes(payload)
    (target / RECORD_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_units(folder: PathLike, *, genes: Sequence[str], fingerprint: str) -> NamedUnits | None:
    """Return the units in a model folder, None where there are none.

    Parameters
    ----------
    folder
        A model folder.
    genes
        The model's genes.
    fingerprint
        Of the model's weights.

    Raises
    ------
    BundleError
        If the units are of another model, truncated, edited, or of a newer scprism.
    """
    source = Path(folder)
    if not (source / RECORD_FILE).exists() and not (source / ARRAYS_FILE).exists():
        return None
    try:
        record = json.loads((source / RECORD_FILE).read_text(encoding="utf-8"))
        if record["schema_version"] > UNITS_VERSION:
            msg = f"The units in {str(source)!r} are of a newer scprism. Upgrade: pip install --upgrade scprism"
            raise BundleError(msg)
        payload = (source / ARRAYS_FILE).read_bytes()
        if hashlib.sha256(payload).hexdigest() != record["arrays_sha256"]:
            raise _refusal(source, f"{ARRAYS_FILE} is truncated or was edited")
        if record["fingerprint"] != fingerprint:
            raise _refusal(
                source, f"they are of the model {record['fingerprint']}, and these weights are {fingerprint}"
            )
        return _named(record, safetensors.numpy.load(payload), tuple(genes))
    except BundleError:
        raise
    except (OSError, KeyError, TypeError, ValueError, AttributeError, safetensors.SafetensorError) as error:
        raise _refusal(source, f"they cannot be read ({error})") from error


def _named(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], genes: tuple[str, ...]) -> NamedUnits:
    names, n_genes = tuple(map(str, record["names"])), len(genes)
    n_units = len(names)
    shapes: dict[str, tuple[int, ...]] = {
        "gene_weights": (n_genes,),
        "replication": (n_units,),
        "n_runs_found": (n_units,),
        "quantiles": (n_units, len(ACTIVITY_QUANTILES)),
    }
    for name in ARRAYS:
        expected = shapes.get(name, (n_units, n_genes))
        if arrays[name].shape != expected or not np.isfinite(arrays[name]).all():
            msg = f"{name} must be finite and of shape {expected}, got {arrays[name].shape}"
            raise ValueError(msg)
    settings = record["settings"]
    units = Units(
        names=names,
        **{name: arrays[name] for name in ARRAYS},
        n_dropped=int(record["n_dropped"]),
        settings=UnitSettings(**{**settings, "ranks": tuple(settings["ranks"])}),
    )
    sets = tuple(
        tuple(FoundSet(str(s["name"]), float(s["q_value"]), tuple(map(str, s["leading_edge"]))) for s in found)
        for found in record["sets"]
    )
    if len(sets) != n_units:
        msg = f"there are sets of {len(sets)} units, and {n_units} units"
        raise ValueError(msg)
    return NamedUnits(units, genes, sets)


def _refusal(source: Path, reason: str) -> BundleError:
    return BundleError(f"The units in {str(source)!r} do not belong here: {reason}. Train the model again: scprism fit")
