"""How a command is added: its paths are declared with its parameters, and checked before it begins."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from scprism.cli.console import console
from scprism.cli.paths import Given, Input, Output, check_paths

__all__ = ["command", "paths_of", "uses_of"]

Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say more about each step.")]


def command(
    app: typer.Typer, *, example: str, name: str | None = None, called: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator that adds a function to an application as a command.

    Before the function runs, the paths that its parameters declare are checked (`scprism.cli.paths.check_paths`). Each
    command also has --quiet and --verbose.

    Parameters
    ----------
    app
        The application.
    example
        A call of the command, for its help.
    name
        Of the command; that of the function if None.
    called
        Options by the names that messages of the library have for them, where these are others than the parameters'.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function)
        uses_of(function)  # a path that declares nothing is an error of ours, at import
        options = {parameter: _option(parameter, signature) for parameter in signature.parameters}
        options.update(called or {})

        @functools.wraps(function)
        def call(*, quiet: bool = False, verbose: bool = False, **values: Any) -> None:
            console.begin(options, quiet=quiet, verbose=verbose)
            given = list(paths_of(function, values))
            check_paths(given, force=bool(values.get("force")), resume=bool(values.get("resume")))
            function(**values)

        extra = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
            for name, kind in (("quiet", Quiet), ("verbose", Verbose))
        ]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
        call.__signature__ = signature.replace(parameters=[*parameters, *extra])  # type: ignore[attr-defined]
        call.__annotations__ = {**function.__annotations__, "quiet": Quiet, "verbose": Verbose}
        app.command(name, epilog=f"Example: {example}")(call)
        return function

    return register


def uses_of(function: Callable[..., None]) -> dict[str, list[Input | Output]]:
    """Return by parameter what paths a command declares.

    Raises
    ------
    TypeError
        If a parameter is a path and declares neither `Input` nor `Output`.
    """
    uses: dict[str, list[Input | Output]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        metadata = get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()
        found = [entry for entry in metadata if isinstance(entry, Input | Output)]
        if found:
            uses[name] = found
        elif _mentions_path(parameter.annotation):
            msg = f"The parameter {name!r} of {function.__name__!r} is a path and declares neither Input nor Output."
            raise TypeError(msg)
    return uses


def paths_of(function: Callable[..., None], values: dict[str, Any]) -> Iterator[Given]:
    """Yield the paths that a call of a command was given."""
    signature = inspect.signature(function)
    for name, uses in uses_of(function).items():
        value = values.get(name)
        for entry in value if isinstance(value, list | tuple) else [value]:
            for use in uses:
                path = None if entry is None else use.path_of(str(entry))
                if path is not None:
                    yield Given(_option(name, signature), path, use)


def _option(name: str, signature: inspect.Signature) -> str:
    """Return how the command line calls a parameter: ``--gene-sets``, or ``QUERY`` for one without a name."""
    metadata = getattr(signature.parameters[name].annotation, "__metadata__", ())
    for entry in metadata:
        if isinstance(entry, typer.models.ArgumentInfo):
            return (entry.metavar or name).upper()
        if isinstance(entry, typer.models.OptionInfo) and entry.param_decls:
            return entry.param_decls[0].split("/")[0]
    return f"--{name.replace('_', '-')}"


def _mentions_path(annotation: Any) -> bool:
    return annotation is Path or any(_mentions_path(part) for part in get_args(annotation))
