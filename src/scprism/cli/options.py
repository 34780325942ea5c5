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
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from scprism._bundled import bundled_models
from scprism.cli.console import say
from scprism.cli.paths import Input, Output
from scprism.errors import InputError, PrismWarning

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from scprism.estimator.prism import Prism
    from scprism.label.result import Labels as LabelRecord
    from scprism.read.columns import RepeatedGenes

__all__ = [
    "CELLS",
    "PAGE",
    "TABLE",
    "BaselineName",
    "ConfigFile",
    "Coverage",
    "Device",
    "Force",
    "GeneSetsName",
    "Genes",
    "Groupby",
    "Labels",
    "Layer",
    "MethodName",
    "ModelFolder",
    "ModelOut",
    "OrganismName",
    "PresetName",
    "QueryFile",
    "QueryLayer",
    "Reading",
    "Reference",
    "ReferenceLayer",
    "Runs",
    "Sample",
    "Scores",
    "Seed",
    "Threads",
    "Truth",
    "Umap",
    "UnitsName",
    "gene_sets_file",
    "groups",
    "if_file",
    "labels_in",
    "model_path",
    "new_model",
    "read",
    "reading_given",
    "reads_cells",
    "use_threads",
]

TABLE, CELLS, PAGE = (".csv", ".tsv", ".parquet"), (".h5ad", ".zarr"), (".html", ".htm")
"""Endings of the files that results are written to: a table, an AnnData, a page."""


def if_file(value: str) -> Path | None:
    """Return the path of labels that are there, a file or a zarr store; other values are names of columns."""
    path = Path(value)
    is_store = path.suffix.lower() == ".zarr" and path.is_dir()
    return path if path.is_file() or is_store else None


def _gene_list(value: str) -> Path | None:
    return None if value in ("hallmark", "all") or value.startswith("variable:") else Path(value)


def gene_sets_file(value: str) -> Path | None:
    """Return the path of a file of gene sets, None for a word that stands for some."""
    return None if value in ("hallmark", "none") else Path(value)


def model_path(value: str) -> Path | None:
    """Return the path of a model, None for an address or the name of a model that comes with scprism."""
    if value.lower().startswith(("http://", "https://")):
        return None
    return None if value in bundled_models() and not Path(value).exists() else Path(value)


Reference = Annotated[
    Path, typer.Argument(help="Reference: h5ad, zarr, loom, 10x h5 or mtx folder, csv or tsv (.gz)."), Input()
]
QueryFile = Annotated[Path, typer.Argument(help="Query, in any format that a reference may have."), Input()]
ModelFolder = Annotated[
    str,
    typer.Argument(
        help="Model folder that `scprism fit` wrote, a zip file of one, its address (…#sha256=…), or the name of one "
        "that comes with scprism."
    ),
    Input(model_path),
]
ModelOut = Annotated[Path, typer.Option(help="Model folder to write."), Output("model", beside=(".checkpoint",))]
Force = Annotated[bool, typer.Option("--force", help="Replace results of that name; other files are never touched.")]
Seed = Annotated[int, typer.Option("--rng", metavar="SEED", min=0, help="Seed of all randomness.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to use. [default: all cores]")]
Truth = Annotated[
    str | None,
    typer.Option(help="Column of the query's obs with known labels: the page shows how many of the labels agree."),
]
Sample = Annotated[
    str | None, typer.Option(help="Column of the query's obs with samples: the page shows which labels each has.")
]
Layer = Annotated[
    str | None, typer.Option(help="Layer of the raw counts, or 'raw'; of the cells named first. [default: X]")
]
QueryLayer = Annotated[
    str | None, typer.Option(help="Layer of the query's raw counts, or 'raw'. [default: the model's]")
]
ReferenceLayer = Annotated[
    str | None, typer.Option(help="Layer of the reference's raw counts, or 'raw'. [default: the model's]")
]
OrganismName = Annotated[
    Literal["human", "mouse"] | None, typer.Option(help="Organism. [default: detected from the genes' names]")
]
Coverage = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Least share of the model's genes that a query must have. [default: the model's, 0.5]"
    ),
]
PresetName = Annotated[
    Literal["default", "paper", "as_released"], typer.Option(help="Settings to start from: ours, or the paper's.")
]
Genes = Annotated[
    str | None,
    typer.Option(help="hallmark, variable:N, all, or a file with one gene a line. [default: the preset's]"),
    Input(_gene_list),
]
GeneSetsName = Annotated[str, typer.Option(help="hallmark, or a GMT file."), Input(gene_sets_file)]
ConfigFile = Annotated[Path | None, typer.Option(help="TOML file of settings that replace the preset's."), Input()]
UnitsName = Annotated[
    Literal["programs", "raw"] | None,
    typer.Option(help="Units: programs of genes that come back, or the bottleneck's numbers. [default: the preset's]"),
]
Runs = Annotated[
    int | None, typer.Option(min=4, help="Factorisations of halves of the cells that find the units. [default: 12]")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to train; auto: cuda if there is one, else cpu.")
]
MaxMemory = Annotated[
    float,
    typer.Option(
        min=0,
        help="GB of cells that are held in memory; more stay on disk and are read in blocks, or from a scratch file.",
    ),
]
Umap = Annotated[
    bool | None,
    typer.Option(
        "--umap/--no-umap", help="Coordinates of the cells in obsm['X_umap']. [default: for up to 100,000 cells]"
    ),
]
Labels = Annotated[str, typer.Option(help="Column of the reference's obs that holds the labels.")]
Groupby = Annotated[
    str | None,
    typer.Option(help="Column of the query's obs, or a file that `scprism label` wrote."),
    Input(if_file),
]
MethodName = Annotated[
    Literal["plain", "guided", "deeplift", "gradient_x_input", "integrated_gradients", "expected_gradients"] | None,
    typer.Option(help="Attribution method; expected_gradients needs --reference. [default: the preset's]"),
]
BaselineName = Annotated[
    Literal["zero", "mean"] | None, typer.Option(help="What attributions are relative to. [default: the preset's]")
]
Scores = Annotated[
    Literal["signed", "absolute", "difference"],
    typer.Option(help="Genes are ranked by the mean attribution, its size, or its difference from all cells."),
]

MAX_MEMORY = 0.5
"""GB of a file's values that are held in memory; as many of the training cells."""
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


def reading_given() -> dict[str, object]:
    """Return what the running command was told of how to read cells, by option; None where nothing was told."""
    told = asdict(_reading.get(Reading()))
    return {f"--{name.replace('_', '-')}": value or None for name, value in told.items()}


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


def read(path: Path, *, layer: str | None, max_memory: float | None = None) -> "AnnData":
    """Return the cells in a file, and tell how many there are; their counts are checked where they are used.

    A command may read several files: the options of `Reading` are passed over for a file that has no use for them.
    Values of an h5ad file or a zarr store that would take more than `max_memory` GB (None: `MAX_MEMORY`) stay on disk,
    unless they are to be changed.
    """
    from scprism.genes.identifiers import has_genes_in_rows, is_ensembl_ids, symbol_column
    from scprism.genes.naming import genomes_of
    from scprism.read.columns import of_genome, with_symbols
    from scprism.read.files import kind_of, read_cells
    from scprism.read.on_disk import stored_bytes

    wanted, kind = _reading.get(Reading()), kind_of(path)
    is_changed = wanted.transpose or wanted.genome is not None or wanted.repeated_genes == "add"
    limit = MAX_MEMORY if max_memory is None else max_memory
    backed = not is_changed and stored_bytes(path, kind) > limit * 1e9
    repeated = wanted.repeated_genes or ("number" if backed else "add")
    cells_in = functools.partial(
        read_cells,
        path,
        layer=layer,
        backed=backed,
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
        cells = with_symbols(
            cells, wanted.gene_symbols, repeated_genes=wanted.repeated_genes or ("number" if backed else "add")
        )
    elif has_ids and (column := symbol_column(cells.var)) is not None:
        cells = with_symbols(cells, column, repeated_genes=repeated)
        say(f"{path}: genes are named by Ensembl ids; took the symbols in .var[{column!r}]")
    say(f"read {path}: {cells.n_obs:,} cells × {cells.n_vars:,} genes{', values left on disk' if backed else ''}")
    if cells.n_obs == 0:
        msg = f"{str(path)!r} holds no cell. Give a file of cells × genes that has some."
        raise InputError(msg)
    return cells


def groups(key: str | None) -> "str | pd.Series[str] | None":
    """Return a column's name as it is, or the labels in a file of them."""
    path = None if key is None else if_file(key)
    return key if path is None else labels_in(path)["label"]


def labels_in(path: Path) -> "LabelRecord":
    """Return the labels in a file that `scprism label` wrote, a table or annotated cells."""
    if path.suffix.lower() in CELLS:
        from scprism.annotation import labels_of, read_annotated

        return labels_of(read_annotated(path))
    from scprism.label.result import read_labels

    return read_labels(path)


def new_model(
    preset: str,
    *,
    config: Path | None,
    genes: str | None,
    organism: str | None,
    layer: str | None,
    device: str,
    rng: int,
    units: str | None = None,
    runs: int | None = None,
) -> "Prism":
    """Return an untrained model; its settings are those of the preset, then of the file, then of the options."""
    from scprism.estimator.prism import Prism
    from scprism.model.presets import preset_config
    from scprism.train.fit import resolve_device

    resolve_device(device)
    settings = preset_config(preset)
    if runs is not None and runs % 2:
        msg = f"--runs must be an even number, got {runs}: the cells are split in halves."
        raise InputError(msg)
    if units is None and preset != "default":
        units = "raw"
    return Prism(
        cast("Any", preset) if config is None else settings.updated(read_settings(config)),
        genes=genes,
        organism=cast("Any", organism),
        layer=layer,
        units=cast("Any", units),
        runs=runs,
        device=device,
        rng=rng,
    )


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"The settings in {str(path)!r} cannot be read: {error}. A line looks like: bottleneck_size = 40"
        raise InputError(msg) from error
