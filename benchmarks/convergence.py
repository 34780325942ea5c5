"""Seconds of training to a held-out loss: our presets, scvi-tools, PCA, NMF and a constant for each gene.

    python benchmarks/convergence.py --data DIR --only pbmc3k --peers PYTHON

Four fifths of a data set's cells train, one fifth is held out; all methods have the same genes (Hallmark), hidden width
and dimension. Seconds are of training alone, on as many threads as torch has; what is spent on looking at held-out
cells is left out. Every method is measured by

* `nats`: −Σ n log p / Σ n, nats a molecule, p being the shares of a cell's counts that it predicts. Methods of another
  scale are converted: PCA and `paper` predict log1p counts per million, negative values taken as 0.
* `paper's loss`: y − x log(y + 1e-8), x and y on the scale of log1p counts per million, mean over genes.
* `accuracy`: of the cell types of held-out cells by 15 nearest neighbours (cosine) among the others.

`paper + Adam` is the preset `paper`, its network and its loss, with the optimiser and batches of `default`. `NMF,
counts` minimises the first measure and `NMF, log` the second. The last column is the seconds until `nats` (for `paper +
Adam` the paper's loss) is as low as where `paper` ends, and their share of `paper`'s seconds.
"""

import argparse
import dataclasses
import json
import subprocess
import tempfile
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import NMF, PCA
from sklearn.neighbors import KNeighborsClassifier

from scprism.model.forward import encode
from scprism.model.network import build_autoencoder, to_weights
from scprism.model.presets import PRESETS
from scprism.prepare.learn import map_by_name
from scprism.prepare.stream import prepared_chunks
from scprism.query.embed import denoised
from scprism.train.fit import prepare_training
from scprism.train.loop import train_model

LABELS = {"tm_facs_kidney": "cell_ontology_class", "pbmc3k": "cell_type", "baron_human1": "cell_type"}
PEER = """
import json, logging, sys, time, warnings
warnings.filterwarnings("ignore")
import anndata, lightning.pytorch as pl, numpy as np, scvi
from scipy import sparse
from sklearn.neighbors import KNeighborsClassifier
logging.disable(logging.WARNING)
scvi.settings.seed = 0
place, name, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
train, test = (anndata.AnnData(sparse.load_npz(f"{place}/{part}.npz")) for part in ("train", "test"))
labels = np.load(f"{place}/labels.npz")
kind = getattr(scvi.model, name)
kind.setup_anndata(train)
model = kind(train, n_hidden=128, n_latent=50)
points, looked = [], 0.0
class Watch(pl.Callback):
    def on_train_start(self, *_):
        self.start = time.perf_counter()
    def on_train_epoch_end(self, trainer, module):
        global looked
        epoch = trainer.current_epoch + 1
        if epoch not in (1, 2, 5, 10, 20, 40, 70, 100, 150, 200, 300, 400):
            return
        before = time.perf_counter()
        model.is_trained_ = True
        model.module.eval()
        p = model.get_normalized_expression(test, library_size=1, return_numpy=True)
        n = test.X.toarray()
        nats = float((-(n * np.log(np.maximum(p, 1e-12))).sum(1) / n.sum(1).clip(1)).mean())
        z, z_test = model.get_latent_representation(train), model.get_latent_representation(test)
        told, known = labels["train"] != "NA", labels["test"] != "NA"
        knn = KNeighborsClassifier(15, metric="cosine").fit(z[told], labels["train"][told])
        accuracy = float((knn.predict(z_test[known]) == labels["test"][known]).mean())
        elbo = float(model.get_elbo(test))
        model.module.train()
        points.append([before - self.start - looked, nats, accuracy, elbo])
        looked += time.perf_counter() - before
model.train(max_epochs=epochs, train_size=1.0, accelerator="cpu", devices=1, callbacks=[Watch()],
            enable_progress_bar=False, logger=False, enable_checkpointing=False)
print(json.dumps(points))
"""


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Training and held-out cells in the same genes, and their types."""

    train: sparse.csr_matrix
    test: sparse.csr_matrix
    train_labels: np.ndarray
    test_labels: np.ndarray

    def nats(self, per_million):
        """Return nats a molecule of held-out cells."""
        counts = self.test.toarray()
        p = np.maximum(per_million, 1e-12)
        log_p = np.log(p / p.sum(axis=1, keepdims=True))
        return float((-(counts * log_p).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)).mean())

    def papers_loss(self, log_cpm):
        """Return the paper's loss of held-out cells."""
        x, y = log_per_million(self.test), np.maximum(log_cpm, 0)
        return float((y - x * np.log(y + 1e-8)).mean())

    def accuracy(self, reference, query):
        """Return the accuracy of the types of held-out cells."""
        is_known, asked = self.train_labels != "NA", self.test_labels != "NA"
        knn = KNeighborsClassifier(15, metric="cosine").fit(reference[is_known], self.train_labels[is_known])
        return float((knn.predict(query[asked]) == self.test_labels[asked]).mean())


def log_per_million(counts):
    dense = counts.toarray()
    return np.log1p(1e6 * dense / np.maximum(dense.sum(axis=1, keepdims=True), 1))


def trajectory(config, *, cells, fifth, held):
    """Return seconds, nats, paper's loss and accuracy after each of some epochs."""
    recipe, training = prepare_training(cells[~fifth].X, list(cells.var_names), config=config, organism=None)
    gene_map = map_by_name(list(cells.var_names), recipe.genes)
    rest = sparse.vstack([c.inputs for c in prepared_chunks(cells[fifth].X, gene_map, recipe)], format="csr")
    rng = np.random.default_rng(0)
    network = build_autoencoder(config, n_genes=len(recipe.genes), rng=rng)
    points, looked, every = [], [0.0], [1]

    def watch(record):
        if record.epoch < every[0]:
            return
        start = time.perf_counter()
        every[0] = int(np.ceil(every[0] * 1.15))
        weights = to_weights(network)
        latent = encode(weights, rest)
        log_cpm = denoised(weights, latent, recipe=recipe, config=config).astype(np.float64)
        accuracy = held.accuracy(encode(weights, training.inputs), latent)
        nats, loss = held.nats(np.expm1(np.clip(log_cpm, 0, 40))), held.papers_loss(log_cpm)
        points.append([record.seconds - looked[0], nats, loss, accuracy])
        looked[0] += time.perf_counter() - start

    train_model(network, training, config=config, rng=rng, on_epoch=watch)
    return np.array(points)


def classical(held, dimension):
    """Return a row a method: seconds, nats, paper's loss, accuracy."""
    share = np.asarray(held.train.multiply(1 / held.train.sum(axis=1).clip(1)).mean(axis=0)).ravel()
    level = log_per_million(held.train).mean(axis=0)
    n_test = held.test.shape[0]
    constant = (0.0, held.nats(np.tile(share, (n_test, 1))), held.papers_loss(np.tile(level, (n_test, 1))), np.nan)
    rows = {"a constant a gene": constant}
    x, x_test = log_per_million(held.train), log_per_million(held.test)
    for name, model, fit, query in (
        ("PCA", PCA(dimension, random_state=0), x, x_test),
        ("NMF, log", nmf(dimension), x, x_test),
        ("NMF, counts", nmf(dimension), held.train, held.test),
    ):
        start = time.perf_counter()
        z = model.fit_transform(fit)
        seconds = time.perf_counter() - start
        z_test = model.transform(query)
        decoded = np.maximum(model.inverse_transform(z_test), 0)
        of_counts = name == "NMF, counts"
        cpm = decoded / decoded.sum(axis=1, keepdims=True).clip(1e-12) * 1e6 if of_counts else np.expm1(decoded)
        log_cpm = np.log1p(cpm) if of_counts else decoded
        rows[name] = (seconds, held.nats(cpm), held.papers_loss(log_cpm), held.accuracy(z, z_test))
    return rows


def nmf(dimension):
    return NMF(dimension, solver="mu", beta_loss="kullback-leibler", init="nndsvda", max_iter=200, tol=1e-4)


def peers(python, held, *, epochs):
    """Return the last, and the best, of each peer: seconds, nats, accuracy, ELBO."""
    with tempfile.TemporaryDirectory() as place:
        sparse.save_npz(f"{place}/train.npz", held.train.astype(np.float32))
        sparse.save_npz(f"{place}/test.npz", held.test.astype(np.float32))
        np.savez(f"{place}/labels.npz", train=held.train_labels.astype(str), test=held.test_labels.astype(str))
        found = {}
        for name in ("SCVI", "LinearSCVI"):
            command = [python, "-c", PEER, place, name, str(epochs)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name] = np.array(json.loads(done.stdout.splitlines()[-1]))
    return found


def first_below(points, column, level):
    below = points[points[:, column] <= level]
    return below[0, 0] if len(below) else np.nan


def measure(name, arguments):
    cells = anndata.read_h5ad(arguments.data / f"{name}.h5ad")
    fifth = np.random.default_rng(0).random(cells.n_obs) < 0.2
    paper, default = PRESETS["paper"], PRESETS["default"]
    paper = dataclasses.replace(paper, hidden_size=default.hidden_size)
    like = ("optimiser", "batch_size", "split", "check_every", "patience", "max_epochs")
    faster = dataclasses.replace(paper, learning_rate=1e-3, **{field: getattr(default, field) for field in like})
    recipe, training = prepare_training(cells[~fifth].X, list(cells.var_names), config=default, organism=None)
    test = (cells[fifth].X @ map_by_name(list(cells.var_names), recipe.genes).selection).tocsr()
    labels = cells.obs[LABELS[name]].astype(str).replace("nan", "NA").to_numpy()
    held = HeldOut(training.targets, test, labels[~fifth], labels[fifth])
    rows = {k: (*v, "") for k, v in classical(held, default.bottleneck_size).items()}
    runs = {"paper": paper, "paper + Adam": faster, "default": default}
    lines = {k: trajectory(config, cells=cells, fifth=fifth, held=held) for k, config in runs.items()}
    end = lines["paper"][-1]
    for method, points in lines.items():
        column = 2 if method == "paper + Adam" else 1
        reached = first_below(points, column, end[column])
        rows[method] = (*points[-1], "" if method == "paper" else f"{reached:.2f} s, 1/{end[0] / reached:.0f}")
    if arguments.peers:
        for method, points in peers(arguments.peers, held, epochs=arguments.peer_epochs).items():
            rows[method] = (points[-1, 0], points[-1, 1], np.nan, points[-1, 2], "")
            told = ", ".join(f"{s:.1f} s: {n:.3f} {a:.1%} ELBO {e:.0f}" for s, n, a, e in points)
            print(f"{method} by seconds (nats, accuracy): {told}")
    told = ", ".join(f"{s:.1f} s: {n:.3f} {a:.1%}" for s, n, _, a in lines["default"][::4])
    print(f"default by seconds (nats, accuracy): {told}")
    columns = ["seconds", "nats", "paper's loss", "accuracy", "as low as paper's end"]
    print(f"\n{name}: {held.train.shape[0]:,} cells and {held.test.shape[0]:,} held out, {len(recipe.genes):,} genes")
    print(pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(4).to_string(na_rep=""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the h5ad files")
    parser.add_argument("--only", choices=LABELS, action="append", help="data sets [default: all]")
    parser.add_argument("--peers", help="a Python that has scvi-tools")
    parser.add_argument("--peer-epochs", type=int, default=100)
    arguments = parser.parse_args()
    for name in arguments.only or LABELS:
        measure(name, arguments)


if __name__ == "__main__":
    main()
