"""What further training changed in a model: its weights, and what its units mean."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from scprism._files import write_table
from scprism.explain.attribution import Attribution, baseline_row
from scprism.explain.decoder import decoder_map
from scprism.model.config import Config
from scprism.model.weights import Weights
from scprism.query.view import Query
from scprism.trust.networks import NetworkView, SeenCells, unit_maps, view_network
from scprism.types import AttributionMethod, FloatArray, PathLike

__all__ = ["Change", "change_of", "unit_changes", "weight_changes", "write_change"]

MAX_CELLS = 2000
"""Cells, evenly spaced over the query, that units are compared on."""
SAME = 0.9
"""Cosine and correlation from which on a unit is called the same: a convention."""


@dataclass(frozen=True)
class Change:
    """What adapting a model changed.

    Attributes
    ----------
    losses
        Mean loss of held-out cells, ``before`` and ``after``; rows ``query`` and, if there was one, ``reference``.
    units
        A row a unit. ``map_cosine``: between what genes explain the unit over the query, before and after
        (`Model.explain` with the model's own method). ``activation_correlation``: Pearson's, over the query's cells.
        ``decoded_cosine``: between what the unit adds to the output's genes. ``same``: map and activation are the same
        unit's, both at least 0.9; explanations and the names of pathways carry over to such units alone.
    weights
        A row an array of the network: Frobenius norm of its change, relative to its own.
    """

    losses: pd.DataFrame
    units: pd.DataFrame
    weights: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return losses and weights as one table: ``what``, ``before``, ``after``, ``relative_change``."""
        losses = self.losses[["before", "after"]].rename(index=lambda name: f"loss, {name}")
        losses["relative_change"] = losses["after"] / losses["before"] - 1
        return pd.concat([losses, self.weights]).rename_axis("what").reset_index()


def change_of(before: Weights, after: Weights, query: Query, *, losses: pd.DataFrame, config: Config) -> Change:
    """Return what changed from `before` to `after`, the units seen on the query's cells.

    Parameters
    ----------
    before, after
        The networks.
    query
        The cells.
    losses
        Of the further training, as they go into the result.
    config
        Settings of the model, for the attribution method.
    """
    cells = _seen(query, config)
    views = (view_network(before, cells), view_network(after, cells))
    decoded = (decoder_map(before, views[0].latent), decoder_map(after, views[1].latent))
    return Change(losses, unit_changes(*views, decoded=decoded), weight_changes(before, after))


def write_change(model: PathLike, change: Change) -> None:
    """Write ``MODEL.change.tsv`` and ``MODEL.units.tsv``, beside the folder of that name."""
    folder = Path(model)
    for kind, table in (("change", change.table()), ("units", change.units.reset_index())):
        write_table(table, folder.with_name(f"{folder.name}.{kind}.tsv"))


def weight_changes(before: Weights, after: Weights) -> pd.DataFrame:
    """Return for each array of the network the norm of its change relative to its own, column ``relative_change``."""
    rows = {}
    for field in fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if isinstance(old, np.ndarray):
            size = np.linalg.norm(old.astype(np.float64))
            moved = np.linalg.norm(new.astype(np.float64) - old)
            rows[field.name] = moved / size if size > 0 else np.nan
    return pd.DataFrame({"relative_change": rows})


def unit_changes(before: NetworkView, after: NetworkView, *, decoded: tuple[FloatArray, FloatArray]) -> pd.DataFrame:
    """Return for each unit how alike it is before and after, as in `Change.units`.

    `decoded` has what each unit adds to the output, before and after, (units, genes).
    """
    maps = _cosines(unit_maps(before.explanation), unit_maps(after.explanation))
    latents = [view.latent - view.latent.mean(axis=0, dtype=np.float64) for view in (before, after)]
    correlation = _cosines(latents[0].T, latents[1].T)
    table = {
        "map_cosine": maps,
        "activation_correlation": correlation,
        "decoded_cosine": _cosines(*decoded),
        "same": (maps >= SAME) & (correlation >= SAME),
    }
    return pd.DataFrame(table, index=pd.Index(before.explanation.units, name="unit"))


def _cosines(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the cosine of each row with the row of the same place, NaN where one is 0, (rows,)."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    result: FloatArray = np.divide((a * b).sum(axis=1), lengths, out=np.full(len(a), np.nan), where=lengths > 0)
    return result


def _seen(query: Query, config: Config) -> SeenCells:
    chosen = config.explain.attribution
    method: AttributionMethod = "deeplift" if chosen == "expected_gradients" else chosen
    attribution = Attribution(
        method=method,
        baseline=baseline_row(config.baseline, method=method, mean=query.recipe.mean),
        first_unit_plain=config.first_unit_plain and method == "guided",
        absolute=False,
    )
    n_cells = query.matrix.shape[0]
    rows = np.unique(np.linspace(0, n_cells - 1, min(MAX_CELLS, n_cells)).round().astype(np.int64))
    chunks = (c.inputs[rows[(rows >= c.rows.start) & (rows < c.rows.stop)] - c.rows.start] for c in query.chunks())
    inputs = sparse.vstack(list(chunks), format="csr")
    codes = np.full(len(rows), -1)
    return SeenCells(inputs, query.fill, query.recipe.genes, (), codes, attribution)
