"""Figure 2 and Section F: data whose types a model has never met."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from scprism.paper.sections.paired import paired
from scprism.paper.sections.section import Section, Verdict, percent
from scprism.report.palette import label_styles

__all__ = ["no_overlap_section", "umap_section"]

BASELINES = ("untrained", "PCA", "all genes")


def umap_section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Figure 2."""
    name, title = "umap", "Foreign data in the space of one model (Figure 2)"
    frame = frames[name]
    if "x" not in frame or frame["x"].notna().sum() == 0:
        return Section(name, title, "There are no two data sets here.")
    known = frame[frame["x"].notna()]
    scores = known.groupby(["preset", "data", "view"], sort=False)["f1"].first().reset_index()
    table = scores.pivot_table(index=["preset", "data"], columns="view", values="f1", sort=False)
    kept = known.groupby(["preset", "data"], sort=False)["kept"].first()
    table = table[["original", "encoded"]].assign(neighbours_kept=kept).reset_index()
    figures = {
        f"umap-{str(preset).replace(', ', '-')}": (
            f"`{preset}`, trained on {part['model'].iloc[0]}: UMAP of the values (left) and of the latent",
            _panels(part),
        )
        for preset, part in known.groupby("preset", sort=False)
    }
    differences = {
        str(p): paired((t["encoded"] - t["original"]).to_numpy()) for p, t in table.groupby("preset", sort=False)
    }
    main = differences.get("paper, Adam") or next(iter(differences.values()))
    text = (
        "One model, the other data sets unchanged. F1: macro-F1 of neighbours (15, cosine, 5-fold) within the data "
        "set; neighbours kept: share of a cell's 15 neighbours by its expression that it has in the latent too."
    )
    verdict = Verdict(
        "The structure of foreign data in the latent matches that in the input",
        "Figure 2",
        "by eye",
        "; ".join(f"`{p}` F1 encoded less original: {d.text}" for p, d in differences.items())
        + f"; neighbours kept {percent(table['neighbours_kept'].min())}–{percent(table['neighbours_kept'].max())}",
        main.outcome(margin=0.05),
        "matches: at most 0.05 lost",
    )
    return Section(name, title, text, (("Structure kept", table),), figures, (verdict,))


def no_overlap_section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Section F."""
    name, title = "no-overlap", "Transfer without shared cell types (Section F)"
    frame = frames[name]
    if "f1" not in frame or frame["f1"].notna().sum() == 0:
        return Section(name, title, "No data set here has a model that shares none of its types.")
    known = frame[frame["f1"].notna()]
    is_own = known["model"] == known["query"]
    presets = [p for p in known["features"].unique() if p not in BASELINES]
    table = pd.DataFrame(
        {
            **{f"{p}, own": known[is_own & (known["features"] == p)].groupby("query")["f1"].mean() for p in presets},
            **{
                f"{p}, foreign": known[~is_own & (known["features"] == p)].groupby("query")["f1"].mean()
                for p in presets
            },
            **{b: known[known["features"] == b].groupby("query")["f1"].mean() for b in BASELINES},
        }
    )
    n_models = known[~is_own].groupby("query")["model"].nunique()
    shown = next(name for name in ("paper, Adam", *presets) if name in presets)
    against = {b: paired((table[f"{shown}, foreign"] - table[b]).to_numpy()) for b in ("untrained", "PCA")}
    own = paired((table[f"{shown}, foreign"] - table[f"{shown}, own"]).to_numpy())
    text = (
        "Networks trained on data without a type of the query, the query's types told apart by their neighbours within "
        "the query (15, cosine, 5-fold). Foreign: mean over models; PCA and all genes are the query's own."
    )
    verdict = Verdict(
        "A model generalises to data without shared cell types",
        "Section F",
        "supplement, not available to us",
        f"`{shown}`, foreign less untrained: {against['untrained'].text}; less own model: {own.text}; less own PCA: "
        f"{against['PCA'].text}",
        against["untrained"].outcome(),
        "the claim asks for more than an untrained network gives",
    )
    return Section(name, title, text, (("Macro-F1", table.assign(models=n_models).reset_index()),), {}, (verdict,))


def _panels(part: pd.DataFrame) -> Figure:
    names = list(part["data"].unique())
    figure, axes = plt.subplots(len(names), 2, figsize=(9, 2.9 * len(names)), squeeze=False, layout="constrained")
    for row, name in zip(axes, names, strict=True):
        cells = part[part["data"] == name]
        styles = label_styles(cells["type"].value_counts().index)
        for ax, view in zip(row, ("original", "encoded"), strict=True):
            drawn = cells[cells["view"] == view]
            for kind, style in styles.items():
                chosen = drawn[drawn["type"] == kind]
                ax.scatter(chosen["x"], chosen["y"], s=6, c=style.colour, marker=style.marker, linewidths=0, label=kind)
            ax.set(xticks=[], yticks=[])
            ax.set_title(f"{name}, {view}", fontsize="small")
        row[1].legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
    return figure
