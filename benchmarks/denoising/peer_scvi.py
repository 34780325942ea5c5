"""scVI trained on a reference; other cells' expression by the unchanged network, in an interpreter of its own.

python peer_scvi.py FOLDER: reads reference.npz, query_0.npz, query_1.npz … (counts of the same genes, csr), seed.npy;
writes expression_0.npy …, shares of a cell's molecules (cells, genes).
"""

import sys
import warnings
from pathlib import Path

import anndata
import numpy as np
import scvi
from scipy import sparse


def read(path: Path) -> anndata.AnnData:
    return anndata.AnnData(sparse.load_npz(path).tocsr().astype(np.float32))


def main() -> None:
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    scvi.settings.seed = int(np.load(folder / "seed.npy"))
    reference = read(folder / "reference.npz")
    scvi.model.SCVI.setup_anndata(reference)
    model = scvi.model.SCVI(reference, n_layers=2, n_latent=30, gene_likelihood="nb")
    model.train(early_stopping=True, accelerator="cpu", enable_progress_bar=False)
    for i in range(len(list(folder.glob("query_*.npz")))):
        expected = model.get_normalized_expression(read(folder / f"query_{i}.npz"), n_samples=10, return_numpy=True)
        np.save(folder / f"expression_{i}.npy", np.asarray(expected, dtype=np.float32))


if __name__ == "__main__":
    main()
