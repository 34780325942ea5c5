"""One small trained model, and what the commands write of it, for all tests of the command line."""

import shutil
import warnings
from pathlib import Path

import pytest

from scprism.enrichment.enrich import enrich
from scprism.enrichment.gene_sets import gene_sets
from scprism.errors import PrismWarning
from scprism.estimator.prism import Prism
from scprism.explain.explanation import write_explanation
from scprism.prepare.selection import hallmark_genes
from scprism.read.synthetic import Simulation, simulate_cells

SETTINGS = "hidden_size = 16\nbottleneck_size = 5\nmax_epochs = 2\nsearch_epochs = 1\nfinal_epochs = 1\n"


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """A folder with a reference, a query, a model with an index, and all results of the query; nobody changes it."""
    folder = tmp_path_factory.mktemp("results")
    genes = hallmark_genes("mouse")[:400]
    cells = simulate_cells(Simulation(n_cells=160, genes=genes, n_programs=5, program_size=30), rng=0)
    reference, query = cells[:100].copy(), cells[100:, ::-1].copy()
    reference.write_h5ad(folder / "ref.h5ad")
    query.write_h5ad(folder / "query.h5ad")
    (folder / "settings.toml").write_text(SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)
        model = Prism(units="raw", hidden_size=16, bottleneck_size=5, max_epochs=2, rng=0).fit(reference)
        model = model.index(reference, labels="cell_type")
        labels = model.label(query)
        explanation = model.explain(query, groupby=labels["label"])
        pathways = enrich(explanation, gene_sets("hallmark", organism="mouse"), rng=0)
    model.save(folder / "model")
    labels.save(folder / "labels.csv")
    write_explanation(explanation, folder / "explanation.h5ad")
    pathways.save(folder / "enrichment.tsv")
    return folder


@pytest.fixture
def folder(results, tmp_path) -> Path:
    """A copy of `results` that a test may change."""
    shutil.copytree(results, tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def scprism(command_line):
    return command_line
