"""scprism: interpretable autoencoders that transfer to cells they have never seen.

The path of the data, a folder a step:

    genes → read → prepare → model → train → query → label, denoise, explain → enrichment → trust → report

Importing scprism loads none of them; each public name loads its own step when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from scprism._version import __version__

if TYPE_CHECKING:
    from scprism.adaptation.adapt import adapt
    from scprism.annotation import annotate, read_annotated, write_annotated
    from scprism.enrichment.enrich import enrich
    from scprism.enrichment.gene_sets import gene_sets
    from scprism.enrichment.gsea import gsea
    from scprism.enrichment.over_representation import ora
    from scprism.enrichment.result import Enrichment, count_significant, read_enrichment
    from scprism.errors import BundleError, InputError, PrismError, PrismWarning, TrainingError
    from scprism.estimator.compare import compare
    from scprism.estimator.denoised import read_denoised, write_denoised
    from scprism.estimator.load import load
    from scprism.estimator.model import Model
    from scprism.estimator.prism import Prism
    from scprism.estimator.score import Scores, read_scores, score
    from scprism.estimator.view import View
    from scprism.explain.explanation import Explanation, read_explanation
    from scprism.explain.saliency import attribute
    from scprism.integration.methods import integrate
    from scprism.label.references import References, compare_references
    from scprism.label.result import Labels, read_labels
    from scprism.model.config import Config
    from scprism.model.weights import Weights
    from scprism.read.datasets import load_dataset
    from scprism.read.files import read_cells
    from scprism.read.synthetic import make_cells
    from scprism.report.page import write_report
    from scprism.trust.assess import assess_units
    from scprism.trust.result import Trust, read_trust
    from scprism.units.comparison import Comparison, read_comparison
    from scprism.units.unit import Unit

_HOME = {
    "BundleError": "errors",
    "Comparison": "units.comparison",
    "Config": "model.config",
    "Enrichment": "enrichment.result",
    "Explanation": "explain.explanation",
    "InputError": "errors",
    "Labels": "label.result",
    "Model": "estimator.model",
    "Prism": "estimator.prism",
    "PrismError": "errors",
    "PrismWarning": "errors",
    "References": "label.references",
    "Scores": "estimator.score",
    "TrainingError": "errors",
    "Trust": "trust.result",
    "Unit": "units.unit",
    "View": "estimator.view",
    "Weights": "model.weights",
    "adapt": "adaptation.adapt",
    "annotate": "annotation",
    "assess_units": "trust.assess",
    "attribute": "explain.saliency",
    "compare": "estimator.compare",
    "compare_references": "label.references",
    "count_significant": "enrichment.result",
    "enrich": "enrichment.enrich",
    "gene_sets": "enrichment.gene_sets",
    "gsea": "enrichment.gsea",
    "integrate": "integration.methods",
    "load": "estimator.load",
    "load_dataset": "read.datasets",
    "make_cells": "read.synthetic",
    "ora": "enrichment.over_representation",
    "read_annotated": "annotation",
    "read_cells": "read.files",
    "read_comparison": "units.comparison",
    "read_denoised": "estimator.denoised",
    "read_enrichment": "enrichment.result",
    "read_explanation": "explain.explanation",
    "read_labels": "label.result",
    "read_scores": "estimator.score",
    "read_trust": "trust.result",
    "score": "estimator.score",
    "write_annotated": "annotation",
    "write_denoised": "estimator.denoised",
    "write_report": "report.page",
}

_MODULES = ("figures",)
"""Public modules."""

__all__ = [
    "BundleError",
    "Comparison",
    "Config",
    "Enrichment",
    "Explanation",
    "InputError",
    "Labels",
    "Model",
    "Prism",
    "PrismError",
    "PrismWarning",
    "References",
    "Scores",
    "TrainingError",
    "Trust",
    "Unit",
    "View",
    "Weights",
    "__version__",
    "adapt",
    "annotate",
    "assess_units",
    "attribute",
    "compare",
    "compare_references",
    "count_significant",
    "enrich",
    "gene_sets",
    "gsea",
    "integrate",
    "load",
    "load_dataset",
    "make_cells",
    "ora",
    "read_annotated",
    "read_cells",
    "read_comparison",
    "read_denoised",
    "read_enrichment",
    "read_explanation",
    "read_labels",
    "read_scores",
    "read_trust",
    "score",
    "write_annotated",
    "write_denoised",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"scprism.{name}")
    if name not in _HOME:
        msg = f"module 'scprism' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"scprism.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
