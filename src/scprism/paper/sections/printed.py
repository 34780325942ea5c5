"""Tables 1, 3 and 4 beside what the paper prints."""

from collections.abc import Mapping

import pandas as pd

from scprism.paper.experiments.overlap import shared_types_summary
from scprism.paper.sections.section import Outcome, Section, Verdict

__all__ = ["shared_types_section", "table1_section"]

GENES_CLAIM = "A model is trained on so many Hallmark genes of each tissue"
TYPES_CLAIM = "Tissues share these cell types with Marrow and with Lung"
CLOSE = 0.01
"""Gene numbers this near, relatively, may differ by the version of the Hallmark sets alone."""


def table1_section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Table 1."""
    name, title = "table1", "Genes of each data set (Table 1)"
    frame = frames[name]
    paper = "3,708–4,130 genes in Smart-seq2, 6,950–11,645 in 10x"
    why = "all 50 Hallmark sets together have fewer genes than Table 1's 10x column, which must be counted otherwise"
    if "counted" not in frame or frame["counted"].notna().sum() == 0:
        text = "No data set here is a tissue of Tabula Muris."
        return Section(name, title, text, verdicts=(Verdict(GENES_CLAIM, "Table 1", paper, "–", "no data", why),))
    known = frame[frame["counted"].notna()]
    shown = known[["tissue", "platform", "cells", "preset", "n_cells", "hallmark", "counted", "printed", "difference"]]
    as_said = known[known["preset"] == "paper"]
    off = (as_said["difference"].abs() / as_said["printed"]).groupby([as_said["tissue"], as_said["platform"]]).min()
    n_close = int((off <= CLOSE).sum())
    exact = int(as_said.groupby(["tissue", "platform"])["same"].max().sum())
    outcome: Outcome = "holds" if n_close == len(off) else "mixed" if n_close else "does not hold"
    ours = f"{n_close} of {len(off)} tissues within 1 %, {exact} the same; differences in the table"
    text = (
        "Genes with more than two counts in any cell that are in a Hallmark set (counted as the text says under "
        "`paper`, as the released code prints under `as_released`), over all cells and over the annotated ones."
    )
    verdict = Verdict(GENES_CLAIM, "Table 1", paper, ours, outcome, why)
    return Section(name, title, text, (("Gene numbers", shown),), {}, (verdict,))


def shared_types_section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section of Tables 3 and 4."""
    name, title = "shared-types", "Cell types that tissues share (Tables 3 and 4)"
    frame = frames[name]
    why = "labels were coarsened, or an earlier annotation was used: an inference"
    if "found" not in frame or frame["found"].notna().sum() == 0:
        text = "The annotations of Tabula Muris are not among the data."
        return Section(name, title, text, verdicts=(Verdict(TYPES_CLAIM, "Tables 3, 4", "–", "–", "no data", why),))
    known = frame.drop(columns=["experiment", "seconds", "message", "annotations"])
    summary = shared_types_summary(known)
    listed = known[(known["printed"] != "") & (known["labels"] == "harmonised")]
    agree = summary.set_index(["table", "labels"])["listed_same"]
    total = known[(known["printed"] != "") & (known["labels"] == "raw")]["table"].value_counts()
    ours = "; ".join(
        f"{table}: {agree[table, 'raw']} by raw, {agree[table, 'harmonised']} by harmonised labels of {total[table]}"
        for table in total.index.sort_values()
    )
    text = (
        "From the published annotations, labels as they are, in harmonised words, and in words chosen after the "
        "paper's tables (`paper`), which shows only that such a reading exists. Tissues with exactly the printed types:"
    )
    verdict = Verdict(TYPES_CLAIM, "Tables 3, 4", f"{len(listed)} lists of types", ours, "does not hold", why)
    return Section(
        name,
        title,
        text,
        (("Agreement", summary), ("Harmonised labels", listed.drop(columns=["labels"]))),
        {},
        (verdict,),
    )
