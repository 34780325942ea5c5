"""GSEA of many rankings: time, memory and agreement of scprism and gseapy, one table; then how the time grows.

    python benchmarks/gsea.py            a tenth of the rankings, about a minute
    python benchmarks/gsea.py --full     640 rankings × 50 sets × 4,000 genes × 1,000 permutations
    python benchmarks/gsea.py --plot growth.png

gseapy runs on a few rankings only; its total is that of one ranking times their number, and said to be so. All on one
thread, and seconds are those of the processor: what else the machine does matters little.
"""

import argparse
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

THREADS = 1


@dataclass(frozen=True)
class Setting:
    """Sizes of a problem; `planted` sets have their genes' scores moved by half a standard deviation."""

    n_rankings: int = 64
    n_sets: int = 50
    n_genes: int = 4000
    n_permutations: int = 1000
    planted: int = 0


def problem(setting: Setting) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return standard normal rankings and random sets of Hallmark's sizes, 32 to 200."""
    rng = np.random.default_rng(0)
    genes = np.array([f"g{k:05d}" for k in range(setting.n_genes)])
    values = rng.standard_normal((setting.n_rankings, setting.n_genes))
    sets = {}
    for k in range(setting.n_sets):
        members = rng.choice(setting.n_genes, int(rng.integers(32, 201)), replace=False)
        sets[f"s{k}"] = list(genes[members])
        if k < setting.planted:
            values[:, members] += rng.choice([-0.5, 0.5])
    return pd.DataFrame(values, columns=genes, index=[f"r{k}" for k in range(setting.n_rankings)]), sets


def ours(setting: Setting) -> pd.DataFrame:
    from scprism.enrichment.gsea import gsea

    scores, sets = problem(setting)
    # Compiled before the clock starts: with as few random sets most tests need small p-values.
    gsea(scores.iloc[:1], sets, n_permutations=100, rng=0, threads=THREADS)
    return timed(lambda: gsea(scores, sets, n_permutations=setting.n_permutations, rng=0, threads=THREADS))


def peer(setting: Setting, method: str) -> pd.DataFrame:
    import gseapy

    scores, sets = problem(setting)

    def run() -> pd.DataFrame:
        tables = []
        for name, row in scores.iterrows():
            result = gseapy.prerank(
                row.sort_values(ascending=False),
                sets,
                min_size=10,
                permutation_num=setting.n_permutations,
                threads=THREADS,
                no_plot=True,
                outdir=None,
                seed=0,
                method=method,
            )
            tables.append(result.res2d.assign(ranking=name))
        columns = {"Term": "gene_set", "ES": "es", "NES": "nes", "NOM p-val": "p_value"}
        table = pd.concat(tables).rename(columns=columns)
        return table.astype({"es": float, "nes": float, "p_value": float})

    return timed(run)


def timed(run: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return the table with seconds of the processor and the memory added by the run (MB) in its attributes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    table = run()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = table[["ranking", "gene_set", "es", "nes", "p_value"]].copy()
    table.attrs = {"seconds": seconds, "peak_mb": peak / 1024, "added_mb": (peak - before) / 1024}
    return table


def in_own_process(function: Callable[..., pd.DataFrame], *arguments: object) -> pd.DataFrame:
    """Return the result of a fresh process, so that peaks of memory do not mix."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare(setting: Setting, *, n_peer: int) -> pd.DataFrame:
    """Return a row for each tool: seconds for all rankings, memory, ratio, and agreement on the peer's rankings."""
    own = in_own_process(ours, setting)
    small = replace(setting, n_rankings=n_peer)
    rows = [{"tool": "scprism", "rankings run": setting.n_rankings, "seconds": own.attrs["seconds"], **memory(own)}]
    for method, name in (("permutation", "gseapy permutation"), ("multilevel", "gseapy multilevel")):
        other = in_own_process(peer, small, method)
        # The first rankings are not those of the whole problem: the sets are drawn after them.
        same = in_own_process(ours, small).merge(other, on=["ranking", "gene_set"], suffixes=("", "_peer"))
        seconds = other.attrs["seconds"] * setting.n_rankings / n_peer
        resolved = same["p_value"] < 0.01
        gap = np.log2(same["p_value"] / same["p_value_peer"].clip(lower=1e-300))[resolved & (method == "multilevel")]
        rows.append(
            {
                "tool": name,
                "rankings run": n_peer,
                "seconds": seconds,
                **memory(other),
                "ratio": seconds / own.attrs["seconds"],
                "max |ΔES|": (same["es"] - same["es_peer"]).abs().max(),
                "NES r": np.corrcoef(same["nes"], same["nes_peer"])[0, 1],
                "log2 p gap, sd": gap.std() if len(gap) > 2 else np.nan,
                "least p": same["p_value"].min(),
            }
        )
    return pd.DataFrame(rows)


def memory(table: pd.DataFrame) -> dict[str, float]:
    return {"peak MB": table.attrs["peak_mb"], "added MB": table.attrs["added_mb"]}


def growth() -> pd.DataFrame:
    """Return seconds of scprism as each size doubles from 64 rankings × 50 sets × 4,000 genes × 1,000 permutations."""
    rows = []
    for field in ("n_rankings", "n_sets", "n_genes", "n_permutations"):
        for factor in (1, 2, 4):
            setting = replace(Setting(), **{field: getattr(Setting(), field) * factor})
            seconds = sorted(in_own_process(ours, setting).attrs["seconds"] for _ in range(3))[1]
            rows.append({"size": field, "value": getattr(setting, field), "factor": factor, "seconds": seconds})
    return pd.DataFrame(rows)


def plot(table: pd.DataFrame, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
    for field, part in table.groupby("size", sort=False):
        ax.loglog(part["factor"], part["seconds"], marker="o", label=field)
    ax.set(xlabel="times 64 rankings, 50 sets,\n4,000 genes, 1,000 permutations", ylabel="seconds")
    ax.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="640 rankings instead of 64")
    parser.add_argument("--plot", type=Path, help="measure how the time grows, and draw it to this file")
    parser.add_argument("--growth", action="store_true", help="measure how the time grows, instead of the comparison")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{os.cpu_count()} cores, load {load:.1f}; one thread each, seconds of the processor"
        + (" (busy: compare ratios only)" * (load > 1.5))
    )
    if arguments.growth or arguments.plot:
        table = growth()
        print("\n" + table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
        if arguments.plot:
            plot(table, arguments.plot)
        return
    n_rankings = 640 if arguments.full else 64
    for planted, name in ((0, "no set planted"), (10, "10 of 50 sets planted")):
        print(f"\n{n_rankings} rankings × 50 sets × 4,000 genes × 1,000 permutations, {name}; gseapy extrapolated")
        table = compare(Setting(n_rankings=n_rankings, planted=planted), n_peer=4)
        print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep=""))


if __name__ == "__main__":
    main()
