"""What the losses' experiments measure is 0 where they are the same, and not where they differ."""

import pytest

from lookalike.papers.identities import ice_against_nt_xent, rounding


@pytest.mark.parametrize("seed", range(3))
def test_one_positive_makes_them_the_same(seed):
    assert ice_against_nt_xent(positives=1, seed=seed) < rounding(seed=seed)


def test_more_positives_make_them_differ():
    assert ice_against_nt_xent(positives=2, seed=0) > 0.01
