"""Settings by part and by name, and the limits beside them."""

import dataclasses
import tomllib
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from scprism.errors import InputError
from scprism.model.config import PARTS, SETTINGS, Config
from scprism.model.presets import PRESETS
from scprism.model.settings import LabelSettings, TrainingSettings


def test_each_setting_has_one_name_and_one_part():
    names = [field.name for kind in PARTS.values() for field in dataclasses.fields(kind)]
    assert len(names) == len(set(names)) == len(SETTINGS)
    assert not set(SETTINGS) & set(PARTS)
    assert list(PARTS) == [field.name for field in dataclasses.fields(Config)]


def test_a_setting_is_given_and_read_by_its_part_or_by_its_name():
    by_part = Config(training=TrainingSettings(max_epochs=7), labels=LabelSettings(n_neighbours=3))
    assert by_part == Config(max_epochs=7, n_neighbours=3)
    assert (by_part.max_epochs, by_part.training.max_epochs, by_part.n_neighbours) == (7, 7, 3)
    assert by_part == dataclasses.replace(Config(), max_epochs=7, n_neighbours=3)
    assert by_part.changed(max_epochs=9, training=TrainingSettings(patience=2)).training == TrainingSettings(
        max_epochs=9, patience=2
    )
    assert by_part.flat() == {**Config().flat(), "max_epochs": 7, "n_neighbours": 3}


def test_toml_may_name_the_part_or_not():
    text = 'hidden_size = 8\n[training]\nmax_epochs = 7\nsplit = [0.8, 0.1, 0.1]\n[prepare]\ngenes = ["a", "b"]\n'
    expected = PRESETS["paper"].changed(hidden_size=8, max_epochs=7, split=(0.8, 0.1, 0.1), genes=("a", "b"))
    assert PRESETS["paper"].updated(tomllib.loads(text)) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_epoch": 3}, "'max_epoch' is not a setting of a model. Closest: 'max_epochs'"),
        ({"training": {"max_epoch": 3}}, r"'max_epoch' is not a setting of \[training\]. Closest: 'max_epochs'"),
        (
            {"training": {"hidden_size": 3}},
            r"'hidden_size' is not a setting of \[training\]. It belongs to \[network\]",
        ),
        ({"training": 3}, r"'training' must be a table of settings, got 3. Below a line \[training\]"),
        ({"training": {"max_epochs": 0}}, "`max_epochs` must be at least 1, got 0"),
        ({"trainin": {"max_epochs": 3}}, "'trainin' is not a setting of a model"),
    ],
)
def test_wrong_names_and_places_are_told(values, message):
    with pytest.raises(InputError, match=message):
        Config.from_json(values)


def test_a_part_must_be_of_its_kind():
    with pytest.raises(InputError, match="`training` must be a TrainingSettings, got LabelSettings"):
        Config(training=LabelSettings())
    with pytest.raises(AttributeError, match="'n_neighbour' is not a setting of a model. Closest: 'n_neighbours'"):
        _ = Config().n_neighbour


def limits():
    """Every limit that a field tells, with a value that it allows and one that it does not."""
    for kind in PARTS.values():
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            step = 1 if hints[field.name] is int else 1e-6
            for limit, sign in (("least", -1), ("most", 1)):
                if (bound := field.metadata.get(limit)) is not None:
                    yield field.name, bound, bound + sign * step
            if (bound := field.metadata.get("above")) is not None:
                yield field.name, bound + step, bound


def test_every_limit_holds():
    tried = list(limits())
    assert len(tried) > 25
    for name, good, bad in tried:
        assert getattr(Config(**{name: good}), name) == good
        with pytest.raises(InputError, match=f"`{name}` must "):
            Config(**{name: bad})


def test_every_number_has_a_limit():
    """What can be too small or too large says so; a setting without limits would take anything."""
    for kind in PARTS.values():
        for field in dataclasses.fields(kind):
            hint = get_type_hints(kind)[field.name]
            if hint in (int, float):
                assert {field.metadata.get("least"), field.metadata.get("above")} != {None}, field.name


def test_every_choice_refuses_another_word():
    n_choices = 0
    for kind in PARTS.values():
        for name, hint in get_type_hints(kind).items():
            if get_origin(hint) is not Literal:
                continue
            n_choices += 1
            with pytest.raises(InputError, match=f"`{name}` must be one of '{get_args(hint)[0]}'"):
                Config(**{name: "other"})
    assert n_choices > 12
