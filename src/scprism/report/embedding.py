"""What the page's script draws the embedding from: where cells lie, and every column that can colour them."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scprism.estimator.view import View
from scprism.label.labels import labels_as_text
from scprism.label.query_shift import quality_of
from scprism.report.interactive import unit_name
from scprism.report.packing import quantised, whole_numbers
from scprism.report.palette import BEST, GREY, QUERY, REFERENCE, UNLABELLED, Style, label_styles
from scprism.report.subject import DrawnCells
from scprism.types import FloatArray, IntArray

__all__ = ["Counted", "Named", "embedding_data", "read_counts"]

MAX_SVG_POINTS = 4000
"""Up to here each cell is a vector shape, sharp on paper; beyond, WebGL draws them."""
MOST_NAMES = 100
"""Columns of text with more different values than this name single cells, and no colours tell them apart."""
MOST_VALUES = 1_000_000
"""Values of genes that a page holds at most, in cells × genes."""
MOST_EXACT = 400_000
"""Values of units, in cells × units, that are written with 16 bits each; where there are more, with 8."""
MOST_GENES = 150


@dataclass(frozen=True)
class Counted:
    """What the counts of a query say, read in one pass.

    Attributes
    ----------
    depth
        Molecules of each cell in the model's genes, float64 (cells,).
    genes
        Names of the genes that were kept.
    expression
        Their normalised expression in some cells, float32 (those cells, genes).
    """

    depth: FloatArray
    genes: tuple[str, ...]
    expression: FloatArray


@dataclass(frozen=True)
class Named:
    """A unit as it is called on the page: its key, and its name with what it is proposed to be called."""

    key: str
    title: str


def read_counts(view: View, genes: Iterable[str], rows: IntArray) -> Counted:
    """Return the depth of all cells, and the expression of as many of `genes` as the page has room for in some.

    Parameters
    ----------
    view
        The query.
    genes
        Names of genes, those that are wanted most first; unknown and missing ones are left out.
    rows
        Row numbers of the cells that are drawn, ascending.
    """
    query = view.query
    known = {str(gene): place for place, gene in enumerate(query.recipe.genes)}
    present = query.alignment.gene_map.present
    n_genes = min(MOST_GENES, MOST_VALUES // max(len(rows), 1))
    chosen = [gene for gene in dict.fromkeys(genes) if gene in known and present[known[gene]]][:n_genes]
    columns = np.array([known[gene] for gene in chosen], dtype=np.int64)
    depth, values = [], [np.zeros((0, len(chosen)), dtype=np.float32)]
    for chunk in query.chunks():
        depth.append(quality_of(chunk, n_genes=len(known)).depth)
        inside = rows[(rows >= chunk.rows.start) & (rows < chunk.rows.stop)] - chunk.rows.start
        values.append(chunk.inputs[inside][:, columns].toarray())
    return Counted(np.concatenate(depth or [np.zeros(0)]), tuple(chosen), np.concatenate(values))


def embedding_data(
    drawn: DrawnCells, *, units: list[Named], obs: pd.DataFrame, counted: Counted | None
) -> dict[str, Any]:
    """Return what the page draws the embedding from; numbers as `scprism.report.packing` writes them.

    Each column has a ``key``, a ``title`` and a ``group``, and is a ``category`` (``names codes colours symbols``) or
    ``number`` s (``values range``); one of ``query`` alone has values of the query's cells only.

    Parameters
    ----------
    drawn
        The cells, the reference first, so that the query lies on top.
    units
        How the units are called, in order.
    obs
        The query's ``.obs``, of all its cells.
    counted
        Genes of the cells that are drawn of the query; None: none.
    """
    table = drawn.table
    own = obs.iloc[drawn.query_rows]
    return {
        "cells": table["cell"].astype(str).tolist(),
        "x": _base64(table["x"]),
        "y": _base64(table["y"]),
        "n_reference": len(table) - len(own),
        "gl": len(table) > MAX_SVG_POINTS,
        "density": _density(drawn),
        "columns": [
            *_label_columns(table),
            *_units(units, drawn.values),
            *_own_columns(own),
            *_genes(counted),
        ],
    }


def _density(drawn: DrawnCells) -> dict[str, Any] | None:
    if drawn.density is None:
        return None
    x, y = ([round(float(v), 4) for v in middles] for middles in (drawn.density.x, drawn.density.y))
    return {"x": x, "y": y, "cells": drawn.density.cells.tolist()}


def _label_columns(table: pd.DataFrame) -> list[dict[str, Any]]:
    names = table["label"].astype(object).where(table["label"].notna(), UNLABELLED).astype(str)
    frequent = names.value_counts()
    ordered = sorted(frequent.index, key=lambda name: (name == UNLABELLED, -frequent[name], name))
    origins = {name: style for name, style in _origin_styles().items() if (table["origin"] == name).any()}
    columns = []
    if ordered != [UNLABELLED]:
        columns.append(_category("label", "label", names, label_styles(ordered)))
    if len(origins) > 1:
        columns.append(_category("origin", "reference and query", table["origin"], origins))
    if table["confidence"].notna().any():
        values = table["confidence"].to_numpy(dtype=np.float64)
        columns.append(_number("confidence", "confidence", values, span=(0.0, 1.0)))
        novel = pd.Series(np.where(table["novel"], "novel", "not novel"))
        columns.append(_category("novel", "novel", novel, _novel_styles()))
    return [{**column, "group": ""} for column in columns]


def _own_columns(own: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the query's own columns; texts with very many values name single cells and are left out."""
    columns = []
    for name in own.columns:
        values = own[name]
        key, title = f"obs:{name}", str(name)
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
            if np.isfinite(numbers).any():
                columns.append(_number(key, title, numbers))
            continue
        texts = labels_as_text(values.astype(object))
        texts = texts.where(texts.notna(), UNLABELLED).astype(str)
        frequent = texts.value_counts()
        if len(frequent) <= MOST_NAMES and list(frequent.index) != [UNLABELLED]:
            ordered = sorted(frequent.index, key=lambda text: (text == UNLABELLED, -frequent[text], text))
            columns.append(_category(key, title, texts, label_styles(ordered)))
    return [{**column, "group": "column of the query", "query": True} for column in columns]


def _genes(counted: Counted | None) -> list[dict[str, Any]]:
    if counted is None:
        return []
    return [
        {
            **_number(f"gene:{gene}", gene, counted.expression[:, i], bits=8),
            "group": "gene (log1p counts per 10,000)",
            "query": True,
        }
        for i, gene in enumerate(counted.genes)
    ]


def _units(units: list[Named], values: FloatArray) -> list[dict[str, Any]]:
    bits = 16 if values.size <= MOST_EXACT else 8
    return [
        {**_number(f"unit:{named.key}", f"unit {unit_name(named.title)}", values[:, i], bits=bits), "group": "unit"}
        for i, named in enumerate(units)
    ]


def _number(
    key: str, title: str, values: FloatArray, *, span: tuple[float, float] | None = None, bits: int = 16
) -> dict[str, Any]:
    numbers = np.asarray(values, dtype=np.float64)
    known = numbers[np.isfinite(numbers)]
    low, high = span or (float(f"{end:.4g}") for end in np.quantile(known, [0.01, 0.99]))
    if low == high:  # nearly all cells are alike: the few others would have no colour
        low, high = float(known.min()), float(known.max())
    return {"key": key, "title": title, "kind": "number", "values": quantised(numbers, bits=bits), "range": [low, high]}


def _category(key: str, title: str, values: pd.Series, styles: dict[str, Style]) -> dict[str, Any]:
    names = list(styles)
    return {
        "key": key,
        "title": title,
        "kind": "category",
        "names": names,
        "codes": whole_numbers(pd.Index(names).get_indexer(pd.Index(values.astype(str)))),
        "colours": [s.colour for s in styles.values()],
        "symbols": [s.symbol for s in styles.values()],
    }


def _origin_styles() -> dict[str, Style]:
    return {"reference": Style(REFERENCE, "circle", "o"), "query": Style(QUERY, "circle", "o")}


def _novel_styles() -> dict[str, Style]:
    return {"not novel": Style(GREY, "circle", "o"), "novel": Style(BEST, "diamond", "D")}


def _base64(values: Any) -> str:
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()
