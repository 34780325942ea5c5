"""All settings of a model as one frozen record, a part for each step."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from scprism._check import closest
from scprism.errors import InputError
from scprism.model.settings import (
    DenoiseSettings,
    ExplainSettings,
    LabelSettings,
    NetworkSettings,
    PaperSettings,
    PrepareSettings,
    SearchSettings,
    TrainingSettings,
)

__all__ = ["PARTS", "SETTINGS", "Config"]

PARTS: dict[str, Any] = {
    "prepare": PrepareSettings,
    "network": NetworkSettings,
    "training": TrainingSettings,
    "search": SearchSettings,
    "labels": LabelSettings,
    "denoise": DenoiseSettings,
    "explain": ExplainSettings,
    "paper": PaperSettings,
}
"""What each part of the settings is."""
SETTINGS: dict[str, str] = {setting.name: part for part, kind in PARTS.items() for setting in fields(kind)}
"""The part that each setting is in, by its name."""


@dataclass(frozen=True, init=False)
class Config:
    """Everything that decides how a model is prepared, built, trained, transferred and explained.

    Each setting has a name of its own, so it can be given and read by that name alone as well as in its part:
    ``Config(max_epochs=20)`` is ``Config(training=TrainingSettings(max_epochs=20))``, and ``config.max_epochs`` is
    ``config.training.max_epochs``. `dataclasses.replace` takes both too.

    Attributes
    ----------
    prepare, network, training, search, labels, denoise, explain, paper
        The parts: `scprism.model.settings`.

    Raises
    ------
    InputError
        If there is no setting of a name, or its value cannot be used.

    Examples
    --------
    >>> config = Config(max_epochs=20, hidden_size=64)
    >>> config.training.max_epochs, config.network.hidden_size, config.batch_size
    (20, 64, 128)
    """

    prepare: PrepareSettings
    network: NetworkSettings
    training: TrainingSettings
    search: SearchSettings
    labels: LabelSettings
    denoise: DenoiseSettings
    explain: ExplainSettings
    paper: PaperSettings

    def __init__(self, **given: Any) -> None:
        flat: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        for name, value in given.items():
            if name not in PARTS:
                flat[_part_of(name)][name] = value
        for part, kind in PARTS.items():
            whole = given.get(part, kind())
            if not isinstance(whole, kind):
                msg = f"`{part}` must be a {kind.__name__}, got {whole!r}."
                raise InputError(msg)
            object.__setattr__(self, part, replace(whole, **flat[part]))
        if self.counts_as_targets and self.prepare.normalise == "none":
            likelihood = self.network.likelihood
            msg = f"`likelihood={likelihood!r}` needs counts, but `normalise='none'` says that there are none."
            raise InputError(f"{msg} Choose likelihood='poisson'.")

    def __getattr__(self, name: str) -> Any:
        """Return a setting by its own name."""
        if name not in SETTINGS:
            msg = f"{name!r} is not a setting of a model. Closest: {closest(name, SETTINGS)}."
            raise AttributeError(msg)
        return getattr(getattr(self, SETTINGS[name]), name)

    @property
    def counts_as_targets(self) -> bool:
        """Whether the network's output is compared with counts, not with its input."""
        return self.network.counts_as_targets

    def flat(self) -> dict[str, Any]:
        """Return every setting by its own name."""
        return {name: getattr(getattr(self, part), name) for name, part in SETTINGS.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a dictionary that JSON can hold, a dictionary for each part."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings in `values`, by part or by their own names; those not given are the defaults.

        Raises
        ------
        InputError
            If there is no setting of a name, or not in that part, or its value cannot be used.
        """
        return cls().updated(values)

    def changed(self, **settings: Any) -> Self:
        """Return the settings with others in their place, by their own names or by part."""
        return type(self)(**{**{part: getattr(self, part) for part in PARTS}, **settings})

    def updated(self, values: Mapping[str, Any]) -> Self:
        """Return the settings with others in their place, by part or by their own names, as JSON or TOML has them.

        Errors are those of `from_json`.
        """
        flat: dict[str, Any] = {}
        for name, value in values.items():
            if name in PARTS:
                flat |= _settings_in(name, value)
            else:
                _part_of(name)
                flat[name] = value
        return self.changed(**{name: tuple(v) if isinstance(v, list) else v for name, v in flat.items()})


def _part_of(name: str) -> str:
    if name not in SETTINGS:
        msg = f"{name!r} is not a setting of a model. Closest: {closest(name, SETTINGS)}."
        raise InputError(msg)
    return SETTINGS[name]


def _settings_in(part: str, values: object) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        msg = f"{part!r} must be a table of settings, got {values!r}. Below a line [{part}], give: name = value"
        raise InputError(msg)
    for name in values:
        if SETTINGS.get(name) != part:
            inside = [setting for setting, home in SETTINGS.items() if home == part]
            where = f"It belongs to [{SETTINGS[name]}]." if name in SETTINGS else f"Closest: {closest(name, inside)}."
            msg = f"{name!r} is not a setting of [{part}]. {where}"
            raise InputError(msg)
    return values
