"""CellTypist trained on a reference and applied to a query, in an interpreter of its own.

python celltypist_calls.py FOLDER: reads reference.npz, query.npz (counts, csr), codes.npy; writes calls.npy:
(2, cells, labels), log probabilities with those of the calls raised, without and with majority voting.
"""

import sys
import warnings
from pathlib import Path

import anndata
import celltypist
import numpy as np
import scanpy as sc
from scipy import sparse


def cells(path: Path) -> anndata.AnnData:
    counts = sparse.load_npz(path).tocsr().astype(np.float32)
    result = anndata.AnnData(counts)
    result.var_names = [f"g{i}" for i in range(counts.shape[1])]
    sc.pp.normalize_total(result, target_sum=1e4)
    sc.pp.log1p(result)
    return result


def main() -> None:
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    reference, query = cells(folder / "reference.npz"), cells(folder / "query.npz")
    codes = np.load(folder / "codes.npy")
    model = celltypist.train(reference, labels=codes.astype(str), n_jobs=1, feature_selection=True)
    plain = celltypist.annotate(query, model=model, majority_voting=False).predicted_labels
    voted = celltypist.annotate(query, model=model, majority_voting=True).predicted_labels
    rows = []
    for calls in (plain["predicted_labels"], voted["majority_voting"]):
        row = np.full((len(calls), codes.max() + 1), np.log(1e-3))
        row[np.arange(len(calls)), calls.astype(int).to_numpy()] = 0
        rows.append(row)
    np.save(folder / "calls.npy", np.stack(rows))


if __name__ == "__main__":
    main()
