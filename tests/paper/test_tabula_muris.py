"""Tabula Muris, in files of the layout in which it is published."""

import gzip
import shutil
import zipfile

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from scprism.errors import InputError, PrismWarning
from scprism.paper.tabula_muris.annotations import read_tabula_muris_annotations
from scprism.paper.tabula_muris.cells import read_tabula_muris, tabula_muris_parts
from scprism.paper.tabula_muris.converted import tabula_muris_h5ad
from scprism.paper.tabula_muris.names import TISSUES, tissue_name

GENES = ["Cd3e", "ERCC-00002", "Actb", "zsGreen_transgene"]
FACS_CELLS = ["A14.MAA000545.3_8_M.1.1", "E1.B001717.3_38_F.1.1", "M4.MAA000801.3_10_M.1.1"]
FACS_COUNTS = np.array([[1, 90, 0, 0], [0, 4, 3, 0], [7, 0, 12, 1]])  # (cells, genes)
BARCODES = {"10X_P7_8": ["AAAGTAGAGATGCCAG-1", "AACCGCGTCCAACCAA-1"], "10X_P8_12": ["AAAGTAGAGATGCCAG-1"]}
DROPLET_COUNTS = {"10X_P7_8": np.array([[1, 2, 0], [0, 0, 5]]), "10X_P8_12": np.array([[4, 0, 6]])}
DROPLET_GENES = ["Xkr4", "Cd3e", "Actb"]

FACS_ANNOTATIONS = """\
,cell,cell_ontology_class,cell_ontology_id,mouse.id,tissue
1,A14.MAA000545.3_8_M.1.1,macrophage,CL:0000235,3_8_M,Kidney
2,M4.MAA000801.3_10_M.1.1,,,3_10_M/3_11_M,Kidney
"""
DROPLET_ANNOTATIONS = """\
cell,cell_ontology_class,cell_ontology_id,channel,mouse.id,tissue
10X_P7_8_AACCGCGTCCAACCAA,T cell,CL:0000084,10X_P7_8,3-F-56,Lung
10X_P8_12_AAAGTAGAGATGCCAG,B cell,CL:0000236,10X_P8_12,3-M-8,Lung
"""


def write_facs(path, counts=FACS_COUNTS, cells=FACS_CELLS, genes=GENES):
    """Genes in rows, all names quoted, as R's write.csv."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(['""', *(f'"{cell}"' for cell in cells)])]
    lines += [",".join([f'"{gene}"', *map(str, row)]) for gene, row in zip(genes, counts.T, strict=True)]
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def write_channel(folder, channel, *, genes=DROPLET_GENES, counts=None):
    """Cell Ranger 2: genes in rows of the matrix, two columns of genes, barcodes that end in -1."""
    folder.mkdir(parents=True)
    matrix = DROPLET_COUNTS[channel] if counts is None else counts
    io.mmwrite(folder / "matrix.mtx", sparse.coo_matrix(matrix.T))
    (folder / "genes.tsv").write_text("".join(f"{gene}\t{gene}\n" for gene in genes))
    (folder / "barcodes.tsv").write_text("\n".join(BARCODES[channel]) + "\n")


@pytest.fixture
def published(tmp_path):
    """The later release, unpacked."""
    folder = tmp_path / "tabula-muris"
    write_facs(folder / "FACS" / "Kidney-counts.csv")
    for channel in BARCODES:
        write_channel(folder / "droplet" / f"Lung-{channel}", channel)
    (folder / "annotations_facs.csv").write_text(FACS_ANNOTATIONS)
    (folder / "annotations_droplet.csv").write_text(DROPLET_ANNOTATIONS)
    return folder


def zipped(folder, name):
    """Put a folder into the zip file of its name, as a Mac does, and remove it."""
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir(f"{name}/")
        for path in sorted((folder / name).rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
                archive.writestr(f"__MACOSX/{path.parent.relative_to(folder)}/._{path.name}", b"\0\5\x16")
    shutil.rmtree(folder / name)


def test_facs_tables_are_turned_and_annotated(published):
    cells = read_tabula_muris(published, tissue="Kidney", platform="facs")
    assert cells.X.format == "csr"
    assert cells.X.toarray().tolist() == FACS_COUNTS.tolist()
    assert cells.var_names.tolist() == GENES
    assert cells.obs_names.tolist() == FACS_CELLS
    assert cells.obs["cell_ontology_class"].astype(object).fillna("-").tolist() == ["macrophage", "-", "-"]
    assert cells.obs["mouse"].tolist() == ["3_8_M", "3_38_F", "3_10_M/3_11_M"]
    assert cells.obs["plate"].tolist() == ["MAA000545", "B001717", "MAA000801"]
    assert set(cells.obs["platform"]) == {"Smart-seq2"}


def test_droplet_channels_are_joined_and_annotated(published):
    cells = read_tabula_muris(published, tissue="Lung", platform="droplet")
    names = ["10X_P7_8_AAAGTAGAGATGCCAG", "10X_P7_8_AACCGCGTCCAACCAA", "10X_P8_12_AAAGTAGAGATGCCAG"]
    assert cells.obs_names.tolist() == names
    assert cells.X.toarray().tolist() == [[1, 2, 0], [0, 0, 5], [4, 0, 6]]
    assert cells.obs["cell_ontology_class"].astype(object).fillna("-").tolist() == ["-", "T cell", "B cell"]
    assert cells.obs["channel"].tolist() == ["10X_P7_8", "10X_P7_8", "10X_P8_12"]
    assert cells.obs["mouse"].tolist() == ["3-F-56", "3-F-56", "3-M-8"]  # of the channel, annotated or not
    assert set(cells.obs["platform"]) == {"10x v2"}


def test_channels_with_genes_in_another_order_are_aligned(published):
    folder = published / "droplet" / "Lung-10X_P8_12"
    shutil.rmtree(folder)
    write_channel(folder, "10X_P8_12", genes=["Actb", "Xkr4", "Cd3e"], counts=np.array([[6, 4, 0]]))
    assert read_tabula_muris(published, tissue="Lung", platform="droplet").X.toarray()[2].tolist() == [4, 0, 6]


def test_channels_with_other_genes_are_refused(published):
    folder = published / "droplet" / "Lung-10X_P8_12"
    shutil.rmtree(folder)
    write_channel(folder, "10X_P8_12", genes=["Actb", "Xkr4", "Sox2"])
    with pytest.raises(InputError, match="10X_P7_8 and 10X_P8_12 of Lung differ in genes: 'Cd3e', 'Sox2'"):
        read_tabula_muris(published, tissue="Lung", platform="droplet")


@pytest.mark.parametrize(("tissue", "platform", "folder"), [("Kidney", "facs", "FACS"), ("Lung", "droplet", "droplet")])
def test_zip_files_hold_the_same_cells(published, tissue, platform, folder):
    plain = read_tabula_muris(published, tissue=tissue, platform=platform)
    zipped(published, folder)
    packed = read_tabula_muris(published, tissue=tissue, platform=platform)
    assert (packed.X != plain.X).nnz == 0
    pd.testing.assert_frame_equal(packed.obs, plain.obs)


def test_gzipped_tables_are_read(published):
    (published / "FACS" / "Kidney-counts.csv").unlink()
    write_facs(published / "FACS" / "Kidney-counts.csv.gz")
    assert read_tabula_muris(published, tissue="Kidney", platform="facs").X.sum() == FACS_COUNTS.sum()


def test_annotated_cells_alone_can_be_taken(published):
    assert read_tabula_muris(published, tissue="Kidney", platform="facs", cells="annotated").obs_names.tolist() == [
        FACS_CELLS[0]
    ]
    lung = read_tabula_muris(published, tissue="Lung", platform="droplet", cells="annotated")
    assert lung.X.toarray().tolist() == [[0, 0, 5], [4, 0, 6]]


def test_barcodes_without_counts_are_left_out(published):
    folder = published / "droplet" / "Lung-10X_P7_8"
    shutil.rmtree(folder)
    write_channel(folder, "10X_P7_8", counts=np.array([[0, 0, 0], [0, 0, 5]]))
    cells = read_tabula_muris(published, tissue="Lung", platform="droplet")
    assert cells.obs_names.tolist() == ["10X_P7_8_AACCGCGTCCAACCAA", "10X_P8_12_AAAGTAGAGATGCCAG"]


def test_a_channel_of_all_barcodes_is_warned_of(published, monkeypatch):
    monkeypatch.setattr("scprism.paper.tabula_muris.cells.MANY_BARCODES", 1)
    with pytest.warns(PrismWarning, match="Lung-10X_P7_8 holds 2 barcodes, most of which were never cells"):
        read_tabula_muris(published, tissue="Lung", platform="droplet")


def test_the_first_release_is_read_by_the_later_names(tmp_path):
    """Its tissues' names, its files' names, its annotations without mice and with the mice in the metadata."""
    write_facs(tmp_path / "facs_raw_data" / "FACS" / "Brain_Microglia-counts.csv")
    write_channel(tmp_path / "droplet_raw_data" / "droplet" / "Muscle-10X_P7_8", "10X_P7_8")
    (tmp_path / "facs_raw_data" / "annotations_FACS.csv").write_text(
        f'"","cell_ontology_class","tissue"\n"{FACS_CELLS[0]}","microglial cell","Brain_Microglia"\n'
    )
    (tmp_path / "droplet_raw_data" / "annotations_droplets.csv").write_text(
        "cell,tissue,cell_ontology_class\n10X_P7_8_AAAGTAGAGATGCCAG,Muscle,endothelial cell\n"
    )
    (tmp_path / "droplet_raw_data" / "metadata_droplet.csv").write_text(
        "channel,mouse.id,tissue,subtissue,mouse.sex\n10X_P7_8,3-F-56,Muscle,,F\n"
    )
    brain = read_tabula_muris(tmp_path, tissue="Brain_Myeloid", platform="facs")
    assert brain.obs["cell_ontology_class"].tolist()[0] == "microglial cell"
    assert set(brain.obs["tissue"]) == {"Brain_Myeloid"}
    muscle = read_tabula_muris(tmp_path, tissue="Muscle", platform="droplet")
    assert muscle.obs["mouse"].tolist() == ["3-F-56", "3-F-56"]
    assert set(muscle.obs["tissue"]) == {"Limb_Muscle"}
    annotations = read_tabula_muris_annotations(tmp_path)
    assert annotations["tissue"].tolist() == ["Brain_Myeloid", "Limb_Muscle"]
    assert annotations["platform"].tolist() == ["Smart-seq2", "10x v2"]


def test_parts_say_what_a_folder_holds(published):
    zipped(published, "droplet")
    parts = tabula_muris_parts(published)
    assert parts[["tissue", "platform", "name", "files"]].to_numpy().tolist() == [
        ["Lung", "droplet", "Lung", 2],
        ["Kidney", "facs", "Kidney", 1],
    ]
    assert parts["where"].tolist() == [str(published / "droplet.zip"), str(published / "FACS")]


def test_an_empty_folder_holds_nothing(tmp_path):
    assert tabula_muris_parts(tmp_path).empty


def test_names_of_both_releases_and_platforms_are_one():
    first = ["Brain_Microglia", "Brain_Neurons", "Brain_Non-microglia", "Colon", "Mammary", "Muscle", "Heart_and_Aorta"]
    later = ["Brain_Myeloid", "Brain_Non-Myeloid", "Brain_Non-Myeloid", "Large_Intestine", "Mammary_Gland"]
    assert [tissue_name(name) for name in first] == [*later, "Limb_Muscle", "Heart"]
    assert [tissue_name(name.lower().replace("_", " ")) for name in TISSUES] == list(TISSUES)


def test_a_tissue_that_is_not_there_is_named_with_those_that_are(published):
    with pytest.raises(InputError, match=r"has no 'Liver' of platform 'facs', looked for as FACS/.*It has: 'Kidney'"):
        read_tabula_muris(published, tissue="Liver", platform="facs")


def test_a_folder_that_is_not_there_is_named_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match="not there. `scprism datasets fetch tabula-muris` downloads them"):
        tabula_muris_parts(tmp_path / "nowhere")


def test_both_releases_in_one_folder_are_refused(published):
    write_facs(published / "old" / "FACS" / "Mammary-counts.csv")
    write_facs(published / "FACS" / "Mammary_Gland-counts.csv")
    with pytest.raises(InputError, match=r"Mammary_Gland \(facs\) is there 2 times.*folder of one release"):
        read_tabula_muris(published, tissue="Mammary", platform="facs")


def test_cells_without_annotations_are_warned_of(published):
    (published / "annotations_facs.csv").unlink()
    with pytest.warns(PrismWarning, match="has no file of annotations for platform 'facs', so no cell has a cell type"):
        cells = read_tabula_muris(published, tissue="Kidney", platform="facs")
    assert cells.obs["cell_ontology_class"].isna().all()
    with pytest.raises(InputError, match="cells='annotated' was asked for"):
        read_tabula_muris(published, tissue="Kidney", platform="facs", cells="annotated")


def test_annotations_of_other_cells_are_warned_of(published):
    (published / "annotations_facs.csv").write_text("cell,tissue,cell_ontology_class\nother,Kidney,macrophage\n")
    with pytest.warns(PrismWarning, match=r"have no label for a cell of Kidney \(facs\)"):
        read_tabula_muris(published, tissue="Kidney", platform="facs")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("cell,tissue\na,Kidney\n", "needs the columns 'cell', 'tissue', 'cell_onto", id="no labels"),
        pytest.param("cell,tissue,cell_ontology_class\na,Kidney,x\na,Kidney,y\n", "more than once: 'a'", id="twice"),
        pytest.param("a,b\n1,2\n3,4,5\n", "is no table of commas", id="ragged"),
        pytest.param("", "is no table of commas", id="empty"),
        pytest.param("<html>not found</html>", "it has '<html>not found</html>'", id="a page"),
    ],
)
def test_annotations_that_cannot_be_used_are_refused(published, text, message):
    (published / "annotations_facs.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_tabula_muris(published, tissue="Kidney", platform="facs")


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(InputError, match="has neither annotations_facs.csv nor annotations_droplet.csv"):
        read_tabula_muris_annotations(tmp_path)


def test_a_table_that_was_cut_off_is_refused(published):
    path = published / "FACS" / "Kidney-counts.csv"
    path.write_text(path.read_text()[:-6])  # in the midst of a line
    zipped(published, "FACS")
    with pytest.raises(
        InputError, match=r"counts of Kidney in '.*FACS.zip' cannot be used, is the file whole\? 3 values"
    ):
        read_tabula_muris(published, tissue="Kidney", platform="facs")


def test_a_table_that_is_no_table_is_named_as_in_the_zip_file(published):
    (published / "FACS" / "Kidney-counts.csv").write_text("<html>not found</html>")
    zipped(published, "FACS")
    with pytest.raises(InputError, match=r"'.*FACS.zip:FACS/Kidney-counts.csv' needs a line of names"):
        read_tabula_muris(published, tissue="Kidney", platform="facs")


def test_a_zip_file_that_was_cut_off_is_refused(published):
    zipped(published, "FACS")
    content = (published / "FACS.zip").read_bytes()
    (published / "FACS.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"FACS.zip' is damaged.*Delete it and download it again"):
        tabula_muris_parts(published)


@pytest.mark.parametrize("byte", [0xFF, 0x00])
def test_a_zip_file_with_a_damaged_table_is_refused(published, byte):
    zipped(published, "FACS")
    path = published / "FACS.zip"
    with zipfile.ZipFile(path) as archive:
        table = archive.getinfo("FACS/Kidney-counts.csv")
    content = bytearray(path.read_bytes())
    start = table.header_offset + 30 + len(table.filename)  # of the compressed bytes
    content[start + 20 : start + 40] = bytes([byte]) * 20
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"FACS.zip' is damaged"):
        read_tabula_muris(published, tissue="Kidney", platform="facs")


def test_values_that_are_no_counts_are_refused(published):
    write_facs(published / "FACS" / "Kidney-counts.csv", counts=FACS_COUNTS + 0.5)
    with pytest.raises(InputError, match="raw counts"):
        read_tabula_muris(published, tissue="Kidney", platform="facs")


@pytest.mark.shared_data
def test_the_real_kidney_comes_back_from_the_published_layout(shared_data, tmp_path):
    kidney = anndata.read_h5ad(shared_data / "tm_facs_kidney.h5ad")[:, ::40].to_memory()
    write_facs(
        tmp_path / "FACS" / "Kidney-counts.csv", kidney.X.toarray().astype(int), kidney.obs_names, kidney.var_names
    )
    annotated = pd.read_csv(shared_data / "tabula_muris_annotations.csv.gz", dtype=str)
    annotated[annotated["platform"] == "Smart-seq2"].to_csv(tmp_path / "annotations_facs.csv")
    cells = read_tabula_muris(tmp_path, tissue="Kidney", platform="facs")
    assert (cells.X != kidney.X).nnz == 0
    assert cells.obs["cell_ontology_class"].astype(object).fillna("NA").tolist() == (
        kidney.obs["cell_ontology_class"].tolist()
    )
    assert cells.obs["mouse"].tolist() == kidney.obs["mouse.id"].tolist()
    assert cells.obs["plate"].tolist() == kidney.obs["plate.barcode"].tolist()
    annotations = read_tabula_muris_annotations(tmp_path)
    assert len(annotations) == 44949
    assert annotations["cell_ontology_class"].isna().sum() == 170


def test_h5ad_files_hold_what_was_read_and_are_written_once(published, tmp_path):
    files = tabula_muris_h5ad(published, out=tmp_path / "h5ad")
    assert [path.name for path in files] == ["tm_droplet_Lung.h5ad", "tm_facs_Kidney.h5ad"]
    written = anndata.read_h5ad(files[0])
    read = read_tabula_muris(published, tissue="Lung", platform="droplet", cells="annotated")
    assert (written.X != read.X).nnz == 0
    assert written.obs["cell_ontology_class"].tolist() == ["T cell", "B cell"]
    assert written.obs["channel"].tolist() == read.obs["channel"].tolist()
    files[0].write_bytes(b"kept")
    tabula_muris_h5ad(published, out=tmp_path / "h5ad")
    assert files[0].read_bytes() == b"kept"


def test_a_folder_without_tabula_muris_gives_no_h5ad_files(tmp_path):
    with pytest.raises(InputError, match="holds no part of Tabula Muris"):
        tabula_muris_h5ad(tmp_path, out=tmp_path / "h5ad")
