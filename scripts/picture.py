"""Draw the picture of the README and of the site's first page from the results of `scprism demo`.

python scripts/picture.py DEMO OUT.png
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import scprism
from scprism.report.palette import GREY, label_styles
from scprism.report.projection import project

N_GENES = 4
"""Leading genes that stand beside the name of a unit."""


def draw_cells(ax: Axes, model: scprism.Model, labels: pd.Series) -> None:
    """Draw the query's cells, coloured by label, among the reference's, in the latent in two dimensions."""
    reference, query = scprism.load_dataset("tm_droplet_immune"), scprism.load_dataset("mouse_lung_immune")
    both = project(np.vstack([model.embed(reference), model.embed(query)]), metric="cosine", rng=0).coordinates
    behind, front = both[: reference.n_obs], both[reference.n_obs :]
    ax.scatter(*behind.T, s=5, c=GREY, linewidths=0, label=f"{reference.n_obs:,} reference cells")
    names = labels.value_counts().index
    for name, style in label_styles(names).items():
        chosen = (labels == name).to_numpy()
        ax.scatter(*front[chosen].T, s=9, c=style.colour, linewidths=0, label=f"{name} ({chosen.sum()})")
    ax.legend(frameon=False, fontsize=8, markerscale=2.5, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2)
    ax.set(xticks=[], yticks=[], title="Lung cells (coloured) among those of the reference")
    ax.spines[:].set_visible(False)


def draw_units(ax: Axes, model: scprism.Model, labels: pd.Series) -> None:
    """Draw how active each trusted unit is in the query's cells of each label."""
    trusted = model.units[model.units["trusted"]]
    activity = model.activity(scprism.load_dataset("mouse_lung_immune"))[list(trusted.index)]
    means = activity.groupby(labels.to_numpy()).mean().T
    image = ax.imshow(means, cmap="Blues", vmin=0, aspect="auto")
    genes = trusted["top_genes"].str.split(";").str[:N_GENES].str.join(", ")
    ax.set_xticks(range(means.shape[1]), [str(name) for name in means.columns], rotation=30, ha="right", fontsize=8)
    ax.set_yticks(range(len(means)), [f"{unit}  {text}" for unit, text in genes.items()], fontsize=8)
    ax.set_title("Units: how active, and their leading genes")
    ax.figure.colorbar(image, ax=ax, label="mean activity", shrink=0.6)


def main(demo: Path, out: Path) -> None:
    """Write the picture."""
    model = scprism.load(demo / "model")
    labels = scprism.read_labels(demo / "labels.csv")["label"]
    mpl.rcParams.update({"font.size": 9, "axes.titlesize": 10})
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", width_ratios=(1, 1.1))
    draw_cells(left, model, labels)
    draw_units(right, model, labels)
    figure.savefig(out, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
