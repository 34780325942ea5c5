"""Where `scprism tune` keeps its study, and what it leaves beside the model."""

from pathlib import Path
from typing import TYPE_CHECKING

from scprism.cli.console import say

if TYPE_CHECKING:
    import pandas as pd

    from scprism.search.search import Search

__all__ = ["storage_file", "write_search"]

FILE_STORAGES = ("sqlite:///", "journal:///")


def storage_file(storage: str) -> Path | None:
    """Return the file of a study's storage, None for a database server."""
    for start in FILE_STORAGES:
        if storage.startswith(start):
            name = storage.removeprefix(start).split("?")[0]
            return Path(name) if name and name != ":memory:" else None
    return None


def write_search(out: Path, table: "pd.DataFrame", *, search: "Search", rng: int) -> None:
    """Write the trials and the importance of the settings as tables, and say which settings are flat."""
    from scprism._files import write_table
    from scprism.search.importance import setting_importance
    from scprism.search.space import resolve_space

    importance = setting_importance(table, resolve_space(search.space or "")[1], rng=rng)
    for name, content in (("trials", table), ("importance", importance)):
        write_table(content, out.with_name(f"{out.name}.{name}.tsv"))
    if importance.empty:
        say(f"too few trials to tell how much the settings matter: {len(table)}")
        return
    mattering = importance.loc[~importance["flat"], "setting"].tolist()
    flat = importance.loc[importance["flat"], "setting"].tolist()
    say(f"settings that mattered: {', '.join(mattering) or 'none'}; flat: {', '.join(flat) or 'none'}")
