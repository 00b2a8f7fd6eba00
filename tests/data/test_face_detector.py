"""The adapter of facenet-pytorch, against a stand-in with the same interface."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.data.face_detector import load_detector
from lookalike.errors import UsageError

PICTURE = np.zeros((50, 60, 3), np.uint8)


def install(monkeypatch: pytest.MonkeyPatch, boxes: Any, landmarks: Any) -> list[Any]:
    """Put a stand-in in the package's place; return what it is asked."""
    asked: list[Any] = []

    class MTCNN:
        def __init__(self, **arguments: Any) -> None:
            asked.append(arguments)

        def detect(self, image: Image.Image, landmarks: bool = False) -> Any:
            asked.append((image.size, landmarks))
            return boxes, [0.9] * len(boxes or ()), found

    found = landmarks
    package = ModuleType("facenet_pytorch")
    package.MTCNN = MTCNN
    monkeypatch.setitem(sys.modules, "facenet_pytorch", package)
    return asked


def test_of_several_faces_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [[0, 0, 10, 10], [5, 5, 45, 30], [0, 0, 30, 30]]
    landmarks = np.arange(30).reshape(3, 5, 2)
    asked = install(monkeypatch, boxes, landmarks)
    find = load_detector()
    np.testing.assert_array_equal(find(PICTURE), landmarks[1])
    assert asked == [{"keep_all": True, "device": "cpu"}, ((60, 50), True)]


@pytest.mark.parametrize("boxes", [None, []])
def test_no_face(monkeypatch: pytest.MonkeyPatch, boxes: Any) -> None:
    install(monkeypatch, boxes, None)
    assert load_detector()(PICTURE) is None


def test_without_the_package_one_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(UsageError, match="pip install facenet-pytorch"):
        load_detector()
