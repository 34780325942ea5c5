"""The data sets of the experiments: where they are read from, their parts, and which play the paper's tissues.

A source is a whole data set, one tissue or platform of it, or several corrected together.
"""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scprism._bundled import bundled_path
from scprism._check import some
from scprism._warnings import warn
from scprism.errors import InputError, PrismWarning
from scprism.genes.organism import detect_organism
from scprism.integration.joined import join_data_sets
from scprism.integration.methods import Method, integrate
from scprism.label.labels import labels_as_text
from scprism.paper.measures.ontology import harmonise
from scprism.paper.tabula_muris.names import PLATFORM_NAMES, tissue_name
from scprism.read.datasets import dataset_table

__all__ = [
    "FIGURE_2",
    "FIGURE_3",
    "FIGURE_4",
    "FIGURE_5",
    "LABELS",
    "Figure",
    "Source",
    "best_method",
    "bundled_sources",
    "combined",
    "combined_sources",
    "comparable",
    "figure_pairs",
    "file_sources",
    "read_source",
    "shared_types",
    "source_labels",
]

LABELS = ("cell_type", "cell_ontology_class", "Major_cell_type", "celltype", "CellType", "cell_line", "labels")
"""Columns that hold cell types, the first that a file has being taken."""
PARTS = ("tissue", "Tissue", "tissue_inferred", "platform")
"""Columns by whose values a data set is parted too."""
MIN_PART = 80
"""Labelled cells that a part must have."""
UNKNOWN = ("unresolved", "unknown", "other")
"""Values of such a column that name no part."""
BATCH = "source"
KEPT = 4
MIN_CELLS = 5
"""Two data sets have a type in common if both have this many cells of it."""
LEAST_TYPES = 3
"""Types that data sets have in common, at least, if they are corrected together."""
COMBINED = "combined"


@dataclass(frozen=True)
class Source:
    """Cells of one kind: a file, a part of one, or several files corrected together.

    Attributes
    ----------
    name
        In tables: ``"pbmc3k"``, ``"sc_mixology/CEL-seq2"``, ``"pbmc3k + pbmc_kang"``.
    organism
        ``"human"``, ``"mouse"``, or empty where symbols do not tell.
    labels
        The column of types.
    types
        Types in harmonised words, with their numbers of cells.
    fingerprint
        Of the content.
    path, where
        Of a file, and the column and value that choose a part of it.
    tissue, platform
        Where known, otherwise empty.
    members, method
        Of a combined one: what it was made of, and by which correction.
    """

    name: str
    organism: str
    labels: str
    types: tuple[tuple[str, int], ...]
    fingerprint: str
    path: str = ""
    where: tuple[str, str] | None = None
    tissue: str = ""
    platform: str = ""
    members: "tuple[Source, ...]" = field(default=())
    method: Method | Literal["none"] = "none"

    @property
    def is_part(self) -> bool:
        """Whether it is only some of a file's cells."""
        return self.where is not None

    @property
    def is_combined(self) -> bool:
        """Whether it is several sources in one."""
        return bool(self.members)

    @property
    def is_corrected(self) -> bool:
        """Whether its values are corrected expression, no counts."""
        return self.method != "none"

    def n_of(self, kind: str) -> int:
        """Return its number of cells of a type."""
        return dict(self.types).get(kind, 0)


class Figure(NamedTuple):
    """The data of a figure: the tissue of the model, those of the queries (all others if empty), and the platform."""

    model: str
    queries: tuple[str, ...]
    platform: str


FIGURE_2 = Figure("Marrow", ("Bladder", "Heart", "Mammary_Gland", "Limb_Muscle"), COMBINED)
FIGURE_3 = Figure("Marrow", (), PLATFORM_NAMES["facs"])
FIGURE_4 = Figure("Lung", (), COMBINED)
FIGURE_5 = Figure("Limb_Muscle", ("Mammary_Gland",), PLATFORM_NAMES["facs"])


def figure_pairs(sources: Sequence[Source], figure: Figure) -> list[tuple[Source, Source]]:
    """Return the pairs of model and query of a figure; none if its tissues are not among the sources."""
    of_platform = [s for s in sources if not s.is_part and _platform(s) == figure.platform]
    models = [s for s in of_platform if tissue_name(s.tissue) == figure.model]
    queries = [s for s in of_platform if not figure.queries or tissue_name(s.tissue) in figure.queries]
    return [(model, query) for model in models for query in queries if query != model]


def _platform(source: Source) -> str:
    return COMBINED if source.is_corrected else source.platform


def shared_types(first: Source, second: Source) -> list[str]:
    """Return the types of which both have at least `MIN_CELLS` cells."""
    return [name for name, n in first.types if n >= MIN_CELLS and second.n_of(name) >= MIN_CELLS]


def comparable(first: Source, second: Source) -> bool:
    """Return whether two sources have no cells in common, and are both whole or parts by the same column."""
    if first.is_combined or second.is_combined:
        return not set(_files(first)) & set(_files(second))
    if first.where is None or second.where is None:
        return first.where is None and second.where is None
    return first.path == second.path and first.where[0] == second.where[0]


def _files(source: Source) -> list[str]:
    return [path for member in source.members for path in _files(member)] if source.is_combined else [source.path]


def bundled_sources() -> list[Source]:
    """Return the data sets that come with the package, and their parts."""
    return [s for name in dataset_table()["name"] for s in sources_in(bundled_path(f"{name}.h5ad"))]


def file_sources(folder: Path) -> list[Source]:
    """Return the data sets in the h5ad files of a folder, and their parts; files without cell types are left out.

    Raises
    ------
    InputError
        If there is no such folder, or no file of it can be used.
    """
    if not folder.is_dir():
        msg = f"There is no folder '{folder}'. Give --data the folder of your h5ad files, or leave it out."
        raise InputError(msg)
    files = sorted(folder.glob("*.h5ad"))
    found = {file: sources_in(file) for file in files}
    unlabelled = [file.name for file, sources in found.items() if not sources]
    if unlabelled:
        msg = f"Left out, as none of the columns {some(LABELS, limit=9)} holds cell types: {some(unlabelled)}."
        warn(msg)
    return [source for sources in found.values() for source in sources]


def sources_in(path: Path) -> list[Source]:
    """Return a file's cells as a source, and its parts; empty if it has no column of types."""
    try:
        cells = anndata.read_h5ad(path, backed="r")
    except OSError as error:
        msg = f"'{path}' cannot be read as h5ad: {error}. Take it out of the folder, or copy it again."
        raise InputError(msg) from error
    obs, genes = cells.obs.copy(), list(cells.var_names)
    cells.file.close()
    labels = next((column for column in LABELS if column in obs), None)
    if labels is None:
        return []
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    words = common_words(obs[labels])
    tissue, platform = (only_value(obs, name) for name in ("tissue", "platform"))
    whole = Source(
        path.stem,
        detect_organism(genes) or "",
        labels,
        type_counts(words),
        digest,
        str(path),
        tissue=tissue,
        platform=platform,
    )
    parts = [
        replace(
            whole,
            name=f"{path.stem}/{value}",
            types=type_counts(words[rows]),
            fingerprint=f"{digest} {column}={value}",
            where=(column, value),
            tissue=tissue if column == "platform" else value,
            platform=value if column == "platform" else platform,
        )
        for column in PARTS
        for value, rows in _parts(obs, column, words).items()
    ]
    return [whole, *parts]


def _parts(obs: pd.DataFrame, column: str, words: pd.Series) -> dict[str, np.ndarray]:
    """Return the rows of each value of a column that has enough labelled cells, if there are two such values."""
    if column not in obs:
        return {}
    values = labels_as_text(obs[column])
    rows = {str(value): (values == value).to_numpy() for value in sorted(values.dropna().unique())}
    known = words.notna().to_numpy()
    large = {v: r for v, r in rows.items() if v.casefold() not in UNKNOWN and known[r].sum() >= MIN_PART}
    return large if len(large) > 1 else {}


def combined(members: Iterable[Source], *, method: Method | Literal["none"]) -> Source:
    """Return several sources as one: their expression corrected by a method of `integrate`, or their counts joined."""
    parts = tuple(members)
    counts = pd.concat([pd.Series(dict(part.types), dtype=int) for part in parts]).groupby(level=0).sum()
    digest = hashlib.sha256(json.dumps([method, *(part.fingerprint for part in parts)]).encode()).hexdigest()[:16]
    types = tuple((str(name), int(n)) for name, n in counts.items())
    organism = parts[0].organism if len({part.organism for part in parts}) == 1 else ""
    tissues = {part.tissue for part in parts}
    name = " + ".join(part.name for part in parts) + (" (uncorrected)" if method == "none" else "")
    tissue = tissues.pop() if len(tissues) == 1 else ""
    return Source(name, organism, "type", types, digest, tissue=tissue, members=parts, method=method)


def combined_sources(sources: Sequence[Source], *, method: Method) -> list[Source]:
    """Return what can be corrected together: platforms of a data set, and data sets of one organism that share types.

    Where tissues have both platforms of Tabula Muris, each tissue's, as in the paper, and nothing else. Each comes
    corrected and, for comparison, joined without correction.
    """
    of_tissues = _platforms_of_tissues(sources)
    if of_tissues:
        return [combined(pair, method=way) for pair in of_tissues for way in (method, "none")]
    groups = [_platforms(whole, sources) for whole in sources if not whole.is_part]
    wholes = [source for source in sources if not source.is_part]
    groups += [
        (a, b)
        for i, a in enumerate(wholes)
        for b in wholes[i + 1 :]
        if a.organism == b.organism and comparable(a, b) and len(shared_types(a, b)) >= LEAST_TYPES
    ]
    return [combined(group, method=way) for group in groups if len(group) > 1 for way in (method, "none")]


def _platforms(whole: Source, sources: Sequence[Source]) -> tuple[Source, ...]:
    return tuple(s for s in sources if s.path == whole.path and s.where is not None and s.where[0] == "platform")


def _platforms_of_tissues(sources: Sequence[Source]) -> list[tuple[Source, Source]]:
    """Return the Smart-seq2 and the 10x data of each tissue that has both as whole data sets."""
    wholes = [s for s in sources if not s.is_part and not s.is_combined and s.tissue]
    by_platform = [{tissue_name(s.tissue): s for s in wholes if s.platform == p} for p in PLATFORM_NAMES.values()]
    return [(by_platform[0][tissue], other) for tissue, other in by_platform[1].items() if tissue in by_platform[0]]


def best_method() -> Method:
    """Return the best correction that is installed: Seurat, as in the paper, otherwise Scanorama, otherwise ComBat."""
    if _has_seurat():
        return "seurat"
    return "scanorama" if importlib.util.find_spec("scanorama") else "combat"


def _has_seurat() -> bool:
    program = shutil.which("Rscript")
    if program is None:
        return False
    asked = 'quit(status = if (requireNamespace("Seurat", quietly = TRUE)) 0 else 1)'
    return subprocess.run([program, "-e", asked], capture_output=True, check=False).returncode == 0  # noqa: S603


def read_source(source: Source, *, max_cells: int, scratch: Path) -> AnnData:
    """Return the cells, their types in harmonised words in ``obs["type"]`` (NaN for none), at most `max_cells`.

    Counts, or corrected expression for a combined source, which is computed once and kept in `scratch`.
    """
    if not source.is_combined:
        cells = _read(source.path)
        if source.where is not None:
            column, value = source.where
            cells = cells[(labels_as_text(cells.obs[column]) == value).to_numpy()]
        rows = _sample(source_labels(cells, source), max_cells)
        cells = cells[rows].copy()
        cells.obs["type"] = source_labels(cells, source).to_numpy()
        return cells
    kept = scratch / f"combined-{source.fingerprint}-{max_cells}.h5ad"
    if not kept.exists():
        parts = [_for_joining(part, max_cells=max_cells, scratch=scratch) for part in source.members]
        corrected = _joined(parts) if source.method == "none" else integrate(parts, batch=BATCH, method=source.method)
        corrected.obs["type"] = corrected.obs["type"].astype(object)
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_name(f".{kept.stem}-{np.random.default_rng().integers(2**40)}.h5ad")
        corrected.write_h5ad(unfinished)
        unfinished.replace(kept)
    cells = anndata.read_h5ad(kept)
    cells.obs["type"] = labels_as_text(cells.obs["type"])
    return cells


def _joined(parts: list[AnnData]) -> AnnData:
    joined = join_data_sets(parts, batch=BATCH)
    return AnnData(joined.counts, obs=joined.obs, var=pd.DataFrame(index=list(joined.genes)))


def _for_joining(part: Source, *, max_cells: int, scratch: Path) -> AnnData:
    cells = read_source(part, max_cells=max_cells, scratch=scratch)
    known = cells.obs["type"].notna().to_numpy()
    cells = cells[known].copy()
    obs = pd.DataFrame({"type": cells.obs["type"].astype(str), BATCH: part.name}, index=cells.obs_names)
    return AnnData(sparse.csr_matrix(cells.X), obs=obs, var=pd.DataFrame(index=cells.var_names))


def source_labels(cells: AnnData, source: Source) -> pd.Series:
    """Return each cell's type in harmonised words, NaN for none."""
    return common_words(cells.obs[source.labels])


def common_words(labels: pd.Series) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrismWarning)  # names that the table lacks are kept, such as cell lines
        return harmonise(labels)


def type_counts(words: pd.Series) -> tuple[tuple[str, int], ...]:
    counts = words.dropna().value_counts()
    return tuple(sorted((str(name), int(n)) for name, n in counts.items()))


def only_value(obs: pd.DataFrame, column: str) -> str:
    """Return the value of a column if all cells have the same, otherwise nothing."""
    if column not in obs:
        return ""
    values = labels_as_text(obs[column]).dropna().unique()
    return str(values[0]) if len(values) == 1 else ""


@lru_cache(maxsize=KEPT)
def _read(path: str) -> AnnData:
    return anndata.read_h5ad(path)


def _sample(words: pd.Series, max_cells: int) -> np.ndarray:
    """Return the rows of at most so many cells, in order, types in the shares that they have."""
    n_cells = len(words)
    if n_cells <= max_cells:
        return np.arange(n_cells)
    order = np.argsort(words.fillna("").to_numpy(dtype=str), kind="stable")
    chosen = np.unique(np.linspace(0, n_cells - 1, max_cells).round().astype(np.int64))
    return np.sort(order[chosen])
