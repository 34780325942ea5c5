"""The long table of tests."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from scprism.enrichment.kernels import SetMembers
from scprism.enrichment.rankings import Rankings
from scprism.enrichment.small_p import PValues
from scprism.types import FloatArray

__all__ = ["GSEA_COLUMNS", "Outcome", "long_table"]

GSEA_COLUMNS = (
    "ranking",
    "gene_set",
    "size",
    "es",
    "nes",
    "p_value",
    "log_p_error",
    "p_is_bound",
    "q_value",
    "leading_edge",
)


class Outcome(NamedTuple):
    """Outcome of sets in rankings; the arrays are (rankings, sets)."""

    names: list[str]
    members: SetMembers
    es: FloatArray
    peaks: NDArray[np.int32]
    nes: FloatArray
    p_values: PValues


def long_table(rankings: Rankings, tests: Outcome) -> pd.DataFrame:
    """Return one row a test, rankings in their order and each one's sets by p-value, with q-values over all tests.

    Rankings without an order have score 0 and p-value 1, and still count as tests.
    """
    flat = rankings.flat[:, None]
    es, nes, log_errors = (np.where(flat, 0.0, v) for v in (tests.es, tests.nes, tests.p_values.log_errors))
    p_values = np.where(flat, 1.0, tests.p_values.p_values)
    n_rankings, n_sets = es.shape
    by_name = np.argsort(np.argsort(np.asarray(tests.names)))
    order = np.lexsort((np.tile(by_name, (n_rankings, 1)), -np.abs(nes), p_values), axis=1)
    rows = np.repeat(np.arange(n_rankings), n_sets)
    sets = order.ravel()
    q_values = false_discovery_control(p_values, axis=None).reshape(p_values.shape)
    return pd.DataFrame(
        {
            "ranking": rankings.names[rows],
            "gene_set": np.asarray(tests.names, dtype=object)[sets],
            "size": np.diff(tests.members.starts)[sets],
            "es": es[rows, sets],
            "nes": nes[rows, sets],
            "p_value": p_values[rows, sets],
            "log_p_error": log_errors[rows, sets],
            "p_is_bound": (tests.p_values.are_bounds & ~flat)[rows, sets],
            "q_value": q_values[rows, sets],
            "leading_edge": _leading_edges(rankings, tests, rows=rows, sets=sets),
        }
    )


def _leading_edges(
    rankings: Rankings, tests: Outcome, *, rows: NDArray[np.int64], sets: NDArray[np.int64]
) -> list[str]:
    """Return the genes up to the peak of each test, the most extreme first, joined by semicolons."""
    genes = rankings.genes.astype(object)
    members = [
        tests.members.genes[a:b] for a, b in zip(tests.members.starts[:-1], tests.members.starts[1:], strict=True)
    ]
    edges = []
    for row, k in zip(rows, sets, strict=True):
        if rankings.flat[row]:
            edges.append("")
            continue
        places = np.sort(rankings.place_of[row, members[k]])
        peak = tests.peaks[row, k]
        leading = places[places <= peak] if tests.es[row, k] >= 0 else places[places >= peak][::-1]
        edges.append(";".join(genes[rankings.gene_at[row, leading]]))
    return edges
