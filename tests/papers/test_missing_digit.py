"""The missing digit: what soft targets carry over, and a bias that is found, not tuned."""

import pytest
import torch

from lookalike.papers import missing_digit
from lookalike.papers.missing_digit import MISSING, right_of_missing


def test_the_bias_makes_the_missing_digit_win_as_often_as_asked():
    logits = torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    logits[:, MISSING] -= 5
    raised = logits.clone()
    raised[:, MISSING] += missing_digit._missing_bias(logits, count=20)
    assert int((raised.argmax(1) == MISSING).sum()) == 20


@pytest.mark.parametrize("soft", [True, False])
def test_it_is_a_share_that_the_seed_decides(monkeypatch, soft):
    monkeypatch.setattr(missing_digit, "STEPS", 40)
    first, second = (right_of_missing(seed=1, soft=soft) for _ in range(2))
    assert first == second
    assert 0 <= first <= 1


def test_soft_targets_tell_of_what_was_never_shown(monkeypatch):
    monkeypatch.setattr(missing_digit, "STEPS", 300)
    assert right_of_missing(seed=0) > right_of_missing(seed=0, soft=False)
