"""Labels by the expression of genes: two regressions, and neighbours and centroids in principal components."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackError
from scipy.special import log_softmax, logsumexp
from sklearn.decomposition import PCA

from scprism.label.classifier import Classifier, learned_classifier
from scprism.label.evidence import LEAST_DISTANCE, Evidence
from scprism.label.profiles import Profiles, learn_profiles
from scprism.label.regression import Regression, fit_regression
from scprism.label.simulated_platforms import copied_rows, moved_by_platforms
from scprism.label.stacking import stacked
from scprism.model.first_layer import sparse_product
from scprism.model.settings import LabelSettings
from scprism.prepare.stream import PreparedChunk
from scprism.query.view import Query, rows_of
from scprism.types import FloatArray, IntArray

__all__ = ["WEIGHTS", "ExpressionRule", "learn_expression_rule"]

N_COMPONENTS = 50
WEIGHTS = (0.5, 0.5, 1.0)
"""Of the regression on variable genes, of that on all genes of the recipe, and of neighbours and centroids together."""


@dataclass(frozen=True)
class ExpressionRule:
    """What was learned from the log expression of labelled cells.

    Attributes
    ----------
    loadings, centre
        Principal components, float32 (genes, components), and their values for expression of zero, (components,).
    regressions
        On the variable genes, and on all.
    profiles
        Mean expression of each label.
    classifier
        Neighbours and centroids in the components.
    fill
        Values of genes that the query lacks, float32 (genes,); None where it lacks none.
    """

    loadings: FloatArray
    centre: FloatArray
    regressions: tuple[Regression, Regression]
    profiles: Profiles
    classifier: Classifier
    fill: FloatArray | None = None

    def seen_by(self, query: Query) -> Self:
        """Return the rule for a query that may lack some of the genes: they are taken for the reference's mean."""
        present = query.alignment.gene_map.present
        if present.all():
            return self
        return replace(self, fill=query.fill, profiles=self.profiles.within(present))

    def evidence(self, chunk: PreparedChunk) -> Evidence:
        """Return what is said of cells: the three methods' probabilities multiplied, energy, deviance and distance."""
        product = self._product(chunk.inputs)
        n, n_labels = len(self.centre), len(self.regressions[0].intercept)
        points = (product[:, :n] - self.centre).astype(np.float32)
        odds = [
            product[:, n + i * n_labels :][:, :n_labels].astype(np.float64) + regression.intercept
            for i, regression in enumerate(self.regressions)
        ]
        shares, distance = self.classifier.shares(points)
        with np.errstate(divide="ignore"):
            logs = [*(log_softmax(one, axis=1) for one in odds), np.log(shares)]
        # no label speaks for a cell of high energy (Liu, Wang, Owens and Li, NeurIPS 33 (2020), 21464–21475)
        energy = -np.mean([logsumexp(one, axis=1) for one in odds], axis=0)
        scores = np.stack([energy, self.profiles.deviance(chunk.counts), np.log(np.maximum(distance, LEAST_DISTANCE))])
        depth = np.asarray(chunk.counts.sum(axis=1), dtype=np.float64).ravel()
        return Evidence(stacked(logs, WEIGHTS), scores, distance, depth)

    @cached_property
    def _columns(self) -> FloatArray:
        return np.hstack([self.loadings, *(regression.weights for regression in self.regressions)])

    @cached_property
    def _offset(self) -> FloatArray:
        filled: FloatArray = np.zeros(1, np.float32) if self.fill is None else self.fill @ self._columns
        return filled

    def _product(self, inputs: sparse.csr_matrix) -> FloatArray:
        return sparse_product(inputs, self._columns) + self._offset


def learn_expression_rule(
    query: Query, codes: IntArray, *, keys: IntArray, n_labels: int, is_variable: np.ndarray, settings: LabelSettings
) -> ExpressionRule:
    """Return what labelled cells teach; a label may have no cell.

    Parameters
    ----------
    query
        The cells in the genes that labels are told by (`scprism.query.model_genes.in_model_genes`).
    codes
        Label numbers, (cells,).
    keys
        A number of each cell, uint64 (cells,).
    n_labels
        How many labels there are.
    is_variable
        Which genes the first regression reads, bool (genes,).
    settings
        Metric, whitening, weights and number of neighbours.
    """
    chunks = list(query.chunks())
    inputs = sparse.vstack([chunk.inputs for chunk in chunks], format="csr")
    counts = sparse.vstack([chunk.counts for chunk in chunks], format="csr")
    loadings, centre = principal_components(inputs)
    points = (sparse_product(inputs, loadings) - centre).astype(np.float32)
    some = copied_rows(codes, keys)
    moved = moved_by_platforms(rows_of(query, some), keys=keys[some])
    copies = [(sparse_product(copy, loadings) - centre).astype(np.float32) for copy in moved]
    classifier = learned_classifier(points, codes, settings, n_labels=n_labels, before=points[some], copies=copies)
    alone = sparse.csr_matrix(inputs @ sparse.diags(is_variable.astype(np.float32)))
    alone.eliminate_zeros()
    regressions = (
        fit_regression(alone, codes, n_labels=n_labels),
        fit_regression(inputs, codes, n_labels=n_labels),
    )
    return ExpressionRule(loadings, centre, regressions, learn_profiles(counts, codes), classifier)


def principal_components(inputs: sparse.csr_matrix) -> tuple[FloatArray, FloatArray]:
    """Return loadings, float32 (genes, components), and what they give for expression of zero, (components,)."""
    n_components = min(N_COMPONENTS, min(inputs.shape) - 1)
    with np.errstate(divide="ignore", invalid="ignore"):  # cells may all be the same
        try:
            fitted = PCA(n_components, svd_solver="arpack", random_state=0).fit(inputs)
        except ArpackError:
            fitted = PCA(n_components, svd_solver="covariance_eigh").fit(inputs)
    loadings = np.ascontiguousarray(fitted.components_.T, dtype=np.float32)
    return loadings, np.asarray(fitted.mean_ @ loadings, dtype=np.float32)
