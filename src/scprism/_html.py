"""How a result looks in a notebook."""

from collections.abc import Iterable
from html import escape

__all__ = ["record_html"]


def record_html(summary: str, warnings: Iterable[str], table: str) -> str:
    """Return a record's summary, its warnings and its table, which is HTML already, for a notebook."""
    told = "".join(f"<li>{escape(message)}</li>" for message in warnings)
    warned = f"<p>Warnings:</p><ul>{told}</ul>" if told else ""
    return f"<p>{escape(summary)}</p>{warned}{table}"
