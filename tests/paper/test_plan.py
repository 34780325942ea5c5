from dataclasses import replace

import pytest

from scprism.cli.reproduce import reproduce
from scprism.errors import InputError
from scprism.model.presets import PRESETS
from scprism.paper.data_sets import combined_sources, shared_types
from scprism.paper.networks import settings_for
from scprism.paper.plan import Cell, Plan
from scprism.paper.registry import EXPERIMENTS, planned
from scprism.paper.scale import SCALES, scale_named, scaled_config


def test_pairs_are_of_whole_data_sets_or_of_parts_of_one(sources, tiny):
    plan = Plan(sources, ("paper",), tiny)
    assert [(a.name, b.name) for a, b in plan.pairs(plan.singles)] == [
        ("first", "second"),
        ("first/platform_0", "first/platform_1"),
        ("first/platform_1", "first/platform_0"),
        ("second", "first"),
    ]


def test_types_are_shared_by_harmonised_name(sources):
    assert shared_types(sources[0], sources[-1]) == ["B cell", "T cell"]


def test_a_cell_is_another_when_anything_it_depends_on_is(sources, tiny):
    plan = Plan(sources, ("paper",), tiny)
    network = plan.network(sources[0], "paper")
    cell = Cell("knn-single", {"seed": 0}, (sources[0],), (network,))
    known = [
        cell.depends_on(150),
        cell.depends_on(151),
        replace(cell, settings={"seed": 1}).depends_on(150),
        replace(cell, networks=(plan.network(sources[0], "paper", 1),)).depends_on(150),
        replace(cell, networks=(plan.untrained(sources[0], "paper", 0),)).depends_on(150),
        replace(cell, networks=(plan.network(replace(sources[0], fingerprint="other"), "paper"),)).depends_on(150),
    ]
    assert len({str(record) for record in known}) == len(known)


def test_a_scale_only_shortens_a_preset():
    full = scaled_config("paper", SCALES["full"])
    assert full == PRESETS["paper"]
    short = scaled_config("as_released", SCALES["tiny"])
    assert short == replace(PRESETS["as_released"], max_epochs=2)


def test_corrected_expression_is_reconstructed_as_it_is(sources):
    corrected, joined = combined_sources(sources, method="combat")
    assert settings_for(joined, PRESETS["default"]) == PRESETS["default"]
    changed = settings_for(corrected, PRESETS["default"])
    assert (changed.normalise, changed.likelihood, changed.negative_values) == ("none", "poisson", "clip")
    # the released code feeds negative values as they are (row 16)
    assert settings_for(corrected, PRESETS["as_released"]).negative_values == "keep"


@pytest.mark.parametrize("unknown", ["knn", "Table2"])
def test_an_unknown_experiment_is_named_with_those_there_are(sources, tiny, unknown):
    with pytest.raises(InputError, match=f"`only` must be one of .*'knn-single'.* got '{unknown}'"):
        planned(Plan(sources, ("paper",), tiny), only=[unknown])


def test_the_command_names_every_experiment():
    listed = reproduce.__doc__.split("Experiments:")[1].replace("(Tables 3 and 4)", "")
    assert [name.strip(" .\n") for name in listed.split(",")] == list(EXPERIMENTS)


def test_an_unknown_scale_is_refused():
    with pytest.raises(InputError, match="'tiny', 'reduced', 'full', got 'huge'"):
        scale_named("huge")
