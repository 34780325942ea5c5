"""A model in words."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from scprism.model.bundle import Bundle
from scprism.model.presets import PRESETS

__all__ = ["describe_model"]


def describe_model(
    bundle: Bundle,
    *,
    labels: Mapping[str, int] | None = None,
    units: Sequence[str] | None = None,
    settings: bool = False,
) -> str:
    """Return one line a fact: data, network, training, what was warned of, settings that the preset has otherwise.

    Parameters
    ----------
    bundle
        The model.
    labels
        Cells of its index, by column of labels.
    units
        Proposed names of its units, empty for those that come back too weakly to be named; None for raw units.
    settings
        List all settings instead.
    """
    config, recipe, weights, summary = bundle.config, bundle.recipe, bundle.weights, bundle.summary
    hidden = weights.latent_weight.shape[1]
    held_out = f"{summary['n_validation']:,} for early stopping, {summary['n_test']:,} for the test"
    genes = config.genes if isinstance(config.genes, str) else "a list"
    known = ", ".join(f"{column} ({n:,} cells)" for column, n in (labels or {}).items())
    changed = _changed(bundle)
    facts = {
        "trained on": f"{summary['n_cells']:,} cells ({summary['n_train']:,} for training, {held_out})",
        "genes": f"{len(recipe.genes):,} ({genes}), {recipe.organism or 'of unknown organism'}",
        "network": f"{weights.n_genes:,} genes → {hidden} hidden → {weights.n_units} latent",
        "training": f"best epoch {summary['best_epoch']} of {summary['n_epochs']}, {summary['seconds']:.1f} s, "
        f"seed {summary['seed']}",
        "test loss": f"{summary['test_loss']:.6g} ({config.likelihood.replace('_', ' ')})",
        "counts in": "X" if bundle.asked.layer is None else f"the layer {bundle.asked.layer!r}",
        "units": "raw, the latent's numbers" if units is None else _units(units),
        **_adaptation(summary.get("adapted_from")),
        "labels": known or "none stored",
        "settings": f"preset {bundle.asked.preset}"
        + (f", with {', '.join(f'{name} = {value!r}' for name, value in changed.items())}" if changed else ""),
        "fingerprints": f"weights {weights.fingerprint()}, data {summary['data_fingerprint']}",
        "written by": ", ".join(f"{name} {v}" for name, v in summary["versions"].items()),
    }
    told = [("warning", text) for text in bundle.warnings]
    lines = [f"{f'{name}:':<14} {value}" for name, value in [*facts.items(), *told]]
    if settings:
        lines += ["all settings:"]
        lines += [f"  {name} = {value!r}" for name, value in config.flat().items() if name != "genes"]
    return "\n".join(lines)


def _units(names: Sequence[str]) -> str:
    """Return how many units there are, and those with a name."""
    told = "; ".join(name for name in names if name)
    return f"{len(names)}, {sum(map(bool, names))} of them named" + (f": {told}" if told else "")


def _changed(bundle: Bundle) -> dict[str, Any]:
    """Return the settings that differ from those of the preset, or of the default where there was none."""
    base = PRESETS.get(cast("Any", bundle.asked.preset), PRESETS["default"])
    mine, theirs = bundle.config.flat(), base.flat()
    return {name: value for name, value in mine.items() if name != "genes" and value != theirs[name]}


def _adaptation(adapted: dict[str, Any] | None) -> dict[str, str]:
    """Return what a model was adapted from, and how; nothing for one that was not."""
    if adapted is None:
        return {}
    changes = [f"{name} {row['before']:.6g} → {row['after']:.6g}" for name, row in adapted["losses"].items()]
    reference = f" and {adapted['n_reference']:,} of the reference" if adapted["n_reference"] else ""
    return {
        "adapted from": f"the weights {adapted['fingerprint']}, which were trained so",
        "adapted to": f"{adapted['n_query']:,} cells{reference}, data {adapted['data_fingerprint']}: "
        f"{adapted['part']}, {adapted['n_genes']:,} genes, seed {adapted['seed']}",
        "held-out loss": ", ".join(changes),
    }
