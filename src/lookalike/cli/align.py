"""Turn and scale faces so that eyes, nose and mouth lie in the same place in all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.terminal import Counter, finish, print_json, say, tell

LIBRARY = "data.alignment:align_images"


def align(
    source: str,
    landmarks: str,
    *,
    out: Path,
    split: str | None = None,
    json: bool = False,
    **settings: Any,
) -> None:
    """Align.

    Args:
        source: images: a folder, archive, .npz, table or known name.
        landmarks: .csv or .json of path and x, y of five points; or detect, to find them.
        out: folder to write to; new or empty.
        split: the part to align, where the source has parts; none: train.
        json: print one JSON object in place of the account.
        settings: how to align, as `data.alignment.align_images` takes it.
    """
    say(f"aligning {source}")
    from lookalike.data.alignment import align_images, read_landmarks
    from lookalike.data.face_detector import load_detector
    from lookalike.data.sources import open_source

    images = open_source(source, split=split)
    found = load_detector() if landmarks == "detect" else read_landmarks(landmarks)
    with Counter("images") as count:
        done = align_images(images, found, out, progress=count, **settings)
    if json:
        print_json(
            {
                "written": len(done.written),
                "left_out": [each._asdict() for each in done.left_out],
                "unused_landmarks": done.unused,
            }
        )
    else:
        tell([f"{len(done.written):,} of {len(images):,} images aligned"])
        for each in done.left_out[:10]:
            tell([f"  left out: {each}"])
        if len(done.left_out) > 10:
            tell([f"  and {len(done.left_out) - 10:,} more"])
        if done.unused:
            tell([f"{len(done.unused):,} landmarks are of images that are not there"])
    finish(out / "left-out.csv", following=f"lookalike train {out}")
