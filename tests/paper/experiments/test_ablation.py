from itertools import pairwise

import pytest

from scprism.model.config import SETTINGS
from scprism.paper.experiments.ablation import ELSEWHERE, GROUPS, USED, ablation_steps, plan_ablation
from scprism.paper.scale import SCALES, scaled_config


@pytest.fixture(params=["reduced", "full"])
def scale(request):
    return SCALES[request.param]


def test_the_steps_lead_from_the_released_code_over_the_paper_to_the_default(scale):
    steps = ablation_steps(scale)
    assert steps[0].config == steps[0].trained == scaled_config("as_released", scale)
    for preset in ("paper", "default"):
        last = [step for step in steps if step.towards == preset][-1]
        assert last.config == last.trained == scaled_config(preset, scale)


def test_each_step_changes_the_settings_that_it_names_and_nothing_else_that_matters(scale):
    steps = ablation_steps(scale)
    for before, after in pairwise(steps):
        old, new = before.config.flat(), after.config.flat()
        changed = {name for name in old if old[name] != new[name]} - set(ELSEWHERE)
        named = {word.split("=")[0] for word in after.changes.split(", ") if "=" in word}
        assert changed == named
        assert changed <= set(GROUPS.get(after.name, (after.name,)))


def test_steps_that_only_use_a_network_share_it(scale):
    steps = ablation_steps(scale)
    for before, after in pairwise(steps):
        only_used = {word.split("=")[0] for word in after.changes.split(", ") if "=" in word} <= set(USED)
        assert (before.trained == after.trained) == (only_used and before.towards == after.towards)


def test_groups_name_settings_once_and_only_those_that_there_are():
    grouped = [name for members in GROUPS.values() for name in members] + list(ELSEWHERE)
    assert len(grouped) == len(set(grouped))
    assert set(grouped) <= set(SETTINGS)


def test_the_ends_are_the_networks_of_the_presets(small_plan):
    cells = plan_ablation(small_plan)
    for preset, cell in (("as_released", cells[0]), ("default", cells[-1])):
        reference = cell.sources[0]
        assert cell.networks[0].key == small_plan.network(reference, preset).key
