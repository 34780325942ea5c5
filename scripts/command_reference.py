"""The page of commands, made from the command line itself; mkdocs calls `on_files` when it builds the site."""

import os
import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from scprism.cli import app

INTRODUCTION = """# Command line

Every command checks all that it was given before it begins, and leaves nothing half-written. It ends with status 0, or
with status 2 and one message that says what to do. `scprism COMMAND --help` prints what stands here.
"""
COLUMNS = "110"


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that call each command, such as ``("datasets", "list")``, in the order of ``scprism --help``."""
    for name, command in (group or get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name)


def page() -> str:
    """Return the page as Markdown, a section a command."""
    return "\n".join([INTRODUCTION, *(_section(words) for words in commands())])


def _section(words: tuple[str, ...]) -> str:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": COLUMNS, "TERM": "dumb"}, prog_name="scprism")
    if shown.exit_code:
        msg = f"scprism {' '.join(words)} --help ended with {shown.exit_code}: {shown.output}"
        raise RuntimeError(msg)
    lines = "\n".join(line.rstrip() for line in shown.output.strip().splitlines())
    return f"## {' '.join(words)}\n\n```text\n{lines}\n```\n"


def on_files(files: Any, config: Any) -> Any:
    """Add the page to those of the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/commands.md", content=page()))
    return files


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", COLUMNS)
    sys.stdout.write(page())
