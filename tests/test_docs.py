"""The documentation: links and pictures lead somewhere, code is Python, no page and no command is forgotten."""

import ast
import functools
import importlib.util
import re
import struct
import tomllib
from pathlib import Path

import pytest

import scprism

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))
GENERATED = {DOCS / "reference" / "commands.md"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.M)


def prose(text):
    """Return a page without its blocks and spans of code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^( *)```.*?^\1```", "", text, flags=re.M | re.S))


def anchors(page):
    """Return what a link can point at in a page: its headings, and the names of its reference."""
    if page.suffix != ".md":
        return set()
    text = page.read_text(encoding="utf-8")
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in HEADING.findall(text))
    return {*plain, *re.findall(r"^::: (\S+)", text, re.M)}


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS], ids=name_of)
def test_links_and_pictures_lead_somewhere(page):
    for target in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists() or found in GENERATED, target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_snippets_are_python_and_use_public_names(page):
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        tree = ast.parse(code)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "scprism":
                assert hasattr(scprism, node.attr), node.attr
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scprism."):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


@functools.cache
def commands():
    """Return the page of commands, as the script writes it that the site is built with."""
    spec = importlib.util.spec_from_file_location("command_reference", ROOT / "scripts" / "command_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


def code_of(text):
    """Return the lines of a page that are code: blocks, indented lines, spans."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.M | re.S)
    return "\n".join([*blocks, *re.findall(r"^ {4}(.*)$", text, re.M), *re.findall(r"`([^`\n]+)`", text)])


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS], ids=name_of)
def test_commands_and_options_of_the_docs_are_there(page):
    if page.name == "audit.md":
        return
    sections = re.split(r"^## ", commands(), flags=re.M)[1:]
    options = {section.split("\n")[0]: set(re.findall(r"--[a-z][\w-]*", section)) for section in sections}
    for call in re.findall(r"^ *scprism ([a-z].*)", code_of(page.read_text(encoding="utf-8")), re.M):
        words = call.split()
        name = " ".join(words[:2]) if words[0] == "datasets" else words[0]
        assert name in {*options, "COMMAND"} or page.name == "design.md", call
        asked = set(re.findall(r"(?<![\w`])--[a-z][\w-]*", call.split("#")[0])) - {"--help"}
        assert asked <= options.get(name, asked), call


def test_the_page_of_commands_has_each_command_and_what_its_help_says():
    page = commands()
    assert "## datasets fetch\n" in page
    assert "Usage: scprism fit " in page
    assert re.search(r"--labels .*\n", page)


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/\-]+\.(?:md|py)", text[text.index("\nnav:") :]))
    there = {str(path.relative_to(DOCS)) for path in [*DOCS.rglob("*.md"), *TUTORIALS]}
    assert named - {"reference/commands.md"} == there


def test_every_public_name_is_in_the_reference():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    named = re.findall(r"^::: scprism\.(\w+)$", text, re.M)
    assert sorted(set(named) - {"figures"}) == [name for name in scprism.__all__ if name != "__version__"]


def test_pictures_are_used_and_are_pictures():
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    for path in (DOCS / "images").iterdir():
        assert f"images/{path.name}" in text, path
        if path.suffix == ".png":
            head = path.read_bytes()[:24]
            assert head[:8] == b"\x89PNG\r\n\x1a\n"
            assert struct.unpack(">I", head[16:20])[0] >= 600, path


def test_versions_agree():
    recipe = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'version = "{scprism.__version__}"' in recipe
    assert f"\nversion: {scprism.__version__}\n" in citation


def test_the_recipe_needs_what_the_package_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = (ROOT / "recipe" / "meta.yaml").read_text(encoding="utf-8")
    run = recipe[recipe.index("  run:") : recipe.index("\ntest:")]
    conda = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    wanted = {re.sub(r"^[\w-]+", lambda name: conda.get(name[0], name[0]), need) for need in project["dependencies"]}
    found = {line.strip().removeprefix("- ").replace(" ", "") for line in run.splitlines()[1:] if line.strip()}
    assert found - {f"python{project['requires-python']}"} == wanted


def test_on_a_package_index_the_readme_links_to_addresses():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    targets = LINK.findall(prose(text))
    assert len(targets) > 10
    assert all(target.startswith("https://") for target in targets)
    assert "](https://raw.githubusercontent.com/scprism/scprism/main/docs/images/demo.png)" in text


@pytest.mark.parametrize("path", TUTORIALS, ids=name_of)
def test_a_tutorial_begins_with_its_title_and_imports_scprism(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # ")
    assert "import scprism" in ast.unparse(ast.parse(text))
