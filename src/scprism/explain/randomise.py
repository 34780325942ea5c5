"""What should break an explanation: weights drawn anew, and data whose genes have nothing to do with each other."""

from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
from scipy import sparse

from scprism._check import check_choice
from scprism.model.weights import Weights
from scprism.train.batches import TrainingCells
from scprism.types import FloatArray

__all__ = ["Layers", "redraw_weights", "shuffle_within_genes"]

Layers: TypeAlias = Literal["bottleneck", "encoder"]


def redraw_weights(weights: Weights, *, layers: Layers, rng: np.random.Generator) -> Weights:
    """Return the network with the bottleneck's weights, or those of the whole encoder, as before any training.

    The cascade of Adebayo et al. (2018), from the layer nearest to the units down to the genes: an explanation of what
    was learned must not outlive what was learned. Weights are Xavier normal, biases uniform, as in training.
    """
    check_choice("layers", layers, ("bottleneck", "encoder"))
    latent_weight, latent_bias = _draw_layer(weights.latent_weight, rng)
    changed = replace(weights, latent_weight=latent_weight, latent_bias=latent_bias)
    if layers == "bottleneck":
        return changed
    hidden_weight, hidden_bias = _draw_layer(weights.hidden_weight, rng)
    return replace(changed, hidden_weight=hidden_weight, hidden_bias=hidden_bias)


def shuffle_within_genes(cells: TrainingCells, *, rng: np.random.Generator) -> TrainingCells:
    """Return cells of the same size in which each gene keeps its values and loses its cells.

    Every gene is dealt out to the cells anew, on its own: means and spreads stay, and nothing that genes have in common
    does. A value and its target stay together.
    """
    columns = cells.inputs.tocsc()
    places = [rng.permutation(cells.n_cells)[:n] for n in np.diff(columns.indptr)]
    rows = np.concatenate(places) if places else np.empty(0, dtype=np.int64)

    def dealt(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        return sparse.csc_matrix((matrix.tocsc().data, rows, columns.indptr), shape=columns.shape).tocsr()

    inputs = dealt(cells.inputs)
    return TrainingCells(inputs, inputs if cells.targets is cells.inputs else dealt(cells.targets))


def _draw_layer(weight: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    n_outputs, n_inputs = weight.shape
    spread, bound = np.sqrt(2 / (n_inputs + n_outputs)), 1 / np.sqrt(n_inputs)
    drawn = rng.normal(scale=spread, size=weight.shape).astype(np.float32)
    return drawn, rng.uniform(-bound, bound, size=n_outputs).astype(np.float32)
