import numpy as np
import pytest
from scipy import stats

from scprism.paper.sections.paired import paired


def test_the_interval_is_scipy_s_percentile_bootstrap():
    values = np.random.default_rng(1).normal(0.1, 0.2, size=25)
    found = paired(values)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.005)
    assert found.p_value == stats.wilcoxon(values).pvalue
    assert found.n_above == (values > 0).sum()


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        pytest.param([0.1, 0.2, 0.3, 0.2, 0.1], "holds", id="all above"),
        pytest.param([-0.1, -0.2, -0.3, -0.2, -0.1], "does not hold", id="all below"),
        pytest.param([0.3, -0.3, 0.2, -0.2, 0.1], "not shown", id="either"),
        pytest.param([-0.1, -0.2], "not shown", id="too few"),
        pytest.param([np.nan], "no data", id="none"),
    ],
)
def test_a_claim_holds_where_the_whole_interval_says_so(values, outcome):
    assert paired(np.array(values)).outcome() == outcome


def test_within_the_margin_is_as_good():
    slightly_below = paired(np.full(6, -0.005))
    assert slightly_below.outcome() == "does not hold"
    assert slightly_below.outcome(margin=0.01) == "holds"
