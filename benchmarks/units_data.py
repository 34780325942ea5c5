"""The cells that `units.py` compares methods on: Hallmark genes under human symbols, and simulated cells."""

import re
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

import scprism

MOUSE = ("tm_droplet_immune", "mouse_lung_immune", "baron_mouse", "tm_facs_kidney")
SETS = {False: "h.all.v2024.1.Hs.symbols.gmt", True: "mh.all.v2023.1.Mm.symbols.gmt"}


@dataclass(frozen=True)
class Cells:
    """Counts of the Hallmark genes, each cell's total over all genes, gene symbols and what `obs` holds."""

    counts: sparse.csr_matrix
    total: np.ndarray
    genes: np.ndarray
    obs: pd.DataFrame

    def __getitem__(self, rows) -> "Cells":
        return Cells(self.counts[rows], self.total[rows], self.genes, self.obs.iloc[rows])

    def __len__(self) -> int:
        return len(self.total)

    @property
    def log_values(self) -> sparse.csr_matrix:
        """log1p counts per 10,000, float32."""
        scale = np.repeat(1e4 / np.maximum(self.total, 1), np.diff(self.counts.indptr))
        data = np.log1p(self.counts.data * scale).astype(np.float32)
        return sparse.csr_matrix((data, self.counts.indices, self.counts.indptr), shape=self.counts.shape)


def read(folder: Path, name: str) -> Cells:
    """Return the cells of a data set; genes of mouse bear the symbol of their one ortholog, if there is one."""
    cells = anndata.read_h5ad(folder / f"{name}.h5ad")
    counts = sparse.csr_matrix(cells.X).astype(np.float64)
    gmt = Path(scprism.__file__).parent / "data" / SETS[name in MOUSE]
    hallmark = {gene for line in gmt.read_text().splitlines() for gene in line.split("\t")[2:]}
    names = pd.Index(cells.var_names)
    kept = np.flatnonzero(names.isin(hallmark) & ~names.duplicated())
    genes = names[kept].to_numpy(dtype=object)
    if name in MOUSE:
        table = pd.read_csv(folder / "orthologs" / "Ensembl105_Human2Mouse_Genes.csv", header=None).dropna()
        table = table.drop_duplicates(0, keep=False).drop_duplicates(1, keep=False)
        human = dict(zip(table[1], table[0], strict=True))
        genes = np.array([human.get(gene, f"mouse {gene}") for gene in genes], dtype=object)
    found = Cells(counts[:, kept].tocsr(), np.asarray(counts.sum(axis=1)).ravel(), genes, cells.obs)
    return _without_other_set(folder, found) if name == "pbmc_kang" else found


def _without_other_set(folder: Path, cells: Cells) -> Cells:
    """Return the cells of `pbmc_kang` whose barcodes are not in `ifnb_2800`."""
    barcodes = [re.search("[ACGT]{12,}", str(name)) for name in anndata.read_h5ad(folder / "ifnb_2800.h5ad").obs_names]
    known = {found.group() for found in barcodes if found}
    own = [re.search("[ACGT]{12,}", str(name)) for name in cells.obs.index]
    return cells[np.flatnonzero([not (found and found.group() in known) for found in own])]


def resting(cells: Cells) -> Cells:
    """Return the cells that were not stimulated."""
    return cells[np.flatnonzero(cells.obs["condition"] == "CTRL")]


def platform_copy(cells: Cells, *, spread: float, kept: float, rng: np.random.Generator) -> Cells:
    """Return the cells as another platform might see them.

    Gene efficiencies are log-normal with log sd `spread`, and a share `kept` of the molecules is found; counts are
    Poisson.
    """
    efficiency = np.exp(spread * rng.normal(size=len(cells.genes)))
    seen = np.asarray(cells.counts.sum(axis=0)).ravel()
    efficiency *= seen.sum() / (seen * efficiency).sum()
    counts = cells.counts.copy()
    counts.data = rng.poisson(counts.data * kept * efficiency[counts.indices]).astype(np.float64)
    rest = cells.total - np.asarray(cells.counts.sum(axis=1)).ravel()
    total = np.asarray(counts.sum(axis=1)).ravel() + rng.poisson(kept * np.maximum(rest, 0))
    return Cells(counts, total, cells.genes, cells.obs)


def some_genes(cells: Cells, rng: np.random.Generator) -> Cells:
    """Return the cells with half of their genes."""
    kept = np.sort(rng.permutation(len(cells.genes))[: len(cells.genes) // 2])
    return Cells(cells.counts[:, kept], cells.total, cells.genes[kept], cells.obs)


def gene_shuffled(cells: Cells, rng: np.random.Generator) -> Cells:
    """Return the cells with each gene's normalised values dealt out anew among the cells."""
    dense = np.expm1(cells.log_values.toarray())
    for gene in range(dense.shape[1]):
        dense[:, gene] = rng.permutation(dense[:, gene])
    return Cells(sparse.csr_matrix(dense, dtype=np.float64), np.full(len(cells), 1e4), cells.genes, cells.obs)


def planted(*, seed: int, n_programs: int = 10, size: int = 40, n_genes: int = 1000) -> tuple[Cells, np.ndarray]:
    """Return 1,000 simulated cells and the genes of their programs, bool (programs, genes).

    A program shares a quarter of its genes with the next; each of five types has its own mean amounts.
    """
    rng = np.random.default_rng(seed)
    members = np.zeros((n_programs, n_genes), dtype=bool)
    for program in range(n_programs):
        members[program, np.arange(size) + program * (size - size // 4)] = True
    types = rng.integers(0, 5, 1000)
    amounts = rng.gamma(0.5, 2.0, (5, n_programs))[types] * rng.gamma(1.0, 1.0, (1000, n_programs))
    base = rng.lognormal(0.0, 1.0, n_genes)
    mean = base * (1 + 2.0 * amounts @ members)
    depth = 4000 * rng.lognormal(0.0, 0.3, (1000, 1))
    counts = sparse.csr_matrix(rng.poisson(depth * mean / mean.sum(axis=1, keepdims=True)).astype(np.float64))
    names = np.array([f"gene {number}" for number in range(n_genes)], dtype=object)
    return Cells(counts, np.asarray(counts.sum(axis=1)).ravel(), names, pd.DataFrame(index=range(1000))), members
