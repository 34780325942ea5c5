"""Where the time of a training step goes, one thread; a table.

    python benchmarks/step_parts.py [--density 0.1] [--batch 512] [--genes 4000] [--hidden 128]

Processor milliseconds, the least of 40 repetitions, each part by itself with the memory of a real step. ``products``
are the three matrix products of the output layer, at the machine's rate for their shapes; a step cannot be faster than
these and the first layer. What the parts leave of the whole are the narrow layers, autograd and Python.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse

from scprism.model.config import Config
from scprism.model.network import build_autoencoder
from scprism.train import step
from scprism.train.batches import TrainingCells, batches
from scprism.train.flat import flatten_parameters
from scprism.train.likelihood import SparseShares
from scprism.train.optimiser import new_moments, take_step

N_CELLS = 4096


def milliseconds(function: Callable[[], object]) -> float:
    times = []
    for _ in range(40):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--density", type=float, default=0.1)
    for name, default in (("batch", 512), ("genes", 4000), ("hidden", 128)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng, (n_genes, n_hidden, n_batch) = np.random.default_rng(0), (arguments.genes, arguments.hidden, arguments.batch)
    counts = sparse.csr_matrix(rng.random((N_CELLS, n_genes), dtype=np.float32) < arguments.density, dtype=np.float32)
    counts.data += rng.poisson(1.0, size=counts.nnz).astype(np.float32)
    cells, rows = TrainingCells(counts.log1p(), counts), rng.permutation(N_CELLS)[:n_batch]
    config = Config(hidden_size=n_hidden)
    model = build_autoencoder(config, n_genes=n_genes, rng=rng)
    flat = flatten_parameters(model)
    moments, workspace = new_moments(flat, config), step.new_workspace(model, batch_size=n_batch)
    batch = next(batches(cells, rows, batch_size=n_batch))
    last, slope = torch.randn(n_batch, n_hidden), torch.randn(n_batch, n_hidden)
    z, weight = workspace.output.normal_(), model.output.weight.detach()
    at_once = len(z)
    starts = range(0, n_batch, at_once)

    def whole() -> None:
        part = next(batches(cells, rows, batch_size=n_batch))
        flat.gradients.zero_()
        nothing = torch.zeros(())
        step.add_gradients(model, part, likelihood="multinomial", workspace=workspace, penalty_of=lambda *_: nothing)
        take_step(flat, moments, config)

    def products() -> None:
        for start in starts:
            part = last[start : start + at_once]
            torch.mm(part, weight.t(), out=z[: len(part)])
            torch.mm(z[: len(part)], weight, out=slope[start : start + at_once])
            model.output.weight.grad.addmm_(z[: len(part)].t(), part)

    def likelihood() -> None:
        for start in starts:
            part = batch.targets[start : start + at_once]
            SparseShares.of_counts(part, device=z.device).replace_by_slopes(z[: part.shape[0]])

    def first_layer() -> None:
        with torch.no_grad():
            inputs = step._first_input(batch.inputs, workspace)
            step._first_layer(model.hidden, inputs)
            step._add_first_gradients(model.hidden, inputs, slope)

    step_ms = milliseconds(whole)
    parts = {
        "products of the output layer": milliseconds(products),
        "likelihood and its derivative": milliseconds(likelihood),
        "first layer, forward and weights": milliseconds(first_layer),
        "Adam": milliseconds(lambda: take_step(flat, moments, config)),
        "gradients to zero": milliseconds(flat.gradients.zero_),
        "taking a batch": milliseconds(lambda: next(batches(cells, rows, batch_size=n_batch))),
    }
    square = torch.randn(4096, 4096)
    rate = max(2 * 4096**3 / milliseconds_of(square) / 1e6 for _ in range(3))
    flop = 6 * n_batch * n_genes * n_hidden
    print(f"density {arguments.density:g}, batches of {n_batch}, {n_genes:,} genes, hidden {n_hidden}")
    for name, value in {**parts, "the rest": step_ms - sum(parts.values()), "a step": step_ms}.items():
        print(f"{name:<34}{value:8.2f} ms{value / step_ms:8.0%}")
    own_rate = flop / parts["products of the output layer"] / 1e6
    print(f"{n_batch / step_ms * 1e3:,.0f} cells/s; products {own_rate:.0f} Gflop/s, large square matrices {rate:.0f}")


def milliseconds_of(square: torch.Tensor) -> float:
    start = time.process_time()
    square @ square
    return 1e3 * (time.process_time() - start)


if __name__ == "__main__":
    main()
