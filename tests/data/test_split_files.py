"""One file a split: splits by name, classes numbered together, and files without images refused."""

from pathlib import Path

import pytest

from lookalike.data.split_files import Part, SplitFiles
from lookalike.errors import DataError, UsageError

CONTENTS = {
    "train": (("1", "2"), ["cat", "dog"]),
    "test": (("3",), ["ant"]),
    "": (("1", "2"), ["cat", None]),
    "val": ((), []),
}


def source(*splits):
    files = {split: Path(f"{split or 'all'}.npz") for split in splits}
    return SplitFiles("here", "pets", files, lambda path, split: Part(*CONTENTS[split], None))


def test_a_file_alone_has_no_split():
    alone = source("")
    assert alone.splits() == ()
    images = alone.open(None)
    assert (images.name, images.ids, images.split) == ("pets", ("1", "2"), None)
    assert images.labels.tolist() == [0, -1]


def test_the_first_split_is_the_default():
    assert source("train", "test").open(None).split == "train"


def test_classes_of_all_splits_are_numbered_together():
    both = source("train", "test")
    train, test = both.open("train"), both.open("test")
    assert train.class_names == test.class_names
    named = [[each.class_names[label] for label in each.labels] for each in (train, test)]
    assert named == [["cat", "dog"], ["ant"]]


def test_keys_count_the_images_of_the_file():
    assert source("train", "test").open("train").keys.tolist() == [0, 1]


def test_a_file_without_images_is_told_by_its_name():
    with pytest.raises(DataError, match=r"no images in val\.npz"):
        source("train", "val").open("val")


def test_an_unknown_split_is_refused():
    with pytest.raises(UsageError, match="tset"):
        source("train", "test").open("tset")
