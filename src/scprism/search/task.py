"""How to search, and all that a process needs to run trials of it."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from scprism._check import check_choice
from scprism.errors import InputError
from scprism.model.config import Config
from scprism.prepare.recipe import Recipe
from scprism.search.space import Space, resolve_space
from scprism.train.batches import AnyCells
from scprism.train.fit import data_fingerprint

__all__ = ["HALVING_TRIALS", "Search", "Task"]

SEARCH_ONLY = ("search_trials", "search_space", "search_stopping", "max_epochs", "final_epochs")
"""Settings that may differ between the runs of one study: they change no trial, or the search sets them."""


HALVING_TRIALS = 15
"""With so many, halving takes about a quarter of the epochs of 40 trials that all run to their end."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How to search; what is None comes from the model's settings.

    Attributes
    ----------
    space
        ``"simple"``, ``"complex"``, ``"effective"``, or spans by the names of settings.
    stopping
        ``"none"``: Gaussian process with expected improvement; every trial trains all its epochs and is scored by
        the loss after the last. ``"halving"``: fewer trials, the first with settings that did well elsewhere; those
        that are among the worse are stopped early (`docs/search.md`).
    n_trials
        Trials that the study has in the end; those of an earlier run count, killed ones do not. None: as many as the
        settings say, or 15 for ``"halving"`` where the settings are for a search without it.
    storage
        Optuna storage URL, such as ``"sqlite:///study.db"`` or ``"journal:///study.log"``; None keeps the study in
        memory.
    study
        Name of the study in the storage; that of the space if not given.
    resume
        Go on with the study that the storage holds. Several processes may do so at once.
    jobs
        Processes that run trials side by side; only one gives the same trials again for the same seed.
    """

    space: Literal["simple", "complex", "effective"] | Space | None = None
    stopping: Literal["none", "halving"] | None = None
    n_trials: int | None = None
    storage: str | None = None
    study: str | None = None
    resume: bool = False
    jobs: int = 1

    def resolved(self, config: Config) -> "Search":
        """Return the search with the gaps filled from a model's settings, and checked."""
        stopping = self.stopping or config.search_stopping
        check_choice("stopping", stopping, ("none", "halving"))
        space = config.search_space if self.space is None else self.space
        resolve_space(space)
        is_quick = stopping == "halving" and config.search_stopping == "none"
        n_trials = self.n_trials if self.n_trials is not None else HALVING_TRIALS if is_quick else config.search_trials
        for name, value in (("n_trials", n_trials), ("jobs", self.jobs)):
            if value < 1:
                msg = f"`{name}` must be at least 1, got {value!r}."
                raise InputError(msg)
        return dataclasses.replace(self, stopping=stopping, space=space, n_trials=n_trials)


@dataclass(frozen=True)
class Task:
    """All that a process needs to run trials of a search whose gaps are filled."""

    recipe: Recipe
    cells: AnyCells
    config: Config
    search: Search
    seed: int
    device: str = "auto"

    @property
    def name(self) -> str:
        """The study's name in the storage."""
        return self.search.study or self.space_name

    @property
    def space_name(self) -> str:
        """The name of what is searched, ``"custom"`` for spans that were given."""
        return resolve_space(self.search.space or "")[0]

    @property
    def spans(self) -> Space:
        """What is searched, and from where to where."""
        return resolve_space(self.search.space or "")[1]

    def context(self) -> dict[str, Any]:
        """Return what all trials of the study share, as JSON has it: data, seed, space, settings not searched."""
        fixed = {k: v for k, v in self.config.flat().items() if k not in {*self.spans, *SEARCH_ONLY}}
        return {
            "data": data_fingerprint(self.recipe, self.cells),
            "seed": self.seed,
            "stopping": self.search.stopping,
            "space": {setting: list(span) for setting, span in self.spans.items()},
            **{k: list(v) if isinstance(v, tuple) else v for k, v in fixed.items()},
        }
