"""What each section of the page states, as plain values for the template."""

from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from scprism._version import __version__
from scprism.explain.explanation import ALL, Explanation
from scprism.genes.sets import set_name
from scprism.label.labels import labels_as_text
from scprism.model.presets import PRESETS
from scprism.query.align import Alignment
from scprism.report.interactive import unit_name
from scprism.report.subject import MAX_FLAGGED, PROJECTION_SEED, DrawnCells, Subject, shows_programs
from scprism.report.tables import (
    LOW_CONFIDENCE,
    SIGNIFICANT,
    counted_groups,
    dead_units,
    label_table,
    leading_groups,
    sets_per_unit,
    significant_groups,
)
from scprism.types import FloatArray

__all__ = [
    "coverage_section",
    "done_section",
    "label_section",
    "model_section",
    "pathway_section",
    "projection_section",
    "provenance_section",
    "unit_names",
    "unit_section",
]

MISSING_SHOWN = 20
GENES_SHOWN = 8
SETS_SHOWN = 3
METHODS = {
    "plain": "plain gradient",
    "guided": "guided backpropagation",
    "deeplift": "DeepLIFT, rescale rule",
    "gradient_x_input": "gradient × input",
    "integrated_gradients": "integrated gradients",
    "expected_gradients": "expected gradients",
    "exact": "exact parts of the activity",
}


def unit_names(subject: Subject, n_units: int) -> list[str]:
    """Return the names of the units' values: those of the explanation where it is of the units."""
    names = list(subject.explanation.units)
    return names if len(names) == n_units else [str(i) for i in range(n_units)]


def done_section(subject: Subject) -> dict[str, Any]:
    """Return what was done: with which files, by which command, when, and how many cells and genes there were."""
    told = dict(subject.made_by)
    n_reference = int(subject.model.summary["n_cells"])
    return {
        "query": told.pop("query", None),
        "reference": told.pop("reference", None),
        "command": told.pop("command", None),
        "written": told.pop("written", None),
        "others": told,
        "n_query": subject.cells.n_obs,
        "n_query_genes": subject.cells.n_vars,
        "n_reference": n_reference,
        "n_genes": len(subject.model.recipe.genes),
        "labels": subject.label_settings.get("labels") or subject.reference_labels,
        "truth": subject.truth,
        "sample": subject.sample,
        "version": __version__,
    }


def model_section(subject: Subject) -> dict[str, Any]:
    """Return what was trained on what, and how well it went."""
    model, summary = subject.model, subject.model.summary
    config = model.config
    kept = ("n_cells", "n_train", "n_validation", "n_test", "best_epoch", "validation_loss", "test_loss")
    return {
        **{name: summary[name] for name in kept},
        "preset": model.asked.preset,
        "organism": model.recipe.organism or "unknown",
        "n_genes": len(model.recipe.genes),
        "n_epochs": len(model.log),
        "genes": config.genes if isinstance(config.genes, str) else "list",
        "n_units": config.bottleneck_size,
        "hidden_size": config.hidden_size,
        "likelihood": config.likelihood.replace("_", " "),
        "input_dropout": config.input_dropout,
        "metric": config.metric,
        "standardised": config.standardise_latent,
        "n_neighbours": config.n_neighbours,
        "missing_genes": config.missing_genes,
        "adapted": summary.get("adapted_from"),
    }


def label_section(subject: Subject) -> dict[str, Any] | None:
    """Return the query's labels in numbers, None without labels."""
    if subject.labels is None:
        return None
    table = label_table(subject.labels)
    table["reference"] = np.nan
    if subject.reference is not None and subject.reference_labels is not None:
        known = labels_as_text(subject.reference.obs[subject.reference_labels]).value_counts()
        table["reference"] = known.reindex(table.index, fill_value=0)
    return {
        "rows": table.reset_index().to_dict("records"),
        "has_reference": bool(table["reference"].notna().any()),
        "n_low": int(table["low_confidence"].sum()),
        "n_novel": int(table["novel"].sum()),
        "low_limit": LOW_CONFIDENCE,
    }


def projection_section(drawn: DrawnCells) -> dict[str, Any]:
    """Return how the cells were brought into two dimensions."""
    origin = drawn.table["origin"].value_counts()
    return {
        "method": drawn.projection.method,
        "note": drawn.projection.note,
        "n_drawn": len(drawn.table),
        "n_cells": drawn.n_cells,
        "n_flagged": drawn.n_flagged,
        "max_flagged": MAX_FLAGGED,
        "n_query": int(origin.get("query", 0)),
        "n_reference": int(origin.get("reference", 0)),
        "seed": PROJECTION_SEED,
    }


def pathway_section(enrichment: pd.DataFrame) -> dict[str, Any]:
    """Return how many units have significant gene sets, and against which null."""
    per_unit = sets_per_unit(enrichment)
    counts = significant_groups(enrichment)
    groups = counted_groups(enrichment)
    return {
        "n_units": int((per_unit > 0).sum()),
        "n_tested": len(per_unit),
        "n_single": int((per_unit == 1).sum()),
        "n_sets": len(counts),
        "n_sets_tested": int(enrichment["gene_set"].nunique()),
        "n_tests": len(enrichment),
        "n_groups": len(groups),
        "groups": groups,
        "whole_left_out": ALL not in groups and bool((enrichment["group"].astype(str) == ALL).any()),
        "null": enrichment.attrs.get("null"),
        "n_permutations": enrichment.attrs.get("n_permutations"),
        "n_left_out": enrichment.attrs.get("n_sets_left_out", 0),
        "limit": SIGNIFICANT,
    }


def unit_section(subject: Subject, values: FloatArray) -> dict[str, Any]:
    """Return the top genes of each unit, over all cells and in the group where they weigh most.

    `values` are those of the units in the query, (cells, units).
    """
    explanation = subject.explanation
    counts = significant_groups(subject.enrichment)
    highest = _highest_labels(subject, values)
    dead = dead_units(values)
    are_programs = shows_programs(subject)
    is_of_units = len(explanation.units) == len(dead) and len(values) > 1
    genes = {group: _top_genes(explanation, group) for group in explanation.groups}
    leading = leading_groups(explanation)
    rows = []
    for i, (name, group) in enumerate(zip(explanation.units, leading, strict=True)):
        rows.append(
            {
                "name": unit_name(name),
                "dead": bool(is_of_units and dead[i]),
                "highest": highest[i] if highest and is_of_units else None,
                "genes": genes[ALL][i],
                "group": group if group != ALL else None,
                "group_genes": genes[group][i] if group != ALL else [],
                "sets": _leading_sets(counts, name),
            }
        )
    is_gradient = explanation.method in ("plain", "guided")
    return {
        "rows": rows,
        "are_programs": are_programs,
        "method": METHODS.get(explanation.method, explanation.method),
        "baseline": explanation.baseline,
        "error": None if np.isnan(explanation.completeness_error) else explanation.completeness_error,
        "scale": "latent activation per unit of log1p expression"
        if is_gradient
        else "activity (1: the most active hundredth of the training cells)"
        if are_programs
        else "latent activation",
        "is_gradient": is_gradient,
        "has_groups": any(row["group"] for row in rows),
        "has_labels": highest is not None,
        "n_groups": len([g for g in explanation.groups if g != ALL]),
    }


def coverage_section(alignment: Alignment) -> dict[str, Any]:
    """Return how many of the model's genes the query has, and which it lacks."""
    table = alignment.coverage
    by_kind = table.groupby("found")["share"].agg(["size", "sum"])
    titles = {
        "name": "Found by name",
        "id": "Found by Ensembl id",
        "ortholog": "Found through an ortholog",
        "alias": "Found by a previous symbol or alias",
        "missing": "Missing",
    }
    kinds = [(kind, title) for kind, title in titles.items() if kind not in ("id", "alias") or kind in by_kind.index]
    missing = table[table["found"] == "missing"].sort_values("share", ascending=False, kind="stable")
    return {
        "rows": [
            {
                "kind": title,
                "genes": int(by_kind["size"].get(kind, 0)),
                "share_of_genes": float(by_kind["size"].get(kind, 0)) / len(table),
                "share": float(by_kind["sum"].get(kind, 0.0)),
            }
            for kind, title in kinds
        ],
        "n_genes": len(table),
        "share_of_genes": alignment.share_of_genes,
        "share_of_expression": alignment.share_of_expression,
        "organism": alignment.organism or "unknown",
        "missing": missing.head(MISSING_SHOWN)[["gene", "share"]].to_dict("records"),
        "n_missing": len(missing),
    }


def provenance_section(subject: Subject) -> dict[str, Any]:
    """Return versions, seeds, fingerprints and every setting. Times are left out: same results, same page."""
    model, summary = subject.model, subject.model.summary
    settings = model.config.flat()
    preset = PRESETS[model.asked.preset].flat() if model.asked.preset in PRESETS else settings
    page = {"scprism": __version__, **{name: version(name) for name in ("plotly", "umap-learn", "scikit-learn")}}
    return {
        "seed": summary["seed"],
        "projection_seed": PROJECTION_SEED,
        "versions": {str(k): str(v) for k, v in sorted(summary["versions"].items())},
        "page_versions": page,
        "data_fingerprint": summary["data_fingerprint"],
        "fingerprint": model.fingerprint,
        "settings": [
            {"name": name, "value": _setting(value), "changed": value != preset[name]}
            for name, value in settings.items()
        ],
    }


def _top_genes(explanation: Explanation, group: str) -> list[list[dict[str, Any]]]:
    """Return each unit's leading genes by mean signed attribution; genes without any are left out."""
    table = explanation.top_genes(group, GENES_SHOWN, by="signed")
    rows = [
        {"name": str(gene), "value": f"{value:+.3g}".replace("-", "−"), "sign": int(np.sign(value))}
        for gene, value in zip(table["gene"], table["signed"].to_numpy(), strict=True)
    ]
    n = min(GENES_SHOWN, len(explanation.genes))
    return [[gene for gene in rows[i * n : (i + 1) * n] if gene["sign"]] for i in range(len(explanation.units))]


def _leading_sets(counts: pd.DataFrame, unit: str) -> list[dict[str, Any]]:
    if unit not in counts.columns:
        return []
    column = counts[unit][counts[unit] > 0].sort_values(ascending=False, kind="stable")
    shown: list[dict[str, Any]] = [{"name": set_name(str(s)), "n": int(n)} for s, n in column.head(SETS_SHOWN).items()]
    rest = len(column) - len(shown)
    return [*shown, {"name": f"{rest} more", "n": None}] if rest else shown


def _highest_labels(subject: Subject, values: FloatArray) -> list[str] | None:
    if subject.labels is None:
        return None
    means = pd.DataFrame(values.astype(np.float64)).groupby(subject.labels["label"].astype(str).to_numpy()).mean()
    return [str(label) for label in means.idxmax()]


def _setting(value: FloatArray | Any) -> str:
    if isinstance(value, list | tuple) and len(value) > 30:
        return f"{len(value):,} values"
    return ", ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)
