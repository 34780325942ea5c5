"""A pair with its cells at hand: genes that both have, expression, labels, and copies of the reference's cells."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scanpy
from anndata import AnnData
from scipy import sparse

import scprism
from one_reference.cells import PARTS, Cells, Pair, read_part, shared_types
from scprism.genes.tables import read_orthologs
from scprism.label.simulated_platforms import PLATFORMS, copied_rows, measured_by
from scprism.prepare.draws import count_keys, gene_keys

__all__ = ["Task", "log_values", "open_task"]

TARGET = 1e4
N_VARIABLE = 2000


@cache
def partners() -> dict[str, dict[str, str]]:
    """Return the one-to-one orthologs of the genes of each species."""
    table = read_orthologs()[["human", "mouse"]].drop_duplicates()
    single = table[~table["human"].duplicated(keep=False) & ~table["mouse"].duplicated(keep=False)]
    return {
        "human": dict(zip(single["human"], single["mouse"], strict=True)),
        "mouse": dict(zip(single["mouse"], single["human"], strict=True)),
    }


def log_values(counts: sparse.csr_matrix, library: np.ndarray) -> sparse.csr_matrix:
    """Return log1p counts per 10,000 of the library, float32."""
    scaled = sparse.diags(TARGET / np.maximum(library, 1)) @ counts
    result = sparse.csr_matrix(scaled, dtype=np.float32)
    result.data = np.log1p(result.data)
    return result


def library_of(counts: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()


@cache
def variable_genes(name: str, folder: Path, *, orthologs_only: bool) -> frozenset[str]:
    """Return the most variable genes of a part, of those with an ortholog if wanted."""
    cells = read_part(name, folder)
    known = partners()[PARTS[name].species]
    kept = np.array([not orthologs_only or gene in known for gene in cells.genes])
    values = log_values(cells.counts, library_of(cells.counts))[:, kept]
    table = scanpy.pp.highly_variable_genes(AnnData(values), n_top_genes=N_VARIABLE, inplace=False)
    return frozenset(cells.genes[kept][table["highly_variable"].to_numpy()].tolist())


@cache
def hallmark(species: str) -> frozenset[str]:
    sets = scprism.gene_sets("hallmark", organism=species)
    return frozenset(gene for genes in sets.values() for gene in genes)


@dataclass(frozen=True)
class Task:
    """A pair ready for voices; genes that both have under the reference's names.

    Attributes
    ----------
    words, codes
        The reference's labels and the number of each of its cells that has one.
    types, scored, truth
        Numbers of the labels that are scored, which query cells have one of them, and these cells' numbers.
    """

    pair: Pair
    folder: Path
    reference: Cells
    query: Cells
    genes: np.ndarray
    columns: tuple[np.ndarray, np.ndarray]
    labelled: np.ndarray
    words: np.ndarray
    codes: np.ndarray
    types: np.ndarray
    scored: np.ndarray
    truth: np.ndarray

    def chosen(self, genes: str) -> np.ndarray:
        """Return which of the common genes a choice has, made on the reference alone except for "shared variable"."""
        name, species = self.pair.reference, PARTS[self.pair.reference].species
        if genes == "all":
            return np.ones(len(self.genes), dtype=bool)
        if genes == "shared variable":
            counts = self.reference.counts[:, self.columns[0]]
            table = scanpy.pp.highly_variable_genes(
                AnnData(log_values(counts, library_of(counts))), n_top_genes=N_VARIABLE, inplace=False
            )
            return table["highly_variable"].to_numpy()
        sets = {
            "hallmark": hallmark(species),
            "variable": variable_genes(name, self.folder, orthologs_only=False),
            "orthologs": variable_genes(name, self.folder, orthologs_only=True),
        }
        return np.isin(self.genes, list(frozenset().union(*(sets[part] for part in genes.split("+")))))

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What was computed once for a choice of genes."""
        return {}

    def values(self, genes: str) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return the log expression of labelled reference cells and of scored query cells, by their whole libraries."""
        if f"values {genes}" not in self.kept:
            self.kept[f"values {genes}"] = self._values(genes)
        return self.kept[f"values {genes}"]

    def copies(self, genes: str) -> list[sparse.csr_matrix]:
        """Return the log expression of the copied cells by each platform."""
        if "copies" not in self.kept:
            counts = self.reference.counts[np.flatnonzero(self.labelled)[self.copied]]
            keys = self.keys[self.copied]
            copied = [measured_by(platform, counts, self.reference.genes, keys=keys) for platform in PLATFORMS]
            self.kept["copies"] = [log_values(copy, library_of(copy)) for copy in copied]
        columns = self.columns[0][self.chosen(genes)]
        return [copy[:, columns] for copy in self.kept["copies"]]

    def _values(self, genes: str) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        kept = self.chosen(genes)
        sides = []
        for cells, rows, columns in (
            (self.reference, self.labelled, self.columns[0]),
            (self.query, self.scored, self.columns[1]),
        ):
            counts = cells.counts[rows]
            sides.append(log_values(counts[:, columns[kept]], library_of(counts)))
        return sides[0], sides[1]

    @cached_property
    def keys(self) -> np.ndarray:
        """A number of each labelled reference cell."""
        return count_keys(self.reference.counts[self.labelled], gene_keys(self.reference.genes.tolist()))

    @cached_property
    def copied(self) -> np.ndarray:
        """Which of the labelled reference cells have copies: up to 200, of each label alike."""
        return copied_rows(self.codes, self.keys)


def open_task(pair: Pair, folder: Path) -> Task:
    """Return a pair's cells in the genes that both have."""
    reference, query = read_part(pair.reference, folder), read_part(pair.query, folder)
    names = query.genes
    if pair.crosses:
        known = partners()[PARTS[pair.query].species]
        names = np.array([known.get(gene, "") for gene in names])
    places = {gene: i for i, gene in enumerate(names) if gene}
    common = [(i, places[gene]) for i, gene in enumerate(reference.genes) if gene in places]
    columns = tuple(np.array(side) for side in zip(*common, strict=True))
    known_labels, true_labels = reference.labels[pair.level], query.labels[pair.level]
    types = shared_types(known_labels, true_labels)
    labelled = known_labels != ""
    words, codes = np.unique(known_labels[labelled], return_inverse=True)
    scored = np.isin(true_labels, types)
    return Task(
        pair=pair,
        folder=folder,
        reference=reference,
        query=query,
        genes=reference.genes[columns[0]],
        columns=(columns[0], columns[1]),
        labelled=labelled,
        words=words,
        codes=codes,
        types=np.searchsorted(words, types),
        scored=scored,
        truth=np.searchsorted(words, true_labels[scored]),
    )
