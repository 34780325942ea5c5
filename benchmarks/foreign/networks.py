"""The networks of the comparison: trained or as they were drawn, and their calls."""

from dataclasses import dataclass

import numpy as np
from anndata import AnnData

from foreign.methods import Method, Reference, Task, vote, vote_as_labels
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.weights import Weights
from scprism.prepare.recipe import Recipe
from scprism.query.embed import embed_cells
from scprism.query.view import Query, open_query, with_gaps_of
from scprism.train.fit import fit_network

__all__ = ["Network", "network_calls", "trained"]


@dataclass(frozen=True)
class Network:
    """A network with its recipe, its settings, and the reference as it sees it."""

    recipe: Recipe
    weights: Weights
    config: Config
    reference: Query

    def opened(self, cells: AnnData) -> Query:
        """Return cells as the network sees them, however few of its genes they have."""
        return open_query(cells, self.recipe, self.config, min_coverage=0.0)

    def embedded(self, query: Query) -> np.ndarray:
        """Return the latent of cells."""
        return embed_cells(self.weights, query.chunks(), fill=query.fill)


def trained(reference: Reference, method: Method, seed: int) -> Network:
    """Return the network of a seed; an untrained one as it was drawn."""
    assert method.config is not None
    config = method.config
    recipe, cells = reference.prepared(config)
    if method.trained:
        weights = fit_network(recipe, cells, config=config, rng=seed, device="cpu").weights
    else:
        rng = np.random.default_rng(seed)
        weights = to_weights(build_autoencoder(config, n_genes=len(recipe.genes), rng=rng))
    return Network(recipe, weights, config, open_query(reference.cells, recipe, config, min_coverage=0.0))


def network_calls(task: Task, network: Network, rows: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return calls for each row, with the reference seen through the query's gaps.

    A row whose name ends in ", whole reference" has it whole; in one in ", neighbours alone" the space is not whitened
    and centres say nothing; in one in ", equal votes" neighbours count the same besides.
    """
    query, config = network.opened(task.query), network.config
    z_query, z = network.embedded(query), network.embedded(with_gaps_of(network.reference, query))
    calls = {}
    for row in rows:
        _, _, change = row.partition(", ")
        known = network.embedded(network.reference) if change == "whole reference" else z
        if config.votes == "weighted" and change in ("", "whole reference"):
            calls[row] = vote_as_labels(task, known, z_query)
        else:
            equal = config.votes == "equal" or change == "equal votes"
            calls[row] = vote(task, known, z_query, config.metric, equal=equal)
    return calls
