"""The units of a model as its users meet them: programs, proposed names, and the file beside the model."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import safetensors
import safetensors.numpy

from scprism._text import parse_json
from scprism.errors import BundleError
from scprism.genes.sets import set_name
from scprism.types import PathLike
from scprism.units.card import top_genes
from scprism.units.record import ACTIVITY_QUANTILES, Units, UnitSettings
from scprism.units.verdict import run_reasons

__all__ = ["UNITS_VERSION", "FoundSet", "NamedUnits", "read_units", "write_units"]

UNITS_VERSION = 2
ARRAYS_FILE, RECORD_FILE = "units.safetensors", "units.json"
MATRICES = ("programs", "low", "high")
VECTORS = ("replication", "n_runs_found", "coherence", "overlap", "shuffled_overlap")
ARRAYS = (*MATRICES, *VECTORS, "gene_weights", "quantiles")
N_TOP_GENES = 8
NAMING_GENES = 4
"""So many of a unit's eight leading genes must be in the leading edge of a set that it is named after: half of them."""


@dataclass(frozen=True)
class FoundSet:
    """A gene set that a unit's genes form, in the unit and in at least four fifths of the runs that found it.

    Attributes
    ----------
    name
        Of the set.
    direction
        ``"up"``: its genes count more for the unit than for the others; ``"down"``: less.
    nes, q_value
        Normalised enrichment score and q-value in the unit.
    share_of_runs
        In which it is significant in the same direction.
    leading_edge
        Its genes up to the peak of the running sum.
    """

    name: str
    direction: Literal["up", "down"]
    nes: float
    q_value: float
    share_of_runs: float
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
    def reasons(self) -> tuple[str, ...]:
        """For each unit why it may not be named, by the runs that found it (`scprism.units.verdict`); empty: it may."""
        return tuple("; ".join(words) for words in run_reasons(self.units))

    @property
    def trusted(self) -> np.ndarray:
        """Whether each unit may be named, by the runs that found it, bool (units,)."""
        return np.array([not reason for reason in self.reasons], dtype=bool)

    @property
    def proposed_names(self) -> tuple[str, ...]:
        """For each unit the gene set that it forms best, else its three leading genes; empty if it is not trusted.

        A set gives its name only if half of the eight leading genes or more are in its leading edge, so that a name
        says what these genes show. Where several units form the same set best, the leading gene of each stands behind
        it.
        """
        leading = top_genes(self.units, self.genes, n_genes=N_TOP_GENES).groupby("unit")["gene"].agg(list)
        genes = [leading.get(unit, []) for unit in self.units.names]
        best = [_naming_set(sets, first) for sets, first in zip(self.sets, genes, strict=True)]
        named = [name for name, trusted in zip(best, self.trusted, strict=True) if trusted]
        proposed = []
        for name, first, trusted in zip(best, genes, self.trusted, strict=True):
            told = f"{name} ({first[0]})" if named.count(name) > 1 and first else name
            proposed.append("" if not trusted else told if name else ", ".join(first[:3]))
        return tuple(proposed)

    def table(self) -> pd.DataFrame:
        """Return a row a unit: ``proposed_name replication trusted sets top_genes n_runs_found coherence``.

        ``replication`` is the correlation of the unit's activity with that of its counterpart found in other cells
        from other starts, ``sets`` the gene sets that it forms joined by ``;``, ``top_genes`` its eight leading genes
        joined by ``;``, ``coherence`` the correlation between the activities read from two halves of its genes.
        """
        leading = top_genes(self.units, self.genes, n_genes=N_TOP_GENES).groupby("unit")["gene"].agg(";".join)
        return pd.DataFrame(
            {
                "proposed_name": list(self.proposed_names),
                "replication": self.units.replication.astype(np.float64),
                "trusted": self.trusted,
                "sets": [";".join(names) for names in self._sets_up()],
                "top_genes": [str(leading.get(unit, "")) for unit in self.units.names],
                "n_runs_found": self.units.n_runs_found,
                "coherence": self.units.coherence.astype(np.float64),
            },
            index=pd.Index(self.units.names, name="unit"),
        )

    def _sets_up(self) -> list[list[str]]:
        return [[found.name for found in sets if found.direction == "up"] for sets in self.sets]

    def programs(self) -> pd.DataFrame:
        """Return the programs, units × genes: what a unit adds to log1p counts per 10,000 where its activity is 1."""
        return pd.DataFrame(self.units.programs, index=list(self.units.names), columns=list(self.genes))


def _naming_set(sets: Sequence[FoundSet], leading: Sequence[str]) -> str:
    """Return the name of the strongest set that is up and shows in a unit's leading genes; empty if there is none."""
    for found in sets:
        if found.direction == "up" and len(set(leading).intersection(found.leading_edge)) >= NAMING_GENES:
            return set_name(found.name)
    return ""


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
        "n_cells": named.units.n_cells,
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
        record = parse_json((source / RECORD_FILE).read_text(encoding="utf-8"))
        if record["schema_version"] > UNITS_VERSION:
            msg = f"The units in {str(source)!r} are of a newer scprism. Upgrade: pip install --upgrade scprism"
            raise BundleError(msg)
        if record["schema_version"] < UNITS_VERSION:
            raise _refusal(source, "an earlier scprism found them and kept too little to judge them by")
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
        **dict.fromkeys(VECTORS, (n_units,)),
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
        n_cells=int(record["n_cells"]),
        n_dropped=int(record["n_dropped"]),
        settings=UnitSettings(**{**settings, "ranks": tuple(settings["ranks"])}),
    )
    sets = tuple(tuple(_found_set(told) for told in found) for found in record["sets"])
    if len(sets) != n_units:
        msg = f"there are sets of {len(sets)} units, and {n_units} units"
        raise ValueError(msg)
    return NamedUnits(units, genes, sets)


def _found_set(told: Mapping[str, Any]) -> FoundSet:
    direction = str(told["direction"])
    if direction not in ("up", "down"):
        msg = f"the direction of a set must be 'up' or 'down', got {direction!r}"
        raise ValueError(msg)
    return FoundSet(
        name=str(told["name"]),
        direction=cast("Literal['up', 'down']", direction),
        nes=float(told["nes"]),
        q_value=float(told["q_value"]),
        share_of_runs=float(told["share_of_runs"]),
        leading_edge=tuple(map(str, told["leading_edge"])),
    )


def _refusal(source: Path, reason: str) -> BundleError:
    return BundleError(f"The units in {str(source)!r} do not belong here: {reason}. Train the model again: scprism fit")
