"""Queries with genes taken away: at random, or so that what stays is expressed like ligand and receptor genes."""

from pathlib import Path

import anndata
import numpy as np
from anndata import AnnData

from foreign.cells import Pair

__all__ = ["gap_pairs", "without_genes"]

SHARES = (10, 25, 50, 75, 90)
PAIRS = (
    # queries that have nearly all genes of the model
    Pair("tm_droplet", "zilionis", "same species"),
    Pair("zilionis", "tm_droplet", "same species"),
    Pair("kang", "pbmc3k", "same species"),
    Pair("pbmc3k", "tm_droplet", "across species"),
    Pair("tm_droplet", "pbmc3k", "across species"),
    Pair("spleen", "lung", "tissue"),
)


def gap_pairs(*, draws: int) -> list[Pair]:
    """Return each pair whole, with 10 to 90 % of the query's genes dropped in both ways, and with the liver's genes."""
    specs = ["", "0,liver,0"]
    specs += [f"{share},{way},{d}" for way in ("random", "matched") for share in SHARES for d in range(draws)]
    return [Pair(p.reference, p.query, p.kind, dropped=spec) for p in PAIRS for spec in specs]


def without_genes(cells: AnnData, dropped: str, folder: Path) -> AnnData:
    """Return a query without the genes that `Pair.dropped` takes.

    ``random``: any genes. ``matched``: the genes that stay are drawn so that tenths of expression hold the shares that
    they have among the 1,819 ligand and receptor genes of tms_facs_liver. ``liver``: those genes stay.
    """
    if not dropped:
        return cells
    share, way, draw = dropped.split(",")
    names = np.array([name.upper() for name in cells.var_names])
    kept_set = {name.upper() for name in anndata.read_h5ad(folder / "tms_facs_liver.h5ad", backed="r").var_names}
    in_set = np.isin(names, sorted(kept_set))
    if way == "liver":
        return cells[:, in_set].copy()
    rng = np.random.default_rng([int(share), int(draw)])
    n_kept = round(cells.n_vars * (1 - int(share) / 100))
    weights = np.ones(cells.n_vars)
    if way == "matched":
        level = np.asarray(cells.X.mean(axis=0)).ravel()
        tenth = (level.argsort().argsort() * 10) // cells.n_vars
        weights = (np.bincount(tenth[in_set], minlength=10) / np.bincount(tenth, minlength=10))[tenth] + 1e-6
    kept = rng.choice(cells.n_vars, n_kept, replace=False, p=weights / weights.sum())
    return cells[:, np.sort(kept)].copy()
