"""The section on tissue-specific genes, and whether foreign networks' units have their sets."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scprism.paper.measures.resampling import mean_with_interval
from scprism.paper.sections.pathways import PRIMARY_RULE
from scprism.paper.sections.rows import computed, no_data, refused
from scprism.paper.sections.section import Outcome, Section, Verdict, number

__all__ = ["section"]

NAME, TITLE = "tissue-genes", "Genes of the tissue and sets of the units (Protein Atlas)"
CLAIM = "The sets that overlap most with the tissue's own genes are among those that a foreign network's units have"
PAPER = "the two most overlapping sets of breast (p < 2.27e-3, hypergeometric) are among the 19 significant ones"
TOP = 2
TEXT = """Genes that the Human Protein Atlas calls enriched or enhanced in the query's tissue (mouse orthologs for a
mouse query) are tested for overlap with each Hallmark set; the background is the genes of all sets, as the networks
know no others. Beside it stands in how many units and types the set is called in the foreign maps of `pathways`
(rule "{rule}"). The rank test asks whether sets with q < 0.05 for overlap are called more often than other sets (one
half is chance; Mann-Whitney, one-sided). Sets share genes and units share maps, so its p-values are too small."""


def section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "gene_set" not in rows:
        reason = refused(frame) or (
            "No list of tissue genes lay beside the data (human_protein_atlas/hpa_tissue_specific_genes.tsv), or no "
            "query is of a tissue that it has."
        )
        return no_data(NAME, TITLE, reason=reason, claim=CLAIM, source="Figure 5, text", paper=PAPER)
    own = rows[rows["rule"] == PRIMARY_RULE]
    text = "\n\n".join(part for part in (TEXT.format(rule=PRIMARY_RULE), refused(frame)) if part)
    tables = (
        ("The five sets that overlap most; calls are units × types, mean over networks", _sets(own)),
        ("The rank test, mean over networks", _tests(rows)),
    )
    return Section(NAME, TITLE, text, tables, verdicts=(_verdict(own),))


def _sets(own: pd.DataFrame) -> pd.DataFrame:
    leading = own[own["place"] <= 5]
    by = ["query", "tissue", "place", "gene_set", "overlap", "size", "p_overlap", "q_overlap"]
    table = leading.pivot_table(index=by, columns=["model", "preset"], values="n_called", sort=False)
    table.columns = pd.Index(["calls, " + ", ".join(map(str, column)) for column in table.columns])
    return table.reset_index()


def _tests(rows: pd.DataFrame) -> pd.DataFrame:
    networks = rows.drop_duplicates(["model", "query", "preset", "seed", "rule"])
    by = ["model", "query", "tissue", "preset", "rule"]
    return networks.groupby(by, sort=False)[["auc", "p_rank"]].mean().reset_index()


def _verdict(own: pd.DataFrame) -> Verdict:
    networks = [part for _, part in own.groupby(["model", "query", "preset", "seed"], sort=False)]
    both = [bool((part.loc[part["place"] <= TOP, "n_called"] > 0).all()) for part in networks]
    share_called = [float((part["n_called"] > 0).mean()) for part in networks]
    auc = mean_with_interval(np.array([part["auc"].iloc[0] for part in networks], dtype=np.float64))
    low, high = auc[1]
    outcome: Outcome = "not shown" if not low > 0.5 else "holds" if np.mean(both) > 0.5 else "mixed"
    if high < 0.5:
        outcome = "does not hold"
    ours = (
        f"both called in {sum(both)} of {len(both)} networks, where {np.mean(share_called):.2f} of all sets are; an "
        f"overlapping set is called more often than another with probability {number(*auc, digits=2)}"
    )
    why = (
        "That the first two are called says little where many sets are: the paper's 19 of 50 would hold two given sets "
        "with probability 0.14 by chance. A set of which the network knows too few genes counts as not called."
    )
    return Verdict(CLAIM, "Figure 5, text", PAPER, ours, outcome, why)
