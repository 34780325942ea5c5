"""The numbers of the house style, the weight of an import, and the public names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import scprism

SOURCE = Path(scprism.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
# Their arguments are fixed by docs/design.md, or each is an option of the command line, or they are compiled.
MANY_ARGUMENTS = {
    "Prism.__init__",
    "Model.explain",
    "Model.label",
    "draw_tilted",
    "gsea",
    "read_cells",
    "write_report",
}


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                yield f"{owner}{child.name}", child


def body_lines(function):
    has_docstring = ast.get_docstring(function) is not None
    start = function.body[1 if has_docstring and len(function.body) > 1 else 0].lineno
    return function.end_lineno - start + 1


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_and_functions_are_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
    for name, function in functions(path):
        assert body_lines(function) < 60, name
        if name in MANY_ARGUMENTS or "cli" in path.parts:
            continue
        arguments = function.args
        positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args) if a.arg not in ("self", "cls")]
        assert len(positional) + len(arguments.kwonlyargs) <= 7, name


def test_no_module_is_called_utils():
    assert not [p for p in MODULES if "util" in p.stem]


def loaded_by(statement):
    code = f"{statement}; import sys; print(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize("statement", ["import scprism", "import scprism.cli"])
def test_importing_loads_nothing_heavy(statement):
    heavy = {
        "torch",
        "numba",
        "matplotlib",
        "scanpy",
        "anndata",
        "pandas",
        "numpy",
        "scipy",
        "sklearn",
        "plotly",
        "umap",
    }
    assert not loaded_by(statement) & heavy


def test_public_names_load_and_are_sorted():
    names = [n for n in scprism.__all__ if n != "__version__"]
    assert names == sorted(names)
    for name in names:
        assert getattr(scprism, name).__doc__, name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'prism'"):
        _ = scprism.prism


def test_no_pickle_and_no_torch_load():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert "import pickle" not in text, path
        assert "torch.load(" not in text, path
        assert "torch.save(" not in text, path


def test_a_public_function_is_not_hidden_by_a_folder_of_its_name():
    names = {path.stem for path in SOURCE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert not names & set(scprism.__all__)
