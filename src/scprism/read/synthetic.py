"""Cells with planted gene programs: the ground truth of tests and examples."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._random import random_generator
from scprism.errors import InputError
from scprism.types import FloatArray, IntArray, RNGLike

__all__ = ["Simulation", "gene_names", "make_cells", "simulate_cells"]

BLOCK = 2048
"""Cells drawn at once: bounds the memory of large simulations."""


def gene_names(n_genes: int) -> tuple[str, ...]:
    """Return `n_genes` names that are no symbols of any organism: ``gene_000``, ``gene_001``, …."""
    return _numbered("gene", n_genes)


def _numbered(prefix: str, number: int) -> tuple[str, ...]:
    width = len(str(max(number - 1, 0)))
    return tuple(f"{prefix}_{i:0{width}}" for i in range(number))


@dataclass(frozen=True)
class Simulation:
    """Settings of `simulate_cells`; its docstring has the model that they belong to.

    Attributes
    ----------
    n_cells, n_programs, n_types, n_batches, n_platforms
        How many of each there are. Types, batches and platforms are crossed and of equal size, give or take a cell.
    genes
        Names of the genes, for example symbols of real ones.
    program_size
        Genes in a program.
    overlap
        Share of its genes that a program has in common with the next one, 0 to 0.5.
    effect
        Mean log fold change of a program's genes for one unit of its activity.
    activity_spread
        Coefficient of variation of a program's activity between cells of a type.
    library_size, library_spread
        Median of the cells' expected counts on the first platform, and standard deviation of their logarithm.
    gene_spread
        Standard deviation of the genes' log expression.
    dispersion
        Of the negative binomial: the variance is mean + dispersion · mean². 0 for Poisson counts.
    batch_shift
        Standard deviation of the genes' log fold changes in every batch but the first.
    capture_spread, depth_ratio
        What every platform but the first does: standard deviation of the genes' log capture efficiency, and the factor
        on the library size, taken once more for each further platform.
    """

    n_cells: int = 300
    genes: tuple[str, ...] = gene_names(200)
    n_programs: int = 4
    n_types: int = 3
    n_batches: int = 1
    n_platforms: int = 1
    program_size: int = 20
    overlap: float = 0.0
    effect: float = 1.5
    activity_spread: float = 0.4
    library_size: float = 2000.0
    library_spread: float = 0.3
    gene_spread: float = 1.0
    dispersion: float = 0.2
    batch_shift: float = 0.3
    capture_spread: float = 0.8
    depth_ratio: float = 0.4


@dataclass(frozen=True)
class _Truth:
    base: FloatArray  # log expression, (genes,)
    loadings: FloatArray  # (programs, genes)
    type_activity: FloatArray  # (types, programs)
    batch_shift: FloatArray  # (batches, genes)
    capture: FloatArray  # log efficiency, (platforms, genes)
    depth: FloatArray  # (platforms,)


def make_cells(
    *,
    n_cells: int = 300,
    n_genes: int = 200,
    n_programs: int = 4,
    n_types: int = 3,
    n_batches: int = 1,
    n_platforms: int = 1,
    rng: RNGLike = 0,
) -> AnnData:
    """Return simulated cells of these sizes; see `simulate_cells`, which has every other setting.

    Examples
    --------
    >>> cells = make_cells(n_cells=30, n_genes=100, rng=0)
    >>> cells.shape, int(cells.var["program_0"].sum())
    ((30, 100), 20)
    """
    simulation = Simulation(
        n_cells=n_cells,
        genes=gene_names(n_genes),
        n_programs=n_programs,
        n_types=n_types,
        n_batches=n_batches,
        n_platforms=n_platforms,
    )
    return simulate_cells(simulation, rng=rng)


def simulate_cells(simulation: Simulation, *, rng: RNGLike = 0) -> AnnData:
    """Return raw counts with planted programs, CSR int32 (cells, genes), and the truth beside them.

    The counts of a cell of type t, batch b and platform p are negative binomial with mean ``library · share``, where
    the shares of its genes are ``softmax(base + activity · loadings + shift_b + capture_p)``. The library is log-normal
    around the platform's depth. The activity of each program is Gamma distributed around the type's mean: 1 for the
    one or two main programs of the type, 0 to 0.3 for the others; each program is a main one of some type. Loadings are
    0.5 to 1.5 times the effect in a program's genes and 0 elsewhere. The first batch has no shift, the first platform
    captures all genes alike.

    Parameters
    ----------
    simulation
        Sizes and strengths.
    rng
        The same seed gives the same cells.

    Returns
    -------
    AnnData
        ``obs``: ``cell_type``, ``batch``, ``platform`` (categories, such as ``"type_0"``). ``var``: a boolean column
        for each program (``"program_0"``), its genes. ``obsm["program_activity"]`` (cells, programs) and
        ``varm["program_loadings"]`` (genes, programs), float64. ``uns["truth"]``: ``type_activity`` (types, programs),
        ``batch_shift`` (batches, genes), ``log_capture`` (platforms, genes), ``depth`` (platforms,) and ``settings``.

    Raises
    ------
    InputError
        If a number is out of range or the programs do not fit into the genes.
    """
    _check(simulation)
    generator = random_generator(rng)
    truth = _draw_truth(simulation, generator)
    numbers = {"type": simulation.n_types, "batch": simulation.n_batches, "platform": simulation.n_platforms}
    groups = {name: generator.permutation(np.arange(simulation.n_cells) % n) for name, n in numbers.items()}
    mean = truth.type_activity[groups["type"]]  # (cells, programs)
    activity = _gamma(mean, spread=simulation.activity_spread, generator=generator)
    blocks = _draw_counts(simulation, truth, groups=groups, activity=activity, generator=generator)
    counts = sparse.vstack(list(blocks), format="csr")
    return _as_anndata(simulation, counts, truth=truth, groups=groups, activity=activity)


def _check(simulation: Simulation) -> None:
    sizes = ("n_cells", "n_programs", "n_types", "n_batches", "n_platforms", "program_size")
    for name in sizes:
        if getattr(simulation, name) < 1:
            msg = f"`{name}` must be at least 1, got {getattr(simulation, name)}."
            raise InputError(msg)
    if not 0 <= simulation.overlap <= 0.5:
        msg = f"`overlap` must be between 0 and 0.5, got {simulation.overlap}."
        raise InputError(msg)
    needed = (simulation.n_programs - 1) * _stride(simulation) + simulation.program_size
    if needed > len(simulation.genes):
        msg = (
            f"{simulation.n_programs} programs of {simulation.program_size} genes need {needed} genes, and there are "
            f"{len(simulation.genes)}. Lower `n_programs` or `program_size`, or give more genes."
        )
        raise InputError(msg)


def _stride(simulation: Simulation) -> int:
    """Return how many genes lie between the first ones of two neighbouring programs."""
    return simulation.program_size - round(simulation.overlap * simulation.program_size)


def _draw_truth(simulation: Simulation, generator: np.random.Generator) -> _Truth:
    n_genes = len(simulation.genes)
    order = generator.permutation(n_genes)  # so that no program is a run of neighbouring columns
    loadings = np.zeros((simulation.n_programs, n_genes))
    for program in range(simulation.n_programs):
        first = program * _stride(simulation)
        genes = order[first : first + simulation.program_size]
        loadings[program, genes] = simulation.effect * generator.uniform(0.5, 1.5, size=len(genes))
    batch_shift = generator.normal(0, simulation.batch_shift, size=(simulation.n_batches, n_genes))
    capture = generator.normal(0, simulation.capture_spread, size=(simulation.n_platforms, n_genes))
    batch_shift[0] = capture[0] = 0
    return _Truth(
        base=generator.normal(0, simulation.gene_spread, size=n_genes),
        loadings=loadings,
        type_activity=_type_activity(simulation, generator),
        batch_shift=batch_shift,
        capture=capture,
        depth=simulation.library_size * simulation.depth_ratio ** np.arange(simulation.n_platforms),
    )


def _type_activity(simulation: Simulation, generator: np.random.Generator) -> FloatArray:
    """Return the mean activity (types, programs); types differ in their main programs while pairs of programs last."""
    n_types, n_programs = simulation.n_types, simulation.n_programs
    activity = generator.uniform(0, 0.3, size=(n_types, n_programs))
    for i in range(max(n_types, n_programs)):
        lap = i // min(
            n_types, n_programs
        )  # the second round of pairs gets a second partner, else it repeats the first
        activity[i % n_types, i % n_programs] = 1
        if n_types >= n_programs:
            activity[i, (i + lap) % n_programs] = 1
        else:
            activity[(i + lap) % n_types, i] = 1
    return activity


def _draw_counts(
    simulation: Simulation,
    truth: _Truth,
    *,
    groups: dict[str, IntArray],
    activity: FloatArray,
    generator: np.random.Generator,
) -> Iterator[sparse.csr_matrix]:
    for start in range(0, simulation.n_cells, BLOCK):
        rows = slice(start, start + BLOCK)
        batch, platform = groups["batch"][rows], groups["platform"][rows]
        shift = truth.batch_shift[batch] + truth.capture[platform]
        expression = np.exp(truth.base + activity[rows] @ truth.loadings + shift)  # (cells, genes)
        library = truth.depth[platform] * generator.lognormal(0, simulation.library_spread, size=len(platform))
        mean = expression * (library / expression.sum(axis=1))[:, None]
        rate = _gamma(mean, spread=np.sqrt(simulation.dispersion), generator=generator)
        yield sparse.csr_matrix(generator.poisson(rate).astype(np.int32))


def _gamma(mean: FloatArray, *, spread: float, generator: np.random.Generator) -> FloatArray:
    """Return Gamma draws of this mean and coefficient of variation, which may be 0."""
    if spread == 0:
        return mean
    return generator.gamma(1 / spread**2, mean * spread**2)


def _as_anndata(
    simulation: Simulation,
    counts: sparse.csr_matrix,
    *,
    truth: _Truth,
    groups: dict[str, IntArray],
    activity: FloatArray,
) -> AnnData:
    programs = [f"program_{i}" for i in range(simulation.n_programs)]
    obs = pd.DataFrame(index=_numbered("cell", simulation.n_cells))
    for column, group in (("cell_type", "type"), ("batch", "batch"), ("platform", "platform")):
        names = [f"{group}_{i}" for i in range(groups[group].max() + 1)]
        obs[column] = pd.Categorical([names[i] for i in groups[group]], categories=names)
    settings = {name: value for name, value in asdict(simulation).items() if name != "genes"}
    return AnnData(
        counts,
        obs=obs,
        var=pd.DataFrame(truth.loadings.T > 0, index=list(simulation.genes), columns=programs),
        obsm={"program_activity": activity},
        varm={"program_loadings": truth.loadings.T.copy()},
        uns={
            "truth": {
                "type_activity": truth.type_activity,
                "batch_shift": truth.batch_shift,
                "log_capture": truth.capture,
                "depth": truth.depth,
                "settings": settings,
            }
        },
    )
