"""What each method says of a query's cells: log probabilities of the reference's labels, (methods, cells, labels)."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from one_reference.networks import latents
from one_reference.product import probabilities_of_product
from one_reference.rule import principal, rule_probabilities, unit
from one_reference.task import Task
from scprism.label.regression import balanced_weights, fit_regression
from scprism.label.simulated_platforms import platform_covariance

__all__ = ["voice"]

LEAST = 1e-3
"""Probabilities are raised to this before their logarithm."""


def voice(name: str, task: Task, *, seed: int = 0, kept: Path = Path("networks")) -> np.ndarray:
    """Return what a method says; several rows are numbers of neighbours, whose scores are averaged.

    Parameters
    ----------
    name
        ``"knn GENES"``, ``"sklearn GENES"``, ``"regression GENES [C=..] [equal] [copies] [scaled]"``,
        ``"rule pca GENES [platforms=..]"``,
        ``"rule network GENES NOISE [platforms=..]"``, ``"counts GENES"``, ``"centroids GENES"``, ``"celltypist"``,
        ``"scprism"``: `scprism.label` as it is.
    seed, kept
        Of networks: their seed, and the folder that keeps them.
    """
    kind, *options = name.split()
    if kind == "knn":
        return neighbours(task, options[0])
    if kind == "sklearn":
        return by_sklearn(task, options[0])
    if kind == "regression":
        return regression(task, options[0], options[1:])[None]
    if kind == "rule" and options[0] == "pca":
        return rule_in_pca(task, options[1], options[2:])[None]
    if kind == "rule" and options[0] == "network":
        return rule_in_network(task, options[1:], seed=seed, kept=kept)[None]
    if kind == "scprism":
        return logs(probabilities_of_product(task))[None]
    if kind == "celltypist":
        return celltypist(task)
    if kind == "counts":
        return by_counts(task, options[0])[None]
    if kind == "centroids":
        return by_centroids(task, options[0])[None]
    raise ValueError(name)


def genes_of(word: str) -> str:
    return {"shared": "shared variable"}.get(word, word)


def value_of(options: list[str], name: str, default: float) -> float:
    found = [re.fullmatch(rf"{name}=(.+)", option) for option in options]
    return next((float(match[1]) for match in found if match), default)


def logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, LEAST))


def neighbours(task: Task, genes: str) -> np.ndarray:
    """Return distance-weighted cosine neighbours in 50 principal components, for three numbers of neighbours."""
    x, y = task.values(genes_of(genes))
    z, z_query = principal(x.toarray(), y.toarray())
    rows = []
    for k in (5, 15, 25):
        model = KNeighborsClassifier(min(k, len(z)), weights="distance", metric="cosine").fit(z, task.codes)
        rows.append(logs(model.predict_proba(z_query)))
    return np.stack(rows)


def by_sklearn(task: Task, genes: str) -> np.ndarray:
    x, y = task.values(genes_of(genes))
    model = LogisticRegression(C=0.1, max_iter=1000).fit(x, task.codes)
    return logs(model.predict_proba(y))[None]


def regression(task: Task, genes: str, options: list[str]) -> np.ndarray:
    x, y = task.values(genes_of(genes))
    codes, n_labels = task.codes, len(task.words)
    if "copies" in options:
        copies = task.copies(genes_of(genes))
        codes = np.concatenate([codes, *(codes[task.copied] for _ in copies)])
        x = sparse.vstack([x, *copies], format="csr")
    if "scaled" in options:
        scale = 1 / np.sqrt(
            np.asarray(x.power(2).mean(axis=0)).ravel() - np.asarray(x.mean(axis=0)).ravel() ** 2 + 1e-2
        )
        x, y = x @ sparse.diags(scale), y @ sparse.diags(scale)
        x, y = x.tocsr(), y.tocsr()
    weights = np.ones(len(codes)) if "equal" in options else balanced_weights(codes, n_labels=n_labels)
    strength = value_of(options, "C", 0.1)
    fitted = fit_regression(x, codes, n_labels=n_labels, strength=strength, weights=weights)
    return logs(np.exp(fitted.log_probabilities(y)))


def rule_in_pca(task: Task, genes: str, options: list[str]) -> np.ndarray:
    x, y = task.values(genes_of(genes))
    weight = value_of(options, "platforms", 0.0)
    copies = [copy.toarray() for copy in task.copies(genes_of(genes))] if weight else []
    z, z_query, *z_copies = principal(x.toarray(), y.toarray(), *copies)
    covariance = platform_covariance(unit(z[task.copied]), [unit(c) for c in z_copies]) if weight else None
    return logs(rule_probabilities(z, task.codes, z_query, platforms=covariance, weight=weight))


def by_counts(task: Task, genes: str) -> np.ndarray:
    """Return multinomial naive Bayes, tempered: a molecule counts for little, as genes are not independent."""
    kept = task.chosen(genes_of(genes))
    counts = task.reference.counts[task.labelled][:, task.columns[0][kept]]
    query = task.query.counts[task.scored][:, task.columns[1][kept]]
    share = np.asarray(counts.multiply(1 / np.maximum(counts.sum(axis=1), 1)).tocsr().todense())
    means = np.stack([share[task.codes == k].mean(axis=0) for k in range(len(task.words))])
    means = 0.9 * means + 0.1 * means.mean(axis=0) + 1e-6
    means /= means.sum(axis=1, keepdims=True)
    per_molecule = query @ np.log(means).T / np.maximum(query.sum(axis=1), 1)
    return logs(softmax(40 * np.asarray(per_molecule), axis=1))


def by_centroids(task: Task, genes: str) -> np.ndarray:
    """Return the softmax of correlations with the labels' mean log expression."""
    x, y = task.values(genes_of(genes))
    means = np.stack([np.asarray(x[task.codes == k].mean(axis=0)).ravel() for k in range(len(task.words))])
    middle = means.mean(axis=0)
    odds = unit(y.toarray() - middle) @ unit(means - middle).T / 0.1
    return logs(softmax(odds, axis=1))


def rule_in_network(task: Task, options: list[str], *, seed: int, kept: Path) -> np.ndarray:
    """Return the rule in the latent of a network, or of several side by side, each of length 1 (NOISE with "&")."""
    genes, noise, *others = options
    weight = value_of(others, "platforms", 0.0)
    parts = [
        latents(task, genes=genes, noise=part.replace("-", " "), seed=seed, kept=kept, copies=weight > 0)
        for part in noise.split("&")
    ]
    z, z_query = (np.hstack([unit(part[i]) for part in parts]) for i in (0, 1))
    copies = [np.hstack([unit(part[2][i]) for part in parts]) for i in range(len(parts[0][2]))]
    covariance = platform_covariance(unit(z[task.copied]), [unit(c) for c in copies]) if weight else None
    return logs(rule_probabilities(z, task.codes, z_query, platforms=covariance, weight=weight))


def celltypist(task: Task) -> np.ndarray:
    """Return CellTypist's probabilities, without and with majority voting."""
    python = os.environ["CELLTYPIST_PYTHON"]  # of an environment with CellTypist
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, cells, rows, columns in (
            ("reference", task.reference, task.labelled, task.columns[0]),
            ("query", task.query, task.scored, task.columns[1]),
        ):
            sparse.save_npz(folder / f"{name}.npz", cells.counts[rows][:, columns])
        np.save(folder / "codes.npy", task.codes)
        script = Path(__file__).with_name("celltypist_calls.py")
        done = subprocess.run(
            [python, str(script), str(folder)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": ""},
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"CellTypist failed:\n{done.stderr[-3000:]}")
        return np.load(folder / "calls.npy")
