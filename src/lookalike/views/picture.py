"""A picture of the views: originals beside draws of each view, exactly as training sees them."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lookalike.views.make import make_views
from lookalike.views.plans import Plan, View

_SMALLEST_TILE, _LARGEST_TILE = 96, 160  # pixels that a view takes in the picture
_GAP = 6  # between tiles
_GROUP_GAP = 24  # between the originals and each view's draws
_MARGIN = 32
_PAPER, _INK, _FAINT, _RULE = "#ffffff", "#1c1e24", "#6f7480", "#d9dce3"
_DOT = " · "
_TITLE, _TEXT = (ImageFont.load_default(points) for points in (24, 14))


def views_picture(
    plan: Plan,
    images: Tensor,
    sizes: Tensor,
    index: Tensor,
    *,
    size: int,
    seed: int,
    count: int = 4,
) -> Image.Image:
    """Draw one row an image: the original, then each view in the first epochs of a run.

    Args:
        plan: the views to show, before their normalisation.
        images: (B, 3, H, W) uint8, each in the upper left of its canvas; about six look best.
        sizes: (B, 2) int64, each image's height and width on it.
        index: (B,) int64, each image's position in its data set.
        size: side of a view in pixels.
        seed: of the run.
        count: epochs shown, at least 1.

    Returns:
        An RGB picture.

    Raises:
        ValueError: as `make_views`.
    """
    shown = replace(plan, normalise=False)
    epochs = [
        make_views(shown, images, sizes, index, size=size, seed=seed, epoch=epoch)
        for epoch in range(count)
    ]
    tile = _tile_side(size)
    originals = [
        _fitted(image[:, :height, :width], tile)
        for image, (height, width) in zip(images.cpu(), sizes.tolist(), strict=True)
    ]
    groups = [("original", [originals])]
    for number in range(len(plan.views)):
        draws = [(views[number] * 255).round().byte().cpu() for views in epochs]
        caption = f"view {number + 1}" + (f" in {count} epochs" if count > 1 else "")
        groups.append((caption, [[_fitted(pixels, tile) for pixels in draw] for draw in draws]))
    return _sheet(plan.name, _descriptions(plan, size), groups, tile)


def _tile_side(size: int) -> int:
    """Return a whole multiple of a small view's side, so that its pixels stay squares."""
    return min(size * max(1, -(-_SMALLEST_TILE // size)), _LARGEST_TILE)


def _fitted(pixels: Tensor, side: int) -> Image.Image:
    """Turn (3, H, W) uint8 into a picture whose longer side is so long."""
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    longer = max(picture.size)
    resample = Image.Resampling.LANCZOS if side % longer else Image.Resampling.NEAREST
    width, height = (max(1, round(edge * side / longer)) for edge in picture.size)
    return picture.resize((width, height), resample)


def _descriptions(plan: Plan, size: int) -> list[str]:
    """Say what the views do: once where they are alike, else a line each."""
    lines = [_description(view) for view in plan.views]
    if len(set(lines)) == 1:
        lines = [lines[0] if len(lines) == 1 else f"{len(lines)} views alike: {lines[0]}"]
    else:
        lines = [f"view {number}: {line}" for number, line in enumerate(lines, start=1)]
    end = "then mean and standard deviation out" if plan.normalise else "values stay in [0, 1]"
    return [*lines, f"{size} px; {end}"]


def _description(view: View) -> str:
    """Say what a view does, in a line."""
    parts = [f"crop {view.area[0]:.0%} to {view.area[1]:.0%} of the area, {view.interpolation}"]
    if view.flip:
        parts.append(f"flip {view.flip:g}")
    if view.translation:
        parts.append(f"shift {view.translation:g}")
    if view.scale != (1.0, 1.0):
        parts.append(f"scale {view.scale[0]:g} to {view.scale[1]:g}")
    if view.rotation:
        parts.append(f"turn {view.rotation:g}°")
    if any(view.jitter):
        names = ("brightness", "contrast", "saturation", "hue")
        strengths = ", ".join(
            f"{name} {strength:g}" for name, strength in zip(names, view.jitter, strict=True)
        )
        parts.append(f"jitter {view.jitter_probability:g} ({strengths})")
    if view.principal != (1.0, 1.0):
        parts.append(f"principal colours {view.principal[0]:g} to {view.principal[1]:g}")
    if view.tone:
        parts.append(f"tone {view.tone:g} (power {view.tone_power[0]:g} to {view.tone_power[1]:g})")
    if view.hue_shift:
        parts.append(f"hue {view.hue_shift:g}")
    if view.grey:
        parts.append(f"grey {view.grey:g}")
    if view.blur:
        parts.append(f"blur {view.blur:g} (sigma {view.blur_sigma[0]:g} to {view.blur_sigma[1]:g})")
    if view.solarise:
        parts.append(f"solarise {view.solarise:g} (from {view.solarise_threshold:g})")
    return _DOT.join(parts)


def _wrapped(line: str, width: int) -> list[str]:
    """Break a line between its parts so that each piece is at most so many pixels wide."""
    pieces: list[str] = []
    for part in line.split(_DOT):
        longer = _DOT.join([*pieces[-1:], part])
        if pieces and _TEXT.getlength(longer) <= width:
            pieces[-1] = longer
        else:
            pieces.append(part)
    return pieces


def _sheet(
    title: str, lines: list[str], groups: list[tuple[str, list[list[Image.Image]]]], tile: int
) -> Image.Image:
    """Lay groups of columns of pictures out under a title, lines of text and captions."""
    columns, rows = sum(len(group) for _, group in groups), len(groups[0][1][0])
    inner = columns * (tile + _GAP) - _GAP + (len(groups) - 1) * (_GROUP_GAP - _GAP)
    lines = [part for line in lines for part in _wrapped(line, inner)]
    captions = _MARGIN + 38 + 20 * len(lines) + 16
    tiles = captions + 28
    height = tiles + rows * (tile + _GAP) - _GAP + _MARGIN
    sheet = Image.new("RGB", (inner + 2 * _MARGIN, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 4), title, fill=_INK, font=_TITLE)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + 34 + 20 * number), line, fill=_FAINT, font=_TEXT)
    left = _MARGIN
    for caption, group in groups:
        right = left + len(group) * (tile + _GAP) - _GAP
        draw.text((left, captions), caption, fill=_INK, font=_TEXT)
        draw.line((left, captions + 21, right - 1, captions + 21), fill=_RULE)
        for column in group:
            for row, picture in enumerate(column):
                corner = ((tile - picture.width) // 2, (tile - picture.height) // 2)
                top = tiles + row * (tile + _GAP)
                sheet.paste(picture, (left + corner[0], top + corner[1]))
            left += tile + _GAP
        left += _GROUP_GAP - _GAP
    return sheet
