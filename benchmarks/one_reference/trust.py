"""Confidence and novelty of the chosen rule: learned on a reference by cross-fitting, measured on other cells."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.metrics import f1_score, roc_auc_score

from label_stack.calibration import Confidence, Judged, cross_fitted, folds_of, learn_confidence
from label_stack.draws import cell_keys, gene_keys
from label_stack.novelty import DepthTrend, Novelty, Profiles, learn_depth_trend, learn_novelty, learn_profiles
from label_stack.platforms import PLATFORMS, Platform, measured_by, platform_covariance
from label_stack.regression import Regression, fit_regression
from label_stack.stacking import learn_weights, stacked
from one_reference.rule import rule_probabilities, unit
from one_reference.task import Task, library_of, log_values

__all__ = ["Trust", "learn_trust", "measured", "side_of"]

UNSEEN = tuple(
    Platform(f"unseen {i}", spread, depth) for i, (spread, depth) in enumerate(((0.5, 1), (1, 0.5), (1.5, 1)))
)
"""Platforms that no method has seen, for weights, confidence and novelty."""
MODEST = tuple(Platform(f"modest {i}", 0.0, depth) for i, depth in enumerate((0.5, 0.2)))
N_UNITS, BY_PLATFORM = 50, 0.3


@dataclass(frozen=True)
class Side:
    """Cells in the genes that both have: counts, libraries, and which genes each method reads."""

    counts: sparse.csr_matrix
    library: np.ndarray
    genes: np.ndarray
    variable: np.ndarray
    union: np.ndarray

    def rows(self, rows: np.ndarray) -> "Side":
        """Return some of the cells."""
        return replace(self, counts=self.counts[rows], library=self.library[rows])

    def by(self, platform: Platform) -> "Side":
        """Return the cells as a platform might have measured them."""
        copy = measured_by(platform, self.counts, self.genes)
        scale = library_of(copy) / np.maximum(library_of(self.counts), 1)
        return replace(self, counts=copy, library=np.maximum(self.library * scale, 1))

    def values(self, kept: np.ndarray) -> sparse.csr_matrix:
        """Return log expression in some genes."""
        return log_values(self.counts[:, kept], self.library)


@dataclass(frozen=True)
class Methods:
    """What is fitted to labelled cells."""

    regression: Regression
    profiles: Profiles
    pca: PCA
    points: np.ndarray
    codes: np.ndarray
    platforms: np.ndarray
    n_labels: int

    def evidence(self, side: Side) -> np.ndarray:
        """Return for each cell: log p of the regression, log p of the rule, E, D, distance; (cells, 2 labels + 3)."""
        values = side.values(side.variable)
        z = self.pca.transform(side.values(side.union).toarray())
        rule = rule_probabilities(self.points, self.codes, z, platforms=self.platforms, weight=BY_PLATFORM)
        said = np.zeros((len(z), self.n_labels))
        said[:, : rule.shape[1]] = rule
        near = np.sort(1 - unit(z) @ unit(self.points).T, axis=1)[:, :15].mean(axis=1)
        parts = [
            self.regression.log_probabilities(values),
            np.log(np.maximum(said, 1e-3)),
            self.regression.energy(values)[:, None],
            self.profiles.deviance(side.counts)[:, None],
            np.log(np.maximum(near, 1e-6))[:, None],
        ]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Trust:
    """Methods, and how far to trust them."""

    methods: Methods
    weights: np.ndarray
    confidence: Confidence
    novelty: Novelty
    trend: DepthTrend
    n_labels: int

    def calls(self, side: Side) -> dict[str, np.ndarray]:
        """Return label, log probabilities, confidence, strangeness and p-value of cells."""
        return judged(self.methods.evidence(side), library_of(side.counts), self)


def fit_methods(side: Side, codes: np.ndarray, n_labels: int) -> Methods:
    """Return the methods fitted to cells."""
    x = side.values(side.union).toarray()
    pca = PCA(min(N_UNITS, *x.shape), random_state=0, svd_solver="randomized").fit(x)
    points = pca.transform(x)
    some = np.argsort(cell_keys(side.counts, gene_keys(side.genes)))[:200]
    moved = [pca.transform(side.rows(some).by(p).values(side.union).toarray()) for p in PLATFORMS]
    covariance = platform_covariance(unit(points[some]), [unit(m) for m in moved])
    present = np.unique(codes)
    dense = np.searchsorted(present, codes)
    assert len(present) == n_labels, "every label needs cells in every fold"
    regression = fit_regression(side.values(side.variable), codes, n_labels=n_labels)
    return Methods(
        regression, learn_profiles(side.counts, codes, n_labels=n_labels), pca, points, dense, covariance, n_labels
    )


def split_evidence(e: np.ndarray, n_labels: int) -> tuple[list[np.ndarray], np.ndarray]:
    return [e[:, :n_labels], e[:, n_labels : 2 * n_labels]], e[:, 2 * n_labels :].T


def odds_of(log_p: np.ndarray) -> np.ndarray:
    best = np.minimum(log_p.max(axis=1), -1e-9)
    return best - np.log1p(-np.exp(best))


def judged(e: np.ndarray, total: np.ndarray, trust: Trust) -> dict[str, np.ndarray]:
    logs, scores = split_evidence(e, trust.n_labels)
    log_p = stacked(logs, trust.weights)
    label = log_p.argmax(axis=1)
    scores = scores.copy()
    scores[1] -= trust.trend.of(total)
    strange = trust.novelty.strangeness(scores, label)
    confidence = trust.confidence.of(odds_of(log_p), strange)
    p = trust.novelty.p_values(strange)
    return {"log_p": log_p, "label": label, "confidence": confidence, "strange": strange, "p": p, "scores": scores}


def learn_trust(side: Side, codes: np.ndarray, *, n_labels: int, n_folds: int = 3) -> Trust:
    """Return the methods, and what cross-fitting says of them."""
    folds = folds_of(codes, cell_keys(side.counts, gene_keys(side.genes)), n_folds=n_folds)
    kinds = [None, *UNSEEN, *MODEST]

    def predict(methods: Methods, rows: np.ndarray) -> np.ndarray:
        own = side.rows(rows)
        versions = [own if kind is None else own.by(kind) for kind in kinds]
        found = [np.column_stack([methods.evidence(v), library_of(v.counts)]) for v in versions]
        return np.stack(found, axis=1)  # (cells, versions, numbers)

    said = cross_fitted(folds, lambda rows: fit_methods(side.rows(rows), codes[rows], n_labels), predict)
    parts = [(said[:, i, :-1], said[:, i, -1]) for i in range(len(kinds))]
    known = parts[: 1 + len(UNSEEN)]
    logs = [np.concatenate([split_evidence(e, n_labels)[0][m] for e, _ in known]) for m in (0, 1)]
    repeated = np.tile(codes, len(known))
    sizes = np.bincount(codes, minlength=n_labels)
    each = (len(codes) / n_labels / np.maximum(sizes, 1))[repeated] / len(known)
    weights = learn_weights(logs, repeated, cells=each)
    trend = learn_depth_trend(
        np.concatenate([e[:, 2 * n_labels + 1] for e, _ in (parts[0], *parts[1 + len(UNSEEN) :])]),
        np.concatenate([t for _, t in (parts[0], *parts[1 + len(UNSEEN) :])]),
    )
    draft = Trust(fit_methods(side, codes, n_labels), weights, Confidence(0, 1, 0, 0), None, trend, n_labels)
    stage = []
    for e, total in known:
        own_logs, scores = split_evidence(e, n_labels)
        log_p = stacked(own_logs, weights)
        scores = scores.copy()
        scores[1] -= trend.of(total)
        stage.append((log_p, scores, log_p.argmax(axis=1)))
    novelty = learn_novelty([(scores, label) for _, scores, label in stage], n_labels=n_labels)
    judgements = [
        Judged(odds_of(log_p), novelty.strangeness(scores, label), label == codes) for log_p, scores, label in stage
    ]
    unknown = without_own(stage[0], codes, novelty) if n_labels > 1 else None
    return replace(draft, novelty=novelty, confidence=learn_confidence(judgements, unknown))


def without_own(stage: tuple, codes: np.ndarray, novelty: Novelty) -> Judged:
    log_p, scores, _ = stage
    log_p = log_p.copy()
    log_p[np.arange(len(codes)), codes] = -np.inf
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    label = log_p.argmax(axis=1)
    return Judged(odds_of(log_p), novelty.strangeness(scores, label), np.zeros(len(codes), dtype=bool))


def side_of(task: Task, which: str, rows: np.ndarray) -> Side:
    """Return the reference's or the query's cells at some rows, in the common genes."""
    cells = task.reference if which == "reference" else task.query
    columns = task.columns[0 if which == "reference" else 1]
    counts = cells.counts[rows]
    variable, union = task.chosen("variable"), task.chosen("hallmark+variable")
    return Side(counts[:, columns].tocsr(), library_of(counts), task.genes, variable, union)


def ece(confidence: np.ndarray, right: np.ndarray) -> float:
    bins = np.minimum((confidence * 10).astype(int), 9)
    return float(sum(abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in np.unique(bins)) / len(right))


def measured(trust: Trust, side: Side, truth: np.ndarray, types: np.ndarray) -> dict[str, float]:
    """Return what came of it; cells whose truth is −1 are of types that the reference lacks."""
    calls = trust.calls(side)
    known = truth >= 0
    right = (calls["label"] == truth)[known]
    row = {
        "macro_f1": f1_score(truth[known], calls["label"][known], labels=types, average="macro", zero_division=0),
        "accuracy": right.mean(),
        "confidence": calls["confidence"][known].mean(),
        "ece": ece(calls["confidence"][known], right),
        "alarms": (calls["p"][known] <= 0.05).mean(),
        "weight_regression": trust.weights[0],
        "weight_rule": trust.weights[1],
    }
    for i, usual in enumerate(trust.novelty.known):
        flagged = replace(trust.novelty, known=(usual,)).p_values(calls["strange"]) <= 0.05
        row[f"alarms_{i}"] = flagged[known].mean()
        row[f"caught_{i}"] = flagged[~known].mean() if (~known).any() else np.nan
    if (~known).sum() >= 5:
        new = ~known
        row |= {
            "new": new.mean(),
            "caught": (calls["p"][new] <= 0.05).mean(),
            "confidence_new": calls["confidence"][new].mean(),
        }
        row["auroc"] = roc_auc_score(new, calls["strange"])
        row |= {f"auroc_{n}": roc_auc_score(new, s) for n, s in zip("EDd", calls["scores"], strict=True)}
    return row
