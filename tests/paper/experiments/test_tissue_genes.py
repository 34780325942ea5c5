import numpy as np
import pytest

from scprism.errors import InputError
from scprism.paper.experiments.tissue_genes import in_mouse, plan_tissue_genes, rank_test, tissue_list, tissue_of


def test_the_rank_test_is_the_share_of_pairs_in_which_the_overlapping_set_is_called_more():
    n_called, overlaps = np.array([3, 1, 2, 1, 0]), np.array([True, True, False, False, False])
    # 3 beats 2, 1 and 0; 1 loses to 2, ties with 1, beats 0
    auc, p_value = rank_test(n_called, overlaps)
    assert auc == pytest.approx((3 + 0 + 0.5 + 1) / 6)
    assert p_value < 0.5


def test_without_overlapping_sets_there_is_no_test():
    assert np.isnan(rank_test(np.array([1, 2]), np.array([False, False]))).all()


@pytest.mark.parametrize(
    ("types", "tissue", "expected"),
    [
        ({"proximal tubule cell": 9}, "", "Kidney"),
        ({"pancreatic alpha cell": 9, "T cell": 3}, "", "Pancreas"),
        ({"T cell": 9}, "Marrow", "Bone.Marrow"),
        ({"T cell": 9}, "", ""),
        ({"hepatocyte": 9, "podocyte": 9}, "", ""),
    ],
)
def test_the_tissue_is_told_by_its_name_or_by_its_types(source, types, tissue, expected):
    assert tissue_of(source("x", types, tissue=tissue)) == expected


@pytest.fixture
def atlas(tmp_path):
    path = tmp_path / "human_protein_atlas" / "hpa_tissue_specific_genes.tsv"
    path.parent.mkdir()
    rows = ["ensembl\tTissue\tGroup\tsymbol", "E1\tKidney\tTissue-Enriched\tUMOD", "E2\tKidney\tTissue-Enhanced\tNPHS2"]
    path.write_text("\n".join([*rows, "E3\tLiver\tTissue-Enriched\tALB"]) + "\n")
    return path


def test_a_tissues_genes_are_those_of_the_list(atlas):
    assert tissue_list(atlas, tissue="Kidney") == ["NPHS2", "UMOD"]


def test_a_tissue_that_the_list_lacks_is_refused(atlas):
    with pytest.raises(InputError, match=r"no genes of 'Lung'; it has \['Kidney', 'Liver'\]"):
        tissue_list(atlas, tissue="Lung")


def test_human_genes_become_mouse_genes():
    assert set(in_mouse(["ALB", "UMOD"])) == {"Alb", "Umod"}


def test_without_a_list_nothing_is_planned(small_plan):
    assert plan_tissue_genes(small_plan) == []
