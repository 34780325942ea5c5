"""The verdicts on a model's units: their table, what they rest on, what was warned of, and their file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scprism._check import some
from scprism._files import read_record, read_table, record_path, write_table
from scprism._html import record_html
from scprism.errors import BundleError, InputError
from scprism.trust.verdict import MAY_BE_NAMED
from scprism.types import PathLike

__all__ = ["PROGRAM_COLUMNS", "TRUST_COLUMNS", "Trust", "lacking_columns", "read_trust"]

TRUST_COLUMNS = (
    "unit",
    "spread",
    "matched_correlation",
    "shuffled_correlation",
    "map_correlation",
    "jaccard_top50",
    "jaccard_sets",
    "n_sets",
    "randomisation_correlation",
    "randomisation_highest",
    "encoder_correlation",
    "deletion_gain",
    "deletion_low",
    "deletion_high",
    "deletion_random",
    "insertion_gain",
    "insertion_low",
    "insertion_high",
    "insertion_random",
    "verdict",
    "reason",
)
PROGRAM_COLUMNS = (
    "unit",
    "replication",
    "n_runs_found",
    "coherence",
    "overlap",
    "shuffled_overlap",
    "coverage",
    "query_coherence",
    "matched_correlation",
    "shuffled_correlation",
    "n_sets",
    "verdict",
    "reason",
)
WORDS = ("unit", "verdict", "reason")


@dataclass(frozen=True, eq=False, repr=False)
class Trust:
    """Which units may be named, from `scprism.assess_units`.

    Attributes
    ----------
    table
        A row a unit. Of programs: ``replication``, ``n_runs_found``, ``coherence`` and ``overlap`` over the runs that
        found them, ``shuffled_overlap`` with programs of gene-shuffled cells (`scprism.units.record.Units`);
        ``coverage``, the share of the unit that the query has, by weight; ``query_coherence``, the correlation between
        its activities read from two halves of its genes in the query's cells; ``matched_correlation`` with its partner
        in further fits and ``shuffled_correlation`` in one to shuffled genes, NaN without any; ``n_sets`` found.
        Of raw units: ``spread`` of the activation over the cells. ``matched_correlation`` with the unit's partner in a
        refit, ``map_correlation`` of their maps (medians over refits), ``jaccard_top50`` of their leading genes and
        ``jaccard_sets`` of their significant sets (means); ``n_sets`` significant in the model; NaN where not tested.
        ``shuffled_correlation`` with the partner in a network trained on shuffled genes. |Spearman| between the unit's
        map and that after weights are drawn anew: ``randomisation_correlation`` and ``randomisation_highest``, mean and
        highest over draws of the bottleneck's, ``encoder_correlation``, mean over those of the whole encoder.
        ``deletion_gain`` and ``insertion_gain``: how much sooner its leading genes move the unit than genes of like
        expression do, removed or added; ``…_low`` and ``…_high``, between which lie 95 % of the gains over single draws
        of such genes; ``…_random``, the gain over any genes. ``verdict`` and ``reason``.
    settings
        What the verdicts rest on: ``fingerprint`` of the model's weights, ``method``, ``groups``, numbers of cells,
        refits and draws, the limits, the ``rules`` in words, the stability of PCA and NMF, how units share gene sets.
    warnings
        What was warned of on the way.

    Examples
    --------
    >>> from scprism import Prism, assess_units, make_cells
    >>> from scprism.trust.inputs import TrustSettings
    >>> cells = make_cells(n_cells=120, rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> quick = TrustSettings(n_refits=1, n_draws=2)  # too few for more than an example
    >>> trust = assess_units(model, cells, reference=cells, settings=quick, rng=0)
    >>> trust.table["unit"].iloc[0], trust.settings["n_refits"]
    ('latent_0', 1)
    """

    table: pd.DataFrame
    settings: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return how many units may be named in one line."""
        return f"Trust({self._summary()})"

    def _repr_html_(self) -> str:
        first = self.table[["unit", "verdict", "reason"]]
        return record_html(f"Trust: {self._summary()}", self.warnings, first.to_html(index=False, max_rows=60))

    def save(self, path: PathLike) -> None:
        """Write the verdicts; what they rest on and the warnings go to ``PATH.json``.

        Parameters
        ----------
        path
            A name that ends in ``.csv``, ``.tsv`` or ``.parquet``.

        Raises
        ------
        InputError
            If the name ends otherwise or is that of a folder, a pipe or a device, or if the table lacks a column.
        """
        _check_columns(self.table, name="The table of verdicts", error=InputError)
        record = {**self.settings, "warnings": list(self.warnings)}
        write_table(self.table[list(_expected(self.table))], path, record=record)

    def _summary(self) -> str:
        n_may = int((self.table["verdict"] == MAY_BE_NAMED).sum())
        refits = f", after {self.settings['n_refits']} refits" if self.settings.get("n_refits") else ""
        return f"{n_may} of {len(self.table)} units may be named{refits}"


def read_trust(path: PathLike) -> Trust:
    """Return the verdicts that `Trust.save` or ``scprism trust`` wrote, numbers exact.

    Raises
    ------
    BundleError
        If the table or the JSON beside it is missing, or is something else.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from scprism import Prism, assess_units, make_cells
    >>> from scprism.trust.inputs import TrustSettings
    >>> cells = make_cells(n_cells=120, rng=0)
    >>> model = Prism(genes="all", organism="human", max_epochs=2, units="raw", device="cpu", rng=0).fit(cells)
    >>> quick = TrustSettings(n_refits=1, n_draws=2)  # too few for more than an example
    >>> trust = assess_units(model, cells, reference=cells, settings=quick, rng=0)
    >>> path = Path(tempfile.mkdtemp()) / "trust.tsv"
    >>> trust.save(path)
    >>> read_trust(path).table["verdict"].equals(trust.table["verdict"])
    True
    """
    kinds = {name: str if name in WORDS else np.float64 for name in (*TRUST_COLUMNS, *PROGRAM_COLUMNS)}
    try:
        table = read_table(path, dtypes=kinds, missing=[""])
        record = read_record(path)
    except (OSError, ValueError) as error:
        msg = f"The verdicts in {str(path)!r} cannot be read: {error}. `scprism trust` writes them, and a JSON beside."
        raise BundleError(msg) from error
    if record is None:
        msg = f"The verdicts in {str(path)!r} lie without their record {str(record_path(path))!r}. Copy both."
        raise BundleError(msg)
    _check_columns(table, name=repr(str(path)), error=BundleError)
    told = tuple(record.pop("warnings", ()))
    return Trust(table, record, told)


def lacking_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns that a table of verdicts needs and has not."""
    return [column for column in _expected(table) if column not in table.columns]


def _expected(table: pd.DataFrame) -> tuple[str, ...]:
    return PROGRAM_COLUMNS if "replication" in table.columns else TRUST_COLUMNS


def _check_columns(table: pd.DataFrame, *, name: str, error: type[InputError] | type[BundleError]) -> None:
    lacking = lacking_columns(table)
    if lacking:
        msg = f"{name} must have the columns of `scprism.assess_units`; it lacks {some(lacking)}."
        raise error(msg)
