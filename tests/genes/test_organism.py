import warnings

import pytest

from scprism.errors import PrismWarning
from scprism.genes.organism import query_organism, told_or_detected
from scprism.genes.tables import read_orthologs
from scprism.read.datasets import dataset_table, load_dataset


@pytest.mark.parametrize("door", [told_or_detected, query_organism])
def test_genes_of_two_organisms_are_told(door):
    pairs = read_orthologs().head(3000)
    with pytest.warns(
        PrismWarning, match=r"genes are of two organisms: [\d,]+ are known in human only .* in mouse only"
    ):
        door([*pairs["human"], *pairs["mouse"]], told=None)


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_genes_of_one_organism_and_a_few_strays_are_not(organism):
    pairs = read_orthologs()
    other = {"human": "mouse", "mouse": "human"}[organism]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert told_or_detected([*pairs[organism], *pairs[other].head(300)], told=None) == organism


@pytest.mark.parametrize("name", dataset_table()["name"])
def test_real_data_are_of_one_organism(name):
    genes = list(load_dataset(name).var_names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert told_or_detected(genes, told=None) == "mouse"
