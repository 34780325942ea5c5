"""Whether the gene sets of a tissue's own genes are those that a foreign network's units are called for."""

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
from scprism.paper.experiments.pathways import n_networks
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.sources import Source
from scprism.paper.experiments.units import foreign_pairs, unit_sets
from scprism.paper.experiments.workshop import Workshop
from scprism.paper.measures.calls import RULES, call_counts

__all__ = ["TISSUE_GENES", "in_mouse", "rank_test", "tissue_list", "tissue_of"]

PLACE = Path("human_protein_atlas") / "hpa_tissue_specific_genes.tsv"
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


def tissue_of(source: Source) -> str:
    """Return the Protein Atlas tissue that a data set is of, empty where neither its tissue nor its types tell."""
    words = source.tissue or " ".join(name for name, _ in source.types)
    found = [tissue for tissue, names in WORDS.items() if any(name in words.casefold() for name in names)]
    return found[0] if len(found) == 1 else ""


def plan_tissue_genes(plan: Plan) -> list[Cell]:
    if plan.data is None or not (plan.data / PLACE).is_file():
        return []
    return [
        Cell(
            "tissue-genes",
            {
                "model": model.name,
                "query": query.name,
                "preset": preset,
                "seed": seed,
                "tissue": tissue_of(query),
                "list": str(plan.data / PLACE),
                "n_permutations": plan.scale.n_permutations,
            },
            (query,),
            (plan.network(model, preset, seed),),
        )
        for model, query in foreign_pairs(plan)
        if tissue_of(query)
        for preset in PRESETS_TRIED
        if preset in plan.presets
        for seed in range(n_networks(plan, preset))
    ]


def run_tissue_genes(cell: Cell, workshop: Workshop) -> Rows:
    """Return a row a rule of calling and gene set: its overlap with the tissue's genes, and how often it is called.

    ``n_called`` counts units and types; ``place`` is by overlap, 1 for the most significant; ``tested`` is
    False for sets of which the network knows too few genes. ``auc`` and ``p_rank`` are those of `rank_test` among the
    tested, the same in all rows of a rule.
    """
    settings = cell.settings
    network, cells = workshop.network(cell.networks[0]), workshop.labelled(cell.sources[0])
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
                "place": i + 1,
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


TISSUE_GENES = Experiment(
    "tissue-genes", "Genes of the tissue and sets of the units (Protein Atlas)", plan_tissue_genes, run_tissue_genes
)
