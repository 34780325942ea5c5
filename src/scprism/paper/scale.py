"""How much of each experiment is run: the paper's numbers, or fewer seeds and cells; trainings are of full length."""

from dataclasses import dataclass, replace

from scprism._check import check_choice
from scprism.model.config import Config
from scprism.model.presets import preset_config

__all__ = ["SCALES", "Scale", "adam_config", "scale_named", "scaled_config"]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Numbers of repetitions and lengths of runs.

    Attributes
    ----------
    seeds, penalty_seeds, ablation_seeds, untrained_seeds
        Networks of each setting, of each penalty in `orthogonality`, in each step of `ablation`, and untrained.
    penalty_pairs
        Pairs of model and foreign cells in `orthogonality`.
    max_epochs
        Most epochs of a training.
    search_trials, search_epochs, final_epochs, search_seeds, search_sources
        Of `table2`; the last is the number of data sets.
    n_permutations
        Of the enrichments.
    max_cells
        Cells of a data set; of larger ones a sample with equal shares of types is drawn.
    """

    seeds: int
    penalty_seeds: int
    ablation_seeds: int
    penalty_pairs: int
    untrained_seeds: int
    max_epochs: int
    search_trials: int
    search_epochs: int
    final_epochs: int
    search_seeds: int
    search_sources: int
    n_permutations: int
    max_cells: int


SCALES = {
    "tiny": Scale(
        seeds=1,
        penalty_seeds=2,
        ablation_seeds=1,
        penalty_pairs=1,
        untrained_seeds=2,
        max_epochs=2,
        search_trials=2,
        search_epochs=1,
        final_epochs=1,
        search_seeds=2,
        search_sources=1,
        n_permutations=100,
        max_cells=150,
    ),
    "reduced": Scale(
        seeds=2,
        penalty_seeds=5,
        ablation_seeds=1,
        penalty_pairs=1,
        untrained_seeds=10,
        max_epochs=500,
        search_trials=16,
        search_epochs=20,
        final_epochs=60,
        search_seeds=3,
        search_sources=2,
        n_permutations=1000,
        max_cells=1000,
    ),
    "full": Scale(
        seeds=5,
        penalty_seeds=10,
        ablation_seeds=3,
        penalty_pairs=2,
        untrained_seeds=10,
        max_epochs=500,
        search_trials=40,
        search_epochs=100,
        final_epochs=400,
        search_seeds=5,
        search_sources=100,
        n_permutations=10_000,
        max_cells=1_000_000,
    ),
}
"""``"tiny"`` shows that everything runs; its numbers mean nothing. ``"full"`` is the paper's."""


def scale_named(name: str) -> Scale:
    """Return a scale by name; `InputError` if there is none of that name."""
    check_choice("scale", name, SCALES)
    return SCALES[name]


def scaled_config(preset: str, scale: Scale) -> Config:
    """Return the settings of a preset, with no more epochs than the scale has."""
    config = preset_config(preset)
    return config.changed(max_epochs=min(config.max_epochs, scale.max_epochs))


def adam_config(scale: Scale) -> Config:
    """Return the preset `paper` with the optimiser, batches and early stopping of `default`, all else the same.

    The network and loss of the paper with another optimiser: what it takes to train them, not what they are.
    """
    ours = preset_config("default")
    names = (
        "optimiser",
        "learning_rate",
        "batch_size",
        "min_batches",
        "split",
        "max_epochs",
        "check_every",
        "patience",
    )
    config = replace(preset_config("paper"), **{name: getattr(ours, name) for name in names})
    return config.changed(max_epochs=min(config.max_epochs, scale.max_epochs))
