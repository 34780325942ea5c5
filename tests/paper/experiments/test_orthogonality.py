from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ortho_group

from scprism.paper.experiments.orthogonality import PENALTIES, penalised
from scprism.paper.experiments.units import off_orthonormal
from scprism.paper.scale import SCALES


def test_orthonormal_rows_have_no_distance_and_zeros_that_of_the_identity():
    assert off_orthonormal(ortho_group.rvs(9, random_state=0)[:4]) == pytest.approx(0.0, abs=1e-12)
    assert off_orthonormal(np.zeros((9, 20))) == pytest.approx(3.0)
    # rows of length 2: each diagonal entry is off by 3
    assert off_orthonormal(2 * np.eye(4, 6)) == pytest.approx(6.0)


@pytest.mark.parametrize("preset", ["paper", "default"])
def test_settings_differ_in_the_penalty_alone(preset):
    configs = [penalised(preset, SCALES["reduced"], name) for name in PENALTIES]
    assert [c.penalty for c in configs] == ["rows"] * 4 + ["hard"]
    assert [c.penalty_weight for c in configs] == [0.0, 1e-5, 1e-2, 1.0, 1.0]
    assert len({replace(c, penalty="rows", penalty_weight=0.0) for c in configs}) == 1
    assert all(c.penalty_gradient for c in configs)
