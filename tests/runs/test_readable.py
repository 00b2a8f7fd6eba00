"""Images are found once, and what was found does not change."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from lookalike.data.decode import MAX_PIXELS
from lookalike.runs.readable import collect
from lookalike.training.progress import Progress
from lookalike.views.plans import PLANS


def found(folder, *, resident=True, limit=12):
    with Progress(None, printing=False) as progress:
        return collect(
            "hands",
            download=False,
            limit=limit,
            seed=0,
            resident_bytes_allowed=2**24 if resident else 0,
            max_pixels=MAX_PIXELS,
            max_unreadable=0.0,
            listing=folder / "unreadable.csv",
            progress=progress,
        )


def test_what_was_found_does_not_change(tmp_path):
    images = found(tmp_path)
    with pytest.raises(FrozenInstanceError):
        images.positions = images.positions[:3]


@pytest.mark.parametrize("resident", [True, False])
def test_some_of_the_images_are_another_value(tmp_path, resident):
    images = found(tmp_path, resident=resident)
    ids, rows = images.images.ids, np.array([1, 4, 7])
    fewer = images.keep(rows)
    assert fewer.images.ids == tuple(ids[row] for row in rows)
    assert (fewer.sizes == images.sizes[rows]).all()
    if resident:
        assert (fewer.resident.pixels == images.resident.pixels[rows]).all()
    assert (fewer.resident is None) is not resident
    assert images.images.ids == ids
    assert len(images.sizes) == 12


def test_other_labels_are_another_value(tmp_path):
    images = found(tmp_path)
    before = images.images.labels.copy()
    other = images.relabel(np.full(len(images.source), -1))
    assert (other.images.labels == -1).all()
    assert (images.images.labels == before).all()
    assert other.images.ids == images.images.ids


def test_pixels_from_memory_and_from_files_have_the_same_mean(tmp_path):
    """Mean and deviation of each channel, as a plan that normalises takes them out."""
    plan = PLANS["simclr"]
    assert plan.normalise is False
    unchanged = found(tmp_path).pixel_statistics(plan, size=16)
    assert unchanged == ((0.0,) * 3, (1.0,) * 3)
    normalising = next(each for each in PLANS.values() if each.normalise)
    squares, _ = found(tmp_path).squares(12, size=16, seed=0)
    wanted = [(squares[:, channel] / 255).mean() for channel in range(3)]
    mean, std = found(tmp_path, resident=False).pixel_statistics(normalising, size=16)
    assert mean == pytest.approx(wanted, abs=1e-4)
    assert min(std) > 0
