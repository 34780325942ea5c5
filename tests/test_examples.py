"""Every example of a docstring is run, and every public name has one."""

import doctest
import importlib
from pathlib import Path

import pytest

import scprism

SOURCE = Path(scprism.__file__).parent
PUBLIC = [name for name in scprism.__all__ if name != "__version__"]
MODULES = [
    ".".join(("scprism", *path.relative_to(SOURCE).with_suffix("").parts))
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name):
    assert doctest.DocTestParser().get_examples(getattr(scprism, name).__doc__)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore::scprism.errors.PrismWarning")  # the examples' data are tiny
def test_examples_print_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert not found.failed
