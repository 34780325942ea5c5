"""Whether the gene sets of a tissue's own genes are those that a foreign network's units are called for."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.over_representation import ora
from scprism.errors import InputError
from scprism.genes.match import ortholog_sources
from scprism.genes.tables import read_orthologs
from scprism.paper.data_sets import Source
from scprism.paper.experiments.units import foreign_pairs, n_networks, unit_sets
from scprism.paper.measures.bootstrap import Outcome, mean_with_interval, number
from scprism.paper.measures.calls import PRIMARY_RULE, RULES, call_counts
from scprism.paper.networks import NetworkStore
from scprism.paper.plan import Cell, Experiment, Plan
from scprism.paper.results import Rows
from scprism.paper.section import Section, Verdict, computed, no_data, refused

__all__ = ["TISSUE_GENES", "in_mouse", "rank_test", "tissue_list", "tissue_of"]

LIST = Path("human_protein_atlas") / "hpa_tissue_specific_genes.tsv"
COLUMNS = ("Tissue", "symbol")
WORDS = {
    "Kidney": ("kidney", "proximal tubule", "podocyte"),
    "Liver": ("liver", "hepatocyte"),
    "Pancreas": ("pancreas", "pancreatic"),
    "Lung": ("lung", "pneumocyte"),
    "Skeletal.Muscle": ("muscle",),
    "Breast": ("mammary", "breast"),
    "Bone.Marrow": ("marrow",),
    "Spleen": ("spleen",),
    "Heart.Muscle": ("heart", "cardiomyocyte"),
}
"""Tissues of the list, and what names them in a data set's tissue or, if it has none, in its cell types."""
ALPHA = 0.05
PRESETS_TRIED = ("paper", "default")
NAME = "tissue-genes"
CLAIM = "The sets that overlap most with the tissue's own genes are among those that a foreign network's units have"
PAPER = "the two most overlapping sets of breast (p < 2.27e-3, hypergeometric) are among the 19 significant ones"
TOP = 2
TEXT = """Genes that the Human Protein Atlas calls enriched or enhanced in the query's tissue (mouse orthologs for a
mouse query) are tested for overlap with each Hallmark set; the background is the genes of all sets, as the networks
know no others. Beside it stands in how many units and types the set is called in the foreign maps of `pathways`
(rule "{rule}"). The rank test asks whether sets with q < 0.05 for overlap are called more often than other sets (one
half is chance; Mann-Whitney, one-sided). Sets share genes and units share maps, so its p-values are too small."""


def tissue_of(source: Source) -> str:
    """Return the Protein Atlas tissue that a data set is of, empty where neither its tissue nor its types tell."""
    words = source.tissue or " ".join(name for name, _ in source.types)
    found = [tissue for tissue, names in WORDS.items() if any(name in words.casefold() for name in names)]
    return found[0] if len(found) == 1 else ""


def plan_tissue_genes(plan: Plan) -> list[Cell]:
    if plan.data is None or not (plan.data / LIST).is_file():
        return []
    return [
        Cell(
            NAME,
            {
                "model": model.name,
                "query": query.name,
                "preset": preset,
                "seed": seed,
                "tissue": tissue_of(query),
                "list": str(plan.data / LIST),
                "n_permutations": plan.scale.n_permutations,
            },
            (query,),
            (plan.network(model, preset, seed),),
        )
        for model, query in foreign_pairs(plan)
        if tissue_of(query)
        for preset in PRESETS_TRIED
        if preset in plan.presets
        for seed in range(n_networks(plan))
    ]


def run_tissue_genes(cell: Cell, store: NetworkStore) -> Rows:
    """Return a row a rule of calling and gene set: its overlap with the tissue's genes, and how often it is called.

    ``n_called`` counts units and types; ``rank`` is by overlap, 1 for the most significant; ``tested`` is
    False for sets of which the network knows too few genes. ``auc`` and ``p_rank`` are those of `rank_test` among the
    tested, the same in all rows of a rule.
    """
    settings = cell.settings
    network, cells = store.network(cell.networks[0]), store.labelled(cell.sources[0])
    organism = network.recipe.organism
    sets = gene_sets("hallmark", organism=organism)
    genes = tissue_list(Path(str(settings["list"])), tissue=str(settings["tissue"]))
    listed = genes if organism == "human" else in_mouse(genes)
    overlap = ora(listed, sets, background="sets").set_index("gene_set")
    enrichment = unit_sets(network, cells, n_permutations=int(str(settings["n_permutations"])))
    overlaps = overlap["q_value"].to_numpy() < ALPHA
    rows: Rows = []
    for rule in RULES:
        called = call_counts(enrichment, rule=rule).sum(axis=0).reindex(overlap.index)
        tested = called.notna().to_numpy()
        n_called = called.fillna(0).to_numpy(dtype=np.int64)
        auc, p_rank = rank_test(n_called[tested], overlaps[tested])
        rows += [
            {
                "rule": rule,
                "gene_set": str(row["gene_set"]),
                "rank": i + 1,
                "overlap": int(row["overlap"]),
                "size": int(row["size"]),
                "p_overlap": float(row["p_value"]),
                "q_overlap": float(row["q_value"]),
                "tested": bool(tested[i]),
                "n_called": int(n_called[i]),
                "auc": auc,
                "p_rank": p_rank,
            }
            for i, row in enumerate(overlap.reset_index().to_dict("records"))
        ]
    return rows


def rank_test(n_called: np.ndarray, overlaps: np.ndarray) -> tuple[float, float]:
    """Return how probably an overlapping set is called more often than another, and Mann-Whitney's p, one-sided.

    One half is chance, ties counting as half; NaN where one kind is absent.

    Examples
    --------
    >>> rank_test(np.array([5, 4, 0, 1]), np.array([True, True, False, False]))[0]
    1.0
    """
    inside, outside = n_called[overlaps], n_called[~overlaps]
    if min(inside.size, outside.size) == 0:
        return float("nan"), float("nan")
    test = mannwhitneyu(inside, outside, alternative="greater", method="asymptotic")
    return float(test.statistic / (inside.size * outside.size)), float(test.pvalue)


@lru_cache(maxsize=4)
def _atlas(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        msg = f"The gene list '{path}' cannot be read: {error}."
        raise InputError(msg) from error
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        msg = f"The gene list '{path}' must have the columns {COLUMNS}, tab-separated; it lacks {missing}."
        raise InputError(msg)
    return table


def tissue_list(path: Path, *, tissue: str) -> list[str]:
    """Return the symbols that are enriched or enhanced in a tissue, human, alphabetically."""
    table = _atlas(path)
    genes = sorted({str(name) for name in table.loc[table["Tissue"] == tissue, "symbol"] if name})
    if not genes:
        msg = f"The gene list '{path}' has no genes of {tissue!r}; it has {sorted(set(table['Tissue']))}."
        raise InputError(msg)
    return genes


def in_mouse(genes: list[str]) -> list[str]:
    """Return the mouse orthologs of human symbols."""
    candidates = sorted(set(read_orthologs()["mouse"].astype(str)))
    human = ortholog_sources(candidates, of="mouse", source="human")
    wanted = set(genes)
    return [gene for gene, partners in human.items() if wanted & set(partners)]


def report_tissue_genes(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    if rows.empty or "gene_set" not in rows:
        reason = refused(frame) or (
            "No list of tissue genes lay beside the data (human_protein_atlas/hpa_tissue_specific_genes.tsv), or no "
            "query is of a tissue that it has."
        )
        return no_data(reason=reason, claim=CLAIM, source="Figure 5, text", paper=PAPER)
    own = rows[rows["rule"] == PRIMARY_RULE]
    text = "\n\n".join(part for part in (TEXT.format(rule=PRIMARY_RULE), refused(frame)) if part)
    tables = (
        ("The five sets that overlap most; calls are units × types, mean over networks", _sets(own)),
        ("The rank test, mean over networks", _tests(rows)),
    )
    return Section(text, tables, verdicts=(_verdict(own),))


def _sets(own: pd.DataFrame) -> pd.DataFrame:
    leading = own[own["rank"] <= 5]
    by = ["query", "tissue", "rank", "gene_set", "overlap", "size", "p_overlap", "q_overlap"]
    table = leading.pivot_table(index=by, columns=["model", "preset"], values="n_called", sort=False)
    table.columns = pd.Index(["calls, " + ", ".join(map(str, column)) for column in table.columns])
    return table.reset_index()


def _tests(rows: pd.DataFrame) -> pd.DataFrame:
    networks = rows.drop_duplicates(["model", "query", "preset", "seed", "rule"])
    by = ["model", "query", "tissue", "preset", "rule"]
    return networks.groupby(by, sort=False)[["auc", "p_rank"]].mean().reset_index()


def _verdict(own: pd.DataFrame) -> Verdict:
    networks = [part for _, part in own.groupby(["model", "query", "preset", "seed"], sort=False)]
    both = [bool((part.loc[part["rank"] <= TOP, "n_called"] > 0).all()) for part in networks]
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


TISSUE_GENES = Experiment(
    NAME,
    "Genes of the tissue and sets of the units (Protein Atlas)",
    plan_tissue_genes,
    run_tissue_genes,
    report_tissue_genes,
)
