"""From the bytes of one image file to its colours: eight bits, RGB, upright; or a reason why not.

Only the formats of `FORMATS` are tried, whatever a file is called, so that rarely used parsers
never see a stranger's bytes. The header is read first, and the pixel limit is kept before anything
is decoded.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

Pixels: TypeAlias = npt.NDArray[np.uint8]
Raw: TypeAlias = bytes | Pixels
"""What a source holds of an image: the bytes of a file, or (H, W) or (H, W, 3) uint8 pixels."""

MAX_PIXELS = 50_000_000

# The parsers are imported here, once: Pillow would otherwise look for them, all of them, on first
# use. TARGA has no signature, so it comes last.
FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
        TiffImagePlugin.TiffImageFile,
        AvifImagePlugin.AvifImageFile,
        Jpeg2KImagePlugin.Jpeg2KImageFile,
        PpmImagePlugin.PpmImageFile,
        TgaImagePlugin.TgaImageFile,
    )
)

# How files begin that people take for images, for the reason why one is not read.
_OTHER_KINDS = (
    (rb"\s*(<!doctype html|<html|<head|<body)", "a web page, not an image"),
    (rb"\s*(<svg|<.*<svg)", "an SVG drawing, which is not read here"),
    (rb"\s*<", "markup text, not an image"),
    (rb"....ftyp(hei|hev|mif|msf)", "HEIF, which is not read here: convert it to JPEG or PNG"),
    (rb"\xff\x0a|....JXL ", "JPEG XL, which is not read here: convert it to JPEG or PNG"),
    (rb"8BPS", "a Photoshop document, which is not read here"),
    (rb"%PDF", "a PDF document, not an image"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript, which is not read here"),
    (rb"SIMPLE  =", "FITS, which is not read here"),
    (rb"PK\x03\x04", "a zip archive or office document, not an image"),
    (rb"\xd0\xcf\x11\xe0", "an office document, not an image"),
    (rb"\x01\xda", "SGI, which is not read here"),
    (rb"\x00\x00[\x01\x02]\x00", "a Windows icon, which is not read here"),
    (rb"[\t\n\r\x20-\x7e]{32}", "text, not an image"),
)

_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(Exception):  # noqa: N818  it tells a state of the data, not of the program
    """An image that cannot be read; `reason` says why, in a few words on one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Header(NamedTuple):
    """What an image's header tells: its upright size in pixels, and its format's name."""

    width: int
    height: int
    format: str


def measure(raw: Raw, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Return the upright size and the format of an image, from its header alone.

    A PNG may keep its orientation after its pixels; then width and height are of the image as it
    is stored.

    Raises:
        UnreadableImage: the header cannot be read, or tells of more than `max_pixels`.
    """
    if isinstance(raw, np.ndarray):
        return Header(raw.shape[1], raw.shape[0], "array")
    with _open(raw, max_pixels) as image:
        width, height = image.size
        if image.format != "TIFF" and _orientation(image) >= 5:  # Pillow turns TIFF sizes itself
            width, height = height, width
        return Header(width, height, str(image.format))


def decode(raw: Raw, *, max_pixels: int = MAX_PIXELS, at_least: int | None = None) -> Pixels:
    """Return the colours of an image, upright.

    Transparent parts show white. Of an animation, the first frame. 16-bit grey is scaled from the
    range of 8, 10, 12, 14 or 16 bits, the first that holds its brightest pixel: cameras and
    microscopes store 12 bits in 16. 32-bit grey has no range of its own: floats in [0, 1] and
    numbers in [0, 255] are taken at their word, anything else is stretched from its least to its
    greatest value.

    Args:
        raw: the bytes of a file, or (H, W) or (H, W, 3) uint8 pixels.
        max_pixels: larger images are refused before they are decoded.
        at_least: the shorter side may come out smaller than it is, but not below this; JPEG is
            then decoded at 1/2, 1/4 or 1/8, in a fraction of the time.

    Returns:
        (H, W, 3) RGB.

    Raises:
        UnreadableImage: the bytes are no image of a known format, damaged, cut off, or too large.
    """
    if isinstance(raw, np.ndarray):
        return np.repeat(raw[:, :, None], 3, axis=2) if raw.ndim == 2 else raw
    with _open(raw, max_pixels) as image:
        if at_least is not None and isinstance(image, JpegImagePlugin.JpegImageFile):
            image.draft(image.mode, (max(1, at_least), max(1, at_least)))
        return upright_colours(image)


def upright_colours(image: Image.Image) -> Pixels:
    """Return what `decode` does, of an image that Pillow has opened or made."""
    try:
        image.load()
        # After loading: a PNG may tell its orientation last, and a TIFF is upright by now.
        turn = _TRANSPOSED.get(_orientation(image))
        colours = _in_colour(image)
        return np.array(colours if turn is None else colours.transpose(turn))
    except Exception as problem:  # Pillow raises anything from SyntaxError to MemoryError
        raise UnreadableImage(_reason(problem)) from problem


def centre_square(image: Pixels, size: int) -> Pixels:
    """Return the largest centred square of an (H, W, 3) image, resized to (size, size, 3)."""
    height, width = image.shape[:2]
    side = min(height, width)
    return crop_resize(image, ((height - side) // 2, (width - side) // 2, side, side), size)


def crop_resize(image: Pixels, box: tuple[float, float, float, float], size: int) -> Pixels:
    """Return a box of an image, resized by antialiased bicubic interpolation.

    Args:
        image: (H, W, 3).
        box: top, left, height and width in pixels, inside the image; fractions are allowed.
        size: side of the result in pixels.

    Returns:
        (size, size, 3).
    """
    top, left, height, width = box
    # Fractions may add up to a hair more than the image has.
    corners = (left, top, min(left + width, image.shape[1]), min(top + height, image.shape[0]))
    resized = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC, box=corners)
    return np.array(resized)


def shrink(image: Pixels, shorter: int) -> Pixels:
    """Return an (H, W, 3) image with a shorter side of at most so many pixels.

    What is larger is resized by antialiased bicubic interpolation, its proportions kept.
    """
    height, width = image.shape[:2]
    if min(height, width) <= shorter:
        return image
    scale = shorter / min(height, width)
    size = (max(round(width * scale), shorter), max(round(height * scale), shorter))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _open(raw: bytes, max_pixels: int) -> ImageFile.ImageFile:
    if not raw:
        raise UnreadableImage("an empty file")
    _silence_pillow()
    try:
        image = Image.open(io.BytesIO(raw), formats=FORMATS)
    except UnidentifiedImageError as problem:
        raise UnreadableImage(_kind(raw)) from problem
    except Exception as problem:  # see decode
        raise UnreadableImage(_reason(problem)) from problem
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise UnreadableImage(f"{width} x {height} is more than {max_pixels:,} pixels")
    return image


def _silence_pillow() -> None:
    """Keep Pillow's warnings about odd files off the user's screen, here and from now on.

    What matters of them is raised as UnreadableImage. `warnings.catch_warnings` is no way to do
    this: it is not safe among threads.
    """
    if not warnings.filters or warnings.filters[0] != _NO_PILLOW_WARNINGS:
        warnings.filterwarnings("ignore", module=r"PIL\.")


_NO_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where the metadata is damaged, as browsers do."""
    try:
        # The method of the base class: PNG's own would decode the pixels first.
        orientation: Any = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata raises anything, and costs no pixel
        return 1
    return orientation if orientation in _TRANSPOSED else 1


def _in_colour(image: Image.Image) -> Image.Image:
    """Return a loaded image of any mode in mode RGB, over white where it is transparent."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _eight_bits(grey: npt.NDArray[Any]) -> Pixels:
    """Return (H, W) grey values of a wider type, scaled to 0 to 255."""
    values = np.nan_to_num(grey.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    least, greatest = float(values.min()), float(values.max())
    if grey.dtype.kind in "ui" and least >= 0 and greatest <= 65535:
        bits = next(bits for bits in (8, 10, 12, 14, 16) if greatest < 2**bits)
        values = values * (255 / (2**bits - 1))
    elif least >= 0 and greatest <= 1:
        values = values * 255
    elif least < 0 or greatest > 255:
        values = (values - least) * (255 / (greatest - least))
    return np.rint(values).astype(np.uint8)


def _kind(raw: bytes) -> str:
    """Return in words what bytes are that no parser knows."""
    for beginning, kind in _OTHER_KINDS:
        if re.match(beginning, raw[:1024], re.IGNORECASE | re.DOTALL):
            return kind
    return "not an image, or its header is damaged"


def _reason(problem: Exception) -> str:
    """Return in words what Pillow stumbled over, on one line."""
    text = " ".join(str(problem).split())
    if isinstance(problem, Image.DecompressionBombError):
        return "more pixels than any limit allows"
    if isinstance(problem, MemoryError):
        return "too large for this machine's memory"
    if "truncated" in text.lower():
        return "cut off: the file ends before the image does"
    return f"damaged: {text[:120]}" if text else f"damaged ({type(problem).__name__})"
