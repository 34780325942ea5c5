"""Training speed and memory against scvi-tools, and against what the machine can multiply.

    python benchmarks/training.py --density 0.33 --peers PYTHON      PYTHON: an interpreter that has scvi-tools

20,000 synthetic cells × 4,000 genes; every method has hidden layers of the same width and the same batches. Each
measurement is a process of its own; methods take turns, and the table has the median epoch of all their turns, by the
clock and by the time of the processors, which other work on the machine disturbs less; threads that wait for others
spend it too, so it says most with ``--threads 1``. The first epoch, which compiles and fills caches, does not count.

`needed` counts the products and sums that a step cannot do without: for each cell 3 · 2 · genes · hidden in the output
layer (forward, gradient of its input, gradient of its weights), 2 · 2 · non-zero genes · hidden in the first layer,
which needs no gradient of its input, and 3 · 2 · hidden · units in each of the two layers between. `share` is what of
the machine's matrix-product rate (4,096 × 4,096, the best in the same run) that comes to, both a processor second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

N_CELLS, N_GENES, HIDDEN, UNITS = 20_000, 4_000, 128, 50
METHODS = ("scprism", "autograd", "SCVI", "LinearSCVI")


def synthetic(density):
    import numpy as np
    from scipy import sparse

    rng = np.random.default_rng(0)
    parts = []
    for _ in range(0, N_CELLS, 2_000):
        kept = rng.random((2_000, N_GENES), dtype=np.float32) < density
        parts.append(sparse.csr_matrix(kept, dtype=np.float32))
        parts[-1].data = 1 + rng.poisson(1.0, size=parts[-1].nnz).astype(np.float32)
    return sparse.vstack(parts, format="csr")


def resident_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


class Peak:
    """The highest resident memory while it runs, MB."""

    def __enter__(self):
        self.peak, self.going = resident_mb(), True
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        """Look every 5 ms."""
        while self.going:
            self.peak = max(self.peak, resident_mb())
            time.sleep(0.005)

    def __exit__(self, *_):
        self.going = False
        self.thread.join()


def product_rate():
    import torch

    a = torch.randn(4096, 4096)
    best = float("inf")
    for _ in range(4):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return 2 * 4096**3 / best / 1e9


class Clock:
    """The time at each tick, by the clock and by the processors."""

    def __init__(self):
        self.ticks = []

    def tick(self, *_):
        """Note the time."""
        self.ticks.append((time.perf_counter(), time.process_time()))

    @property
    def spans(self):
        """The times between ticks."""
        return [(b[0] - a[0], b[1] - a[1]) for a, b in zip(self.ticks, self.ticks[1:], strict=False)]


def ours(counts, *, batch, epochs, dropout, with_autograd):
    """Return the seconds of each epoch of our loop; with autograd: of a plain PyTorch loop over dense batches."""
    import numpy as np
    import torch
    from scipy import sparse

    from scprism.model.config import Config
    from scprism.model.losses import reconstruction_loss
    from scprism.model.network import build_autoencoder
    from scprism.train.batches import Dropout, TrainingCells, batches
    from scprism.train.loop import train_model

    config = Config(
        hidden_size=HIDDEN,
        bottleneck_size=UNITS,
        batch_size=batch,
        input_dropout=dropout,
        gene_dropout=0.0,
        penalty_weight=0.0,
        max_epochs=epochs,
        split=(0.999, 0.001, 0.0),
    )
    inputs = sparse.csr_matrix((np.log1p(counts.data), counts.indices, counts.indptr), shape=counts.shape)
    cells, rng = TrainingCells(inputs, counts), np.random.default_rng(0)
    model, clock = build_autoencoder(config, n_genes=N_GENES, rng=rng), Clock()
    if not with_autograd:
        train_model(model, cells, config=config, rng=rng, on_epoch=clock.tick)
        return clock.spans
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    hidden = Dropout(dropout, 0.0, np.zeros(N_GENES, np.float32), rng) if dropout else None
    for _ in range(epochs):
        for part in batches(cells, rng.permutation(N_CELLS), batch_size=batch, dropout=hidden):
            x, target = (torch.from_numpy(m.toarray()) for m in (part.inputs, part.targets))
            optimiser.zero_grad()
            loss = reconstruction_loss(model(x)[1], target, likelihood="multinomial").mean()
            torch.autograd.backward(loss)
            optimiser.step()
        clock.tick()
    return clock.spans


def theirs(counts, *, name, batch, epochs):
    """Return the seconds of each epoch of a model of scvi-tools."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    import anndata
    import lightning.pytorch as pl
    import scvi

    logging.disable(logging.WARNING)
    clock = Clock()

    class Watch(pl.Callback):
        def on_train_epoch_end(self, *_):
            clock.tick()

    kind = getattr(scvi.model, name)
    cells = anndata.AnnData(counts)
    kind.setup_anndata(cells)
    model = kind(cells, n_hidden=HIDDEN, n_latent=UNITS)
    quiet = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False, "callbacks": [Watch()]}
    model.train(max_epochs=epochs, batch_size=batch, train_size=1.0, accelerator="cpu", devices=1, **quiet)
    return clock.spans


def child(arguments):
    counts = synthetic(arguments.density)
    rate = product_rate()
    if arguments.child in ("scprism", "autograd"):
        import scprism.train.loop  # noqa: F401  memory is counted over the imports
    else:
        import scvi  # noqa: F401
    before = resident_mb()
    with Peak() as peak:
        options = {"batch": arguments.batch, "epochs": arguments.epochs}
        if arguments.child in ("scprism", "autograd"):
            options |= {"dropout": arguments.dropout, "with_autograd": arguments.child == "autograd"}
            times = ours(counts, **options)
        else:
            times = theirs(counts, name=arguments.child, **options)
    grown = peak.peak - before
    print(json.dumps({"times": times, "rate": rate, "grown": grown, "density": counts.nnz / N_CELLS / N_GENES}))


def measure(arguments):
    results = {name: [] for name in METHODS if arguments.peers or name in ("scprism", "autograd")}
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "MKL_NUM_THREADS": str(arguments.threads)}
    for _ in range(arguments.turns):
        for name in results:
            python = sys.executable if name in ("scprism", "autograd") else arguments.peers
            options = [f"--{o}={getattr(arguments, o)}" for o in ("density", "batch", "epochs", "dropout")]
            done = subprocess.run(
                [python, __file__, f"--child={name}", *options],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
            )
            if done.returncode:
                sys.exit(done.stderr)
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
    return results


def table(results, arguments):
    spans = {name: [t for r in turns for t in r["times"]] for name, turns in results.items()}
    speed, lean = ({k: N_CELLS / statistics.median(t[i] for t in v) for k, v in spans.items()} for i in (0, 1))
    rate = max(r["rate"] for turns in results.values() for r in turns)
    density = results["scprism"][0]["density"]
    per_cell = 2 * HIDDEN * (3 * N_GENES + 2 * N_GENES * density * (1 - arguments.dropout)) + 2 * 3 * 2 * HIDDEN * UNITS
    shown = {"dropout": arguments.dropout, "hidden": HIDDEN, "threads": arguments.threads}
    told = ", ".join(f"{name} {value:g}" for name, value in shown.items())
    print(f"density {density:.2f}, batches of {arguments.batch}, {told}")
    print(f"{'':<12}{'cells/s':>9}{'scprism is':>12}{'a processor s':>15}{'scprism is':>12}{'MB over imports':>17}")
    for name, turns in results.items():
        grown = statistics.median(r["grown"] for r in turns)
        ratios = [table["scprism"] / table[name] for table in (speed, lean)]
        print(f"{name:<12}{speed[name]:>9,.0f}{ratios[0]:>10.2f} ×", end="")
        print(f"{lean[name]:>15,.0f}{ratios[1]:>10.2f} ×{grown:>17,.0f}")
    needed = per_cell * lean["scprism"] / 1e9
    print(f"needed: {per_cell / 1e6:.2f} Mflop a cell = {needed:.0f} Gflop/s; ", end="")
    print(f"matrix products: {rate:.0f} Gflop/s; share {needed / rate:.0%}")
    parameters = 4 * (2 * N_GENES * HIDDEN + 2 * HIDDEN * UNITS + N_GENES + 2 * HIDDEN + UNITS)
    inputs = 4 * density * N_CELLS * N_GENES  # their places are those of the counts
    batch = 4 * N_GENES * (arguments.batch + 2 * min(arguments.batch, 256))
    parts = [f"{x / 2**20:.0f} MB {what}" for x, what in ((inputs, "inputs"), (5 * parameters, "parameters"))]
    print(f"memory needed: {parts[0]} (sparse), {batch / 2**20:.0f} MB batch, {parts[1]}, gradients, moments, best")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--density", type=float, default=0.33, help="share of non-zero counts")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--dropout", type=float, default=0.0, help="input dropout of our model")
    parser.add_argument("--epochs", type=int, default=3, help="epochs a turn; the first does not count")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--peers", help="a Python that has scvi-tools; without it there are no peers")
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
    else:
        table(measure(arguments), arguments)


if __name__ == "__main__":
    main()
