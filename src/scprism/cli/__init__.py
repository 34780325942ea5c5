"""The command line: one command a step, no logic of its own."""

import sys

from scprism.cli import whole, model, transfer, references, results, compare, score, trust, reproduce, datasets  # isort: skip  the order in which --help lists the commands
from scprism.cli.app import app
from scprism.cli.console import console, show_warnings, write
from scprism.errors import PrismError

__all__ = [
    "app",
    "compare",
    "datasets",
    "main",
    "model",
    "references",
    "reproduce",
    "results",
    "score",
    "transfer",
    "trust",
    "whole",
]


def main() -> None:
    """Run the command line; an error of scprism or of a file is one message on stderr and exit status 2."""
    show_warnings()
    try:
        app()
    except PrismError as error:
        write(f"scprism: {console.in_options(str(error))}")
        sys.exit(2)
    except OSError as error:
        write(f"scprism: {error.filename or 'a file'}: {error.strerror or error}")
        sys.exit(2)
