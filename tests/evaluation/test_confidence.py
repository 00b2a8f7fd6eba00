"""Wilson's interval against the equation that defines it."""

import math

import pytest

from lookalike.evaluation.confidence import NORMAL_95, wilson_interval


@pytest.mark.parametrize(("share", "count"), [(0.5, 10), (0.94, 516), (0.01, 300)])
def test_at_its_ends_the_share_is_just_two_deviations_off(share, count):
    for end in wilson_interval(share, count):
        deviation = math.sqrt(end * (1 - end) / count)
        assert abs(share - end) == pytest.approx(NORMAL_95 * deviation, rel=1e-6)


def test_it_stays_inside_0_and_1_and_holds_the_share():
    for share in (0.0, 1.0):
        low, high = wilson_interval(share, 3)
        assert 0 <= low <= share <= high <= 1
        assert high - low > 0.4


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="count"):
        wilson_interval(0.5, 0)
    with pytest.raises(ValueError, match="share"):
        wilson_interval(1.5, 3)
