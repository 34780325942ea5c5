"""Seconds that an SCVI model (1 epoch on 1,000 cells, 128 hidden units, 50 latent) takes to embed reference.npz.

python peer_scvi_speed.py FOLDER REPEATS THREADS
"""

import sys
import time
import warnings
from pathlib import Path

import anndata
import scvi
import torch
from scipy import sparse


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(sys.argv[3]))
    cells = anndata.AnnData(sparse.load_npz(Path(sys.argv[1]) / "reference.npz"))
    few = cells[:1000].copy()
    scvi.model.SCVI.setup_anndata(few)
    model = scvi.model.SCVI(few, n_hidden=128, n_latent=50)
    model.train(1, accelerator="cpu", enable_progress_bar=False)
    times = []
    for _ in range(int(sys.argv[2])):
        start = time.perf_counter()
        model.get_latent_representation(cells, batch_size=2048)
        times.append(time.perf_counter() - start)
    print(min(times))


if __name__ == "__main__":
    main()
