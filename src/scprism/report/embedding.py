"""What the page's script draws the embedding from."""

import base64
from typing import Any

import numpy as np
import pandas as pd

from scprism.report.interactive import unit_name
from scprism.report.palette import QUERY, REFERENCE, UNLABELLED, Style, label_styles
from scprism.types import FloatArray

__all__ = ["embedding_data"]

MAX_SVG_POINTS = 4000
"""Up to here each cell is a vector shape, sharp on paper; beyond, WebGL draws them."""


def embedding_data(table: pd.DataFrame, latent: FloatArray, *, units: list[str]) -> dict[str, Any]:
    """Return what the page draws the embedding from; numbers as base64 of little-endian float32.

    Parameters
    ----------
    table
        One row a cell: ``cell origin label confidence novel x y``; the reference first, so that the query lies on top.
    latent
        Latent values, (cells, units).
    units
        Names of the units.
    """
    names = table["label"].astype(object).where(table["label"].notna(), UNLABELLED).astype(str)
    frequent = names.value_counts()
    ordered = sorted(frequent.index, key=lambda name: (name == UNLABELLED, -frequent[name], name))
    origins = {name: style for name, style in _origin_styles().items() if (table["origin"] == name).any()}
    has_labels = ordered != [UNLABELLED]
    return {
        "cells": table["cell"].astype(str).tolist(),
        "x": _base64(table["x"]),
        "y": _base64(table["y"]),
        "novel": np.flatnonzero(table["novel"]).tolist(),
        "origin": _category("Reference and query", table["origin"], origins),
        "label": _category("Label", names, label_styles(ordered)) if has_labels else None,
        "confidence": _base64(table["confidence"]) if table["confidence"].notna().any() else None,
        "units": [_unit(name, latent[:, i]) for i, name in enumerate(units)],
        "gl": len(table) > MAX_SVG_POINTS,
    }


def _origin_styles() -> dict[str, Style]:
    return {"reference": Style(REFERENCE, "circle", "o"), "query": Style(QUERY, "circle", "o")}


def _category(title: str, values: pd.Series, styles: dict[str, Style]) -> dict[str, Any]:
    names = list(styles)
    return {
        "title": title,
        "names": names,
        "codes": pd.Index(names).get_indexer(pd.Index(values.astype(str))).tolist(),
        "colours": [s.colour for s in styles.values()],
        "symbols": [s.symbol for s in styles.values()],
    }


def _unit(name: str, values: FloatArray) -> dict[str, Any]:
    low, high = np.quantile(values.astype(np.float64), [0.01, 0.99])
    return {"name": unit_name(name), "values": _base64(values), "range": [float(f"{low:.4g}"), float(f"{high:.4g}")]}


def _base64(values: Any) -> str:
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()
