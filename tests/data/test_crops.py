"""Crops that are made where images are decoded."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lookalike.data import crops
from lookalike.data.crops import Boxes, Cropper
from lookalike.data.decode import MAX_PIXELS, UnreadableImage, crop_resize, decode
from lookalike.errors import DataError

SIZE = 16
RANDOM = np.random.default_rng(0)


class Files:
    """Holds files; what is not bytes is why a file cannot be read."""

    def __init__(self, files: Sequence[bytes | str]) -> None:
        self.files = files

    def read(self, key: int, limit: int | None = None) -> bytes:
        content = self.files[key]
        if isinstance(content, str):
            raise UnreadableImage(content)
        return content[:limit]


def photo(height: int, width: int, kind: str = "PNG", **options: int) -> bytes:
    """Return a smooth image: reducing it loses little."""
    coarse = RANDOM.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    file = io.BytesIO()
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    image.save(file, kind, **options)
    return file.getvalue()


def quarters(positions: Tensor, sizes: Tensor, number: int) -> Tensor:
    """Crop one quarter of each image, another for each position and view."""
    half = sizes // 2
    which = (positions + number)[:, None] // torch.tensor([1, 2]) % 2
    return torch.cat([which * half, half], dim=1)


def cut(
    files: Sequence[bytes | str], positions: Sequence[int], boxes: Boxes = quarters
) -> tuple[np.ndarray, list[int], list[tuple[int, str]]]:
    cropper = Cropper(Files(files), np.arange(len(files)), boxes, 2, SIZE, MAX_PIXELS)
    out = np.empty((len(positions), 2, 3, SIZE, SIZE), np.uint8)
    shown, unread = cropper.cut(np.array(positions), out)
    return out, shown.tolist(), [tuple(one) for one in unread]


def expected(raw: bytes, position: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the quarters of an image, decoded whole."""
    image = decode(raw)
    height, width = size or image.shape[:2]
    views = []
    for number in range(2):
        top, left = ((position + number) // part % 2 for part in (1, 2))
        box = (top * (height // 2), left * (width // 2), height // 2, width // 2)
        views.append(crop_resize(image, box, SIZE).transpose(2, 0, 1))
    return np.stack(views)


def test_each_view_is_its_box_of_the_image() -> None:
    files = [photo(40, 60), photo(33, 32), photo(80, 20)]
    out, shown, unread = cut(files, [2, 0, 1, 0])
    assert (shown, unread) == ([2, 0, 1, 0], [])
    for row, position in enumerate(shown):
        np.testing.assert_array_equal(out[row], expected(files[position], position))


def test_large_photos_are_decoded_small_and_look_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [photo(600, 900, "JPEG", quality=97)]
    decoded = []

    def watched(raw: bytes, **options: int) -> np.ndarray:
        decoded.append(decode(raw, **options))
        return decoded[-1]

    monkeypatch.setattr(crops, "decode", watched)
    out, _, _ = cut(files, [0])
    np.testing.assert_allclose(out[0], expected(files[0], 0), atol=8)
    # A quarter is 300 pixels high; an eighth of that still holds 16.
    assert decoded[0].shape == (75, 113, 3)


def test_no_crop_is_stretched_that_would_not_be_at_full_scale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def narrow(positions: Tensor, sizes: Tensor, number: int) -> Tensor:
        wide = torch.tensor([100, 40]) if number else sizes[0]
        return torch.cat([torch.zeros(2, dtype=torch.int64), wide])[None]

    scales = []

    def watched(raw: bytes, *, at_least: int, max_pixels: int) -> np.ndarray:
        image = decode(raw, at_least=at_least, max_pixels=max_pixels)
        scales.append(600 // image.shape[0])
        return image

    monkeypatch.setattr(crops, "decode", watched)
    cut([photo(600, 900, "JPEG")], [0], narrow)
    assert scales == [2], "half of 40 pixels still holds 16, a quarter does not"


def test_an_unreadable_image_gives_way_to_the_next_that_can_be_read() -> None:
    files = [photo(40, 40), photo(40, 40)[:-40], "gone", photo(30, 50), b"no image"]
    out, shown, unread = cut(files, [0, 1, 2, 4, 3])
    assert shown == [0, 3, 3, 0, 3]
    assert dict(unread) == {
        1: "cut off: the file ends before the image does",
        2: "gone",
        4: "not an image, or its header is damaged",
    }
    # The crops are drawn as those of the image that was wanted.
    for row, (position, place) in enumerate(zip([0, 1, 2, 4, 3], shown, strict=True)):
        np.testing.assert_array_equal(out[row], expected(files[place], position))


def test_the_substitute_does_not_depend_on_the_batch() -> None:
    files: list[bytes | str] = [photo(20, 20) for _ in range(50)]
    for place in (3, 4, 7, 49):
        files[place] = "gone"
    everything = cut(files, range(50))
    for position in (3, 4, 5, 7, 49):
        alone = cut(files, [position])
        np.testing.assert_array_equal(alone[0][0], everything[0][position])
        assert alone[1][0] == everything[1][position]
    assert everything[1][3] == everything[1][4] == 5
    assert everything[1][49] == 0


def test_a_batch_is_the_same_whatever_else_is_in_it() -> None:
    files = [photo(20 + number % 7, 30) for number in range(70)]
    together = cut(files, range(70))[0]
    apart = np.concatenate([cut(files, [position])[0] for position in range(70)])
    np.testing.assert_array_equal(together, apart)


def test_a_png_may_tell_its_orientation_last() -> None:
    exif = Image.Exif()
    exif[274] = 6
    file = io.BytesIO()
    Image.open(io.BytesIO(photo(20, 60))).save(file, "PNG", exif=exif)
    raw = file.getvalue()
    start = raw.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(raw[start : start + 4], "big")
    tail = raw.index(b"IEND") - 4
    late = raw[:start] + raw[end:tail] + raw[start:end] + raw[tail:]
    assert decode(late).shape == (60, 20, 3)
    np.testing.assert_array_equal(cut([late], [0])[0][0], expected(late, 0))


def test_every_row_is_noted_before_it_is_worked_on() -> None:
    cropper = Cropper(Files([photo(20, 20)] * 40), np.arange(40), quarters, 2, SIZE, MAX_PIXELS)
    noted: list[int] = []
    out = np.empty((40, 2, 3, SIZE, SIZE), np.uint8)
    cropper.cut(np.arange(40), out, noted.append)
    assert noted == [*range(32), *range(32), *range(32, 40), *range(32, 40)]


@pytest.mark.parametrize("files", [["gone"] * 3, [photo(40, 40)[:-40]] * 3])
def test_nothing_can_be_read_any_more(files: list[bytes | str]) -> None:
    with pytest.raises(DataError, match=r"none of 3 images can be read any more\nfix: "):
        cut(files, [1])
