"""Mean saliency of groups of cells: ours beside captum, an autograd loop and vmap(jacrev), on the same cells.

    python benchmarks/saliency.py              one table; hidden 100, 50 units, 4,000 genes, 5,000 cells, 10 groups
    python benchmarks/saliency.py --growth     seconds and memory as cells, genes and units grow; --plot FILE.png
    python benchmarks/saliency.py --million    cells streamed from an h5ad file on disk; --cells 100000 for fewer

Each row runs in its own process: seconds are the median of repeats after one run that is not counted, the peak is the
process's highest resident memory, with what it held before the call in brackets. Methods alternate, so that a busy
machine slows all of them.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anndata
import h5py
import numpy as np
from scipy import sparse

from scprism.explain.attribution import Attribution
from scprism.explain.explanation import Explanation
from scprism.explain.groups import explain_groups
from scprism.model.weights import Weights

N_GROUPS = 10
OURS = {
    "ours, guided, signed": Attribution("guided", absolute=False),
    "ours, guided, |.|": Attribution("guided"),
    "ours, plain, signed": Attribution("plain", absolute=False),
    "ours, plain, |.|": Attribution("plain"),
    "ours, deeplift, |.|": Attribution("deeplift"),
}
PEERS = ["autograd loop", "vmap(jacrev)", "captum"]


def network(*, genes: int, hidden: int, units: int) -> Weights:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(scale=(2 / sum(shape)) ** 0.5, size=shape).astype(np.float32)

    return Weights(
        draw(hidden, genes), draw(hidden), draw(units, hidden), draw(units),
        draw(hidden, units), draw(hidden), draw(genes, hidden), draw(genes),
    )  # fmt: skip


def make_cells(n: int, *, genes: int, seed: int = 0) -> sparse.csr_matrix:
    """A fifth of the values not zero, as on the log1p scale of real cells."""
    rng = np.random.default_rng(seed)
    n_each = rng.binomial(genes, 0.2, n)
    indptr = np.concatenate([[0], np.cumsum(n_each)])
    indices = np.concatenate([np.sort(rng.choice(genes, k, replace=False)) for k in n_each]).astype(np.int32)
    data = rng.exponential(1.0, indptr[-1]).astype(np.float32)
    return sparse.csr_matrix((data, indices, indptr.astype(np.int32)), shape=(n, genes))


def explain(weights: Weights, cells: sparse.csr_matrix, codes: np.ndarray, attribution: Attribution) -> Explanation:
    genes = [f"gene_{i}" for i in range(weights.n_genes)]
    groups = [f"group_{i}" for i in range(N_GROUPS)]
    return explain_groups(weights, [(cells, codes)], genes=genes, groups=groups, attribution=attribution, threads=2)


def peer_sums(method: str, weights: Weights, cells: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Signed and absolute sums of the plain gradient by group, (2, groups, units, genes)."""
    import torch

    torch.set_num_threads(2)
    net = torch.nn.Sequential(
        torch.nn.Linear(weights.n_genes, len(weights.hidden_bias)), torch.nn.Softplus(),
        torch.nn.Linear(len(weights.hidden_bias), weights.n_units), torch.nn.Softplus(),
    )  # fmt: skip
    with torch.no_grad():
        net[0].weight[:], net[0].bias[:] = (
            torch.from_numpy(weights.hidden_weight),
            torch.from_numpy(weights.hidden_bias),
        )
        net[2].weight[:], net[2].bias[:] = (
            torch.from_numpy(weights.latent_weight),
            torch.from_numpy(weights.latent_bias),
        )
    members = torch.zeros(N_GROUPS, len(codes)).index_put_(
        (torch.from_numpy(codes), torch.arange(len(codes))), torch.tensor(1.0)
    )
    sums = torch.zeros(2, N_GROUPS, weights.n_units, weights.n_genes)
    for where, unit, maps in _peer_maps(method, net, torch.from_numpy(cells), weights.n_units):
        member = members[:, where]
        if unit is None:  # (cells, units, genes)
            sums[0] += (member @ maps.flatten(1)).reshape(sums.shape[1:])
            sums[1] += (member @ maps.abs_().flatten(1)).reshape(sums.shape[1:])
        else:
            sums[0, :, unit] += member @ maps
            sums[1, :, unit] += member @ maps.abs_()
    return sums.numpy()


def _peer_maps(method: str, net: object, x: object, n_units: int) -> Iterator[tuple[slice, int | None, object]]:
    import torch

    if method == "vmap(jacrev)":
        jacobian = torch.vmap(torch.func.jacrev(net))
        for start in range(0, len(x), 250):
            with torch.no_grad():
                yield slice(start, start + 250), None, jacobian(x[start : start + 250])
        return
    from captum.attr import Saliency

    saliency = Saliency(net)
    for start in range(0, len(x), 1000):
        block = x[start : start + 1000].clone().requires_grad_()
        output = net(block)
        for unit in range(n_units):
            if method == "captum":
                maps = saliency.attribute(block, target=unit, abs=False).detach()
            else:
                maps = torch.autograd.grad(output[:, unit].sum(), block, retain_graph=True)[0]
            yield slice(start, start + 1000), unit, maps


def product_rate() -> float:
    """Gflop/s of a matrix product of 2,000 × 2,000 float32, median of 15."""
    a = np.random.default_rng(0).random((2000, 2000), dtype=np.float32)
    a @ a
    return 16 / statistics.median(_seconds(lambda: a @ a, repeats=15))


def _seconds(call: Callable[[], object], *, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(name: str, *, cells: int, genes: int, hidden: int, units: int, repeats: int) -> dict[str, float]:
    """Run one method in this process; also its Gflop and how far it is from the closed form."""
    weights, x = network(genes=genes, hidden=hidden, units=units), make_cells(cells, genes=genes)
    codes = np.random.default_rng(1).integers(0, N_GROUPS, cells)
    gflop, gap = 0.0, 0.0
    if name in OURS:
        run: Callable[[], object] = lambda: explain(weights, x, codes, OURS[name])  # noqa: E731
        if OURS[name].absolute:
            live = (weights.latent_weight > 0).sum() if OURS[name].method == "guided" else hidden * units
            gflop = 2e-9 * live * (x.nnz if OURS[name].method == "deeplift" else cells * genes)
    else:
        dense = x.toarray()
        run = lambda: peer_sums(name, weights, dense, codes)  # noqa: E731
    before = _peak()
    first = run()
    if name not in OURS:
        n = np.bincount(codes, minlength=N_GROUPS)[:, None, None]
        exact = explain(weights, x, codes, Attribution("plain"))
        means = np.asarray(first) / n
        gap = max(np.abs(means[0] - exact.signed[:-1]).max(), np.abs(means[1] - exact.absolute[:-1]).max())
        gap /= float(exact.absolute.max())
    times = _seconds(run, repeats=repeats)
    rate = product_rate() if gflop else 0.0
    return {"seconds": statistics.median(times), "gflop": gflop, "rate": rate, "gap": float(gap), "peak": _peak(),
            "before": before}  # fmt: skip


def in_own_process(name: str, **size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", json.dumps({"name": name, **size})]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return json.loads(lines[-1])


def table(*, rounds: int, repeats: int, cells: int) -> None:
    size = {"cells": cells, "genes": 4000, "hidden": 100, "units": 50, "repeats": repeats}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in [*OURS, *PEERS]}
    for _ in range(rounds):
        for name, found in rows.items():
            found.append(in_own_process(name, **size))
    middle = {n: {k: statistics.median(f[k] for f in found) for k in found[0]} for n, found in rows.items()}
    fastest = min(middle[n]["seconds"] for n in PEERS)
    print(f"{cells:,} cells, 4,000 genes (20 % not zero), 100 hidden, 50 units, {N_GROUPS} groups, 2 threads")
    print(f"{'':24}{'seconds':>9}{'× fastest peer':>16}{'× captum':>10}{'Gflop/s':>9}{'of product':>12}{'peak MB':>16}")
    for name, row in middle.items():
        done = row["gflop"] / row["seconds"]
        shares = [f["gflop"] / f["seconds"] / f["rate"] for f in rows[name] if f["rate"]]
        speed = f"{done:9.0f}{statistics.median(shares):12.0%}" if shares else f"{'':21}"
        ratios = f"{fastest / row['seconds']:16.1f}{middle['captum']['seconds'] / row['seconds']:10.1f}"
        print(f"{name:24}{row['seconds']:9.3f}{ratios}{speed}{row['peak']:9.0f} ({row['before']:.0f})")
    print("peers and closed form agree to", f"{max(middle[n]['gap'] for n in PEERS):.1e} of the largest mean")


def growth(*, plot: Path | None) -> None:
    steps = {
        "cells": [1250, 2500, 5000, 10_000, 20_000],
        "genes": [1000, 2000, 4000, 8000, 16_000],
        "units": [12, 25, 50, 100],
    }
    names = ["ours, guided, signed", "ours, guided, |.|", "ours, deeplift, |.|"]
    found: dict[tuple[str, str], list[float]] = {}
    print(f"{'':24}{'grows':>8}{'to':>9}{'seconds':>10}{'peak MB':>16}")
    for axis, values in steps.items():
        for value in values:
            size = {"cells": 5000, "genes": 4000, "hidden": 100, "units": 50, "repeats": 3, axis: value}
            for name in names:
                row = in_own_process(name, **size)
                found.setdefault((axis, name), []).append(row["seconds"])
                print(f"{name:24}{axis:>8}{value:9,}{row['seconds']:10.3f}{row['peak']:9.0f} ({row['before']:.0f})")
    if plot is not None:
        draw_growth(steps, found, path=plot)


def draw_growth(steps: dict[str, list[int]], found: dict[tuple[str, str], list[float]], *, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(steps), figsize=(11, 3.5), sharey=True, layout="constrained")
    for ax, (axis, values) in zip(axes, steps.items(), strict=True):
        for name in dict.fromkeys(n for a, n in found if a == axis):
            ax.loglog(values, found[axis, name], marker="o", label=name)
        ax.set(xlabel=axis)
    axes[0].set(ylabel="seconds")
    axes[-1].legend()
    figure.savefig(path, dpi=150)


def write_h5ad(path: Path, *, cells: int, genes: int) -> None:
    """Write cells to a sparse h5ad file part by part: one part of 10,000 again and again, rows shifted."""
    part = make_cells(min(10_000, cells), genes=genes)
    anndata.AnnData(part[:0]).write_h5ad(path)
    with h5py.File(path, "a") as file:
        group = file["X"]
        del group["data"], group["indices"], group["indptr"]
        parts = [part[: min(part.shape[0], cells - i)] for i in range(0, cells, part.shape[0])]
        n_stored = np.cumsum([0] + [p.nnz for p in parts])
        options = {"shape": (int(n_stored[-1]),), "chunks": (1 << 18,)}
        data = group.create_dataset("data", dtype="f4", **options)
        indices = group.create_dataset("indices", dtype="i4", **options)
        indptr = [np.zeros(1, np.int64)]
        for p, a, b in zip(parts, n_stored[:-1], n_stored[1:], strict=True):
            data[a:b], indices[a:b] = p.data, p.indices
            indptr.append(p.indptr[1:].astype(np.int64) + a)
        group.create_dataset("indptr", data=np.concatenate(indptr))
        group.attrs["shape"] = (cells, genes)
        del file["obs"]
    with h5py.File(path, "a") as file:
        names = np.array([f"cell_{i}" for i in range(cells)])
        anndata.io.write_elem(file, "obs", anndata.AnnData(obs={"cell": names}).obs.set_index("cell"))


def million(*, cells: int, absolute: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        writer = [sys.executable, __file__, "--write", str(path), "--cells", str(cells)]
        subprocess.run(writer, check=True)
        for method in ("guided", "deeplift"):
            options = {"path": str(path), "method": method, "absolute": absolute}
            command = [sys.executable, __file__, "--stream", json.dumps(options)]
            print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")


def stream(*, path: str, method: str, absolute: bool) -> None:
    backed = anndata.read_h5ad(path, backed="r")
    n, genes = backed.shape
    codes = np.random.default_rng(1).integers(0, N_GROUPS, n)
    weights, reading = network(genes=genes, hidden=100, units=50), [0.0]
    if method == "deeplift":  # as in the default preset; with a softplus its signed means need every cell's map
        weights = replace(weights, latent_beta=None)

    def chunks() -> Iterator[tuple[sparse.csr_matrix, np.ndarray]]:
        for start in range(0, n, 4096):
            begin = time.perf_counter()
            block = backed.X[start : start + 4096]
            reading[0] += time.perf_counter() - begin
            yield block, codes[start : start + 4096]

    warm = make_cells(100, genes=genes)
    explain(weights, warm, codes[:100], Attribution(method, absolute=absolute))  # compiled kernels are loaded
    before, begin = _peak(), time.perf_counter()
    explain_groups(
        weights, chunks(), genes=[f"gene_{i}" for i in range(genes)], groups=[f"group_{i}" for i in range(N_GROUPS)],
        attribution=Attribution(method, absolute=absolute), threads=2,
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    what = "signed and |.|" if absolute else "signed"
    share, size = reading[0] / seconds, Path(path).stat().st_size / 1e9
    print(f"{method}, {what}: {n:,} cells × {genes:,} genes, {size:.1f} GB on disk: {seconds:.1f} s, "
          f"{share:.0%} of it reading ({size / reading[0]:.2f} GB/s); peak {_peak()} MB ({before})")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--absolute", action="store_true", help="with --million: also mean |.|")
    parser.add_argument("--cells", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    for hidden in ("--one", "--write", "--stream"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(**json.loads(options.one))))
    elif options.write:
        write_h5ad(Path(options.write), cells=options.cells, genes=4000)
    elif options.stream:
        stream(**json.loads(options.stream))
    elif options.million:
        million(cells=options.cells or 1_000_000, absolute=options.absolute)
    elif options.growth:
        growth(plot=options.plot)
    else:
        table(rounds=options.rounds, repeats=options.repeats, cells=options.cells or 5000)


if __name__ == "__main__":
    main()
