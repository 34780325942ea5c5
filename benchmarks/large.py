"""How long training takes on many cells: epochs and seconds until early stopping, one line a setting.

    python benchmarks/large.py --cells 100000 --max-batches 500 --store DIR

Simulated cells of 20 types with 30 overlapping programs, 1,000 genes, the preset `default`. A run leaves a checkpoint
in --store, so that one that was ended goes on when the command is given again; seconds are of training alone.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from scprism.model.config import Config
from scprism.read.synthetic import Simulation, gene_names, simulate_cells
from scprism.train.checkpoint import Checkpoint
from scprism.train.fit import fit_network, prepare_training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--max-batches", type=int, default=Config().max_batches)
    parser.add_argument("--store", type=Path, required=True, help="folder of the checkpoints")
    arguments = parser.parse_args()
    genes = gene_names(1000)
    simulation = Simulation(
        n_cells=arguments.cells, genes=genes, n_types=20, n_programs=30, program_size=40, overlap=0.3, library_size=1500
    )
    cells = simulate_cells(simulation, rng=0)
    config = dataclasses.replace(Config(), genes=genes, max_batches=arguments.max_batches)
    recipe, training = prepare_training(cells.X, list(cells.var_names), config=config, organism=None)
    arguments.store.mkdir(parents=True, exist_ok=True)
    place = arguments.store / f"{arguments.cells}-{arguments.max_batches}.checkpoint"
    checkpoint = Checkpoint(place, resume=True)
    fitted = fit_network(recipe, training, config=config, rng=0, device="cpu", checkpoint=checkpoint)
    told, log = fitted.summary, fitted.log
    n_seen = min(told["n_train"], arguments.max_batches * config.batch_size)
    best = log.loc[log["epoch"] == told["best_epoch"]].iloc[0]
    within = log.loc[log["validation_loss"] <= best["validation_loss"] * 1.001].iloc[0]
    print(f"{arguments.cells:,} cells, {training.inputs.nnz / np.prod(training.inputs.shape):.0%} non-zero")
    print(f"{len(log)} epochs of {n_seen:,} cells, {log['seconds'].iloc[-1]:.0f} s, best epoch {told['best_epoch']}")
    print(f"within 0.1 % of the best at epoch {within['epoch']:.0f}, {within['seconds']:.0f} s")
    print(f"test loss {told['test_loss']:.4f}")


if __name__ == "__main__":
    main()
