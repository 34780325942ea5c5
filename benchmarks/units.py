"""Whether units come back, carry over, and respond to interferon: scprism's beside NMF, cNMF, ICA and PCA + varimax.

    python benchmarks/units.py [--data ../shared/data] [--quick] [--methods NAME,NAME] [--measures NAME,NAME]

All methods see the same cells (Hallmark genes, log1p counts per 10,000); ours shows as many units as come back, the
others 15, or 10. Every comparison is between fits on cells that have nothing in common and with other seeds.

halves     fits on disjoint halves, activities compared in cells of a third set (blood: `pbmc_kang` without the cells of
           `ifnb_2800`; `tm_droplet_immune`: `mouse_lung_immune`) or in a fifth that neither saw: median |ρ| of matched
           units (a unit without a partner counts 0), and how many reach 0.8 of how many are shown; median cosine of
           the genes of those
sets       the same for fits on two data sets of one tissue: blood; pancreas of man and mouse; immune cells of two mouse
           data sets, compared in human cells
planted    average precision of 10 planted programs' genes, each with its own unit; programs with 0.9 or more
platforms  correlation between the activities of unseen cells and of their copies on a simulated platform (log-normal
           gene efficiencies, log sd 0.5 and 1, half of the molecules), and with half of the genes missing: medians
interferon AUROC of stimulated against resting cells by the best unit / the next, of models of resting cells; its genes
shuffled   as halves, on gene-shuffled cells: whatever comes back there is an artefact
found      gene sets a unit: programs, raw units, units of an untrained network and of gene-shuffled cells (models)
losses     macro-F1 of labels and reconstruction with units and without, and by the units alone (models)
speed      seconds of a fit of units, of one NMF run and of a network on the same cells (models)

The recipe of cNMF is run by scikit-learn on the same log values; the package cnmf itself, on counts and much slower,
where it is installed. Choices of ours were made on halves of `pbmc3k` and `tm_droplet_immune`, on the blood sets and
on interferon from `pbmc3k`; resting `ifnb_2800` and the immune pair were looked at, too, while the rule was chosen.
The rows for the pancreas, the kidney and the cell lines played no part.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import average_precision_score, roc_auc_score

import units_data as data
from scprism.units.replication import correlations
from units_methods import METHODS, Fitted
from units_models import MODEL_MEASURES

THIRD = {"pbmc3k": "pbmc_kang", "ifnb_2800": "pbmc_kang", "tm_droplet_immune": "mouse_lung_immune"}
HALVES = ("pbmc3k", "tm_droplet_immune", "ifnb_2800", "baron_human1", "tm_facs_kidney", "baron_mouse", "sc_mixology")
PAIRS = {
    "blood": ("pbmc3k", "ifnb_2800", "pbmc_kang"),
    "pancreas": ("baron_human1", "baron_mouse", None),
    "immune": ("tm_droplet_immune", "mouse_lung_immune", "zilionis_human_nsclc"),
}
Method = Callable[[data.Cells, int], Fitted]


class Bench:
    """Data sets of a folder, and fits that more than one measure uses."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder, self.quick = folder, quick
        self.cells = cache(self._cells)
        self.fit = cache(self._fit)

    def _cells(self, name: str) -> data.Cells:
        cells = data.read(self.folder, name)
        return data.resting(cells) if name == "ifnb_2800" else cells

    def parts(self, name: str) -> tuple[data.Cells, data.Cells, data.Cells]:
        """Return two disjoint halves and the cells to compare in."""
        cells = self.cells(name)
        order = np.random.default_rng(7).permutation(len(cells))
        if name in THIRD:
            return cells[order[::2]], cells[order[1::2]], self.cells(THIRD[name])
        rest = order[: len(order) // 5]
        order = order[len(order) // 5 :]
        return cells[order[::2]], cells[order[1::2]], cells[rest]

    def _fit(self, method: str, name: str, part: str) -> Fitted:
        """Return a fit on half ``"0"`` or ``"1"`` of a data set, on ``"all"``, or on ``"most"``: four fifths."""
        if part in ("0", "1"):
            return METHODS[method](self.parts(name)[int(part)], 10 + int(part))
        cells = self.cells(name)
        rows = np.arange(len(cells)) if part == "all" else np.flatnonzero(np.arange(len(cells)) % 5)
        return METHODS[method](cells[rows], 20 + len(name))


def matched(one: Fitted, other: Fitted, cells: list[data.Cells]) -> str:
    """Return median |ρ|, how many of the units shown reach 0.8, and the cosine of the genes of those."""
    if not (len(one.maps) and len(other.maps)):
        return "– (0 of 0)"
    pairs = [(one.read(part), other.read(part)) for part in cells]
    left, right = (np.vstack([pair[side] - pair[side].mean(axis=0) for pair in pairs]) for side in (0, 1))
    alike = np.abs(correlations(left, right))
    rows, columns = linear_sum_assignment(-alike)
    found = np.zeros(max(alike.shape))
    found[: len(rows)] = alike[rows, columns]
    _, at_one, at_other = np.intersect1d(one.genes, other.genes, return_indices=True)
    cosines = np.abs(_unit_rows(one.maps[:, at_one]) @ _unit_rows(other.maps[:, at_other]).T)[rows, columns]
    good = alike[rows, columns] >= 0.8
    cosine = f"{np.median(cosines[good]):.2f}" if good.any() else "–"
    return f"{np.median(found):.2f} ({good.sum()} of {sum(alike.shape) / 2:g}) {cosine}"


def log(*parts: str) -> None:
    print(*parts, file=sys.stderr, flush=True)


def _unit_rows(maps: np.ndarray) -> np.ndarray:
    return maps / np.maximum(np.linalg.norm(maps, axis=1, keepdims=True), 1e-12)


def halves(bench: Bench, method: str) -> dict[str, str]:
    found = {}
    for name in HALVES[:2] if bench.quick else HALVES:
        found[name] = matched(bench.fit(method, name, "0"), bench.fit(method, name, "1"), [bench.parts(name)[2]])
        log(method, name, found[name])
    return found


def sets(bench: Bench, method: str) -> dict[str, str]:
    found = {}
    for name, (one, other, third) in list(PAIRS.items())[: 1 if bench.quick else None]:
        part = "all" if third else "most"
        cells = [bench.cells(third)] if third else [bench.cells(side)[::5] for side in (one, other)]
        found[name] = matched(bench.fit(method, one, part), bench.fit(method, other, part), cells)
        log(method, name, found[name])
    return found


def planted(bench: Bench, method: str) -> dict[str, str]:
    found = {}
    for seed in range(1 if bench.quick else 2):
        cells, members = data.planted(seed=seed)
        maps = METHODS[method](cells, seed).maps
        areas = np.array([[_precision(genes, row) for genes in members] for row in maps])
        rows, columns = linear_sum_assignment(-areas)
        own = areas[rows, columns]
        found[f"simulation {seed}"] = f"{own.sum() / len(members):.3f} ({(own >= 0.9).sum()} of {len(members)})"
    return found


def _precision(genes: np.ndarray, row: np.ndarray) -> float:
    return max(average_precision_score(genes, row), average_precision_score(genes, -row) if (row < 0).any() else 0.0)


def platforms(bench: Bench, method: str) -> dict[str, str]:
    found = {}
    for name in ("pbmc3k", "tm_droplet_immune") if bench.quick else ("pbmc3k", "tm_droplet_immune", "baron_mouse"):
        rng = np.random.default_rng(3)
        fitted, cells = bench.fit(method, name, "0"), bench.parts(name)[1]
        copies = [data.platform_copy(cells, spread=spread, kept=0.5, rng=rng) for spread in (0.5, 1.0)]
        copies.append(data.some_genes(cells, rng))
        own = fitted.read(cells)
        found[name] = " ".join(f"{np.median(np.diag(correlations(own, fitted.read(copy)))):.3f}" for copy in copies)
    return found


def interferon(bench: Bench, method: str) -> dict[str, str]:
    cells = data.read(bench.folder, "ifnb_2800")
    stimulated = (cells.obs["condition"] == "STIM").to_numpy()
    found = {}
    for name in ("pbmc3k", "ifnb_2800"):
        fitted = bench.fit(method, name, "all")
        areas = np.array([roc_auc_score(stimulated, unit) for unit in fitted.read(cells).T])
        areas = np.maximum(areas, 1 - areas)
        best, second = np.argsort(-areas)[:2]
        row = fitted.maps[best] * (1 if fitted.maps[best].sum() > 0 else -1)
        genes = " ".join(fitted.genes[np.argsort(-row)[:5]])
        found[f"from {name}"] = f"{areas[best]:.3f} / {areas[second]:.3f} {genes}"
        log(method, name, found[f"from {name}"])
    return found


def shuffled(bench: Bench, method: str) -> dict[str, str]:
    found = {}
    for name in ("tm_droplet_immune",) if bench.quick else ("tm_droplet_immune", "pbmc3k"):
        rng = np.random.default_rng(5)
        one, other, third = (data.gene_shuffled(part, rng) for part in bench.parts(name))
        found[name] = matched(METHODS[method](one, 1), METHODS[method](other, 2), [third])
    return found


MEASURES = {
    "halves": halves,
    "sets": sets,
    "interferon": interferon,
    "platforms": platforms,
    "planted": planted,
    "shuffled": shuffled,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--quick", action="store_true", help="fewer data sets")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--measures", default=",".join((*MEASURES, *MODEL_MEASURES)))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    bench = Bench(options.data, quick=options.quick)
    for measure in options.measures.split(","):
        if measure in MODEL_MEASURES:
            table = MODEL_MEASURES[measure](options.data, quick=options.quick)
            print(f"\n{measure}\n{table.to_string()}", flush=True)
            continue
        columns = {}
        for method in options.methods.split(","):
            start = time.process_time()
            columns[method] = MEASURES[measure](bench, method)
            columns[method]["seconds of processor"] = f"{time.process_time() - start:.0f}"
        print(f"\n{measure}\n{pd.DataFrame(columns).T.to_string()}", flush=True)


if __name__ == "__main__":
    main()
