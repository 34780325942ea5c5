"""Where the time of a training step goes, one thread; a table.

    python benchmarks/step_parts.py [--density 0.1] [--batch 512] [--genes 4000] [--hidden 128]
    python benchmarks/step_parts.py --single-cells [--density 0.2] [--genes 2100]

Processor milliseconds, the least of 40 repetitions, each part by itself with the memory of a real step. ``products``
are the three matrix products of the output layer, at the machine's rate for their shapes; a step cannot be faster than
these and the first layer. What the parts leave of the whole are the narrow layers, autograd and Python.

With ``--single-cells``: steps of SGD on a few cells each under the presets of the paper, compiled and by PyTorch, taken
in turn, and the memory that a compiled step reads and writes at least.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse

from scprism.model.config import Config
from scprism.model.network import build_autoencoder
from scprism.model.presets import preset_config
from scprism.train import step
from scprism.train.batches import TrainingCells, batches
from scprism.train.flat import flatten_parameters
from scprism.train.likelihood import SparseShares
from scprism.train.optimiser import new_moments, take_step
from scprism.train.sgd import MOST_CELLS
from scprism.train.steps import Run, Steps, choose_steps, torch_steps

N_CELLS = 4096
TURNS, N_STEPS = 5, 100


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
    parser.add_argument("--single-cells", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.single_cells:
        print_single_cells(arguments.genes, density=arguments.density)
        return
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


def print_single_cells(n_genes: int, *, density: float) -> None:
    rng = np.random.default_rng(0)
    kept = rng.random((N_STEPS * MOST_CELLS, n_genes), dtype=np.float32) < density
    inputs = sparse.csr_matrix(kept * rng.gamma(4.0, size=kept.shape).astype(np.float32))
    cells = TrainingCells(inputs, inputs)
    print(f"density {density:g}, {n_genes:,} genes; milliseconds a step, compiled and by PyTorch")
    print(f"{'':<14}{'hidden':>8}{'cells':>7}{'compiled':>10}{'PyTorch':>9}{'ratio':>7}{'MB':>6}{'GB/s':>6}")
    for preset in ("paper", "as_released"):
        for n_cells in (1, 4, MOST_CELLS):
            config = preset_config(preset).changed(batch_size=n_cells)
            ours, theirs = (timed_steps(choose, cells, config) for choose in (choose_steps, torch_steps))
            times = [min(column) for column in zip(*((ours(), theirs()) for _ in range(TURNS)), strict=True)]
            share = 1 - (1 - density) ** n_cells  # of the genes, those that a cell of the batch has
            megabytes = 16e-6 * n_genes * config.hidden_size * (1 + share)
            rate, ratio = megabytes / times[0], times[1] / times[0]
            print(
                f"{preset:<14}{config.hidden_size:8}{n_cells:7}{times[0]:10.2f}{times[1]:9.2f}{ratio:7.1f}"
                f"{megabytes:6.1f}{rate:6.0f}"
            )


def timed_steps(choose: Callable[..., Steps], cells: TrainingCells, config: Config) -> Callable[[], float]:
    """Return what takes some steps and returns the processor milliseconds of one."""
    rng = np.random.default_rng(1)
    model = build_autoencoder(config, n_genes=cells.inputs.shape[1], rng=rng)
    flat = flatten_parameters(model)
    best = flat.values.detach().clone()
    run = Run(model, flat, new_moments(flat, config), best, cells, config, rng, None)
    steps, order = choose(run, batch_size=config.batch_size), np.arange(N_STEPS * config.batch_size)
    steps.take(order[: config.batch_size])

    def time_them() -> float:
        start = time.process_time()
        for i in range(0, len(order), steps.n_cells):
            steps.take(order[i : i + steps.n_cells])
        return 1e3 * (time.process_time() - start) / N_STEPS

    return time_them


def milliseconds_of(square: torch.Tensor) -> float:
    start = time.process_time()
    square @ square
    return 1e3 * (time.process_time() - start)


if __name__ == "__main__":
    main()
