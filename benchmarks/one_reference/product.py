"""Labels as `scprism label` gives them, and how far their confidence and novelty can be trusted."""

import warnings
from dataclasses import replace

import numpy as np
from anndata import AnnData
from sklearn.metrics import f1_score, roc_auc_score

from one_reference.cells import PARTS, Cells
from one_reference.task import Task
from scprism.label.labels import known_labels
from scprism.label.references import compare_references
from scprism.label.result import Labels
from scprism.label.transfer import Learner, keys_of, label_query, labelled_cells, learn_labels
from scprism.model.config import Config
from scprism.query.view import query_in
from scprism.read.checked import CheckedCells, check_cells

__all__ = ["gap_row", "left_out_type", "probabilities_of_product", "reference_rows", "trust_row"]


def opened(cells: Cells, level: str) -> CheckedCells:
    data = AnnData(cells.counts)
    data.var_names = cells.genes.tolist()
    data.obs["label"] = cells.labels[level]
    return check_cells(data)


def left_out_type(task: Task) -> str | None:
    """Return the commonest shared type of the query, the next if more than 60 % of the cells are of that one.

    None where the reference has fewer than three types.
    """
    if len(task.words) < 3:
        return None
    truth = task.query.labels[task.pair.level]
    names, sizes = np.unique(truth[np.isin(truth, task.words[task.types])], return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    return str(names[order[0] if sizes[order[0]] < 0.6 * sizes.sum() else order[1]])


def labelled(task: Task, *, without: str | None):
    """Return the table and the probabilities of all cells of the query, by a reference without a type."""
    reference, query = (opened(cells, task.pair.level) for cells in (task.reference, task.query))
    if without is not None:
        kept = reference.cells.obs["label"].to_numpy() != without
        reference = check_cells(reference.cells[kept].copy())
    species = {"reference": PARTS[task.pair.reference].species, "query": PARTS[task.pair.query].species}

    def seen(recipe):
        return query_in(query, recipe, Config(), organism=species["query"])

    learner = Learner(Config(), None, None)
    learned = learn_labels(reference, "label", learner=learner, organism=species["reference"], seen_as=seen)["label"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return label_query(seen(learned.recipe), learned, names=query.cells.obs_names)


def probabilities_of_product(task: Task) -> np.ndarray:
    """Return the probabilities of the task's labels for its scored cells, (cells, labels), before calibration.

    Calibration changes no label.
    """
    reference, query = (opened(cells, task.pair.level) for cells in (task.reference, task.query))
    species = {"reference": PARTS[task.pair.reference].species, "query": PARTS[task.pair.query].species}

    def seen(recipe):
        return query_in(query, recipe, Config(), organism=species["query"])

    known, keys = known_labels(reference.cells, "label"), keys_of(reference)
    cells, learn = labelled_cells(
        reference,
        known,
        keys,
        learner=Learner(Config(), None, None),
        organism=species["reference"],
        seen_as=seen,
    )
    view = seen(cells.query.recipe)
    rule = learn(cells.query, cells.codes, keys=cells.keys).seen_by(view)
    logs = np.concatenate([rule.evidence(chunk).log_probabilities for chunk in view.chunks()])
    places = [cells.names.index(word) for word in task.words]
    return np.exp(logs[:, places])[task.scored]


def trust_row(task: Task, *, without: str | None = None) -> dict[str, float]:
    """Return how confidence and novelty fare; cells of types that the reference lacks count for novelty alone.

    `without` is a type whose cells are taken from the reference beforehand.
    """
    table, _ = labelled(task, without=without)
    truth = task.query.labels[task.pair.level]
    given, confidence = table["label"].to_numpy(dtype=str), table["confidence"].to_numpy()
    known = np.isin(truth, [word for word in task.words if word != without]) & (truth != "")
    new = ~known & (truth != "")
    right = (given == truth)[known]
    row = {
        "accuracy": right.mean(),
        "confidence": confidence[known].mean(),
        "ece": calibration_error(confidence[known], right),
        "alarms": table["novel"].to_numpy()[known].mean(),
        "new": new.sum() / (new | known).sum(),
    }
    if new.sum() >= 5:
        seen = known | new
        row["caught"] = table["novel"].to_numpy()[new].mean()
        row["auroc_novelty"] = roc_auc_score(new[seen], -table["novelty_p"].to_numpy()[seen])
        row["auroc_confidence"] = roc_auc_score(new[seen], -confidence[seen])
    return {name: float(value) for name, value in row.items()}


def gap_row(task: Task, share: float) -> dict[str, float]:
    """Return macro-F1 and calibration where a share of the query's genes is dropped at random."""
    rng = np.random.default_rng(0)
    kept = np.sort(rng.permutation(len(task.query.genes))[: round((1 - share) * len(task.query.genes))])
    query = replace(task.query, counts=task.query.counts[:, kept], genes=task.query.genes[kept])
    table, _ = labelled(replace(task, query=query), without=None)
    truth, types = query.labels[task.pair.level], task.words[task.types]
    known = np.isin(truth, task.words) & (truth != "")
    given, confidence = table["label"].to_numpy(dtype=str), table["confidence"].to_numpy()
    return {
        "macro_f1": f1_score(truth[task.scored], given[task.scored], labels=types, average="macro", zero_division=0),
        "ece": calibration_error(confidence[known], (given == truth)[known]),
        "alarms": table["novel"].to_numpy()[known].mean(),
    }


def reference_rows(tasks: list[Task]) -> dict[str, float]:
    """Return the accuracy of the labels of one query by several references, and of what is chosen among them.

    Over all cells with a known label; those of a type that a reference lacks are wrong by it.
    """
    truth = tasks[0].query.labels[tasks[0].pair.level]
    calls = {task.pair.reference: Labels(labelled(task, without=None)[0], {}) for task in tasks}
    found, known = compare_references(calls), truth != ""

    def accuracy(given) -> float:
        return float((given.to_numpy(dtype=str) == truth)[known].mean())

    each = {name: accuracy(found.table[f"label by {name}"]) for name in calls}
    chosen = {"best": max(each.values()), "mean": float(np.mean(list(each.values())))}
    return each | chosen | {"by query": each[found.best], "by cell": accuracy(found.table["label"])}


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error over ten bins."""
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = (abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in np.unique(bins))
    return float(sum(gaps) / len(right))
