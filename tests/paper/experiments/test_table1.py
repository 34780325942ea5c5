"""Table 1 of the paper from cells and from annotations."""

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from scprism.errors import InputError
from scprism.model.config import Config
from scprism.model.presets import preset_config
from scprism.paper.experiments.published import GENE_COUNTS
from scprism.paper.experiments.table1 import table1_rows


@pytest.fixture
def kidney():
    """Two annotated cells and one that is not; Actb (apical junction) passes by the last alone, Il2 in none."""
    counts = [[3, 2, 2, 90, 9], [0, 1, 2, 90, 0], [0, 5, 2, 90, 0]]
    genes = ["CD14", "Actb", "Il2", "ERCC-00002", "NotInHallmark"]
    labels = ["macrophage", "macrophage", "NA"]
    return AnnData(
        sparse.csr_matrix(np.array(counts, dtype="float32")),
        obs=pd.DataFrame({"cell_ontology_class": labels}, index=list("abc")),
        var=pd.DataFrame(index=genes),
    )


def test_hallmark_genes_above_the_filter_are_counted(kidney):
    rows = table1_rows(kidney, tissue="Kidney", platform="facs", config=preset_config("paper"))
    assert rows["cells"].tolist() == ["all", "annotated"]
    assert rows["n_cells"].tolist() == [3, 2]
    assert rows["passed"].tolist() == [3, 2]  # without the spike-in
    assert rows["hallmark"].tolist() == [2, 1]
    assert rows["counted"].tolist() == [2, 1]
    assert rows["printed"].tolist() == [3762, 3762]
    assert rows["difference"].tolist() == [-3760, -3761]


@pytest.mark.parametrize(("platform", "counted", "printed"), [("facs", 1, 3762), ("droplet", 3, 11645)])
def test_the_released_codes_counts_differ_by_platform(kidney, platform, counted, printed):
    rows = table1_rows(kidney, tissue="Kidney", platform=platform, config=preset_config("as_released"))
    assert rows["counted"].tolist()[0] == counted
    assert rows["printed"].tolist()[0] == printed


def test_the_filter_is_the_configurations(kidney):
    config = Config(min_max_count=4)
    assert table1_rows(kidney, tissue="Kidney", platform="facs", config=config)["hallmark"].tolist() == [1, 0]


def test_integrated_values_may_be_negative_and_fractional(kidney):
    kidney.X = kidney.X.toarray() - 0.5
    rows = table1_rows(kidney, tissue="Kidney", platform="combined", config=preset_config("paper"))
    assert rows["hallmark"].tolist() == [2, 1]
    assert rows["printed"].tolist() == [774, 774]
    with pytest.raises(InputError, match="raw counts"):
        table1_rows(kidney, tissue="Kidney", platform="facs", config=preset_config("paper"))


def test_names_of_both_releases_are_one(kidney):
    rows = table1_rows(kidney, tissue="Muscle", platform="droplet", config=preset_config("paper"))
    assert rows["tissue"].tolist() == ["Limb_Muscle", "Limb_Muscle"]
    assert rows["printed"].tolist() == [9202, 9202]


def test_cells_without_labels_give_one_row(kidney):
    del kidney.obs["cell_ontology_class"]
    assert len(table1_rows(kidney, tissue="Kidney", platform="facs", config=preset_config("paper"))) == 1


def test_a_tissue_that_the_paper_lacks_is_refused(kidney):
    with pytest.raises(InputError, match="must be one of Table 1's, got 'Pancreas'. Closest: "):
        table1_rows(kidney, tissue="Pancreas", platform="facs", config=preset_config("paper"))


def test_no_10x_count_can_be_of_hallmark_genes():
    """All of Hallmark has fewer genes than any 10x tissue of Table 1 (method.md, section 0)."""
    assert min(droplet for _, droplet, _ in GENE_COUNTS.values()) == 6950 > 4384


@pytest.mark.shared_data
def test_the_real_kidney(shared_data):
    """The paper prints 3762; MSigDB's mouse Hallmark sets are not the ones that the authors had."""
    kidney = anndata.read_h5ad(shared_data / "tm_facs_kidney.h5ad")
    rows = table1_rows(kidney, tissue="Kidney", platform="facs", config=preset_config("paper"))
    assert rows["counted"].tolist() == [3760, 3754]
    assert rows["n_cells"].tolist() == [865, 519]
