"""Whether a unit may be named, by the runs that found it."""

import numpy as np

from scprism.units.fitting import LEAST_COHERENCE_Z
from scprism.units.record import Units

__all__ = ["TRUSTED_REPLICATION", "coherence_needed", "run_reasons", "run_rules"]

TRUSTED_REPLICATION = 0.8
"""The activity of a unit that may be named correlates at least so well with its counterpart's in disjoint cells."""


def run_rules() -> list[str]:
    """Return in words the rules that `run_reasons` asks."""
    return [
        f"It comes back: its activity correlates by at least {TRUSTED_REPLICATION:g} with that of its counterpart, "
        "found in other cells from another start (in the worse of two disjoint halves, mean over splits).",
        "Its genes move together: in cells that a run did not see, the activity read from half of them correlates with "
        f"that read from the others by at least {LEAST_COHERENCE_Z:g} standard errors (median over runs).",
        "Its genes come back: the 20 that lead it are more often among the 20 that lead it in single runs than among "
        "those of any program of gene-shuffled cells.",
    ]


def run_reasons(units: Units) -> list[list[str]]:
    """Return for each unit the broken rules in words; none for one that may be named. NaN breaks a rule."""
    needed = coherence_needed(units.n_cells // 2)
    found = []
    for row in range(len(units.names)):
        replication, moves = float(units.replication[row]), float(units.coherence[row])
        overlap, chance = float(units.overlap[row]), float(units.shuffled_overlap[row])
        rules = (
            (replication >= TRUSTED_REPLICATION, f"comes back by {replication:.2f}, needs {TRUSTED_REPLICATION:g}"),
            (moves >= needed, f"its genes move together by {moves:.2f}, needs {needed:.2f}"),
            (overlap > chance, f"leading genes overlap by {overlap:.2f}, shuffled genes reach {chance:.2f}"),
        )
        found.append([words for is_kept, words in rules if not np.bool_(is_kept)])
    return found


def coherence_needed(n_cells: int) -> float:
    """Return the correlation between activities read from two halves of the genes that chance hardly reaches.

    Examples
    --------
    >>> coherence_needed(1600)
    0.1
    """
    return float(LEAST_COHERENCE_Z / np.sqrt(max(n_cells, 1)))
