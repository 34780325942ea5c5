"""The card of a model: what it is, for people who meet its folder, in the form that public hubs show."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scprism.estimator.model import Model

__all__ = ["CARD_FILE", "model_card"]

CARD_FILE = "README.md"
SHOWN_LABELS = 60
"""More labels of one column than this are counted, not listed."""
LIMITS = (
    "Cells of a kind that was not among the training cells are placed near the kinds that were. Look at `novel`, "
    "`distance` and `confidence` before you use a label.",
    "A query needs raw counts. Genes that it lacks are filled in; below 80 % of the model's genes a warning says so.",
    "Units that are not trusted have no name, because they come back too weakly in other cells to be given one.",
    "For research; no one has tested it for decisions about patients.",
)


def model_card(model: "Model") -> str:
    """Return what is to be known of a model as Markdown, with the front matter that public hubs read.

    What the training cannot know stands in ``model.summary["about"]``, a table of texts: ``title``, ``data``,
    ``licence``, ``citation``, ``held_out`` (how well it does on cells that it has not seen), ``limits``.
    """
    about: dict[str, str] = dict(model.summary.get("about", {}))
    parts = [
        _front_matter(model, about),
        f"# {about.get('title', 'A scprism model')}",
        _one_line(model),
        _section("How to load it", _loading(model)),
        _section("Data", _data(model, about)),
        _section("Units", _units(model)),
        _section("Labels", _labels(model)),
        _section("Held-out cells", _held_out(model, about)),
        _section("Limits", "\n".join(f"* {text}" for text in (*_own(about, "limits"), *_adapted(model), *LIMITS))),
        _section("Where it comes from", _provenance(model)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(model: "Model", about: dict[str, str]) -> str:
    tags = ["biology", "genomics", "single-cell", "RNA-seq", *([model.organism] if model.organism else [])]
    facts = {"library_name": "scprism", "license": about.get("licence", "unknown"), "tags": tags}
    # JSON is YAML too, whatever the text
    return "\n".join(
        ["---", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in facts.items()), "---"]
    )


def _one_line(model: "Model") -> str:
    units = len(model.units)
    kind = "raw units" if model.named_units is None else "units, programs of genes that came back in disjoint cells"
    return (
        f"An interpretable autoencoder of single-cell expression: {len(model.genes):,} genes, "
        f"{model.weights.n_units} latent values, {units} {kind}. It embeds, denoises, labels and explains cells "
        "that it has never seen, without further training."
    )


def _loading(model: "Model") -> str:
    label = ""
    if model.labels_known:
        label = "\ncalls = model.label(cells)              # labels with confidence"
    return (
        "```python\nimport scprism\n\n"
        'model = scprism.load("FOLDER")           # this folder, or a zip file of it\n'
        'cells = scprism.read_cells("query.h5ad") # raw counts\n'
        "model.embed(cells)                      # cells × latent values\n"
        f"model.activity(cells)                   # cells × units{label}\n```"
    )


def _data(model: "Model", about: dict[str, str]) -> str:
    summary = model.summary
    split = (
        f"{summary['n_train']:,} for training, {summary['n_validation']:,} for early stopping, "
        f"{summary['n_test']:,} held out"
    )
    genes = model.config.genes if isinstance(model.config.genes, str) else "a list"
    lines = [
        *_own(about, "data"),
        f"{summary['n_cells']:,} cells ({split}), {model.organism or 'organism unknown'}",
        f"{len(model.genes):,} genes ({_code(genes)}), such as {', '.join(map(_text, model.genes[:5]))}",
        *(f"Citation: {text}" for text in _own(about, "citation")),
        *(f"Licence: {text}" for text in _own(about, "licence")),
    ]
    return "\n".join(f"* {line}" for line in lines)


def _units(model: "Model") -> str:
    if model.named_units is None:
        return "Raw units: the numbers of the network's bottleneck, which have no names."
    rows = ["| unit | proposed name | replication | leading genes |", "|---|---|---|---|"]
    for unit, row in model.units.iterrows():
        genes = ", ".join(str(row["top_genes"]).split(";"))
        cells = (str(unit), str(row["proposed_name"]) or "–", f"{row['replication']:.2f}", genes)
        rows.append(f"| {' | '.join(map(_text, cells))} |")
    return "\n".join(rows)


def _labels(model: "Model") -> str:
    if not model.labels_known:
        return "None are stored. `model.label(cells, reference=…, labels=…)` takes them from a labelled data set."
    lines = []
    for column, known in model.labels_known.items():
        names = [_text(name) for name in known.names]
        told = ", ".join(names) if len(names) <= SHOWN_LABELS else f"{len(names):,} labels"
        lines.append(f"* {_code(column)}, {known.n_cells:,} cells: {told}")
    return "\n".join(lines)


def _held_out(model: "Model", about: dict[str, str]) -> str:
    summary = model.summary
    loss = (
        f"Loss of {summary['n_test']:,} held-out cells: {summary['test_loss']:.6g} ({_words(model.config.likelihood)})."
    )
    told = _own(about, "held_out") or ("How right labels are on cells of other data sets was not measured.",)
    return "\n".join(f"* {text}" for text in (*told, loss))


def _adapted(model: "Model") -> tuple[str, ...]:
    adapted = model.summary.get("adapted_from")
    if adapted is None:
        return ()
    return (f"It was trained further ({adapted['part']}) on {adapted['n_query']:,} other cells, without labels.",)


def _provenance(model: "Model") -> str:
    summary = model.summary
    versions = ", ".join(f"{name} {version}" for name, version in sorted(summary["versions"].items()))
    lines = (
        f"Weights: `{model.fingerprint}`; training data: `{summary['data_fingerprint']}`",
        f"Preset {_code(model.asked.preset)}, seed {summary['seed']}, best epoch {summary['best_epoch']} of "
        f"{summary['n_epochs']}",
        f"Written by {versions}",
    )
    return "\n".join(f"* {line}" for line in lines)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _own(about: dict[str, str], name: str) -> tuple[str, ...]:
    """Return what was told of the model under a name, if anything."""
    return (_line(about[name]),) if about.get(name) else ()


def _line(text: str) -> str:
    return " ".join(text.split())


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(value: Any) -> str:
    """Return text of the data as Markdown and HTML show it, whatever it holds."""
    text = _line(str(value)).replace("&", "&amp;").replace("<", "&lt;")
    for mark in "\\`*_[]|":
        text = text.replace(mark, f"\\{mark}")
    return text


def _code(value: Any) -> str:
    """Return a name as code, whatever it holds."""
    return f"`{_line(str(value)).replace('`', chr(39))}`"
