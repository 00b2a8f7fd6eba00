"""A preview shows the images it draws, in the views that the plan makes."""

from __future__ import annotations

import pytest

from lookalike.runs.preview import preview


def test_the_same_seed_gives_the_same_picture() -> None:
    first, again, other = (
        preview("hands", count=2, size=32, seed=seed).tobytes() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_more_images_make_a_larger_picture() -> None:
    small, large = (preview("hands", count=count, size=32) for count in (1, 4))
    assert large.width * large.height > small.width * small.height


def test_refuses_to_show_none() -> None:
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        preview("hands", count=0)
