"""Run `scprism run` on pairs of real data sets; print coverage, macro-F1, wall time and peak memory as one table.

Beside it stands the macro-F1 of 15 nearest neighbours among 50 principal components of the reference, on the same genes
and the same normalised values.

    python benchmarks/end_to_end.py --data DIR [--out DIR]

Each pair is a process of its own. Labels are compared after the coarse names of `COARSE`, over the types that both
have.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

from scprism.estimator.load import load
from scprism.estimator.prism import Prism
from scprism.prepare.stream import fill_row, prepared_chunks

PAIRS = [
    # reference, its labels, query, its labels, further options
    ("tm_droplet_immune", "cell_type", "mouse_lung_immune", "Major_cell_type", []),
    ("pbmc3k", "cell_type", "pbmc_kang", "cell_type", []),
    ("tm_facs_kidney", "cell_ontology_class", "tms_facs_liver", "cell_ontology_class", []),
    ("tm_facs_kidney", "cell_ontology_class", "tms_facs_liver", "cell_ontology_class", ["--min-coverage", "0.1"]),
    ("pbmc3k", "cell_type", "tm_droplet_immune", "cell_type", []),
]
COARSE = {
    "T": ["T cell", "T cells", "Naive CD4 T", "Memory CD4 T", "CD8 T", "CD4 T cells", "CD8 T cells"],
    "B": ["B cell", "B cells", "B"],
    "NK": ["NK cell", "NK cells", "NK"],
    "monocyte": ["Monocyte", "CD14+ Mono", "FCGR3A+ Mono", "CD14+ Monocytes", "FCGR3A+ Monocytes"],
    "granulocyte": ["Granulocyte", "Neutrophils"],
    "dendritic": ["DC", "Dendritic cells"],
    "megakaryocyte": ["Platelet", "Megakaryocytes"],
    "endothelial": ["endothelial cell", "endothelial cell of hepatic sinusoid", "hepatic sinusoid endothelial"],
}
NAMES = {name: coarse for coarse, names in COARSE.items() for name in names}
# runs the command and prints the peak memory of that process, in MB
CHILD = (
    "import resource, runpy, sys; sys.argv = ['scprism', *sys.argv[1:]]\n"
    "try:\n    from scprism.cli import main; main()\n"
    "finally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
)


def coarse(labels: pd.Series) -> pd.Series:
    return labels.astype(str).map(lambda name: NAMES.get(name, name))


def normalised(model: Prism, cells: anndata.AnnData) -> np.ndarray:
    gene_map = model.align(cells).gene_map
    parts = [chunk.inputs.toarray() for chunk in prepared_chunks(cells.X, gene_map, model.recipe)]
    return np.concatenate(parts) + fill_row(model.recipe, gene_map)


def pca_calls(
    model: Prism, reference: anndata.AnnData, labels: pd.Series, query: anndata.AnnData
) -> dict[str, np.ndarray]:
    x, x_query = normalised(model, reference), normalised(model, query)
    pca = PCA(50, random_state=0).fit(x)
    z, z_query = pca.transform(x), pca.transform(x_query)
    known = ~labels.isin(["NA", "nan"]).to_numpy()
    return {
        metric: KNeighborsClassifier(15, metric=metric).fit(z[known], labels[known]).predict(z_query)
        for metric in ("euclidean", "cosine")
    }


def measure(pair: tuple[str, str, str, str, list[str]], *, data: Path, out: Path) -> dict[str, object]:
    reference, labels, query, truth_column, options = pair
    paths = [str(data / f"{name}.h5ad") for name in (reference, query)]
    command = [sys.executable, "-c", CHILD, "run", *paths, "--labels", labels, "--out", str(out), *options]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row: dict[str, object] = {"reference": reference, "query": query, "options": " ".join(options)}
    row |= {"status": done.returncode, "seconds": round(time.perf_counter() - start, 1)}
    row["peak MB"] = int(done.stdout.split()[-1])
    if done.returncode:
        return row | {"message": done.stderr.strip().splitlines()[-1][:90]}
    cells, reference_cells = anndata.read_h5ad(paths[1]), anndata.read_h5ad(paths[0])
    model = load(out / "model")
    alignment = model.align(cells)
    known = set(coarse(reference_cells.obs[labels]))
    truth = coarse(cells.obs[truth_column]).to_numpy()
    shared = np.isin(truth, sorted(known - {"NA", "nan"}))
    row["coverage"] = f"{alignment.share_of_genes:.1%} of genes, {alignment.share_of_expression:.1%} of expression"
    if not shared.any():
        return row | {"message": "no shared labels"}
    calls = coarse(pd.read_csv(out / "labels.csv", keep_default_na=False)["label"]).to_numpy()
    types = np.unique(truth[shared])
    row["macro-F1"] = round(f1_score(truth[shared], calls[shared], labels=types, average="macro"), 3)
    for metric, peer in pca_calls(model, reference_cells, coarse(reference_cells.obs[labels]), cells).items():
        row[f"PCA {metric}"] = round(f1_score(truth[shared], peer[shared], labels=types, average="macro"), 3)
    row["cells"] = int(shared.sum())
    row["types"] = len(types)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the h5ad files")
    parser.add_argument("--out", type=Path, help="keep the results here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or Path(scratch)
        rows = [measure(pair, data=arguments.data, out=out / str(i)) for i, pair in enumerate(PAIRS)]
    print(pd.DataFrame(rows).fillna("").to_string(index=False))


if __name__ == "__main__":
    main()
