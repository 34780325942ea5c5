import anndata
import numpy as np
import pytest
from scipy import sparse

from scprism.errors import InputError, PrismWarning
from scprism.genes.organism import detect_organism
from scprism.prepare.selection import hallmark_genes, requested_genes
from scprism.read.datasets import load_dataset


def pick(genes, names, organism=None, matrix=None):
    counts = sparse.csr_matrix(np.ones((3, len(names)))) if matrix is None else matrix
    return requested_genes(genes, matrix=counts, names=names, organism=organism)


def test_hallmark_has_the_published_number_of_genes():
    # 4,384 human symbols in 50 sets (MSigDB 2024.1), 4,289 mouse symbols (MH 2023.1)
    assert (len(hallmark_genes("human")), len(hallmark_genes("mouse"))) == (4384, 4289)


def test_hallmark_keeps_the_sets_genes_that_are_there():
    names = ["Gapdh", "notagene", "Cd79a", "Myc"]
    genes, organism = pick("hallmark", names, organism="mouse")
    assert set(genes) == set(names) & set(hallmark_genes("mouse"))
    assert organism == "mouse"


def test_order_of_the_files_genes_does_not_matter():
    names = list(hallmark_genes("human")[:50])
    assert pick("hallmark", names) == pick("hallmark", names[::-1])


def test_mouse_symbols_in_capitals_still_match_when_told():
    names = [g.upper() for g in hallmark_genes("mouse")[:30]]
    with pytest.warns(PrismWarning, match="told to be mouse, but the gene symbols .* look like human ones"):
        genes, _ = pick("hallmark", names, organism="mouse")
    assert set(genes) == set(names)


def test_unknown_symbols_need_the_organism_for_hallmark():
    with pytest.raises(InputError, match="Hallmark genes need the organism, and the gene names .'a', 'b'. are neither"):
        pick("hallmark", ["a", "b"])


def test_all_leaves_spike_ins_out():
    genes, _ = pick("all", ["ERCC-00002", "b", "a"])
    assert genes == ("a", "b")


def test_variable_genes_are_those_of_scanpy():
    import scanpy

    cells = load_dataset("mouse_lung_immune")
    genes, _ = pick("variable:200", list(cells.var_names), matrix=cells.X)
    copy = cells.copy()
    copy.X = copy.X.astype(np.float32)
    scanpy.pp.normalize_total(copy, target_sum=1e4)
    scanpy.pp.log1p(copy)
    scanpy.pp.highly_variable_genes(copy, n_top_genes=200)
    assert set(genes) == set(copy.var_names[copy.var["highly_variable"]])


def test_variable_genes_cannot_be_more_than_there_are():
    with pytest.raises(InputError, match="needs N between 1 and the 2 genes of the data, got 3"):
        pick("variable:3", ["a", "b"])


def test_a_file_lists_genes(tmp_path):
    path = tmp_path / "genes.txt"
    path.write_text("b\na\nmissing\n")
    assert pick(str(path), ["a", "b", "c"])[0] == ("a", "b")


def test_an_empty_gene_file_is_refused(tmp_path):
    path = tmp_path / "genes.txt"
    path.write_text("\n")
    with pytest.raises(InputError, match="is empty. It needs one gene symbol a line"):
        pick(str(path), ["a"])


def test_a_list_names_genes():
    assert pick(["c", "a"], ["a", "b", "c"])[0] == ("a", "c")


def test_an_unknown_choice_is_refused():
    with pytest.raises(
        InputError, match="must be 'hallmark', 'variable:N', 'all' or the path of a file.*got 'halmark'"
    ):
        pick("halmark", ["a"])


def test_no_overlap_with_the_gene_set_is_said():
    with pytest.raises(
        InputError, match="None of the 4,384 genes of genes='hallmark' is in the data. The data has 'x'"
    ):
        pick("hallmark", ["x"], organism="human")


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_organism_is_detected_from_symbols(organism):
    assert detect_organism(hallmark_genes(organism)[:100]) == organism


@pytest.mark.parametrize(
    ("name", "organism"),
    [
        ("pbmc3k", "human"),
        ("baron_human1", "human"),
        ("pbmc_kang", "human"),
        ("tms_facs_liver", "mouse"),
        ("tm_facs_kidney", "mouse"),
        ("sc_mixology", "human"),
    ],
)
def test_organism_of_real_data(name, organism, shared_data):
    import h5py

    with h5py.File(shared_data / f"{name}.h5ad") as file:
        names = [n.decode() for n in file["var"][file["var"].attrs["_index"]][:]]
    assert detect_organism(names) == organism


@pytest.mark.parametrize("change", [str.upper, str.lower, str.capitalize])
@pytest.mark.parametrize(("name", "organism"), [("pbmc_kang", "human"), ("tms_facs_liver", "mouse")])
def test_case_does_not_change_the_organism_of_real_data(name, organism, change, shared_data):
    names = anndata.read_h5ad(shared_data / f"{name}.h5ad", backed="r").var_names
    assert detect_organism([change(gene) for gene in names]) == organism


def test_symbols_of_the_other_organism_alone_are_refused():
    human = sorted(set(hallmark_genes("human")) - {g.upper() for g in hallmark_genes("mouse")})
    with pytest.raises(InputError, match=r"told to be mouse, but .* known in human only .* or say 'human'"):
        pick("hallmark", human, organism="mouse")


def test_organism_of_unknown_names_is_none():
    assert detect_organism([f"gene_{i}" for i in range(100)]) is None


def test_ensembl_ids_are_named_with_what_to_do():
    with pytest.raises(InputError, match=r"Genes must be symbols.*'ENSG00000167286'.*by `gene_symbols` when reading"):
        detect_organism(["ENSG00000167286", "ENSG00000010610"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_gene_list_is_read_by_its_mark(tmp_path, encoding):
    (tmp_path / "genes.txt").write_bytes("Actb\r\nCd3e\r\n".encode(encoding))
    genes, _ = requested_genes(
        str(tmp_path / "genes.txt"), matrix=np.ones((1, 3)), names=["Actb", "Cd3e", "Cd19"], organism="mouse"
    )
    assert genes == ("Actb", "Cd3e")


def test_a_gene_list_in_latin_1_is_refused(tmp_path):
    (tmp_path / "genes.txt").write_bytes("Actb\nr\xe9sum\xe9\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"gene list '.*' is not text .* byte 0xe9 in line 2 is not UTF-8. Save it as"):
        requested_genes(str(tmp_path / "genes.txt"), matrix=np.ones((1, 1)), names=["Actb"], organism="mouse")


@pytest.mark.parametrize("choice", ["all", "variable:2"])
def test_columns_of_one_gene_are_chosen_as_one(choice):
    counts = np.array([[1, 0, 2, 9], [0, 3, 0, 1], [5, 1, 1, 0]])
    genes, _ = requested_genes(choice, matrix=counts, names=["A", "B", "A", "C"], organism=None)
    alone, _ = requested_genes(
        choice, matrix=counts @ [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]], names=["A", "B", "C"], organism=None
    )
    assert genes == alone
