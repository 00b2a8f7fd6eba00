"""Numbers of baselines, kept so that they are measured once for the same images and protocol.

A baseline depends on the images, on how they are measured and on this code, not on the encoder that
is judged. Its numbers lie in a small JSON file that is named by a digest of all of these.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookalike.data.decode import UnreadableImage
from lookalike.data.image_set import ImageSet
from lookalike.data.threads import map_in_order
from lookalike.durable import write_atomically
from lookalike.errors import LookalikeError
from lookalike.evaluation.card import Measures
from lookalike.evaluation.protocol import Sides


def cache_folder() -> Path:
    """Return where numbers are kept for a user: in `$XDG_CACHE_HOME/lookalike`, or `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "lookalike" / "baselines"


class KeptMeasures:
    """A folder of baselines' numbers.

    What cannot be read is measured again, and what cannot be written is not kept.

    Args:
        folder: where they lie; made when the first is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> Measures | None:
        """Return the numbers kept under a key; None if there are none, or they are damaged."""
        try:
            content = json.loads((self.folder / f"{key}.json").read_bytes())
            told = content["measures"]
            if content["digest"] != _digest(told):
                return None
            if told["knn_top1_ci95"] is not None:
                told["knn_top1_ci95"] = tuple(told["knn_top1_ci95"])
            return Measures(**told)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, key: str, measures: Measures) -> None:
        """Write numbers under a key, whole or not at all."""
        told = json.loads(json.dumps(asdict(measures)))
        content = json.dumps({"measures": told, "digest": _digest(told)})
        with contextlib.suppress(OSError, LookalikeError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / f"{key}.json", content.encode())


def key_of(sides: str, **protocol: Any) -> str:
    """Return the key of numbers measured on some images in some way.

    Args:
        sides: digest of the images, `digest_sides`.
        protocol: everything else that the numbers depend on, besides this code.
    """
    return _digest(
        {
            "images": sides,
            "code": _code(),
            "torch": torch.__version__,
            **{name: repr(value) for name, value in protocol.items()},
        }
    )[:40]


def digest_sides(sides: Sides) -> str:
    """Return a digest of who votes and who is asked: names, labels and every byte of the images."""
    parts = [
        _digest_images(side) if side is not None else "" for side in (sides.queries, sides.bank)
    ]
    return _digest({"queries": parts[0], "bank": parts[1], "labelled": sides.has_labels})


def _digest_images(images: ImageSet) -> str:
    def content(position: int) -> bytes:
        try:
            raw = images.read(position)
        except UnreadableImage:
            return b""
        if isinstance(raw, bytes):
            return hashlib.blake2b(raw, digest_size=16).digest()
        pixels = hashlib.blake2b(np.ascontiguousarray(raw).tobytes(), digest_size=16).digest()
        return pixels + repr(raw.shape).encode()

    digest = hashlib.sha256(json.dumps([images.ids, images.class_names]).encode())
    digest.update(images.labels.astype("<i8").tobytes())
    for each in map_in_order(content, range(len(images))):
        digest.update(each)
    return digest.hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@functools.cache
def _code() -> str:
    """Return a digest of this package's source: another version may measure otherwise."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
