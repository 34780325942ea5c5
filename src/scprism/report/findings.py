"""What a reader should know before trusting a page: warnings computed from its results, in words."""

import numpy as np
import pandas as pd

from scprism.explain.explanation import Explanation
from scprism.query.align import Alignment, coverage_summary
from scprism.query.view import USUAL_COVERAGE
from scprism.report.interactive import unit_name
from scprism.report.tables import LOW_CONFIDENCE, SIGNIFICANT, dead_units, sets_per_unit
from scprism.types import FloatArray

__all__ = [
    "coverage_finding",
    "dead_unit_finding",
    "explanation_finding",
    "label_findings",
    "pathway_finding",
    "training_finding",
]

MANY_LOW_CONFIDENCE = 0.2
MANY_NOVEL = 0.2
"""Four times the share of the reference's own kind that the limit for novelty lets through."""
LARGE_COMPLETENESS_ERROR = 0.01


def coverage_finding(alignment: Alignment) -> list[str]:
    """Return a warning if the query lacks many of the model's genes."""
    if alignment.share_of_genes >= USUAL_COVERAGE:
        return []
    return [
        f"Low gene coverage: {coverage_summary(alignment)} Missing genes were filled in, so cells look more alike than "
        "they are; labels and explanations that rest on missing genes cannot be seen here."
    ]


def label_findings(labels: pd.DataFrame | None) -> list[str]:
    """Return warnings if many labels are a minority's or many cells are unlike any reference cell."""
    if labels is None or labels.empty:
        return []
    low, novel = float((labels["confidence"] < LOW_CONFIDENCE).mean()), float(labels["novel"].mean())
    texts = []
    if low > MANY_LOW_CONFIDENCE:
        texts.append(
            f"{low:.0%} of the query cells have a confidence below {LOW_CONFIDENCE:g}: such labels are "
            "more likely wrong than right."
        )
    if novel > MANY_NOVEL:
        texts.append(
            f"{novel:.0%} of the query cells are stranger than 95% of the reference's own kind by any simulated "
            "platform. They may be of types or states that the reference lacks, or the two data sets differ "
            "technically; their labels should not be used unchecked."
        )
    return texts


def training_finding(log: pd.DataFrame, *, best_epoch: int, max_epochs: int) -> list[str]:
    """Return a warning if training was ended by its limit of epochs while still improving."""
    if best_epoch < max_epochs or len(log) < max_epochs:
        return []
    return [
        f"Training still improved in its last epoch ({max_epochs}): the limit of epochs ended it. Raise max_epochs and "
        "train again."
    ]


def dead_unit_finding(latent: FloatArray, *, units: list[str]) -> list[str]:
    """Return a warning if units hardly vary over the cells (cells, units)."""
    if len(latent) < 2:
        return []
    dead = [name for name, is_dead in zip(units, dead_units(latent), strict=True) if is_dead]
    if not dead:
        return []
    return [
        f"{len(dead)} of {len(units)} units hardly vary over these cells (spread below a thousandth of the most "
        f"variable unit's) and say nothing about them: {', '.join(unit_name(name) for name in dead)}."
    ]


def explanation_finding(explanation: Explanation) -> list[str]:
    """Return a warning if the attributions do not add up to what they explain."""
    error = explanation.completeness_error
    if np.isnan(error) or error <= LARGE_COMPLETENESS_ERROR:
        return []
    return [
        f"The attributions miss the activation that they should add up to by up to {error:.1%}. Use more steps, or the "
        "method 'deeplift', whose sum is exact."
    ]


def pathway_finding(enrichment: pd.DataFrame) -> list[str]:
    """Return a warning if no unit has a significant gene set."""
    if sets_per_unit(enrichment).sum() > 0:
        return []
    return [
        f"No gene set is significant (q < {SIGNIFICANT:g}) for any unit: the units cannot be named by pathways here."
    ]
