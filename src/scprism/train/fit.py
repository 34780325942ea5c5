"""From a reference's counts to a trained network: recipe, training cells, training, record."""

import dataclasses
import hashlib
import logging
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scprism._check import check_choice
from scprism._random import random_generator, told_seed
from scprism._torch import torch
from scprism._version import __version__
from scprism._warnings import warn
from scprism.errors import InputError
from scprism.model.config import Config
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.weights import Weights
from scprism.prepare.cell_hashes import cell_marks
from scprism.prepare.learn import learn_recipe, map_by_name
from scprism.prepare.recipe import Recipe
from scprism.prepare.selection import requested_genes
from scprism.prepare.stream import prepared_chunks
from scprism.train.batches import AnyCells, TrainingCells, gather_cells
from scprism.train.checkpoint import Checkpoint
from scprism.train.loop import EpochRecord, TrainingResult, train_model
from scprism.train.stored import index_type, row_blocks
from scprism.types import IntArray, Matrix, Organism, RNGLike

__all__ = ["Fitted", "fit_network", "prepare_training", "resolve_device"]

logger = logging.getLogger("scprism")

MAY_CHANGE = ("learning_rate", "max_epochs", "patience")
"""Settings that a resumed run may have otherwise, such as a lower rate after the loss exploded."""
FEW_GENES = 50
"""A model of fewer genes than the default bottleneck has units has nothing to compress."""


MAX_MARKS = 5000
"""Cells not trained on that a model knows again; label transfer is calibrated on them."""


@dataclass(frozen=True)
class Fitted:
    """A trained network with its recipe, its log and the record of how it came about."""

    recipe: Recipe
    weights: Weights
    log: pd.DataFrame
    summary: dict[str, Any]


def prepare_training(
    matrix: Matrix,
    names: Sequence[str],
    *,
    config: Config,
    organism: Organism | None,
    strata: IntArray | None = None,
    max_bytes: float = math.inf,
    folder: Path | None = None,
) -> tuple[Recipe, AnyCells]:
    """Return the recipe learned from a reference, and its cells in the recipe's genes, sparse.

    `strata` has a number for each cell's group, if the split is to keep their shares. Cells that take more than
    `max_bytes` lie in a scratch file in `folder` (`scprism.train.batches.gather_cells`).
    """
    if organism is not None:
        check_choice("organism", organism, ("human", "mouse"))
    genes, found = requested_genes(config.genes, matrix=matrix, names=names, organism=organism)
    unknown = np.zeros(len(genes))
    draft = Recipe(
        genes=genes,
        organism=found,
        normalise=config.normalise,
        target_sum=config.target_sum,
        library=config.library,
        negative_values=config.negative_values,
        mean=unknown,
        spread=unknown,
        share=unknown,
        n_cells=0,
    )
    recipe = learn_recipe(matrix, names, draft=draft, min_max_count=config.min_max_count)
    if len(recipe.genes) < FEW_GENES:
        msg = f"Only {len(recipe.genes):,} genes go into the model; it will know little of the cells."
        warn(msg)
    chunks = prepared_chunks(matrix, map_by_name(names, recipe.genes), recipe)
    cells = gather_cells(chunks, counts_as_targets=config.counts_as_targets, max_bytes=max_bytes, folder=folder)
    return recipe, dataclasses.replace(cells, strata=strata)


def fit_network(
    recipe: Recipe,
    cells: AnyCells,
    *,
    config: Config,
    rng: RNGLike,
    device: str = "auto",
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Return a network trained on prepared cells; same seed, same machine and threads: same weights, bit for bit.

    With a `checkpoint`, an interrupted run can go on from there (`Checkpoint.resume`).
    """
    generator = random_generator(rng)
    seed = told_seed(rng)
    network = build_autoencoder(config, n_genes=len(recipe.genes), rng=generator)
    chosen = resolve_device(device)
    if checkpoint is not None:
        checkpoint = _identified(checkpoint, recipe, cells, config=config, seed=seed, device=chosen)
    result = train_model(
        network, cells, config=config, rng=generator, device=chosen, on_epoch=on_epoch, checkpoint=checkpoint
    )
    logger.info("best epoch %d of %d, test loss %.6g", result.best_epoch, len(result.log), result.test_loss)
    log = pd.DataFrame([dataclasses.asdict(record) for record in result.log])
    return Fitted(recipe, to_weights(network), log, _summary(result, recipe, cells, seed=seed))


def resolve_device(device: str) -> str:
    """Return a device that torch has: the one told, or for ``"auto"`` CUDA if there is one, else the CPU.

    MPS is for those who ask: training has not been run on it.
    """
    check_choice("device", device, ("auto", "cpu", "cuda", "mps"))
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device != "auto":
        if not there[device]:
            msg = f"This machine or its torch has no {device!r}. Use device='auto', which takes CUDA or the CPU."
            raise InputError(msg)
        return device
    return "cuda" if there["cuda"] else "cpu"


def _identified(
    checkpoint: Checkpoint, recipe: Recipe, cells: AnyCells, *, config: Config, seed: int | None, device: str
) -> Checkpoint:
    """Return the checkpoint with what a run must share with it."""
    settings = {name: value for name, value in config.flat().items() if name != "genes"}  # the data tell them
    may_change = {name: settings.pop(name) for name in MAY_CHANGE}
    identity = {"data": data_fingerprint(recipe, cells), "seed": seed, "scprism": __version__, **settings}
    surroundings = {"torch": version("torch"), "device": device, "threads": torch.get_num_threads(), **may_change}
    return dataclasses.replace(checkpoint, identity=identity, surroundings=surroundings)


def _summary(result: TrainingResult, recipe: Recipe, cells: AnyCells, *, seed: int | None) -> dict[str, Any]:
    record = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name not in ("log", "unseen")}
    packages = ("torch", "numpy", "scipy", "anndata")
    return {
        "seed": seed,
        "n_cells": recipe.n_cells,
        **record,
        "n_epochs": len(result.log),
        "seconds": result.log[-1].seconds,
        "data_fingerprint": data_fingerprint(recipe, cells),
        "unseen_cells": cell_marks(cells.inputs[result.unseen[:MAX_MARKS]]),
        "threads": torch.get_num_threads(),
        "versions": {
            "scprism": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }


def data_fingerprint(recipe: Recipe, cells: AnyCells) -> str:
    """Return a short hash of the genes and of what the network is trained to return for each cell."""
    digest = hashlib.sha256("\n".join(recipe.genes).encode())
    targets = cells.targets
    kind = targets.indptr.dtype if isinstance(cells, TrainingCells) else index_type(targets.nnz)
    digest.update(targets.indptr.astype(kind, copy=False).data)
    for part in ("indices", "data"):
        for block in row_blocks(targets):
            values = getattr(block, part)
            digest.update(np.ascontiguousarray(values, dtype=kind if part == "indices" else values.dtype).data)
    return digest.hexdigest()[:16]
