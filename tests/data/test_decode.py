"""Any file becomes upright 8-bit RGB, or a reason."""

from __future__ import annotations

import io
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from lookalike.data.decode import (
    UnreadableImage,
    centre_square,
    crop_resize,
    decode,
    measure,
)

RAMP = np.stack(
    [
        np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1)),
        np.tile(np.arange(40, dtype=np.uint8)[:, None] * 6, (1, 60)),
        np.full((40, 60), 90, np.uint8),
    ],
    axis=2,
)  # (40, 60, 3), no two corners alike


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()


# What a viewer has to do to show a stored image upright: EXIF 2.32, tag 274.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    raw = encoded(RAMP, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    upright = UPRIGHT[orientation](RAMP)
    np.testing.assert_array_equal(decode(raw), upright)
    assert measure(raw) == (upright.shape[1], upright.shape[0], kind)


@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0nonsense"])
def test_damaged_exif_costs_no_pixel(exif: bytes) -> None:
    assert decode(encoded(RAMP, "JPEG", exif=exif)).shape == RAMP.shape


def test_grey_is_repeated() -> None:
    grey = RAMP[:, :, 0]
    np.testing.assert_array_equal(decode(encoded(grey)), np.stack([grey] * 3, axis=2))
    np.testing.assert_array_equal(decode(grey), np.stack([grey] * 3, axis=2))


def test_black_and_white_is_grey() -> None:
    bilevel = Image.fromarray(RAMP[:, :, 0] > 100)
    assert set(np.unique(decode(encoded(bilevel)))) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_white(mode: str) -> None:
    alpha = RAMP[:, :, 1]
    colours = RAMP if mode == "RGBA" else np.stack([RAMP[:, :, 0]] * 3, axis=2)
    image = Image.fromarray(RAMP if mode == "RGBA" else RAMP[:, :, 0])
    image.putalpha(Image.fromarray(alpha))
    share = alpha[:, :, None] / 255
    white = share * colours + (1 - share) * 255
    np.testing.assert_allclose(decode(encoded(image)), white, atol=1)


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_transparent_palette_entries_are_white(transparency: int | bytes) -> None:
    image = Image.fromarray((RAMP[:, :, 0] > 100).astype(np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 0, 0])
    decoded = decode(encoded(image, transparency=transparency))
    assert set(map(tuple, decoded.reshape(-1, 3))) == {(10, 20, 30), (255, 255, 255)}


def test_cmyk_is_ink_on_paper() -> None:
    ink = np.dstack([RAMP, RAMP[:, :, 1]])
    raw = encoded(Image.fromarray(ink, "CMYK"), "TIFF")
    paper = (255 - ink[:, :, :3].astype(float)) * (255 - ink[:, :, 3:].astype(float)) / 255
    np.testing.assert_allclose(decode(raw), paper, atol=2)


def test_cmyk_jpeg_as_photoshop_writes_it() -> None:
    # Pillow writes CMYK JPEG inverted and with Adobe's marker, as Photoshop does.
    smooth = Image.fromarray(np.dstack([RAMP, RAMP[:, :, 2]]), "CMYK")
    raw = encoded(smooth, "JPEG", quality=100)
    assert b"Adobe" in raw
    np.testing.assert_allclose(decode(raw), np.array(smooth.convert("RGB")), atol=6)


def test_lab_is_converted_by_colour() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    muted = 60 + RAMP // 3  # well inside the gamut, where the way there and back is exact
    image = ImageCms.applyTransform(Image.fromarray(muted), to_lab)
    np.testing.assert_allclose(decode(encoded(image, "TIFF")), muted, atol=6)


@pytest.mark.parametrize(("bits", "kind"), [(16, "PNG"), (16, "TIFF"), (12, "TIFF"), (10, "PNG")])
def test_wide_grey_is_scaled_and_not_clipped(bits: int, kind: str) -> None:
    share = np.linspace(0, 1, 60)
    grey = np.tile(np.rint(share * (2**bits - 1)).astype(np.uint16), (40, 1))
    decoded = decode(encoded(grey, kind))
    np.testing.assert_allclose(decoded[7, :, 1], share * 255, atol=1)


def test_16_bit_portable_graymap() -> None:
    grey = np.linspace(0, 65535, 12).astype(">u2")
    decoded = decode(b"P5 4 3 65535\n" + grey.tobytes())
    np.testing.assert_allclose(decoded[:, :, 0].ravel(), grey / 257.0, atol=1)


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(0.0, 1.0, (0, 255)), (0.0, 0.5, (0, 128)), (10.0, 200.0, (10, 200)), (-3.0, 7e4, (0, 255))],
)
def test_floats_are_taken_at_their_word_or_stretched(
    low: float, high: float, shown: tuple[int, int]
) -> None:
    grey = np.linspace(low, high, 60, dtype=np.float32).reshape(1, 60).repeat(2, axis=0)
    decoded = decode(encoded(Image.fromarray(grey, "F"), "TIFF"))
    assert (decoded.min(), decoded.max()) == shown


def test_not_a_number_is_black() -> None:
    grey = np.full((2, 2), np.nan, np.float32)
    assert decode(encoded(Image.fromarray(grey, "F"), "TIFF")).max() == 0


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_show_their_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode(raw), np.full((6, 8, 3), (255, 0, 0)))


@pytest.mark.parametrize("limit", [2399, 2400])
def test_the_pixel_limit_is_kept_before_decoding(limit: int) -> None:
    headless = encoded(RAMP)[:60]  # the pixels are not even there
    with pytest.raises(UnreadableImage) as refused:
        decode(headless, max_pixels=limit)
    assert ("more than 2,399 pixels" in refused.value.reason) == (limit == 2399)


def test_jpeg_is_decoded_at_reduced_scale() -> None:
    smooth = np.array(Image.fromarray(RAMP).resize((800, 600), Image.Resampling.BICUBIC))
    raw = encoded(smooth, "JPEG", quality=95)
    for at_least, height in ((700, 600), (600, 600), (299, 300), (150, 150), (76, 150), (1, 75)):
        small = decode(raw, at_least=at_least)
        assert small.shape[0] == height
        area_means = smooth.reshape(height, 600 // height, -1, 600 // height, 3).mean((1, 3))
        np.testing.assert_allclose(small, area_means, atol=8)


def test_other_formats_are_never_reduced() -> None:
    assert decode(encoded(RAMP), at_least=1).shape == RAMP.shape


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "TGA"]
)
def test_what_is_cut_off_is_unreadable_and_never_half_grey(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    raw = encoded(noise, kind)
    assert decode(raw).shape == noise.shape
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(UnreadableImage):
            decode(raw[: int(share * len(raw))])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"8BPS\0\1" + bytes(30), "Photoshop"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"SIMPLE  =                    T" + b" " * 2850, "FITS"),
        (b"\0\0\0\x18ftypheic" + bytes(30), "HEIF"),
        (b"PK\3\4" + bytes(30), "zip"),
        (b"once upon a time there was a picture", "text"),
        (bytes(range(1, 200)), "not an image"),
    ],
)
def test_the_reason_says_what_a_file_is(raw: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage) as refused:
        decode(raw)
    assert reason in refused.value.reason
    assert len(refused.value.reason.splitlines()) == 1


def test_finding_a_reason_takes_no_time() -> None:
    began = time.process_time()
    for part in (b"<!---->", b"<?xml?>", b" ", b"<", b"<!--" + b"-->" * 3):
        with pytest.raises(UnreadableImage):
            decode(part * 200)
    assert time.process_time() - began < 0.5


def test_parsers_off_the_list_are_not_reached() -> None:
    # Pillow itself would read this one.
    with pytest.raises(UnreadableImage, match="icon"):
        decode(encoded(Image.new("RGB", (16, 16)), "ICO"))
    with pytest.raises(UnreadableImage, match="SGI"):
        decode(encoded(Image.new("RGB", (16, 16)), "SGI"))


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0"])
)
def test_any_bytes_are_read_or_refused(body: bytes, magic: bytes) -> None:
    with suppress(UnreadableImage):
        assert decode(magic + body).dtype == np.uint8


@given(st.integers(2, 1200), st.integers(0, 255), st.sampled_from(["JPEG", "PNG", "GIF", "TIFF"]))
def test_a_wrong_byte_is_survived(place: int, value: int, kind: str) -> None:
    raw = bytearray(encoded(RAMP, kind))
    raw[place % len(raw)] = value
    with suppress(UnreadableImage):
        assert decode(bytes(raw)).ndim == 3


def test_pillow_warns_nobody() -> None:
    image = Image.fromarray((RAMP[:, :, 0] > 100).astype(np.uint8), "P")
    raw = encoded(image, transparency=bytes([255, 0]))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        decode(raw)
        decode(encoded(RAMP, "JPEG", exif=exif))
        Image.open(io.BytesIO(raw)).convert("RGB")
    assert not told


def test_many_threads_decode_the_same() -> None:
    raws = [
        encoded(RAMP + np.uint8(shift), kind) for shift in range(20) for kind in ("JPEG", "PNG")
    ]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, raws * 4))
    for threaded, raw in zip(together, raws * 4, strict=True):
        np.testing.assert_array_equal(threaded, decode(raw))


def test_a_box_is_resized_as_if_it_were_cut_out_first() -> None:
    cut = RAMP[5:35, 11:51]
    expected = np.array(Image.fromarray(cut).resize((16, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(crop_resize(RAMP, (5, 11, 30, 40), 16), expected)


def test_the_whole_image_at_its_size_is_itself() -> None:
    np.testing.assert_array_equal(crop_resize(RAMP[:, :40], (0, 0, 40, 40), 40), RAMP[:, :40])


def test_a_box_may_end_a_hair_outside() -> None:
    assert crop_resize(RAMP, (0.1, 0.2, 39.9 + 1e-12, 59.8 + 1e-9), 8).shape == (8, 8, 3)


def test_the_centre_square_is_the_largest_in_the_middle() -> None:
    np.testing.assert_array_equal(centre_square(RAMP, 40), RAMP[:, 10:50])
    np.testing.assert_array_equal(
        centre_square(RAMP.swapaxes(0, 1), 40), RAMP.swapaxes(0, 1)[10:50]
    )
    assert centre_square(RAMP[:, :1], 8).shape == (8, 8, 3)
