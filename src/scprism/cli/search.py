"""What `scprism tune` leaves beside the model."""

from pathlib import Path
from typing import TYPE_CHECKING

from scprism.cli.console import say

if TYPE_CHECKING:
    import pandas as pd

    from scprism.search.search import Search

__all__ = ["write_search"]


def write_search(out: Path, table: "pd.DataFrame", *, search: "Search", rng: int) -> None:
    """Write the trials and the importance of the settings as tables, and say which settings are flat."""
    from scprism._files import replacing
    from scprism.search.importance import setting_importance
    from scprism.search.space import resolve_space

    importance = setting_importance(table, resolve_space(search.space or "")[1], rng=rng)
    for name, content in (("trials", table), ("importance", importance)):
        with replacing(out.with_name(f"{out.name}.{name}.tsv")) as scratch:
            content.to_csv(scratch, sep="\t", index=False)
    if importance.empty:
        say(f"too few trials to tell how much the settings matter: {len(table)}")
        return
    mattering = importance.loc[~importance["flat"], "setting"].tolist()
    flat = importance.loc[importance["flat"], "setting"].tolist()
    say(f"settings that mattered: {', '.join(mattering) or 'none'}; flat: {', '.join(flat) or 'none'}")
