"""Labels of different vocabularies in one."""

import anndata
import pandas as pd
import pytest

from scprism.errors import InputError, PrismWarning
from scprism.paper.measures.ontology import harmonise, label_key, label_table

# Raw label, Cell Ontology id and name as https://www.ebi.ac.uk/ols4/ontologies/cl has them, coarse type.
KNOWN = [
    ("Naive CD4 T", "CL:0000895", "naive thymus-derived CD4-positive, alpha-beta T cell", "T cell"),
    ("CD14+ Monocytes", "CL:0000860", "classical monocyte", "monocyte"),
    ("FCGR3A+ Mono", "CL:0000875", "non-classical monocyte", "monocyte"),
    ("beta", "CL:0000169", "type B pancreatic cell", "pancreatic beta cell"),
    ("Kupffer cell", "CL:0000091", "Kupffer cell", "macrophage"),
    ("type II pneumocyte", "CL:0002063", "pulmonary alveolar type 2 cell", "type 2 pneumocyte"),
    ("leukocyte", "CL:0000738", "leukocyte", "leukocyte"),
]


@pytest.mark.parametrize(("label", "identifier", "name", "coarse"), KNOWN)
def test_labels_have_the_ontologys_names(label, identifier, name, coarse):
    assert label_table().loc[label_key(label), "ontology_id"] == identifier
    assert harmonise([label], level="ontology").tolist() == [name]
    assert harmonise([label]).tolist() == [coarse]


@pytest.mark.parametrize("spelling", ["NK cells", "NK_cell", "nk", "Natural Killer cell", "natural-killer cells"])
def test_spellings_of_one_type_are_one(spelling):
    assert harmonise([spelling]).tolist() == ["NK cell"]


def test_order_and_index_are_kept_and_missing_labels_stay_missing():
    labels = pd.Series(["B", "NA", None, "Neutrophils"], index=list("wxyz"))
    harmonised = harmonise(labels)
    assert harmonised.index.tolist() == list("wxyz")
    assert harmonised.fillna("-").tolist() == ["B cell", "-", "-", "granulocyte"]


def test_categories_are_labels():
    assert harmonise(pd.Series(pd.Categorical(["B", "NK"])), level="lineage").tolist() == ["immune", "immune"]


def test_unknown_labels_are_kept_and_named():
    with pytest.warns(PrismWarning, match="kept as they are: 'A549', 'H838'"):
        assert harmonise(["H838", "T cell", "A549"]).tolist() == ["H838", "T cell", "A549"]


def test_another_level_is_refused():
    with pytest.raises(InputError, match="`level` must be one of 'ontology', 'coarse', 'lineage', got 'fine'"):
        harmonise(["B"], level="fine")


def test_every_name_that_the_table_gives_is_itself_in_the_table():
    table = label_table()
    assert table.index.is_unique
    assert set(table["ontology_name"].map(label_key)) <= set(table.index)
    # Harmonising twice changes nothing: a name of the ontology is its own name.
    assert (table.loc[table["ontology_name"].map(label_key), "ontology_id"].to_numpy() == table["ontology_id"]).all()


@pytest.mark.shared_data
def test_the_vocabularies_of_the_real_data_are_known(shared_data):
    """Warnings are errors here, so a label that is missing fails the test."""
    sets = {"pbmc3k": "cell_type", "pbmc_kang": "cell_type", "baron_human1": "cell_type"}
    sets |= {"tm_facs_kidney": "cell_ontology_class", "tms_facs_liver": "cell_ontology_class"}
    sets |= {"tm_droplet_immune": "cell_type", "mouse_lung_immune": "Major_cell_type"}
    for name, column in sets.items():
        cells = anndata.read_h5ad(shared_data / f"{name}.h5ad", backed="r")
        harmonise(cells.obs[column])
        cells.file.close()
    annotated = pd.read_csv(shared_data / "tabula_muris_annotations.csv.gz", usecols=["cell_ontology_class"])
    coarse = harmonise(annotated["cell_ontology_class"])
    assert (coarse == "monocyte").sum() == 856 + 257 + 251 + 220  # monocyte, promonocyte, classical, non-classical
