"""Options that several commands share, and how a command opens what it was given."""

import functools
import inspect
import os
import tomllib
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

import typer

from scprism._check import check_choice
from scprism.cli.console import say
from scprism.errors import InputError, PrismWarning

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from scprism.estimator.prism import Prism
    from scprism.read.columns import RepeatedGenes
    from scprism.types import AttributionMethod, Baseline, Organism

__all__ = [
    "ConfigFile",
    "Coverage",
    "Device",
    "Genes",
    "Labels",
    "Layer",
    "ModelFolder",
    "OrganismName",
    "Out",
    "PresetName",
    "QueryFile",
    "QueryLayer",
    "Reading",
    "Reference",
    "Seed",
    "Threads",
    "check_model_folder",
    "check_new_folder",
    "check_out",
    "groups",
    "method",
    "new_model",
    "organism",
    "read",
    "reads_cells",
    "use_threads",
]

Reference = Annotated[Path, typer.Argument(help="Reference: h5ad, zarr, loom, 10x h5 or mtx folder, csv or tsv (.gz).")]
QueryFile = Annotated[Path, typer.Argument(help="Query, in any format that a reference may have.")]
ModelFolder = Annotated[Path, typer.Argument(help="Model folder that `scprism fit` wrote.")]
Out = Annotated[Path, typer.Option(help="Where to write the result.")]
Seed = Annotated[int, typer.Option("--rng", metavar="SEED", help="Seed of all randomness.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to use. [default: all cores]")]
Layer = Annotated[str | None, typer.Option(help="Layer of raw counts, or 'raw'. [default: X]")]
QueryLayer = Annotated[str | None, typer.Option(help="Layer of the query's raw counts, or 'raw'. [default: X]")]
OrganismName = Annotated[str | None, typer.Option(help="human or mouse. [default: detected from the gene symbols]")]
Coverage = Annotated[float | None, typer.Option(help="Least share of the model's genes that a query must have.")]
PresetName = Annotated[str, typer.Option(help="default, paper or as_released.")]
Genes = Annotated[str | None, typer.Option(help="hallmark, variable:N, all, or a file with one gene a line.")]
ConfigFile = Annotated[Path | None, typer.Option(help="TOML file of settings that replace the preset's.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, or auto (cuda if there is one, else cpu).")]
Labels = Annotated[str, typer.Option(help="Column of the reference's obs that holds the labels.")]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def use_threads(threads: int | None) -> None:
    """Set the number of threads of the numerical libraries, which are not loaded yet.

    Threads that wait for work do so asleep: on a machine that others use too, spinning ones slow training down.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads is not None:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


@dataclass(frozen=True)
class Reading:
    """How a command reads files of cells, as its options say; see `scprism.read.files.read_cells`."""

    gene_symbols: str | None = None
    transpose: bool = False
    genome: str | None = None
    feature_type: str | None = None
    repeated_genes: "RepeatedGenes | None" = None


READING: dict[str, Any] = {
    "gene_symbols": Annotated[
        str | None, typer.Option(help="Column of var with gene symbols. [default: found, where genes have Ensembl ids]")
    ],
    "transpose": Annotated[bool, typer.Option("--transpose", help="Turn files that have genes in rows.")],
    "genome": Annotated[str | None, typer.Option(help="Which genome's genes to keep, where there are several.")],
    "feature_type": Annotated[str | None, typer.Option(help="Which features of 10x output are genes.")],
    "repeated_genes": Annotated[
        Literal["add", "number", "refuse"] | None,
        typer.Option(help="Columns of one gene. [default: add in 10x output and by symbol, else refuse]"),
    ],
}
_reading: ContextVar[Reading] = ContextVar("_reading")


def reads_cells(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options of `Reading`, which hold for all files of cells that it reads."""
    signature = inspect.signature(command)

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        _reading.set(Reading(**{name: values.pop(name) for name in READING if name in values}))
        command(**values)

    defaults = asdict(Reading())
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind)
        for name, kind in READING.items()
    ]
    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {**command.__annotations__, **READING}
    return with_options


def read(path: Path, *, layer: str | None) -> "AnnData":
    """Return the cells in a file, and tell how many there are; their counts are checked where they are used.

    A command may read several files: the options of `Reading` are passed over for a file that has no use for them.
    """
    from scprism.genes.identifiers import has_genes_in_rows, is_ensembl_ids, symbol_column
    from scprism.genes.naming import genomes_of
    from scprism.read.columns import of_genome, with_symbols
    from scprism.read.files import kind_of, read_cells

    wanted, kind = _reading.get(Reading()), kind_of(path)
    cells_in = functools.partial(
        read_cells,
        path,
        layer=layer,
        check=False,
        genome=wanted.genome if kind == "10x h5" else None,
        feature_type=wanted.feature_type if kind.startswith("10x") else None,
        repeated_genes=wanted.repeated_genes,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*named by Ensembl ids", PrismWarning)  # dealt with here
        cells = cells_in(transpose=wanted.transpose)
        if wanted.transpose and has_genes_in_rows(cells=cells.obs_names, genes=cells.var_names):
            cells = cells_in()  # it had cells in rows
    if wanted.genome is not None and kind != "10x h5" and genomes_of(list(cells.var_names)):
        cells = of_genome(cells, wanted.genome)
    has_ids = is_ensembl_ids(cells.var_names)
    if wanted.gene_symbols is not None and (has_ids or wanted.gene_symbols in cells.var):
        cells = with_symbols(cells, wanted.gene_symbols, repeated_genes=wanted.repeated_genes or "add")
    elif has_ids and (column := symbol_column(cells.var)) is not None:
        cells = with_symbols(cells, column, repeated_genes=wanted.repeated_genes or "add")
        say(f"{path}: genes are named by Ensembl ids; took the symbols in .var[{column!r}]")
    say(f"read {path}: {cells.n_obs:,} cells × {cells.n_vars:,} genes")
    return cells


def check_out(out: Path, *inputs: Path | None, folder: bool = False) -> None:
    """Refuse a place for results that would cost the user something, before any work is done.

    Raises
    ------
    InputError
        If `out` is one of the inputs, or a folder where a file is to be written, or the other way round.
    """
    if any(path is not None and path.exists() and path.resolve() == out.resolve() for path in inputs):
        msg = f"--out {str(out)!r} is one of the inputs, which would be overwritten. Choose another name."
        raise InputError(msg)
    if folder and out.exists() and not out.is_dir():
        msg = f"--out {str(out)!r} is a file, and a folder is to be written. Choose another name."
        raise InputError(msg)
    if not folder and out.is_dir():
        msg = f"--out {str(out)!r} is a folder, and a file is to be written. Add the file's name."
        raise InputError(msg)


def check_model_folder(out: Path, reference: Path) -> None:
    """Refuse a model's place that `save_bundle` would refuse, before the model is trained."""
    from scprism.model.bundle import check_target

    check_out(out, reference, folder=True)
    check_target(out)


def check_new_folder(out: Path) -> None:
    """Refuse a folder that holds anything, before any work is done: what is there is left alone."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        msg = f"--out {str(out)!r} exists already, and is left alone. Choose another name for the new model."
        raise InputError(msg)


def organism(name: str | None) -> "Organism | None":
    """Return the organism that was told, if any."""
    if name is not None:
        check_choice("organism", name, ("human", "mouse"))
    return cast("Organism | None", name)


def method(name: str | None) -> "AttributionMethod | None":
    """Return the attribution method that was told, if any."""
    from scprism.types import AttributionMethod

    if name is not None:
        check_choice("method", name, get_args(AttributionMethod))
    return cast("AttributionMethod | None", name)


def scores(name: str) -> "Literal['signed', 'absolute', 'difference']":
    """Return what genes are ranked by."""
    check_choice("scores", name, ("signed", "absolute", "difference"))
    return cast("Literal['signed', 'absolute', 'difference']", name)


def baseline(name: str | None) -> "Baseline | None":
    """Return the baseline that was told, if any."""
    if name is not None:
        check_choice("baseline", name, ("zero", "mean"))
    return cast("Baseline | None", name)


def groups(key: str | None) -> "str | pd.Series[str] | None":
    """Return a column's name as it is, or the labels in a labels.csv."""
    if key is None or not Path(key).is_file():
        return key
    from scprism.query.files import read_labels

    return read_labels(Path(key))["label"]


def new_model(
    preset: str,
    *,
    config: Path | None,
    genes: str | None,
    organism: str | None,
    layer: str | None,
    device: str,
    rng: int,
) -> "Prism":
    """Return an untrained model; its settings are those of the preset, then of the file, then of the options."""
    from scprism.estimator.prism import Prism
    from scprism.model.presets import preset_config

    settings = preset_config(preset)
    if config is None:
        return Prism(
            cast("Any", preset), genes=genes, organism=cast("Any", organism), layer=layer, device=device, rng=rng
        )
    settings = settings.updated(read_settings(config))
    return Prism(settings, genes=genes, organism=cast("Any", organism), layer=layer, device=device, rng=rng)


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"The settings in {str(path)!r} cannot be read: {error}. A line looks like: bottleneck_size = 40"
        raise InputError(msg) from error
