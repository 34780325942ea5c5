"""scVI trained on a reference, the query embedded by the unchanged encoder, in an interpreter of its own.

python peer_scvi.py FOLDER: reads reference.npz, query.npz (counts of the same genes, csr), seed.npy; writes latent.npy
and latent_query.npy.
"""

import sys
import warnings
from pathlib import Path

import anndata
import numpy as np
import scvi
from scipy import sparse


def main() -> None:
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    scvi.settings.seed = int(np.load(folder / "seed.npy"))
    reference, query = (
        anndata.AnnData(sparse.load_npz(folder / f"{name}.npz").tocsr().astype(np.float32))
        for name in ("reference", "query")
    )
    scvi.model.SCVI.setup_anndata(reference)
    model = scvi.model.SCVI(reference, n_layers=2, n_latent=30, gene_likelihood="nb")
    model.train(early_stopping=True, accelerator="cpu", enable_progress_bar=False)
    np.save(folder / "latent.npy", model.get_latent_representation())
    np.save(folder / "latent_query.npy", model.get_latent_representation(query))


if __name__ == "__main__":
    main()
