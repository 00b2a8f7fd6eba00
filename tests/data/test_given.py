"""Single images that a program hands over, whatever they come as."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lookalike.data.given import as_list, read_square
from lookalike.errors import DataError, UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("one", ["a.png", Image.fromarray(PIXELS), PIXELS, PIXELS[:, :, 0]])
def test_one_image_is_a_list_of_one(one):
    (only,) = as_list(one)
    assert only is one


def test_several_images_stay_several():
    both = as_list(PIXELS[None].repeat(2, 0))
    assert [image.shape for image in both] == [PIXELS.shape] * 2
    assert as_list(("a.png", PIXELS))[0] == "a.png"
    assert as_list([]) == []


def test_a_square_is_the_middle_of_the_image(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(PIXELS), PIXELS):
        square = read_square((0, image), size=20)
        np.testing.assert_array_equal(square, PIXELS[:, 5:25])


def test_what_is_no_image_is_said_with_its_place(tmp_path):
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"there is no .*a.png"):
        read_square((3, tmp_path / "a.png"), size=8)
    with pytest.raises(DataError, match=r"b.png cannot be read"):
        read_square((3, tmp_path / "b.png"), size=8)
    with pytest.raises(UsageError, match="image 3 is a float; want a path"):
        read_square((3, 1.5), size=8)
