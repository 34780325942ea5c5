"""The tissues of the paper, from files in the layout in which Tabula Muris is published."""

import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from scprism.enrichment.gene_sets import gene_sets
from scprism.paper.plan import Plan
from scprism.paper.registry import planned
from scprism.paper.reproduce import find_sources
from scprism.paper.scale import SCALES
from scprism.read.synthetic import Simulation, simulate_cells

FACS = ("Marrow", "Lung", "Muscle", "Mammary")
DROPLET = ("Marrow", "Lung")
TYPES = np.array(["T cell", "B cell", "macrophage"])


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tabula-muris")
    sets = gene_sets("hallmark", organism="mouse")
    genes = tuple(sorted({gene for name in sorted(sets)[:5] for gene in sets[name]}))[:250]
    notes = {"facs": [], "droplet": []}
    for i, tissue in enumerate((*FACS, *DROPLET)):
        cells = simulate_cells(Simulation(n_cells=96, genes=genes, n_types=3), rng=i)
        counts, kinds = cells.to_df().to_numpy().astype(int), TYPES[cells.obs["cell_type"].cat.codes]
        platform = "facs" if i < len(FACS) else "droplet"
        if platform == "facs":
            names = [f"A{n + 1}.MAA{i:06d}.3_8_M.1.1" for n in range(96)]
            table = pd.DataFrame(counts.T, index=genes, columns=names)
            (folder / "FACS").mkdir(exist_ok=True)
            table.to_csv(folder / "FACS" / f"{tissue}-counts.csv")
        else:
            barcodes = [f"{''.join('ACGT'[(n >> 2 * k) & 3] for k in range(16))}" for n in range(96)]
            names = [f"10X_P7_{i}_{barcode}" for barcode in barcodes]
            place = folder / "droplet" / f"{tissue}-10X_P7_{i}"
            place.mkdir(parents=True)
            io.mmwrite(place / "matrix.mtx", sparse.coo_matrix(counts.T))
            (place / "genes.tsv").write_text("".join(f"{gene}\t{gene}\n" for gene in genes))
            (place / "barcodes.tsv").write_text("".join(f"{barcode}-1\n" for barcode in barcodes))
        labels = pd.DataFrame({"cell": names, "cell_ontology_class": kinds, "tissue": tissue})
        notes[platform].append(labels.assign(channel=f"10X_P7_{i}") if platform == "droplet" else labels)
    for platform, tables in notes.items():
        pd.concat(tables).to_csv(folder / f"annotations_{platform}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def plan(published, tmp_path_factory):
    sources = find_sources(published, tmp_path_factory.mktemp("out"), method="combat")
    return Plan(sources, ("paper",), SCALES["tiny"], published)


def pairs(plan, name):
    cells = planned(plan, only=[name])[name]
    return {
        (c.settings.get("reference", c.settings.get("model")), c.settings.get("query", c.settings.get("data")))
        for c in cells
    }


def test_figure_3_is_marrow_against_the_other_smart_seq2_tissues(plan):
    assert pairs(plan, "knn-single") == {
        ("tm_facs_Marrow", f"tm_facs_{tissue}") for tissue in ("Lung", "Limb_Muscle", "Mammary_Gland")
    }


def test_figure_4_is_combined_lung_against_the_other_combined_tissues(plan):
    lung, marrow = (f"tm_facs_{tissue} + tm_droplet_{tissue}" for tissue in ("Lung", "Marrow"))
    assert pairs(plan, "knn-combined") == {(lung, marrow)}


def test_figure_5_is_muscle_s_model_on_mammary_cells(plan):
    assert pairs(plan, "pathways") == {("tm_facs_Limb_Muscle", "tm_facs_Mammary_Gland")}


def test_figure_2_needs_its_combined_tissues_or_takes_what_there_is(plan):
    # combined Marrow is there, and none of the four tissues that the figure shows in its space
    assert ("tm_facs_Marrow + tm_droplet_Marrow", "tm_facs_Lung + tm_droplet_Lung") not in pairs(plan, "umap")
    assert len(pairs(plan, "umap")) == 5


def test_table_1_counts_every_tissue_that_it_prints(plan):
    cells = planned(plan, only=["table1"])["table1"]
    assert {cell.settings["tissue"] for cell in cells} == {"Marrow", "Lung", "Limb_Muscle", "Mammary_Gland"}
    assert len(cells) == 2 * (len(FACS) + len(DROPLET))


def test_published_annotations_are_found_where_they_lie(plan, published):
    (cell,) = planned(plan, only=["shared-types"])["shared-types"]
    assert cell.settings["annotations"] == str(published)
