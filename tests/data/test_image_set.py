"""A set of images: names, labels, and how classes are numbered."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from lookalike.data.arrays import ArrayReader
from lookalike.data.decode import UnreadableImage
from lookalike.data.image_set import ImageSet, Unreadable, choose_split, number_classes
from lookalike.errors import UsageError


def ramp() -> np.ndarray:
    return np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3)


SET = ImageSet(
    name="ramp",
    ids=tuple("abcde"),
    labels=np.array([0, 1, 0, -1, 1]),
    class_names=("x", "y"),
    reader=ArrayReader(ramp),
    keys=np.arange(5),
)


def test_selecting_keeps_names_labels_and_images_together() -> None:
    chosen = SET.select([4, 0, 3])
    assert chosen.ids == ("e", "a", "d")
    assert chosen.labels.tolist() == [1, 0, -1]
    assert len(chosen) == 3
    np.testing.assert_array_equal(chosen.read(0), ramp()[4])
    np.testing.assert_array_equal(chosen.select([2, 1]).read(1), ramp()[0])


def test_a_set_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(SET.select([3, 1])))
    assert again.ids == ("d", "b")
    np.testing.assert_array_equal(again.read(1), ramp()[1])


class Bytes:
    """Holds one file, and remembers how much of it was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[int | None] = []

    def read(self, key: int, limit: int | None = None) -> bytes:
        self.asked.append(limit)
        return self.content[:limit]


def one_file(content: bytes) -> tuple[ImageSet, Bytes]:
    reader = Bytes(content)
    return ImageSet("one", ("a",), np.array([-1]), (), reader, np.array([0])), reader


def encoded(side: int, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, kind)
    return file.getvalue()


def test_measuring_reads_the_beginning_only() -> None:
    images, reader = one_file(encoded(30, "PNG") + bytes(10**6))
    assert images.measure(0)[:2] == (30, 30)
    assert reader.asked == [2**17]


def test_measuring_reads_on_where_the_header_lies_further_back() -> None:
    raw = encoded(900, "TIFF")
    assert int.from_bytes(raw[4:8], "little") < 900, "Pillow writes the directory first"
    far = raw[:4] + (len(raw)).to_bytes(4, "little") + raw[8:] + raw[8:200]
    images, reader = one_file(far)
    assert images.measure(0)[:2] == (900, 900)
    assert reader.asked == [2**17, None]


def test_measuring_gives_up_on_a_short_file_at_once() -> None:
    images, reader = one_file(b"no image")
    with pytest.raises(UnreadableImage):
        images.measure(0)
    assert len(reader.asked) == 1


def test_classes_written_as_numbers_are_in_the_order_of_numbers() -> None:
    for values in (
        ["10", "9", "10"],
        [10, 9, 10],
        np.array([10, 9, 10], np.uint8),
        [10.0, 9.0, 10],
    ):
        names, labels = number_classes(values)
        assert names == ("9", "10")
        assert labels.tolist() == [1, 0, 1]


def test_other_classes_are_in_the_order_of_their_characters() -> None:
    names, labels = number_classes(["b", "10", "a", "9"])
    assert names == ("10", "9", "a", "b")
    assert labels.tolist() == [3, 0, 2, 1]


@pytest.mark.parametrize("unknown", [None, "", "  ", float("nan"), -1, np.float64("nan")])
def test_what_is_no_class_is_unknown(unknown: object) -> None:
    names, labels = number_classes([unknown, 3.0, True, "3"])
    assert names == ("1", "3")
    assert labels.tolist() == [-1, 1, 0, 1]


def test_the_split_that_is_meant() -> None:
    assert choose_split(None, ("train", "test"), where="x") == "train"
    assert choose_split("test", ("train", "test"), where="x") == "test"
    assert choose_split(None, (), where="x") is None
    with pytest.raises(UsageError, match=r"x has no split 'val'\nfix: choose train or test"):
        choose_split("val", ("train", "test"), where="x")
    with pytest.raises(UsageError, match="leave the split out"):
        choose_split("val", (), where="x")


def test_names_are_shown_without_control_characters() -> None:
    shown = str(Unreadable("a\nb\x1b[31m</script>é", "cut off"))
    assert shown == "a\\nb\\x1b[31m</script>é: cut off"
