"""No command can cost the user an input, and none begins what it cannot write: all commands, all their paths."""

import inspect
import os
import socket
import typing
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from scprism.cli.app import app
from scprism.cli.command import command, uses_of
from scprism.cli.paths import Input, Output

NO_PATHS = {
    "against",
    "batch",
    "cell",
    "feature_type",
    "gene_symbols",
    "genome",
    "groupby",
    "labels",
    "layer",
    "names",
    "only",
    "over",
    "preset",
    "query_layer",
    "sample",
    "reference_layer",
    "replicate",
    "study",
    "truth",
    "within",
}
"""Free text that names something else than a file."""
GROUPS = {("compare",): {"reference"}}
"""Free text of one command that names a group of cells; elsewhere a parameter of that name is a file."""
STORAGE = "journal:///"


def walk(group=None, words=()):
    group = group or get_command(app)
    for name, entry in group.commands.items():
        if hasattr(entry, "commands"):
            yield from walk(entry, (*words, name))
        else:
            yield (*words, name), entry


COMMANDS = dict(walk())


def uses(words):
    return uses_of(COMMANDS[words].callback.__wrapped__)


def parameters(words):
    return {parameter.name: parameter for parameter in COMMANDS[words].params}


def flag(parameter):
    return None if parameter.param_type_name == "argument" else max(parameter.opts, key=len)


def call_of(words, values):
    """Return a whole call: the values given, and something for whatever else is required."""
    arguments = list(words)
    for name, parameter in parameters(words).items():
        if name not in values and not parameter.required:
            continue
        endings = [use.suffixes[0] for use in uses(words).get(name, ()) if isinstance(use, Output) and use.suffixes]
        value = values.get(name, "".join(["cell_type", *endings[:1]]))
        arguments += [value] if flag(parameter) is None else [flag(parameter), value]
    return [str(argument) for argument in arguments]


def put(path, *, folder):
    """Write an input, a file or a folder with a file in it, and return it."""
    if folder:
        path.mkdir(parents=True)
        (path / "part").write_bytes(b"of an input")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"an input")
    return path


def inputs_of(words, tmp_path, *, folder=False):
    """Write something for every input that a command can take."""
    there = [name for name, found in uses(words).items() if any(isinstance(use, Input) for use in found)]
    return {name: put(tmp_path / "given" / f"{name}.in", folder=folder and name != "groupby") for name in there}


def out_of(words, name, tmp_path):
    """Return a good value for an output."""
    use = next(use for use in uses(words)[name] if isinstance(use, Output))
    ending = use.suffixes[0] if use.suffixes else ""
    return tmp_path / "new" / f"{name}{ending}"


def outputs_of(words):
    return [name for name, found in uses(words).items() if any(isinstance(use, Output) for use in found)]


def as_value(name, path):
    return f"{STORAGE}{path}" if name == "storage" else path


def files_under(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


PAIRS = [
    (words, output, source)
    for words in COMMANDS
    for output in outputs_of(words)
    for source, found in uses(words).items()
    if source != output and any(isinstance(use, Input) for use in found)
]


def test_the_walk_meets_every_command_that_writes():
    writing = {" ".join(words) for words in COMMANDS if outputs_of(words)}
    reading_only = {"info", "datasets list"}
    assert writing == {" ".join(words) for words in COMMANDS} - reading_only
    assert len(PAIRS) > 40


def is_text(annotation):
    """Return whether any text is a value: a choice of words (Literal) is none."""
    return annotation is str or (
        typing.get_origin(annotation) is not typing.Literal and any(map(is_text, typing.get_args(annotation)))
    )


def test_every_free_text_is_declared_as_a_path_or_known_to_be_none():
    for words, entry in COMMANDS.items():
        declared = uses(words)
        asked = inspect.signature(entry.callback.__wrapped__).parameters.values()
        free = {parameter.name for parameter in asked if is_text(parameter.annotation)}
        assert free - set(declared) <= NO_PATHS | GROUPS.get(words, set()), words


def test_a_path_that_declares_nothing_is_refused_at_import():
    def careless(query: Path) -> None: ...

    with pytest.raises(TypeError, match="'query' of 'careless' is a path and declares neither"):
        command(typer.Typer(), example="scprism careless")(careless)


FIRST = list({(words, output): (words, output, source) for words, output, source in reversed(PAIRS)}.values())
WAYS = [
    *((way, *pair) for way in ("path", "link") for pair in PAIRS),
    *((way, *pair) for way in ("hard link", "dots", "linked folder") for pair in FIRST),
]


@pytest.mark.parametrize(
    ("way", "words", "output", "source"), WAYS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else v
)
def test_no_output_is_an_input(scprism, tmp_path, words, output, source, way):
    given = inputs_of(words, tmp_path)
    there = given[source]
    other = there.with_name("other")
    if way == "link":
        other.symlink_to(there)
    elif way == "hard link":
        os.link(there, other)
    elif way == "linked folder":
        (tmp_path / "linked").symlink_to(there.parent)
    out = {
        "path": there,
        "dots": there.parent / ".." / there.parent.name / there.name,
        "linked folder": tmp_path / "linked" / there.name,
    }.get(way, other)
    before = files_under(tmp_path)
    status, _, messages = scprism(*call_of(words, {**given, output: as_value(output, out)}))
    assert (status, "is one of the inputs" in messages) == (2, True), messages
    assert files_under(tmp_path) == before


@pytest.mark.parametrize(("words", "output", "source"), PAIRS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else v)
def test_no_file_beside_an_output_is_an_input(scprism, tmp_path, words, output, source):
    use = next(use for use in uses(words)[output] if isinstance(use, Output))
    for ending in use.beside:
        given = inputs_of(words, tmp_path / ending)
        out = out_of(words, output, tmp_path / ending)
        given[source] = put(out.with_name(f"{out.name}{ending}"), folder=False)
        before = files_under(tmp_path)
        status, _, messages = scprism(*call_of(words, {**given, output: as_value(output, out)}))
        assert (status, "is one of the inputs" in messages) == (2, True), messages
        assert files_under(tmp_path) == before


@pytest.mark.parametrize(("words", "output", "source"), PAIRS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else v)
def test_no_output_lies_in_an_input_or_holds_one(scprism, tmp_path, words, output, source):
    use = next(use for use in uses(words)[output] if isinstance(use, Output))
    given = inputs_of(words, tmp_path / "a", folder=True)
    cases = []
    if given[source].is_dir():
        cases.append((given[source] / out_of(words, output, tmp_path).name, "lies in a folder that is read"))
    if use.kind not in ("file", "appended"):
        cases.append((given[source].parent, "is a folder that holds one of the inputs"))
    for out, message in cases:
        before = files_under(tmp_path)
        status, _, messages = scprism(*call_of(words, {**given, output: as_value(output, out)}))
        assert (status, message in messages) == (2, True), messages
        assert files_under(tmp_path) == before


WRITING = [(words, output) for words in COMMANDS for output in outputs_of(words)]


@pytest.mark.parametrize(("words", "output"), WRITING, ids=lambda v: " ".join(v) if isinstance(v, tuple) else v)
def test_what_cannot_be_written_is_refused_before_anything_is_read(scprism, tmp_path, words, output):
    """The inputs are no data at all: whoever reads one says so."""
    use = next(use for use in uses(words)[output] if isinstance(use, Output))
    if use.kind == "index":
        pytest.skip("the model is both")
    given, good = inputs_of(words, tmp_path), out_of(words, output, tmp_path)
    (tmp_path / "new").mkdir()
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "new" / f"pipe{good.suffix}")
    cases = [(tmp_path / "file" / good.name, "is not a folder")]
    if use.kind in ("file", "appended"):
        (tmp_path / "new" / f"folder{good.suffix}").mkdir()
        (tmp_path / "new" / f"folder{good.suffix}" / "mine").write_text("x")
        cases += [(tmp_path / "new" / f"pipe{good.suffix}", "is a pipe")]
        cases += [(tmp_path / "new" / f"folder{good.suffix}", "is a folder, and a file is to be written")]
        plain = socket.socket(socket.AF_UNIX)
        os.chdir(tmp_path / "new")  # the name of a socket is short
        plain.bind(f"socket{good.suffix}")
        plain.close()
        cases += [(tmp_path / "new" / f"socket{good.suffix}", "is a socket")]
    else:
        cases += [(tmp_path / "file", "is a file, and a folder is to be written")]
    if use.suffixes:
        cases += [
            (good.with_suffix(ending), "cannot be written: the result is a file that ends in")
            for ending in ("", ".xlsx", ".txt")
        ]
    if use.kind in ("model", "run", "audit"):
        (tmp_path / "new" / "theirs").mkdir()
        (tmp_path / "new" / "theirs" / "thesis.txt").write_text("x")
        cases += [(tmp_path / "new" / "theirs", "left alone")]
    for out, message in cases:
        before = files_under(tmp_path)
        for more in (["--force"], []) if "force" in parameters(words) else ([],):
            call = call_of(words, {**given, output: as_value(output, out)})
            status, _, messages = scprism(*call, *more)
            assert (status, message in messages) == (2, True), (out, messages)
            assert files_under(tmp_path) == before


@pytest.mark.parametrize("words", [w for w in COMMANDS if PAIRS and uses(w)], ids=" ".join)
def test_a_missing_input_is_said_before_anything_is_read(scprism, tmp_path, words):
    for source, found in uses(words).items():
        if source == "groupby" or not any(isinstance(use, Input) for use in found):
            continue
        given = inputs_of(words, tmp_path / source)
        given[source].unlink()
        outputs = {name: out_of(words, name, tmp_path) for name in outputs_of(words) if name not in given}
        status, _, messages = scprism(*call_of(words, {**given, **{n: as_value(n, p) for n, p in outputs.items()}}))
        assert (status, f"There is no file or folder '{given[source]}'" in messages) == (2, True), messages


def test_two_outputs_are_two_files(scprism, tmp_path):
    given = inputs_of(("tune",), tmp_path)
    for taken in ("m", "m.trials.tsv", "m.importance.tsv"):
        values = {**given, "out": tmp_path / "m", "storage": f"{STORAGE}{tmp_path / taken}"}
        status, _, messages = scprism(*call_of(("tune",), values))
        assert (status, "are the same file" in messages) == (2, True), messages


@pytest.mark.parametrize("words", [w for w in COMMANDS if "rng" in parameters(w)], ids=" ".join)
def test_a_negative_seed_is_refused(scprism, tmp_path, words):
    given = inputs_of(words, tmp_path)
    outputs = {name: out_of(words, name, tmp_path) for name in outputs_of(words) if name != "storage"}
    status, _, messages = scprism(*call_of(words, {**given, **outputs}), "--rng", -1)
    assert (status, "Invalid value for '--rng'" in messages, "Traceback" in messages) == (2, True, False)
    assert not (tmp_path / "new").exists()


def test_links_to_folders_are_followed(scprism, tmp_path):
    """Nothing is written into an input, or around one, by way of a link."""
    given = inputs_of(("embed",), tmp_path, folder=True)
    (tmp_path / "linked").symlink_to(given["model"])
    values = {**given, "out": tmp_path / "linked" / "e.csv"}
    status, _, messages = scprism(*call_of(("embed",), values))
    assert (status, "lies in a folder that is read" in messages) == (2, True), messages
    (tmp_path / "around").symlink_to(given["model"].parent)
    reading = inputs_of(("fit",), tmp_path / "b")
    reading["reference"] = put(given["model"].parent / "ref.h5ad", folder=False)
    status, _, messages = scprism(*call_of(("fit",), {**reading, "out": tmp_path / "around"}))
    assert (status, "is a folder that holds one of the inputs" in messages) == (2, True), messages
