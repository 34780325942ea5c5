"""Benchmarks take hours, so nobody runs them all; what they import must at least be there."""

import ast
from pathlib import Path

import pytest

import scprism

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
FILES = sorted(FOLDER.rglob("*.py"))


def defined(path):
    """Return the names at a module's top level."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_benchmark_imports_only_what_there_is(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.module == "scprism":
            continue
        root = Path(scprism.__file__).parents[1] if node.module.startswith("scprism.") else FOLDER
        module = root.joinpath(*node.module.split("."))
        file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if not file.exists():
            assert root == FOLDER, node.module
            assert not (FOLDER / node.module.split(".")[0]).exists(), node.module
            continue
        for alias in node.names:
            assert alias.name in defined(file) or module.joinpath(f"{alias.name}.py").exists(), (
                f"{node.module} has no {alias.name}"
            )
