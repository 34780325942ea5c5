"""Scores of calls, with intervals over cells, and tests over pairs."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = ["Comparison", "Scores", "compare", "interval", "score"]

N_RESAMPLES = 500


@dataclass(frozen=True)
class Scores:
    """Scores of one method on one pair, means over seeds.

    Attributes
    ----------
    macro_f1, balanced_accuracy
        Means over k.
    by_k
        Macro-F1 for each k.
    recall
        Of each type, mean over k.
    by_seed
        Macro-F1 of each seed.
    resampled
        Macro-F1 (mean over k) in bootstrap resamples of the cells, the same for all methods of a pair.
    n_cells
        Cells that are scored.
    """

    macro_f1: float
    balanced_accuracy: float
    by_k: np.ndarray
    recall: np.ndarray
    by_seed: np.ndarray
    resampled: np.ndarray
    n_cells: int


def score(truth: np.ndarray, calls: np.ndarray, n_types: int) -> Scores:
    """Return the scores of calls (seeds, k, cells); −1 stands for a type that is not scored."""
    seeds, n_k, n_cells = calls.shape
    rng = np.random.default_rng(0)
    weights = np.concatenate(
        [np.ones((1, n_cells)), rng.multinomial(n_cells, np.full(n_cells, 1 / n_cells), N_RESAMPLES)]
    )
    is_truth = truth[:, None] == np.arange(n_types)  # (cells, types)
    flat = calls.reshape(-1, n_cells)  # seeds × k
    support = weights @ is_truth  # (resamples, types)
    hits = np.stack([weights @ (is_truth & (c[:, None] == np.arange(n_types))) for c in flat])
    called = np.stack([weights @ (c[:, None] == np.arange(n_types)) for c in flat])
    bottom = called + support
    f1 = np.divide(2 * hits, bottom, out=np.zeros_like(bottom), where=bottom > 0).mean(axis=2)  # (flat, resamples)
    recall = np.divide(hits[:, 0], support[0], out=np.zeros_like(hits[:, 0]), where=support[0] > 0)
    whole = f1[:, 0].reshape(seeds, n_k)
    return Scores(
        macro_f1=float(whole.mean()),
        balanced_accuracy=float(recall.mean()),
        by_k=whole.mean(axis=0),
        recall=recall.mean(axis=0),
        by_seed=whole.mean(axis=1),
        resampled=f1[:, 1:].mean(axis=0),
        n_cells=n_cells,
    )


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentiles."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """One method against another over pairs: mean difference, its interval over pairs, and Wilcoxon's test.

    ``effect`` is the matched-pairs rank-biserial correlation: 1 if the first is better on all, −1 if on none.
    """

    difference: float
    low: float
    high: float
    p_value: float
    effect: float
    better: int
    worse: int


def compare(first: np.ndarray, second: np.ndarray, *, margin: float = 0.0) -> Comparison:
    """Return how `first` compares with `second`, one value a pair; ``better`` and ``worse`` by more than `margin`."""
    d = first - second
    rng = np.random.default_rng(0)
    means = d[rng.integers(0, len(d), (2000, len(d)))].mean(axis=1)
    changed = d[np.abs(d) > 1e-12]
    p, effect = 1.0, 0.0
    if len(changed):
        ranks = stats.rankdata(np.abs(changed))
        effect = float((ranks[changed > 0].sum() - ranks[changed < 0].sum()) / ranks.sum())
        p = float(stats.wilcoxon(changed).pvalue)
    return Comparison(float(d.mean()), *interval(means), p, effect, int((d > margin).sum()), int((d < -margin).sum()))
