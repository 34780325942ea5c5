"""A model in words."""

from typing import Any

from scprism.model.bundle import Bundle

__all__ = ["describe_model"]


def describe_model(bundle: Bundle) -> str:
    """Return one line a fact: data, network, training, versions, then every setting."""
    config, recipe, weights, summary = bundle.config, bundle.recipe, bundle.weights, bundle.summary
    hidden, units = weights.latent_weight.shape[1], weights.n_units
    facts = {
        "preset": bundle.asked.preset,
        "trained on": f"{summary['n_cells']:,} cells ({summary['n_train']:,} for training, "
        f"{summary['n_validation']:,} for early "
        f"stopping, {summary['n_test']:,} for the report)",
        "genes": f"{len(recipe.genes):,} ({config.genes if isinstance(config.genes, str) else 'a list'})",
        "organism": recipe.organism or "unknown",
        "network": f"{weights.n_genes:,} genes → {hidden} hidden → {units} units → {hidden} hidden → "
        f"{weights.n_genes:,} genes",
        "training": f"best epoch {summary['best_epoch']} of {summary['n_epochs']}, {summary['seconds']:.1f} s",
        "loss": f"test {summary['test_loss']:.6g}, validation {summary['validation_loss']:.6g} ({config.likelihood})",
        "seed": summary["seed"],
        "counts in": "X" if bundle.asked.layer is None else f"the layer {bundle.asked.layer!r}",
        **_adaptation(summary.get("adapted_from")),
        "fingerprints": f"weights {weights.fingerprint()}, data {summary['data_fingerprint']}",
        "versions": ", ".join(f"{name} {v}" for name, v in summary["versions"].items()),
    }
    lines = [f"{name + ':':<14} {value}" for name, value in facts.items()]
    settings = [f"  {name} = {value!r}" for name, value in config.flat().items() if name != "genes"]
    return "\n".join([*lines, "settings:", *settings])


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
