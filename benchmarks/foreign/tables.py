"""The tables of the transfer benchmark, as Markdown."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from foreign.cells import Pair
from foreign.methods import Method
from foreign.neighbours import NEIGHBOURS
from foreign.scores import Scores, compare, interval, score
from foreign.store import Store

__all__ = ["gap_tables", "transfer_tables"]

MARGIN = 0.01
"""The aim: within this of the best baseline on every pair."""
NOT_BASELINES = {"ceiling", "PCA-50 labelled as ours", "HVG-PCA-50 labelled as ours"}
Results = dict[str, dict[str, Scores]]


def transfer_tables(pairs: Sequence[Pair], methods: Sequence[Method], store: Store) -> str:
    """Return all tables of results that the store holds, with what is missing said."""
    results, types, missing = collect(pairs, methods, store)
    pairs = [p for p in pairs if p.name in types]
    names = [name for name in (row for m in methods for row in m.rows) if name in results]
    if not names:
        return "No results yet.\n"
    first = names[0]
    baselines = [n for m in methods if m.config is None or not m.trained for n in m.rows if n in results]
    baselines = [n for n in baselines if n not in NOT_BASELINES]
    parts = [
        f"## Macro-F1 over pairs (mean over k = {NEIGHBOURS[0]}…{NEIGHBOURS[-1]})\n",
        summary_table(pairs, names, first, results),
        f"\n## {first} on each pair, and the best of the baselines\n",
        pair_table(pairs, first, baselines, results),
        "\n## Macro-F1 of every method on each pair, with 95 % intervals over cells\n",
        full_table(pairs, names, results, with_interval),
        "\n## Balanced accuracy\n",
        full_table(pairs, names, results, lambda s: f"{s.balanced_accuracy:.3f}"),
        "\n## Macro-F1 for each k (mean over pairs that all methods here have)\n",
        k_table(pairs, names, results),
        f"\n## Recall of each type: {first}, the best baseline of the pair, ceiling\n",
        recall_table(pairs, [first, *baselines], results, types),
        "\n## Spread over seeds (macro-F1, lowest to highest)\n",
        seed_table(pairs, methods, results),
    ]
    if missing:
        parts.append(f"\nNot computed yet: {', '.join(f'{k} ({v})' for k, v in missing.items())}.")
    return "\n".join(parts) + "\n"


def collect(
    pairs: Sequence[Pair], methods: Sequence[Method], store: Store
) -> tuple[Results, dict[str, list[str]], dict[str, int]]:
    results: Results = defaultdict(dict)
    types: dict[str, list[str]] = {}
    missing: dict[str, int] = defaultdict(int)
    for method in methods:
        for result in method.rows:
            for pair in pairs:
                found = store.read(pair, method, result)
                if found is None:
                    missing[f"{result}, pairs"] += 1
                    continue
                truth, calls, names = found
                missing_seeds = method.seeds - len(calls)
                if missing_seeds:
                    missing[f"{result}, seeds"] += missing_seeds
                types[pair.name] = names
                results[result][pair.name] = score(truth, calls, len(names))
    return results, types, missing


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns are as wide as their widest cell."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [" | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in (header, *rows)]
    rule = " | ".join("-" * w for w in widths)
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))


def with_interval(scores: Scores) -> str:
    low, high = interval(scores.resampled)
    return f"{scores.macro_f1:.3f} [{low:.3f}, {high:.3f}]"


def f1_of(results: Results, name: str, pairs: Sequence[Pair]) -> np.ndarray:
    return np.array([results[name][p.name].macro_f1 if p.name in results[name] else np.nan for p in pairs])


def summary_table(pairs: Sequence[Pair], names: Sequence[str], first: str, results: Results) -> str:
    kinds = list(dict.fromkeys(p.kind for p in pairs))
    header = ["method", "all pairs", *kinds, "n", f"{first} − it [95 %]", "p", "effect", "better / worse by 0.01"]
    rows = []
    for name in names:
        values = f1_of(results, name, pairs)
        there = np.isfinite(values)
        row = [name, f"{values[there].mean():.3f}"]
        for kind in kinds:
            chosen = np.array([p.kind == kind for p in pairs]) & there
            row.append(f"{values[chosen].mean():.3f}" if chosen.any() else "")
        row.append(str(there.sum()))
        reference = f1_of(results, first, pairs)
        both = there & np.isfinite(reference)
        if name == first or not both.any():
            rows.append([*row, "", "", "", ""])
            continue
        c = compare(reference[both], values[both], margin=MARGIN)
        row += [f"{c.difference:+.3f} [{c.low:+.3f}, {c.high:+.3f}]", f"{c.p_value:.2g}", f"{c.effect:+.2f}"]
        rows.append([*row, f"{c.better} / {c.worse}"])
    return markdown(header, rows)


def pair_table(pairs: Sequence[Pair], first: str, baselines: Sequence[str], results: Results) -> str:
    header = ["pair", "kind", "types", "cells", first, "best baseline", "its macro-F1", "difference [95 %]", "aim"]
    rows, differences, kept = [], [], 0
    for pair in pairs:
        candidates = {n: results[n][pair.name] for n in baselines if pair.name in results[n]}
        own = results.get(first, {}).get(pair.name)
        if own is None or not candidates:
            continue
        best = max(candidates, key=lambda n: candidates[n].macro_f1)
        peer = candidates[best]
        d = own.macro_f1 - peer.macro_f1
        low, high = interval(own.resampled - peer.resampled)
        differences.append(d)
        kept += d >= -MARGIN
        row = [pair.name, pair.kind, str(len(own.recall)), str(own.n_cells), with_interval(own), best]
        rows.append([*row, with_interval(peer), f"{d:+.3f} [{low:+.3f}, {high:+.3f}]", "yes" if d >= -MARGIN else "NO"])
    if not rows:
        return "Nothing yet."
    line = (
        f"\nWithin {MARGIN} of the best baseline of each pair, or above it, on {kept} of {len(rows)} pairs; mean "
        f"difference from it {np.mean(differences):+.3f} (aim ≥ +0.020). The best is chosen for each pair with the "
        "query's labels at hand, which no user has: no single baseline is as good."
    )
    return markdown(header, rows) + "\n" + line


def full_table(pairs: Sequence[Pair], names: Sequence[str], results: Results, show: Callable[[Scores], str]) -> str:
    rows = [
        [pair.name, *(show(results[n][pair.name]) if pair.name in results[n] else "" for n in names)] for pair in pairs
    ]
    return markdown(["pair", *names], rows)


def k_table(pairs: Sequence[Pair], names: Sequence[str], results: Results) -> str:
    with_k = [n for n in names if all(len(s.by_k) == len(NEIGHBOURS) for s in results[n].values())]
    common = [p for p in pairs if all(p.name in results[n] for n in with_k)]
    if not common:
        return "Nothing yet."
    chosen = [i for i, k in enumerate(NEIGHBOURS) if k in (2, 3, 5, 7, 10, 15, 20, 25)]
    rows = []
    for name in with_k:
        curve = np.mean([results[name][p.name].by_k for p in common], axis=0)
        rows.append([name, *(f"{curve[i]:.3f}" for i in chosen), f"{curve.max() - curve.min():.3f}"])
    header = ["method", *(f"k = {NEIGHBOURS[i]}" for i in chosen), "range over all k"]
    return f"{len(common)} pairs.\n\n" + markdown(header, rows)


def recall_table(pairs: Sequence[Pair], names: Sequence[str], results: Results, types: dict[str, list[str]]) -> str:
    first, *baselines = names
    rows = []
    for pair in pairs:
        candidates = [n for n in baselines if pair.name in results[n]]
        if pair.name not in results.get(first, {}) or not candidates:
            continue
        best = max(candidates, key=lambda n: results[n][pair.name].macro_f1)
        top = results.get("ceiling", {}).get(pair.name)
        for i, kind in enumerate(types[pair.name]):
            row = [pair.name, kind, f"{results[first][pair.name].recall[i]:.3f}"]
            row += [best, f"{results[best][pair.name].recall[i]:.3f}", "" if top is None else f"{top.recall[i]:.3f}"]
            rows.append(row)
    return markdown(["pair", "type", first, "best baseline", "its recall", "ceiling"], rows) if rows else "Nothing yet."


def seed_table(pairs: Sequence[Pair], methods: Sequence[Method], results: Results) -> str:
    chosen = [m.name for m in methods if m.config is not None and m.seeds > 1 and m.name in results]
    if not chosen:
        return "Nothing yet."
    rows = []
    for pair in pairs:
        cells = []
        for name in chosen:
            s = results[name].get(pair.name)
            cells.append("" if s is None else f"{s.by_seed.min():.3f}–{s.by_seed.max():.3f} ({len(s.by_seed)})")
        rows.append([pair.name, *cells])
    return markdown(["pair", *(f"{name} (seeds)" for name in chosen)], rows)


def gap_tables(pairs: Sequence[Pair], methods: Sequence[Method], store: Store) -> str:
    """Return macro-F1 against the share of genes dropped, for each pair and on average, means over draws."""
    results, types, missing = collect(pairs, methods, store)
    pairs = [p for p in pairs if p.name in types]
    names = [row for m in methods for row in m.rows if row in results]
    conditions = list(dict.fromkeys(_condition(p) for p in pairs))
    whole = list(dict.fromkeys(p.name.partition("@")[0] for p in pairs))
    value: dict[tuple[str, str, str], float] = {}
    for name in names:
        groups = defaultdict(list)
        for p in pairs:
            if p.name in results[name]:
                groups[p.name.partition("@")[0], _condition(p)].append(results[name][p.name].macro_f1)
        value |= {(name, *key): float(np.mean(v)) for key, v in groups.items()}
    parts = []
    for base in ["mean", *whole]:
        rows = []
        for condition in conditions:
            over = whole if base == "mean" else [base]
            cells = [[value.get((n, b, condition), np.nan) for b in over] for n in names]
            rows.append([condition, *(f"{np.mean(c):.3f}" if np.isfinite(c).all() else "" for c in cells)])
        parts.append(f"\n### {base}\n\n" + markdown(["genes dropped", *names], rows))
    if missing:
        parts.append(f"\nNot computed yet: {', '.join(f'{k} ({v})' for k, v in missing.items())}.")
    return "## Macro-F1 with genes dropped from the query (mean over k, draws and seeds)\n" + "\n".join(parts) + "\n"


def _condition(pair: Pair) -> str:
    if not pair.dropped:
        return "none"
    share, way, _ = pair.dropped.split(",")
    return "all but ligands and receptors" if way == "liver" else f"{share} %, {way}"
