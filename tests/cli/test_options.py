"""What Python can be told, the command line can be told too, and every option does something."""

import ast
import inspect
import textwrap

import anndata
import numpy as np
import pandas as pd
import pytest

from cli.test_paths import COMMANDS
from scprism.adaptation.adapt import adapt
from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import gene_sets
from scprism.enrichment.result import read_enrichment
from scprism.enrichment.settings import GseaSettings
from scprism.estimator.compare import compare
from scprism.estimator.load import load
from scprism.estimator.model import Model
from scprism.explain.explanation import read_explanation
from scprism.integration.methods import integrate
from scprism.report.page import write_report
from scprism.trust.inputs import TrustSettings

ELSEWHERE = {
    "threads": "every command has it",
    "force": "checked before the command runs",
    "resume": "checked before the command runs",
}
PYTHON = {
    "embed": ((Model.embed, Model.denoise), {}),
    "label": ((Model.label,), {}),
    "explain": ((Model.explain,), {"directions": "a table of numbers of the network"}),
    "compare": ((compare, Model.view), {"reference": "--against"}),
    "adapt": ((adapt, Model.view), {}),
    "integrate": ((integrate,), {"timeout_seconds": "--timeout"}),
    "enrich": (
        (enrich, GseaSettings),
        {
            "settings": "one by one",
            "n_permutations": "--permutations",
            "one_sided": "follows from --scores",
            "expression": "--model",
        },
    ),
    "report": (
        (write_report, Model.view),
        {
            "made_by": "the files, the command and the time",
            "cells": "--query",
            "embedding": "of --model and --query",
            "messages": "kept with results",
            "reference_labels": "--labels",
        },
    ),
    "trust": (
        (TrustSettings,),
        {"n_refits": "--refits", "n_draws": "only the speed", "method": "that of the model"},
    ),
}
"""The functions that a command calls, and what of them goes by another name on the command line, or not at all."""


def function_of(words):
    return inspect.unwrap(COMMANDS[words].callback)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_used(words):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function_of(words))))
    read = {node.id for line in tree.body[0].body for node in ast.walk(line) if isinstance(node, ast.Name)}
    assert set(inspect.signature(function_of(words)).parameters) - set(ELSEWHERE) - read == set()


@pytest.mark.parametrize("name", PYTHON)
def test_what_python_has_the_command_line_has(name):
    functions, otherwise = PYTHON[name]
    asked = {
        parameter.name
        for function in functions
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind == parameter.KEYWORD_ONLY or not inspect.isfunction(function)
    }
    options = {parameter.name for parameter in COMMANDS[name,].params}
    assert asked - set(otherwise) - options == set()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_where_there_is_a_model_its_layer_is_the_default(words):
    parameters = {parameter.name: parameter for parameter in COMMANDS[words].params}
    layers = [parameters[name] for name in ("layer", "query_layer", "reference_layer") if name in parameters]
    if "model" in parameters:
        assert all("[default: the model's]" in parameter.help for parameter in layers)
    else:
        assert not any("the model's" in parameter.help for parameter in layers)


@pytest.mark.filterwarnings("ignore:Only .* symbols of the gene sets")
def test_enrichment_is_tested_as_told(scprism, folder):
    options = ("--min-size", 5, "--max-size", 12, "--weight", 0, "--permutations", 200)
    status, _, messages = scprism("enrich", folder / "explanation.h5ad", *options, "--out", folder / "told.tsv")
    assert status == 0, messages
    settings = GseaSettings(n_permutations=200, weight=0, min_size=5, max_size=12)
    sets = gene_sets("hallmark", organism="mouse")
    expected = enrich(read_explanation(folder / "explanation.h5ad"), sets, settings=settings, rng=0)
    pd.testing.assert_frame_equal(read_enrichment(folder / "told.tsv").table, expected.table)
    assert expected.table["size"].between(5, 12).all()


def test_set_sizes_that_cannot_be_are_said_in_options(scprism, folder):
    call = ("enrich", folder / "explanation.h5ad", "--out", folder / "no.tsv")
    status, _, messages = scprism(*call, "--min-size", 20, "--max-size", 10)
    assert (status, "--min-size must be from 1 to --max-size" in messages, "`" in messages) == (2, True, False)
    status, _, messages = scprism(*call, "--min-size", 300)
    assert (status, "Change --min-size or --max-size" in messages) == (2, True), messages
    status, _, messages = scprism(*call, "--transpose")
    assert (status, "--null genes takes no --transpose" in messages) == (2, True)


def test_expected_gradients_are_those_of_python(scprism, folder):
    call = ("explain", folder / "model", folder / "query.h5ad", "--out", folder / "eg.h5ad")
    status, _, messages = scprism(*call, "--method", "expected_gradients", "--reference", folder / "ref.h5ad")
    assert status == 0, messages
    reference, cells = (anndata.read_h5ad(folder / f"{name}.h5ad") for name in ("ref", "query"))
    expected = load(folder / "model").explain(cells, method="expected_gradients", reference=reference)
    np.testing.assert_array_equal(read_explanation(folder / "eg.h5ad").signed, expected.signed)
    for more in (("--method", "expected_gradients"), ("--method", "plain", "--reference", folder / "ref.h5ad")):
        status, _, messages = scprism(*call, *more)
        assert (status, "--reference and --method expected_gradients go together" in messages) == (2, True)


def test_integrated_cells_have_the_total_that_was_told(scprism, folder):
    for name in ("ref", "query"):
        cells = anndata.read_h5ad(folder / f"{name}.h5ad")
        cells.obs["source"] = name
        cells.write_h5ad(folder / f"{name}.h5ad")
    call = ("integrate", folder / "ref.h5ad", folder / "query.h5ad", "--batch", "source", "--out", folder / "i.h5ad")
    totals = []
    for target in (1e4, 1e5):
        status, _, messages = scprism(*call, "--target-sum", target)
        assert status == 0, messages
        totals.append(np.median(np.expm1(anndata.read_h5ad(folder / "i.h5ad").X).sum(axis=1)))
    assert totals[1] / totals[0] == pytest.approx(10, rel=0.2)


def test_a_comparison_of_few_genes_goes_on_when_told(scprism, folder):
    cells = anndata.read_h5ad(folder / "query.h5ad")
    cells.obs["day"] = ["one", "two"] * 30
    cells[:, :150].copy().write_h5ad(folder / "few.h5ad")
    call = ("compare", folder / "model", folder / "few.h5ad", "--groupby", "day", "--against", "one")
    status, _, messages = scprism(*call, "--out", folder / "c.tsv")
    assert (status, "--min-coverage" in messages) == (2, True), messages
    assert scprism(*call, "--out", folder / "c.tsv", "--min-coverage", 0.1)[0] == 0
