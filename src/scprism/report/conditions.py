"""What the page states of conditions: which units are more or less active in them."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from scprism._check import some
from scprism.errors import InputError
from scprism.report.interactive import page_layout
from scprism.report.palette import MUTED
from scprism.report.tables import SIGNIFICANT
from scprism.units.comparison import ALL_CELLS, Comparison

__all__ = ["check_comparison", "condition_section", "volcano_figure"]

UNITS_NAMED = 5
"""Units that the answer to "what changed" names for each group."""
SMALLEST_Q = 1e-300
MAX_NAMED = 30
"""Points that bear their unit's name on the figure; the others show it when pointed at."""


def check_comparison(comparison: Comparison, *, units: tuple[str, ...], fingerprint: str) -> None:
    """Raise `InputError` unless this is a comparison of these units."""
    given: object = comparison  # users pass tables too
    if not isinstance(given, Comparison):
        msg = f"`comparison` must be the result of scprism.compare or read_comparison, got {type(given).__name__}."
        raise InputError(msg)
    got = comparison.settings.get("fingerprint")
    foreign = sorted(set(comparison.table["unit"].astype(str)) - set(units))
    if got is not None and got != fingerprint:
        msg = f"`comparison` must be of this model (fingerprint {fingerprint}), got one of the model {got}."
        raise InputError(f"{msg} Give the result of scprism.compare(model, cells, …).")
    if foreign:
        msg = f"`comparison` must be of the units of `explanation`, {some(units)}; got {some(foreign)}."
        raise InputError(f"{msg} Give the result of scprism.compare(model, cells, …).")


def condition_section(comparison: Comparison | None, titles: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the comparison as rows, None without one.

    Parameters
    ----------
    comparison
        Of the page's units.
    titles
        What each unit is called.
    """
    if comparison is None:
        return None
    table = comparison.table.sort_values(["q_value", "p_value"], kind="stable")
    whole = table[table["within"] == ALL_CELLS]
    within = table[(table["within"] != ALL_CELLS) & (table["q_value"] < SIGNIFICANT)]
    settings = comparison.settings
    return {
        "groupby": settings.get("groupby"),
        "reference": settings.get("reference"),
        "replicates": settings.get("replicates"),
        "replicate": settings.get("replicate"),
        "within": settings.get("within"),
        "answers": _answers(whole, titles),
        "rows": [_row(row, titles) for row in whole.to_dict("records")],
        "within_rows": [_row(row, titles) for row in within.to_dict("records")],
        "n_within": int((table["within"] != ALL_CELLS).sum()),
        "n_tests": int(table["q_value"].notna().sum()),
        "n_found": int((table["q_value"] < SIGNIFICANT).sum()),
        "limit": SIGNIFICANT,
    }


def _answers(whole: pd.DataFrame, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return for each group which units changed, those of the smallest q first."""
    answers = []
    for group, rows in whole.groupby("group", sort=False):
        found = rows[rows["q_value"] < SIGNIFICANT]
        answers.append(
            {
                "group": str(group),
                "n": len(found),
                "n_tested": int(rows["q_value"].notna().sum()),
                "units": [
                    {
                        "unit": str(row["unit"]),
                        "title": titles[str(row["unit"])].removeprefix(str(row["unit"])).strip(),
                        "higher": bool(row["difference"] > 0),
                        "difference": _signed(row["difference"]),
                        "q": _plain(row["q_value"], ".2g"),
                    }
                    for row in found.head(UNITS_NAMED).to_dict("records")
                ],
            }
        )
    return answers


def volcano_figure(comparison: Comparison | None, titles: Mapping[str, str]) -> go.Figure | None:
    """Return difference against q-value, a point a unit, group and label; None where nothing was tested."""
    if comparison is None or not comparison.table["q_value"].notna().any():
        return None
    table = comparison.table[comparison.table["q_value"].notna()]
    figure = go.Figure(layout=page_layout(height=440, x="Difference of mean activity", y="−log10 q"))
    is_whole = table["within"] == ALL_CELLS
    if (~is_whole).any():
        _points(figure, table[~is_whole], titles, name="within a label", colour="#B8C0C7", size=6, named=False)
    for number, (group, part) in enumerate(table[is_whole].groupby("group", sort=False)):
        colour = MUTED[number % len(MUTED)]
        _points(figure, part, titles, name=escape(str(group)), colour=colour, size=10, named=len(part) <= MAX_NAMED)
    figure.add_hline(y=-np.log10(SIGNIFICANT), line={"color": "#9AA5AE", "dash": "dot", "width": 1})
    figure.update_layout(showlegend=True, legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(zeroline=True, zerolinecolor="#9AA5AE")
    smallest = max(float(table["q_value"].min()), SMALLEST_Q)
    figure.update_yaxes(range=[0, 1.12 * max(-np.log10(smallest), 1.5)])
    return figure


def _points(
    figure: go.Figure,
    table: pd.DataFrame,
    titles: Mapping[str, str],
    *,
    name: str,
    colour: str,
    size: int,
    named: bool,
) -> None:
    heights = -np.log10(np.maximum(table["q_value"].to_numpy(np.float64), SMALLEST_Q))
    hovers = []
    for row in table.to_dict("records"):
        place = "" if row["within"] == ALL_CELLS else f" in {escape(str(row['within']))}"
        hovers.append(
            f"<b>{escape(titles[str(row['unit'])])}</b><br>{escape(str(row['group']))}{place}"
            f"<br>difference {row['difference']:+.3g}, AUROC {row['auroc']:.3f}, q = {row['q_value']:.2g}"
        )
    is_found = (table["q_value"] < SIGNIFICANT).to_numpy()
    texts = [escape(str(unit)) if named and found else "" for unit, found in zip(table["unit"], is_found, strict=True)]
    figure.add_scatter(
        x=[float(value) for value in table["difference"]],
        y=[round(float(value), 4) for value in heights],
        mode="markers+text",
        text=texts,
        textposition="top center",
        textfont={"size": 11},
        hovertext=hovers,
        hovertemplate="%{hovertext}<extra></extra>",
        marker={"color": colour, "size": size, "opacity": 0.85},
        name=name,
    )


def _row(row: Mapping[Any, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    unit = str(row["unit"])
    replicated = int(row["n_samples"]) > 0
    return {
        "unit": unit,
        "title": titles[unit].removeprefix(unit).strip(),
        "group": str(row["group"]),
        "within": str(row["within"]),
        "difference": _signed(row["difference"]),
        "interval": f"{_signed(row['low'])} to {_signed(row['high'])}",
        "effect": _plain(row["effect_size"], "+.2f").replace("-", "−"),
        "auroc": _plain(row["auroc"], ".3f"),
        "p": _plain(row["p_value"], ".2g"),
        "q": _plain(row["q_value"], ".2g"),
        "found": bool(row["q_value"] < SIGNIFICANT),
        "n": f"{int(row['n_samples'])} / {int(row['n_reference_samples'])}"
        if replicated
        else f"{int(row['n_cells']):,} / {int(row['n_reference_cells']):,}",
    }


def _plain(value: float, form: str) -> str:
    return "–" if pd.isna(value) else format(value, form)


def _signed(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:+.3f}".replace("-", "−")
