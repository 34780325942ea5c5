"""A small set of results written by hand, so that every number on a page can be counted."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from page_data import unpacked, whole
from scprism.explain.explanation import Explanation
from scprism.model.asked import Asked
from scprism.model.config import Config
from scprism.query.align import Alignment
from scprism.report.page import write_report

NASTY = "T <CD4> & 'naïve'"
"""A label with everything that HTML, JSON and plotly read as markup."""
GENES = ("Cd74", "Lyz2", "Il1b", "Gzmb", "Cd3e", "Actb")
UNITS = ("unit_0", "unit_1", "unit_2")


class Page(HTMLParser):
    """A page taken apart: text by section, rows of cells by section and by table, JSON by id, attributes, the style."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.section = ""
        self.text: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.data: dict[str, Any] = {}
        self.scripts: list[str] = []
        self.style = ""
        self.attributes: list[tuple[str, str, str]] = []
        self._inside: list[tuple[str, str]] = []
        self._in_cell = False
        self._table = ""
        self.feed(source)
        self.columns = {column["key"]: column for column in self.data["data-embedding"]["columns"]}
        self.tables = {name: [[words(cell) for cell in row] for row in rows] for name, rows in self.tables.items()}
        self.text = {name: words(text) for name, text in self.text.items()}
        self.rows = {name: [[words(cell) for cell in row] for row in rows] for name, rows in self.rows.items()}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.section = known.get("id") or "" if tag == "section" else self.section
        if tag in ("script", "style"):
            self._inside.append((tag, known.get("id") or ""))
        if tag == "dd":
            self.text[self.section] += " "
        if tag == "table":
            self._table = known.get("data-name") or ""
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
            self.tables.setdefault(self._table, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
            self.tables[self._table][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside.pop()
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            tag, name = self._inside[-1]
            if tag == "style":
                self.style += data
            elif name == "plotly":
                self.plotly = unpacked(data)
            elif name:
                self.data[name] = json.loads(data if data.lstrip().startswith(("{", "[")) else unpacked(data))
            else:
                self.scripts.append(data)
            return
        self.text[self.section] = self.text.get(self.section, "") + data
        if self._in_cell:
            self.rows[self.section][-1][-1] += data
            self.tables[self._table][-1][-1] += data

    def values(self, key: str) -> np.ndarray:
        """Return the numbers of a column of the embedding, or its names."""
        column = self.columns[key]
        if column["kind"] == "category":
            return np.array(column["names"])[whole(column["codes"])]
        packed = column["values"]
        codes, none = whole(packed).astype(float), 2 ** packed["bits"] - 1
        numbers = packed["low"] + codes * (packed["high"] - packed["low"]) / (none - 1)
        return np.where(codes == none, np.nan, numbers)


def words(text: str) -> str:
    return " ".join(text.split())


@dataclass
class FakeModel:
    """What the page asks of a model."""

    asked: Asked
    config: Config
    recipe: Any
    log: pd.DataFrame
    summary: dict[str, Any]
    coverage: pd.DataFrame
    reference: np.ndarray
    fingerprint: str = "f00d"
    named_units: None = None
    warnings: tuple[str, ...] = ()

    def align(self, _: AnnData, *, layer: str | None = None) -> Alignment:  # noqa: ARG002
        return Alignment(gene_map=None, coverage=self.coverage, organism="mouse")

    def embed(self, _: AnnData) -> np.ndarray:
        return self.reference


def _named_cells(names: list[str]) -> AnnData:
    obs = pd.DataFrame({"note": [np.nan] * len(names)}, index=pd.Index(names))
    return AnnData(X=np.zeros((len(names), 2), dtype=np.float32), obs=obs)


@pytest.fixture
def labels() -> pd.DataFrame:
    """10 cells: 6 B cells, 3 of the nasty label, 1 NK cell; 2 of low confidence, 3 novel."""
    return pd.DataFrame(
        {
            "label": ["B cell"] * 6 + [NASTY] * 3 + ["NK cell"],
            "confidence": [1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 1.0, 0.9, 0.5, 0.3],
            "distance": np.linspace(0.1, 1, 10),
            "novel": [False] * 5 + [True, False, False, True, True],
        },
        index=pd.Index(_query_names(), name="cell"),
    )


@pytest.fixture
def enrichment() -> pd.DataFrame:
    """Two sets, three units, two groups and the whole data set; by hand, what is below 0.05 is in `test_tables`."""
    q = {
        # (set, unit): q in "all", "B cell", NASTY
        ("HALLMARK_E2F_TARGETS", "unit_0"): (0.001, 0.01, 0.02),
        ("HALLMARK_E2F_TARGETS", "unit_1"): (0.001, 0.05, 0.2),
        ("HALLMARK_E2F_TARGETS", "unit_2"): (0.5, 0.5, 0.5),
        ("HALLMARK_APOPTOSIS", "unit_0"): (0.9, 0.9, 0.9),
        ("HALLMARK_APOPTOSIS", "unit_1"): (0.9, 0.9, 0.049),
        ("HALLMARK_APOPTOSIS", "unit_2"): (0.01, 0.9, 0.9),
    }
    rows = [
        (group, unit, name, 20, 0.4, -1.5 if group == NASTY else 2.25, q_value / 2, q_value, "Cd74;Il1b")
        for (name, unit), values in q.items()
        for group, q_value in zip(("all", "B cell", NASTY), values, strict=True)
    ]
    columns = ["group", "unit", "gene_set", "size", "es", "nes", "p_value", "q_value", "leading_edge"]
    table = pd.DataFrame(rows, columns=columns)
    table.attrs = {"null": "random gene sets of the same size", "n_permutations": 10_000, "n_sets_left_out": 4}
    return table


@pytest.fixture
def explanation() -> Explanation:
    """Attributions of known order: unit_0 has Cd74 +3, Lyz2 −2, Il1b +1; unit_2 is led by the nasty group."""
    signed = np.zeros((3, 3, 6), dtype=np.float32)
    signed[0, 0] = [3, -2, 1, 0, 0, 0]
    signed[0, 1] = [0, 0, 0, 0.5, 0, 0]
    signed[0, 2] = [0, 0, 0, 0, 0, -0.25]
    signed[1] = signed[0] * 10  # in the group "B cell" everything is large
    signed[2, 0, 0] = 0.1
    signed[2, 2, 4] = 0.9
    return Explanation(
        signed=signed,
        absolute=np.abs(signed),
        groups=("all", "B cell", NASTY),
        units=UNITS,
        genes=GENES,
        n_cells=np.array([10, 6, 3]),
        method="deeplift",
        completeness_error=2e-6,
        baseline="the reference's mean",
        fingerprint="f00d",
    )


@pytest.fixture
def results(labels: pd.DataFrame, enrichment: pd.DataFrame, explanation: Explanation) -> SimpleNamespace:
    """The arguments of `write_report`, all but the path: 10 query and 4 reference cells, 3 units, 6 genes."""
    rng = np.random.default_rng(7)
    log = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_loss": [3.0, 2.0, 1.5],
            "validation_loss": [3.5, 2.5, 2.75],
            "penalty": [0.1, 0.1, 0.1],
            "seconds": [1.1, 2.2, 3.3],
        }
    )
    summary = {
        "seed": 41,
        "n_cells": 4000,
        "n_train": 3600,
        "n_validation": 200,
        "n_test": 200,
        "best_epoch": 2,
        "validation_loss": 2.5,
        "test_loss": 2.625,
        "seconds": 3.3,
        "versions": {"torch": "2.9.1", "scprism": "0.1"},
        "data_fingerprint": "beef",
    }
    coverage = pd.DataFrame(
        {
            "gene": GENES,
            "found": ["name", "name", "name", "ortholog", "ortholog", "missing"],
            "sources": ["Cd74", "Lyz2", "Il1b", "GZMB", "CD3E", ""],
            "share": [0.5, 0.2, 0.125, 0.05, 0.025, 0.1],
        }
    )
    model = FakeModel(
        asked=Asked(preset="default"),
        config=Config(bottleneck_size=3, hidden_size=77, standardise_latent=False),
        recipe=SimpleNamespace(genes=GENES, organism="mouse"),
        log=log,
        summary=summary,
        coverage=coverage,
        reference=rng.normal(size=(4, 3)).astype(np.float32),
    )
    reference = _named_cells([f"ref-{i}" for i in range(4)])
    reference.obs["type"] = ["B cell", "B cell", NASTY, np.nan]
    return SimpleNamespace(
        model=model,
        explanation=explanation,
        enrichment=enrichment,
        embedding=rng.normal(size=(10, 3)).astype(np.float32),
        cells=_named_cells(_query_names()),
        labels=labels,
        reference=reference,
        reference_labels="type",
        messages=("Watch <out> & 'read'.",),
    )


def _query_names() -> list[str]:
    return ["cell </script><b>&'é-0", *(f"cell-{i}" for i in range(1, 10))]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[SimpleNamespace], Page]:
    """A function that writes results to a page and takes it apart."""

    def write(results: SimpleNamespace) -> Page:
        write_report(tmp_path / "report.html", **vars(results))
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return write


@pytest.fixture
def page(results: SimpleNamespace, written: Callable[[SimpleNamespace], Page]) -> Page:
    """The page of the hand-made results."""
    return written(results)
