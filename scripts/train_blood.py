"""Train the model of resting human blood that comes with scprism, and write it as one zip file.

    python scripts/train_blood.py --data ../shared/data --out src/scprism/data/models/blood.zip

It is trained on pbmc3k (2,700 blood cells of one healthy donor, 10x v1), without labels, and then learns the nine
labels of the Seurat tutorial from 2,638 of them. How right its labels are is measured before it is written, and stands
in its card: on a fifth of the cells by a model trained on the other four fifths; and on control cells of ifnb_2800
(another laboratory; resting cells alone), by the types that both data sets have (`SAME`).
"""

import argparse
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
from anndata import AnnData

from scprism.estimator.model import Model
from scprism.estimator.prism import Prism
from scprism.label.labels import known_labels

LABELS = "cell_type"
SEED = 0
MOST_BYTES = 5 * 10**6
"""The package stays small."""
TOGETHER = {"Naive CD4 T": "CD4 T", "Memory CD4 T": "CD4 T"}
SAME = {
    "B": "B",
    "B Activated": "B",
    "CD14 Mono": "CD14+ Mono",
    "CD16 Mono": "FCGR3A+ Mono",
    "CD4 Memory T": "CD4 T",
    "CD4 Naive T": "CD4 T",
    "CD8 T": "CD8 T",
    "DC": "DC",
    "Mk": "Platelet",
    "NK": "NK",
}
"""Types of ifnb_2800 by the names of pbmc3k; "T activated", "pDC" and "Eryth" are none of them."""
ABOUT = {
    "title": "Resting human blood",
    "licence": "cc-by-4.0",
    "data": (
        "pbmc3k: peripheral blood mononuclear cells of one healthy donor, 10x Genomics, chemistry v1. No counts are in "
        "the model. Labels are those of the Seurat tutorial, made from clusters: 697 naive CD4 T, 483 memory CD4 T, "
        "480 CD14+ monocytes, 344 B, 271 CD8 T, 162 FCGR3A+ monocytes, 155 NK, 32 dendritic cells, 14 platelets"
    ),
    "citation": (
        "Zheng et al., Nature Communications 8:14049 (2017), doi:10.1038/ncomms14049, for the method; the data set is "
        "'3k PBMCs from a Healthy Donor' of 10x Genomics"
    ),
    "limits": (
        "One donor, resting cells, no granulocytes, no red cells, no plasma cells. Stimulated or diseased blood is "
        "partly new to it. Naive and memory T cells were told apart by clusters, so take CD4 T cells together where it "
        "matters."
    ),
}


def trainer() -> Prism:
    """Return the settings; 128 hidden units keep the file small."""
    return Prism(genes="variable:3000", organism="human", hidden_size=128, device="cpu", rng=SEED)


def held_out_share(cells: AnnData) -> tuple[float, int]:
    """Return how many labels of a fifth of the cells are right, by a model that has seen the others alone."""
    labels = known_labels(cells, LABELS)
    known = cells[labels.notna().to_numpy()].copy()
    order = np.random.default_rng(SEED).permutation(known.n_obs)
    test, rest = known[np.sort(order[: known.n_obs // 5])].copy(), known[np.sort(order[known.n_obs // 5 :])].copy()
    calls = trainer().fit(rest).label(test, reference=rest, labels=LABELS)
    return float((calls["label"].astype(str) == test.obs[LABELS].astype(str)).mean()), test.n_obs


def foreign_share(model: Model, cells: AnnData) -> tuple[float, int]:
    """Return how many labels of another laboratory's resting cells are right, of those whose type the model knows."""
    resting = cells[(cells.obs["condition"] == "CTRL").to_numpy()].copy()
    truth = resting.obs[LABELS].astype(str).map(SAME)
    named = model.label(resting)["label"].astype(str).replace(TOGETHER)
    counted = truth.notna().to_numpy()
    return float((truth.to_numpy() == named.to_numpy())[counted].mean()), int(counted.sum())


def write_zip(model: Model, path: Path) -> None:
    """Write a model folder as a zip file; it replaces an older one when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".partial")
    with tempfile.TemporaryDirectory() as place:
        model.save(Path(place) / "blood")
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for file in sorted((Path(place) / "blood").iterdir()):
                archive.write(file, f"blood/{file.name}")
    size = scratch.stat().st_size
    if size > MOST_BYTES:
        scratch.unlink()
        msg = (
            f"The model takes {size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:g} MB is the most that comes with the package."
        )
        raise SystemExit(msg)
    scratch.replace(path)
    print(f"{path}: {size / 1e6:.2f} MB, {len(model.units)} units, fingerprint {model.fingerprint}")


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Folder with pbmc3k.h5ad and ifnb_2800.h5ad.")
    parser.add_argument("--out", type=Path, required=True, help="Zip file to write.")
    given = parser.parse_args()
    cells = anndata.read_h5ad(given.data / "pbmc3k.h5ad")
    share, n_test = held_out_share(cells)
    model = trainer().fit(cells).index(cells, labels=LABELS)
    foreign, n_foreign = foreign_share(model, anndata.read_h5ad(given.data / "ifnb_2800.h5ad"))
    held_out = (
        f"Of {n_test} cells of the same donor that a model had not seen, {share:.1%} got the right of nine labels; of "
        f"{n_foreign} resting cells of other donors and another laboratory (Kang et al. 2018), {foreign:.1%} the right "
        "of eight (B, CD4 T, CD8 T, NK, CD14+ and FCGR3A+ monocytes, dendritic cells, platelets)"
    )
    print(held_out)
    write_zip(replace(model, summary={**model.summary, "about": {**ABOUT, "held_out": held_out}}), given.out)


if __name__ == "__main__":
    main()
