"""Prism: what to train, and how; training it gives a `Model`."""

import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import pandas as pd
from anndata import AnnData

from scprism._check import check_choice
from scprism._progress import bar
from scprism._random import random_generator, told_seed
from scprism._warnings import kept_warnings
from scprism.errors import InputError, PrismError
from scprism.estimator.model import Model
from scprism.estimator.units import find_units
from scprism.label.labels import known_labels
from scprism.model.asked import Asked
from scprism.model.config import Config
from scprism.model.presets import Preset, resolve_config
from scprism.prepare.recipe import Recipe
from scprism.read.checked import CheckedCells, check_cells
from scprism.search.search import Search, tune_network
from scprism.train.batches import AnyCells
from scprism.train.checkpoint import Checkpoint
from scprism.train.fit import Fitted, fit_network, prepare_training, resolve_device
from scprism.train.loop import EpochRecord, OnEpoch
from scprism.train.pace import Pace, measure_pace
from scprism.types import Organism, RNGLike, UnitKind
from scprism.units.named import NamedUnits
from scprism.units.record import UnitSettings

__all__ = ["Prism"]

RAW_PRESETS = ("paper", "as_released")
"""The paper's units are the bottleneck's."""
STREAM_OF_UNITS = 1
MAX_MEMORY = 0.5
"""GB of training cells that are held in memory; reading them together takes as much again for a moment."""
SETTINGS = ("genes", "hidden_size", "bottleneck_size", "max_epochs", "min_coverage")


class NotTrainedError(PrismError, AttributeError):
    """A trained model is needed, and there are only the settings of one."""


class Prism:
    """An interpretable autoencoder that is still to be trained; `fit` returns the trained `Model`.

    It follows scikit-learn's conventions for parameters (`get_params`, `set_params`, ``sklearn.base.clone``); unlike
    there, `fit` leaves it as it is.

    Parameters
    ----------
    preset
        ``"default"``, ``"paper"`` (as the paper describes), ``"as_released"`` (as its code does), or a `Config`.
    genes
        ``"hallmark"``, ``"variable:N"``, ``"all"``, a file with one gene a line, or a list of genes. This and what
        follows: anything not given comes from the preset.
    organism
        ``"human"`` or ``"mouse"``; detected from the gene symbols if not given.
    layer
        Where the raw counts of the reference are: a layer, ``"raw"``, or ``X`` if not given.
    hidden_size, bottleneck_size, max_epochs, min_coverage
        Widths of the layers; epochs after which training ends at the latest; least share of its genes in a query.
    units
        ``"programs"``: non-negative programs of genes that come back in disjoint halves of the cells, from other
        starts. ``"raw"``: the numbers of the network's bottleneck, which other seeds find differently. Not given: raw
        for the presets of the paper, programs otherwise.
    runs
        Factorisations of halves of the cells by which programs are found, an even number from 4.
    device
        Where to train: ``"cpu"``, ``"cuda"``, ``"mps"``, or ``"auto"``: CUDA if there is one, else
        the CPU.
    rng
        Seed or generator. Same seed, same data, same machine and threads: same weights, bit for bit.

    Examples
    --------
    >>> from scprism import Prism, make_cells
    >>> trainer = Prism(genes="all", organism="human", max_epochs=2, device="cpu", rng=0)
    >>> trainer
    Prism(genes='all', organism='human', max_epochs=2, device='cpu', rng=0)
    >>> model = trainer.fit(make_cells(rng=0))
    >>> model.summary["n_cells"]
    300
    """

    def __init__(
        self,
        preset: Preset | Config = "default",
        *,
        genes: str | Sequence[str] | None = None,
        organism: Organism | None = None,
        layer: str | None = None,
        hidden_size: int | None = None,
        bottleneck_size: int | None = None,
        max_epochs: int | None = None,
        min_coverage: float | None = None,
        units: UnitKind | None = None,
        runs: int | None = None,
        device: str = "auto",
        rng: RNGLike = None,
    ) -> None:
        self.preset = preset
        self.genes = genes
        self.organism = organism
        self.layer = layer
        self.hidden_size = hidden_size
        self.bottleneck_size = bottleneck_size
        self.max_epochs = max_epochs
        self.min_coverage = min_coverage
        self.units = units
        self.runs = runs
        self.device = device
        self.rng = rng

    def __repr__(self) -> str:
        """Return the parameters that are not the defaults."""
        defaults = inspect.signature(type(self)).parameters
        given = {k: v for k, v in self.get_params().items() if v is not defaults[k].default}
        return f"Prism({', '.join(f'{name}={_short(value)}' for name, value in given.items())})"

    def __getattr__(self, name: str) -> Any:
        """Say where a model's methods are to who looks for them here."""
        if name.startswith("_") or name not in {*vars(Model), *Model.__dataclass_fields__}:
            msg = f"'Prism' has no attribute {name!r}."
            raise AttributeError(msg)
        msg = f"This is not trained yet and has no {name!r}. `fit` returns the trained model, which has: model = "
        raise NotTrainedError(f"{msg}Prism(…).fit(reference), then model.{name}. scprism.load(folder) returns one too.")

    def get_params(self, *, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  scikit-learn asks with it
        """Return the parameters by name, as scikit-learn has it."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters by name, as scikit-learn has it."""
        for name, value in parameters.items():
            check_choice("parameter", name, inspect.signature(type(self)).parameters)
            setattr(self, name, value)
        return self

    def fit(
        self,
        cells: AnnData | CheckedCells,
        *,
        on_epoch: OnEpoch | None = None,
        on_recipe: Callable[[Recipe], None] | None = None,
        on_pace: Callable[[Pace], None] | None = None,
        checkpoint: Checkpoint | None = None,
        max_memory: float = MAX_MEMORY,
        progress: bool = False,
    ) -> Model:
        """Return the model, trained on the raw counts of `cells`, which stay as they are.

        `on_epoch` is called with the record of each epoch, for a progress display, `on_recipe` with the recipe before
        the training begins: an error that it raises ends the call. `on_pace` is told then how long the training will
        take, by a few steps; ``print`` shows it. `checkpoint` names a file from which an interrupted run can go on; it
        stays until you delete it. `progress` draws a bar of the epochs, in a terminal or a notebook.

        `max_memory` is how many GB the training cells may take in memory, in the model's genes. More of them are
        normalised once into a scratch file, beside the checkpoint or in the folder for temporary files (environment
        variable TMPDIR), and read from there batch by batch; the model is the same to the bit. Cells of
        ``read_cells(path, backed=True)`` are then never in memory as a whole.

        Raises
        ------
        InputError
            If the values are not raw counts, the genes cannot be used, or there is no room for the scratch file.
        TrainingError
            If the loss becomes infinite.
        """
        config = self.config
        if not max_memory >= 0:
            msg = f"`max_memory` must be a number of GB from 0, got {max_memory!r}."
            raise InputError(msg)
        folder = None if checkpoint is None else checkpoint.path.parent
        with kept_warnings() as messages:
            recipe, training = self._prepare(cells, config, max_bytes=max_memory * 1e9, folder=folder)
            if on_recipe is not None:
                on_recipe(recipe)
            if on_pace is not None:
                on_pace(measure_pace(training, config=config, device=resolve_device(self.device)))
            with bar("training", config.max_epochs, shown=progress) as advance:

                def watch(record: EpochRecord) -> None:
                    advance(record.epoch, f"validation loss {record.validation_loss:.5g}")
                    if on_epoch is not None:
                        on_epoch(record)

                fitted = fit_network(
                    recipe,
                    training,
                    config=config,
                    rng=self.rng,
                    device=self.device,
                    on_epoch=watch,
                    checkpoint=checkpoint,
                )
            named = self._find_units(recipe, training)
        return self._model(fitted, config, named, messages)

    def tune(
        self,
        cells: AnnData | CheckedCells,
        *,
        search: Search | None = None,
        on_trial: Callable[[int, float], None] = lambda *_: None,
        progress: bool = False,
    ) -> Model:
        """Return the model trained with the best settings of a search; its `trials` are the search's table.

        Arguments, table and errors: `scprism.search.search.tune_network`; what `search` leaves open is the preset's.
        `progress` draws a bar of the trials, in a terminal or a notebook.
        """
        given = self.config
        chosen = (search or Search()).resolved(given)
        with kept_warnings() as messages:
            recipe, training = self._prepare(cells, given)
            with bar("trials", chosen.n_trials or 0, shown=progress) as advance:

                def watch(number: int, loss: float) -> None:
                    advance(number + 1, f"loss {loss:.5g}")
                    on_trial(number, loss)

                fitted, config, trials = tune_network(
                    recipe, training, config=given, search=chosen, seed=self.rng, device=self.device, on_trial=watch
                )
            named = self._find_units(recipe, training)
        return self._model(fitted, config, named, messages, trials=trials)

    def _find_units(self, recipe: Recipe, training: AnyCells) -> NamedUnits | None:
        kind = self.units or ("raw" if self.preset in RAW_PRESETS else "programs")
        check_choice("units", kind, get_args(UnitKind))
        if kind == "raw":
            return None
        settings = UnitSettings() if self.runs is None else UnitSettings(runs=self.runs)
        # a stream of its own: the network is the same with and without units
        stream = self.rng.spawn(1)[0] if isinstance(self.rng, np.random.Generator) else _unit_stream(self.rng)
        return find_units(training.inputs, recipe, settings=settings, rng=stream)

    def _model(
        self,
        fitted: Fitted,
        config: Config,
        named: NamedUnits | None,
        messages: Sequence[str],
        *,
        trials: pd.DataFrame | None = None,
    ) -> Model:
        return Model(
            config,
            fitted.recipe,
            fitted.weights,
            fitted.log,
            fitted.summary,
            self._asked(),
            warnings=tuple(messages),
            trials=trials,
            named_units=named,
        )

    @property
    def config(self) -> Config:
        """The settings: those of the preset, with what was given in their place."""
        return resolve_config(self.preset, self._given())

    def _given(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in SETTINGS if getattr(self, name) is not None}
        if not isinstance(self.genes, str | None):
            given["genes"] = tuple(self.genes)
        return given

    def _asked(self) -> Asked:
        return Asked(
            preset=self.preset if isinstance(self.preset, str) else "custom",
            settings=self._given(),
            layer=self.layer,
            organism=self.organism,
            seed=told_seed(self.rng),
            device=self.device,
            units=self.units,
            runs=self.runs,
        )

    def _prepare(
        self,
        cells: AnnData | CheckedCells,
        config: Config,
        *,
        max_bytes: float = math.inf,
        folder: Path | None = None,
    ) -> tuple[Recipe, AnyCells]:
        random_generator(self.rng)  # a wrong seed is said before the work
        checked = check_cells(cells, layer=self.layer, integers=config.normalise != "none")
        strata = None if config.stratify is None else pd.factorize(known_labels(checked.cells, config.stratify))[0]
        return prepare_training(
            checked.matrix,
            list(checked.genes),
            config=config,
            organism=self.organism,
            strata=strata,
            max_bytes=max_bytes,
            folder=folder,
        )


def _unit_stream(seed: int | None) -> np.random.Generator:
    return np.random.default_rng(None if seed is None else [int(seed), STREAM_OF_UNITS])


def _short(value: object) -> str:
    """Return a value as code, a long list cut short."""
    if isinstance(value, list | tuple) and len(value) > 3:
        return f"[{', '.join(map(repr, value[:3]))}, … {len(value):,} in all]"
    return repr(value)
