"""Landmarks of faces by facenet-pytorch's MTCNN, if that is installed: an adapter, and no more."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.data.alignment import Find
from lookalike.data.decode import Pixels
from lookalike.errors import UsageError


def load_detector(*, device: str = "cpu") -> Find:
    """Return what finds the landmarks of the largest face in a picture.

    Raises:
        UsageError: facenet-pytorch is not installed.
    """
    try:
        package = importlib.import_module("facenet_pytorch")
    except ImportError as problem:
        raise UsageError(
            f"finding landmarks needs facenet-pytorch, which cannot be imported ({problem})\n"
            "  fix: pip install facenet-pytorch, or give a table of landmarks"
        ) from problem
    network: Any = package.MTCNN(keep_all=True, device=device)

    def find(picture: Pixels) -> npt.NDArray[np.float64] | None:
        boxes, _, landmarks = network.detect(Image.fromarray(picture), landmarks=True)
        if boxes is None or not len(boxes):
            return None
        sides = np.asarray(boxes, dtype=np.float64)
        areas = (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])
        return np.asarray(landmarks[int(areas.argmax())], dtype=np.float64)

    return find
