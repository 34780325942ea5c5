"""Labels by the network's latent: neighbours and centroids."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from scprism.label.classifier import Classifier, learned_classifier
from scprism.label.evidence import LEAST_DISTANCE, Evidence
from scprism.label.simulated_platforms import copied_rows, moved_by_platforms
from scprism.label.stacking import LEAST_PROBABILITY
from scprism.model.forward import encode
from scprism.model.settings import LabelSettings
from scprism.model.weights import Weights
from scprism.prepare.stream import PreparedChunk
from scprism.query.embed import embed_cells
from scprism.query.view import Query, rows_of
from scprism.types import FloatArray, IntArray

__all__ = ["LatentRule", "learn_latent_rule"]


@dataclass(frozen=True)
class LatentRule:
    """What was learned from the latent of labelled cells.

    Attributes
    ----------
    weights
        The network.
    classifier
        Neighbours and centroids in its latent.
    fill
        Values of genes that the query lacks, float32 (genes,); None where it lacks none.
    """

    weights: Weights
    classifier: Classifier
    fill: FloatArray | None = None

    def seen_by(self, query: Query) -> Self:
        """Return the rule for a query that may lack some of the genes."""
        return replace(self, fill=query.fill)

    def evidence(self, chunk: PreparedChunk) -> Evidence:
        """Return what is said of cells: the labels' shares, and the distance to the neighbours."""
        shares, distance = self.classifier.shares(encode(self.weights, chunk.inputs, fill=self.fill))
        logs = np.log(np.maximum(shares, LEAST_PROBABILITY))
        depth = np.asarray(chunk.counts.sum(axis=1), dtype=np.float64).ravel()
        return Evidence(logs, np.log(np.maximum(distance, LEAST_DISTANCE))[None], distance, depth)


def learn_latent_rule(
    query: Query, codes: IntArray, *, keys: IntArray, n_labels: int, weights: Weights, settings: LabelSettings
) -> LatentRule:
    """Return what labelled cells teach in the latent; a label may have no cell.

    Parameters
    ----------
    query
        The cells in the model's genes (`scprism.query.model_genes.in_model_genes`).
    codes
        Label numbers, (cells,).
    keys
        A number of each cell, uint64 (cells,).
    n_labels
        How many labels there are.
    weights
        The network.
    settings
        Metric, scaling, whitening, weights and number of neighbours.
    """
    latent = embed_cells(weights, query.chunks(), fill=query.fill)
    some = copied_rows(codes, keys)
    copies = []
    if settings.whiten_latent:
        moved = moved_by_platforms(rows_of(query, some), keys=keys[some])
        copies = [encode(weights, copy, fill=query.fill) for copy in moved]
    classifier = learned_classifier(latent, codes, settings, n_labels=n_labels, before=latent[some], copies=copies)
    return LatentRule(weights, classifier, query.fill)
