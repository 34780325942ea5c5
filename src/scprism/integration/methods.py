"""Batch correction by name: one door to the methods that return corrected expression."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from anndata import AnnData

from scprism._check import check_choice
from scprism.errors import InputError
from scprism.integration.combat import combat
from scprism.integration.scanorama import scanorama
from scprism.integration.seurat import seurat

__all__ = ["METHODS", "Method", "integrate"]

Method: TypeAlias = Literal["combat", "scanorama", "seurat"]
METHODS: tuple[str, ...] = get_args(Method)


def integrate(
    data_sets: Sequence[AnnData],
    *,
    batch: str,
    method: Method = "combat",
    layer: str | None = None,
    target_sum: float = 1e4,
    n_genes: int | None = None,
    timeout_seconds: float | None = None,
) -> AnnData:
    """Return all cells of several batches, log1p normalised and corrected, in the genes that all data sets have.

    Genes are matched by name whatever the case, by Ensembl id, by previous symbols and aliases, and through orthologs
    of human and mouse; they are called as the first data set calls them.

    Parameters
    ----------
    data_sets
        Raw counts, cells by genes; one data set or several. Several are joined, and where they lack the column `batch`
        it is added, with the number of each (0, 1, …).
    batch
        The column of ``obs`` that names the batches.
    method
        ``"combat"`` shifts and scales each gene in each batch: quick, and wrong where batches differ in their cell
        types. ``"scanorama"`` (``pip install 'scprism[integrate]'``) and ``"seurat"`` (R) match cells between batches.
    layer
        Where the counts are.
    target_sum
        Counts a cell before the logarithm.
    n_genes
        For ``"seurat"``: how many variable genes are corrected and returned, 2,000 if not given.
    timeout_seconds
        For ``"seurat"``: R is ended after this time, two hours if not given.

    Returns
    -------
    AnnData
        ``X``: corrected expression, dense float32 (cells, genes); it can be negative, so train on it with
        ``normalise="none"`` and ``negative_values="clip"`` or ``"keep"``. ``uns["scprism"]``: the method, how many
        genes each data set has (``n_genes``), and how many all have (``n_common_genes``).

    Raises
    ------
    InputError
        If the data sets have no gene in common, a cell has no batch, there are fewer than two batches, one is too
        small for the method, or an option is not one of the method.
    PrismError
        If what the method needs is not installed, R fails, or a corrected value is not finite.

    Warns
    -----
    PrismWarning
        If less than half of the genes are in common, or columns of ``obs`` that hold text in one data set and numbers
        in another were made text.

    Examples
    --------
    >>> from scprism.read.synthetic import make_cells
    >>> corrected = integrate([make_cells(rng=0), make_cells(rng=1)], batch="sample", method="combat")
    >>> corrected.shape, list(corrected.obs["sample"].cat.categories)
    ((600, 200), ['0', '1'])
    """
    check_choice("method", method, METHODS)
    options = {"n_genes": n_genes, "timeout_seconds": timeout_seconds}
    given = {name: value for name, value in options.items() if value is not None}
    if method == "seurat":
        return seurat(data_sets, batch=batch, layer=layer, target_sum=target_sum, **given)  # type: ignore[arg-type]
    if given:
        msg = f"{' and '.join(f'`{name}`' for name in given)} can be set for method='seurat' only, not {method!r}."
        raise InputError(msg)
    corrected = combat if method == "combat" else scanorama
    return corrected(data_sets, batch=batch, layer=layer, target_sum=target_sum)
