"""The combined data: what correction does to batches and types."""

from collections.abc import Mapping

import pandas as pd

from scprism.paper.sections.paired import paired
from scprism.paper.sections.section import Section, Verdict

__all__ = ["mixing_section"]


def mixing_section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of the corrected data sets."""
    name, title = "integrate", "Two platforms corrected together (the combined data)"
    frame = frames[name]
    if "mixing" not in frame or frame["mixing"].notna().sum() == 0:
        return Section(name, title, "No two data sets here can be corrected together.")
    known = frame[frame["mixing"].notna()].copy()
    known["data"] = known["data"].str.removesuffix(" (uncorrected)")
    known["corrected"] = known["method"].where(known["method"] != "none", "uncorrected")
    table = known[["data", "corrected", "features", "mixing", "macro_f1", "n_genes", "n_cells"]]
    wide = known.assign(done=known["method"] != "none").pivot_table(
        index=["data", "features"], columns="done", values=["mixing", "macro_f1"]
    )
    change = {v: paired((wide[v][True] - wide[v][False]).to_numpy()) for v in ("mixing", "macro_f1")}
    methods = ", ".join(sorted(set(known["method"]) - {"none"}))
    text = (
        f"Corrected by {methods}, and joined without correction. Mixing: how often a cell's neighbours of its own type "
        "(15, cosine) come from another batch, over chance; 1 is perfect. Macro-F1: types of a batch by neighbours in "
        "the others. PCA of all genes that are there, the networks' latents from Hallmark genes."
    )
    verdict = Verdict(
        "Batch correction extends generalisation across platforms",
        "Figure 4",
        "no measure of its own",
        f"mixing, corrected less not: {change['mixing'].text}; macro-F1: {change['macro_f1'].text}",
        change["macro_f1"].outcome(margin=0.01)
        if change["mixing"].outcome() == "holds"
        else change["mixing"].outcome(),
        "holds: more mixing, and types at most 0.01 harder to tell",
    )
    return Section(name, title, text, (("Batches and types", table),), {}, (verdict,))
