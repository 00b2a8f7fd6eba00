"""A run says what went wrong as it begins, and leaves nothing half written."""

import resource

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import LookalikeError
from lookalike.runs.job import train


def test_no_space_for_the_picture_of_the_views_is_told_in_a_line(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(8):
        pixels = random.integers(0, 255, (96, 96, 3), np.uint8)  # noise, which no PNG packs
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    settings = {"backbone": "small_conv", "backbone_arguments": {"width": 2}, "size": 96}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(LookalikeError, match=r"no space left to write .*views\.png") as problem:
            train(
                tmp_path / "photos",
                out=tmp_path / "run",
                **settings,
                epochs=1,
                device="cpu",
                quiet=True,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert type(problem.value) is LookalikeError
    assert not list((tmp_path / "run").glob("*.png"))
    assert not list((tmp_path / "run").glob(".*.tmp"))
