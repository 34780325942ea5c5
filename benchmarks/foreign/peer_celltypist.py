"""CellTypist trained on a reference and applied to a query, in an interpreter of its own.

python peer_celltypist.py FOLDER: reads reference.npz, query.npz (counts, csr), codes.npy; writes calls.npy.
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
    model = celltypist.train(
        reference[codes >= 0].copy(), labels=codes[codes >= 0].astype(str), n_jobs=1, feature_selection=True
    )
    found = celltypist.annotate(query, model=model, majority_voting=False).predicted_labels
    np.save(folder / "calls.npy", found["predicted_labels"].astype(int).to_numpy())


if __name__ == "__main__":
    main()
