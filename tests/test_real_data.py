"""The path on real data: the bundled sets, and those of the shared folder where it is there."""

import anndata
import numpy as np
import pytest

from scprism.errors import InputError, PrismWarning
from scprism.estimator.prism import Prism
from scprism.genes.tables import read_gene_ids
from scprism.label.result import Labels
from scprism.model.network import build_autoencoder, to_weights
from scprism.paper.measures.knn import knn_scores
from scprism.prepare.recipe import Recipe
from scprism.prepare.stream import prepared_chunks
from scprism.query.align import align_genes
from scprism.query.embed import embed_cells
from scprism.read.datasets import load_dataset

SAME_TYPE = {"T cells": "T cell", "B cells": "B cell", "NK cells": "NK cell", "Neutrophils": "Granulocyte"}


@pytest.fixture(scope="module")
def reference():
    return load_dataset("tm_droplet_immune")


@pytest.fixture(scope="module")
def query():
    cells = load_dataset("mouse_lung_immune")
    cells.obs["cell_type"] = cells.obs["Major_cell_type"].astype(str).map(SAME_TYPE)
    return cells


@pytest.fixture(scope="module")
def model(reference):
    return Prism(rng=0, device="cpu").fit(reference)


def macro_f1(reference, known, query, truth, metric):
    table = knn_scores(reference, known, query, truth, neighbours=[5, 15, 25], metric=metric)
    return table["macro_f1"].mean()


def test_default_model_transfers_better_than_the_papers_baselines(model, reference, query):
    # the paper's comparison (its Figure 3): kNN on the latent, on all genes, and on the latent of a random network
    known, truth = reference.obs["cell_type"], query.obs["cell_type"]
    recipe = model.recipe

    def normalised(cells):
        gene_map = model.align(cells).gene_map
        return np.vstack([chunk.inputs.toarray() for chunk in prepared_chunks(cells.X, gene_map, recipe)])

    x, x_query = normalised(reference), normalised(query)
    random = to_weights(build_autoencoder(model.config, n_genes=len(recipe.genes), rng=np.random.default_rng(0)))
    nothing = np.zeros(len(recipe.genes), dtype=np.float32)
    chunks = (prepared_chunks(c.X, model.align(c).gene_map, recipe) for c in (reference, query))
    untrained = [embed_cells(random, part, fill=nothing) for part in chunks]
    ours = macro_f1(model.embed(reference), known, model.embed(query), truth, "cosine")
    assert ours > macro_f1(x, known, x_query, truth, "euclidean")
    assert ours > macro_f1(untrained[0], known, untrained[1], truth, "cosine")


@pytest.mark.filterwarnings("ignore:The query is unlike the reference:scprism.errors.PrismWarning")
def test_labels_of_foreign_cells_are_mostly_right_and_confidence_says_where(model, reference, query):
    calls = model.label(query, reference=reference, labels="cell_type")
    right = calls["label"].to_numpy() == query.obs["cell_type"].to_numpy()
    assert right.mean() > 0.9
    assert calls["confidence"][right].mean() > calls["confidence"][~right].mean() + 0.1


def test_markers_of_a_type_stand_out_in_some_unit(model, reference):
    # genes that every immunologist would name, found without labels
    why = model.explain(reference, groupby="cell_type")
    for group, markers in {
        "B cell": ["Cd79a", "Cd79b"],
        "T cell": ["Cd3e", "Cd3g"],
        "NK cell": ["Gzma", "Nkg7"],
    }.items():
        map_of_group = why.frame(group).abs()
        there = [g for g in markers if g in map_of_group]
        ranks = map_of_group.rank(axis=1, ascending=False)[there]
        assert there
        assert (ranks.min(axis=0) <= 20).any(), group


def test_a_model_with_the_reference_shuffled_by_gene_transfers_worse(model, reference, query, rng):
    shuffled = reference.copy()
    shuffled.var_names = rng.permutation(shuffled.var_names.to_numpy())
    poor = Prism(rng=0, max_epochs=20, device="cpu").fit(shuffled)
    known, truth = reference.obs["cell_type"], query.obs["cell_type"]
    wrong = macro_f1(poor.embed(shuffled), known, poor.embed(query), truth, "cosine")
    right = macro_f1(model.embed(reference), known, model.embed(query), truth, "cosine")
    assert right > wrong + 0.3


@pytest.mark.shared_data
def test_a_query_of_few_genes_is_refused_or_warned_of_as_told(shared_data):
    reference = anndata.read_h5ad(shared_data / "tm_facs_kidney.h5ad")
    query = anndata.read_h5ad(shared_data / "tms_facs_liver.h5ad")
    model = Prism(rng=0, max_epochs=2, device="cpu").fit(reference)
    with pytest.raises(InputError, match=r"of the model's 3,\d\d\d genes .*at least 50% are required"):
        model.embed(query)
    with pytest.warns(PrismWarning, match="Low gene coverage"):
        assert model.embed(query, min_coverage=0.1).shape == (1779, 50)


@pytest.mark.shared_data
@pytest.mark.filterwarnings("ignore:The query is unlike the reference:scprism.errors.PrismWarning")
def test_a_human_model_labels_mouse_cells(shared_data, reference):
    human = anndata.read_h5ad(shared_data / "pbmc3k.h5ad")
    coarse = {"Naive CD4 T": "T cell", "Memory CD4 T": "T cell", "CD8 T": "T cell", "B": "B cell", "NK": "NK cell"}
    monocytes = {"CD14+ Mono": "Monocyte", "FCGR3A+ Mono": "Monocyte"}
    human.obs["coarse"] = human.obs["cell_type"].astype(str).map({**coarse, **monocytes})
    model = Prism(rng=0, max_epochs=30, device="cpu").fit(human)
    alignment = model.align(reference)
    assert set(alignment.coverage["found"]) == {"ortholog", "alias", "missing"}
    assert alignment.share_of_genes > 0.8
    calls = model.label(reference, reference=human, labels="coarse")
    truth = reference.obs["cell_type"].astype(str)
    shared = truth.isin(["B cell", "T cell", "NK cell", "Monocyte"]).to_numpy()
    majority = (truth[shared] == "T cell").mean()
    assert (calls["label"].to_numpy()[shared] == truth.to_numpy()[shared]).mean() > max(0.8, majority)
    assert isinstance(calls, Labels)


@pytest.mark.shared_data
def test_aliases_agree_with_ensembl_ids(shared_data):
    """Genes renamed between two files are found by alias as their Ensembl ids say."""
    lines = anndata.read_h5ad(shared_data / "sc_mixology.h5ad", backed="r")  # symbols of today
    islets = set(anndata.read_h5ad(shared_data / "baron_human1.h5ad", backed="r").var_names)  # symbols of 2015
    symbol_of_id = lines.var["ensembl"].astype(str).map(read_gene_ids())
    known = islets - set(lines.var_names)
    renamed = {
        old: new
        for new, old in symbol_of_id.dropna().items()
        if old in known and new not in islets and not new.startswith("ENSG")
    }
    genes = tuple(sorted(renamed))
    nothing = np.zeros(len(genes))
    recipe = Recipe(
        genes=genes,
        organism="human",
        mean=nothing,
        spread=nothing,
        share=nothing + 1,
        n_cells=1,
        normalise="per_cell",
        target_sum=1e4,
        library="all",
        negative_values="refuse",
    )
    coverage = align_genes(list(lines.var_names), recipe, organism="human").coverage.set_index("gene")
    # LRTOMT, a read-through gene, was split in two: its id stayed with LRRC51
    assert set(coverage.index[coverage["found"] != "alias"]) == {"LRTOMT"}
    assert coverage["sources"].drop("LRTOMT").to_dict() == {g: renamed[g] for g in genes if g != "LRTOMT"}
    assert len(genes) == 346
