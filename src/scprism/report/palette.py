"""Colours and marker shapes that stay apart for colour-blind readers, the same in every figure."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "BEST",
    "GREY",
    "MUTED",
    "QUERY",
    "REFERENCE",
    "TRAINING",
    "UNLABELLED",
    "VALIDATION",
    "Style",
    "count_colours",
    "label_styles",
]

# Paul Tol's "muted" qualitative scheme, in the order that he recommends (SRON/EPS/TN/09-002)
MUTED = ("#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
SHAPES = (("circle", "o"), ("diamond", "D"), ("triangle-up", "^"), ("cross", "P"))

GREY = "#B8C0C7"
REFERENCE, QUERY = "#A9B2BA", "#0072B2"
TRAINING, VALIDATION, BEST = "#6B7B8A", "#0072B2", "#D55E00"
UNLABELLED = "unlabelled"
"""Stands for a cell without a label."""


@dataclass(frozen=True)
class Style:
    """How cells of one label are drawn: the shape has a name in plotly and one in matplotlib."""

    colour: str
    symbol: str
    marker: str


def label_styles(names: Iterable[str]) -> dict[str, Style]:
    """Return a style for each label, in order; the first 36 differ in colour or shape, and `UNLABELLED` is grey."""
    styles: dict[str, Style] = {}
    for name in names:
        if name == UNLABELLED:
            styles[name] = Style(GREY, *SHAPES[0])
            continue
        i = len(styles.keys() - {UNLABELLED})
        styles[name] = Style(MUTED[i % len(MUTED)], *SHAPES[i // len(MUTED) % len(SHAPES)])
    return styles


def count_colours(n_levels: int) -> list[str]:
    """Return `n_levels` + 1 colours for counts from 0, almost white, to `n_levels`, dark blue."""
    stops = ((244, 246, 248), (158, 202, 225), (49, 130, 189), (8, 48, 107))
    colours = []
    for i in range(n_levels + 1):
        # one step away from white at once, so that a count of 1 is seen
        position = 0.0 if i == 0 else 3 * (0.3 + 0.7 * i / n_levels)
        low = min(int(position), 2)
        mixed = [round(a + (b - a) * (position - low)) for a, b in zip(stops[low], stops[low + 1], strict=True)]
        colours.append("#{:02x}{:02x}{:02x}".format(*mixed))
    return colours
