"""Label transfer to foreign cells: the presets against baselines and peers, over all pairs of data sets; tables.

    python benchmarks/transfer.py --data DIR [--store FILE] [--markdown FILE]
    python benchmarks/transfer.py --data DIR --show-labels              which names count as which type, with counts
    python benchmarks/transfer.py --data DIR --missing                  genes dropped from the query
    python benchmarks/transfer.py --throughput                          cells embedded a second
    python benchmarks/transfer.py --data DIR --only 'default tm_droplet>*' --variant 'drop3:input_dropout=0.3'

Every result is kept in the store under what it was computed from (cells, settings, source of the code that matters),
so an interrupted run goes on where it stopped and nothing is computed twice. With --minutes a run stops by itself.
"""

import argparse
import time
import warnings
from collections import defaultdict
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from foreign.cells import Pair, all_pairs, print_labels
from foreign.gaps import gap_pairs
from foreign.methods import BASELINES, Method, Reference, all_methods, open_task, variant
from foreign.networks import network_calls, trained
from foreign.peers import PEERS, peer_calls
from foreign.store import Store
from foreign.tables import gap_tables, transfer_tables
from foreign.throughput import throughput_table
from scprism.errors import PrismWarning

Todo = dict[tuple[str, str, int], list[Pair]]
"""Reference, method and seed, and the pairs that are still to be computed for them."""
GAP_BASELINES = ("all_genes", "pca", "pca_filled")


def compute(todo: Todo, methods: dict[str, Method], store: Store, *, stop: float, pythons: dict[str, Path]) -> bool:
    """Compute and keep what is to be done; return False if the time was up before the end."""
    references: dict[str, Reference] = {}
    for (name, method_name, seed), pairs in todo.items():
        method = methods[method_name]
        reference = references.setdefault(name, Reference(name, store.data))
        network = None
        for pair in pairs:
            if time.monotonic() > stop:
                return False
            start = time.perf_counter()
            task = open_task(pair, reference, store.data)
            if method.config is not None:
                network = network or trained(reference, method, seed)
                calls = network_calls(task, network, method.rows)
            elif method_name in PEERS:
                calls = peer_calls(task, reference, peer=method_name, python=pythons[method_name], seed=seed)
            else:
                calls = BASELINES[method_name][1](task, reference)
            seconds = time.perf_counter() - start
            store.write(task, method, seed, calls=calls, seconds=seconds)
            print(f"{time.strftime('%H:%M:%S')} {method_name} {pair.name} seed {seed}: {seconds:.1f} s", flush=True)
    return True


def missing_results(pairs: list[Pair], methods: list[Method], store: Store, patterns: list[str]) -> Todo:
    """Return what is not in the store yet, grouped so that a network is trained once for all its queries."""
    todo = defaultdict(list)
    for method in methods:
        for seed in range(method.seeds):
            for pair in pairs:
                wanted = not patterns or any(fnmatch(f"{method.name} {pair.name}", p) for p in patterns)
                if wanted and not store.has(pair, method, seed):
                    todo[pair.reference, method.name, seed].append(pair)
    return todo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the h5ad files")
    parser.add_argument("--store", type=Path, default=Path("transfer.sqlite"), help="where results are kept")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the trained networks")
    parser.add_argument("--untrained-seeds", type=int, default=10)
    parser.add_argument("--draws", type=int, default=2, help="draws of dropped genes, with --missing")
    for peer in PEERS:
        parser.add_argument(f"--{peer}-python", type=Path, help=f"interpreter of an environment with {peer}")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME[@PRESET]:SETTING=VALUE,...")
    parser.add_argument("--methods", help="these methods only, with commas between")
    parser.add_argument("--only", action="append", default=[], metavar="'METHOD PAIR'", help="patterns with * and ?")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this time; run again to go on")
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    parser.add_argument("--missing", action="store_true", help="queries with genes dropped")
    parser.add_argument("--throughput", action="store_true", help="cells embedded a second")
    parser.add_argument("--show-labels", action="store_true", help="print how labels are understood, and stop")
    parser.add_argument("--table", action="store_true", help="print what is there; compute nothing")
    arguments = parser.parse_args()
    if arguments.throughput:
        print(throughput_table(arguments.scvi_python))
        return
    if arguments.data is None:
        parser.error("--data is needed: the folder of the h5ad files")
    warnings.simplefilter("ignore", PrismWarning)  # coverage stands in the tables
    pairs = gap_pairs(draws=arguments.draws) if arguments.missing else all_pairs(arguments.data)
    if arguments.show_labels:
        print_labels(pairs, arguments.data)
        return
    variants = [replace(variant(text), seeds=arguments.seeds) for text in arguments.variant]
    methods = all_methods(variants=variants, seeds=arguments.seeds, untrained_seeds=arguments.untrained_seeds)
    if arguments.missing:
        networks = [m for m in methods if m.name in ("default", *(v.name for v in variants))]
        networks = [replace(m, rows=(m.name, f"{m.name}, whole reference")) for m in networks]
        methods = [*networks, *(m for m in methods if m.name in GAP_BASELINES)]
    else:
        methods = [m for m in methods if m.name != "pca_filled"] + [Method(name, rows) for name, rows in PEERS.items()]
    if arguments.methods:
        methods = [m for m in methods if m.name in arguments.methods.split(",")]
    pythons = {peer: getattr(arguments, f"{peer}_python") for peer in PEERS}
    pythons = {peer: path for peer, path in pythons.items() if path is not None}
    store = Store(arguments.store, arguments.data)
    stop = time.monotonic() + 60 * arguments.minutes
    installed = [m for m in methods if m.name not in PEERS or m.name in pythons]
    todo = {} if arguments.table else missing_results(pairs, installed, store, arguments.only)
    finished = compute(todo, {m.name: m for m in methods}, store, stop=stop, pythons=pythons)
    text = (gap_tables if arguments.missing else transfer_tables)(pairs, methods, store)
    print(text)
    if arguments.markdown is not None:
        arguments.markdown.write_text(text, encoding="utf-8")
    if not finished:
        print("The time was up: run again to go on.")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
