"""Data that come with the package: two real data sets, gene sets and orthologs (`data/SOURCES.md`)."""

from dataclasses import asdict, dataclass

import pandas as pd
from anndata import AnnData, read_h5ad

from scprism._bundled import bundled_path
from scprism._check import check_choice
from scprism.types import Organism

__all__ = ["dataset_table", "load_dataset"]


@dataclass(frozen=True)
class _DataSet:
    name: str
    cells: int
    genes: int
    organism: Organism
    platform: str
    what: str
    labels: str
    citation: str


_DATA_SETS = (
    _DataSet(
        name="tm_droplet_immune",
        cells=1000,
        genes=19371,
        organism="mouse",
        platform="10x v2",
        what="Tabula Muris: immune cells of spleen, marrow and lung",
        labels="cell_type",
        citation="The Tabula Muris Consortium, Nature 562:367-372 (2018), doi:10.1038/s41586-018-0590-4; GEO GSE109774",
    ),
    _DataSet(
        name="mouse_lung_immune",
        cells=800,
        genes=24248,
        organism="mouse",
        platform="inDrop",
        what="Immune cells of healthy and tumour-bearing lung",
        labels="Major_cell_type",
        citation="Zilionis et al., Immunity 50:1317-1334 (2019), doi:10.1016/j.immuni.2019.03.009; GEO GSE127465",
    ),
)


def dataset_table() -> pd.DataFrame:
    """Return what the bundled data sets are, a row each; ``labels`` is the column of ``.obs`` with the cell types."""
    return pd.DataFrame([asdict(data_set) for data_set in _DATA_SETS])


def load_dataset(name: str) -> AnnData:
    """Return a bundled data set: raw counts, cells by gene symbols, a fresh copy on each call.

    Parameters
    ----------
    name
        A name of `dataset_table`.

    Raises
    ------
    InputError
        If there is no such data set.

    Examples
    --------
    >>> cells = load_dataset("tm_droplet_immune")
    >>> cells.shape
    (1000, 19371)
    >>> sorted(cells.obs["cell_type"].unique())
    ['B cell', 'Granulocyte', 'Monocyte', 'NK cell', 'T cell']
    """
    check_choice("name", name, [data_set.name for data_set in _DATA_SETS])
    return read_h5ad(bundled_path(f"{name}.h5ad"))
