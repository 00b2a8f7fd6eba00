"""What paths say of splits and classes: each rule of the module's first lines, and their edges."""

import re

import numpy as np
import pytest

from lookalike.data.tree import Tree, as_unicode, sorted_ids, why_ignored
from lookalike.errors import DataError, UsageError


class Nothing:
    """A reader that is never asked."""


def tree(*paths, ignored=()):
    ids, keys = sorted_ids(paths)
    return Tree("photos", "photos", ids, keys, Nothing(), tuple(ignored), folders=3)


def classes(images):
    """Return each image's class by its path."""
    names = (*images.class_names, None)
    return {path: names[label] for path, label in zip(images.ids, images.labels, strict=True)}


def test_the_first_folder_is_the_class():
    images = tree("a/1.jpg", "a/deep/2.jpg", "b/3.jpg").open(None)
    assert classes(images) == {"a/1.jpg": "a", "a/deep/2.jpg": "a", "b/3.jpg": "b"}


@pytest.mark.parametrize("paths", [["a/1.jpg", "a/2.jpg"], ["a/1.jpg", "b/2.jpg", "3.jpg"]])
def test_one_folder_or_a_loose_image_says_nothing_of_classes(paths):
    images = tree(*paths).open(None)
    assert set(classes(images).values()) == {None}


def test_folders_that_alone_hold_everything_are_looked_through():
    images = tree("photos/all/a/1.jpg", "photos/all/b/2.jpg").open(None)
    assert set(classes(images).values()) == {"a", "b"}


def test_splits_number_their_classes_together():
    whole = tree("train/b/1.jpg", "train/c/2.jpg", "test/a/3.jpg", "test/b/4.jpg")
    assert whole.splits() == ("train", "test")
    assert classes(whole.open("test")) == {"test/a/3.jpg": "a", "test/b/4.jpg": "b"}
    assert whole.open(None).split == "train"
    assert whole.open("train").class_names == whole.open("test").class_names == ("a", "b", "c")


@pytest.mark.parametrize("other", ["more/b/2.jpg", "loose.jpg"])
def test_something_beside_the_splits_makes_them_classes(other):
    assert tree("train/a/1.jpg", "test/a/2.jpg", other).splits() == ()


def test_train_alone_is_no_split():
    assert tree("train/a/1.jpg", "train/b/2.jpg").splits() == ()


def test_an_unknown_split_is_refused():
    with pytest.raises(UsageError, match="train"):
        tree("train/a/1.jpg", "test/a/2.jpg").open("trian")


def test_a_split_does_not_answer_for_what_another_ignores():
    ignored = [one for one in IGNORED if one.id.startswith(("train", "test"))]
    whole = tree("train/a/1.jpg", "test/a/2.jpg", ignored=ignored)
    assert [one.id for one in whole.open("test").ignored] == ["test/notes.txt"]


def test_no_images_are_told_with_what_was_found_instead():
    with pytest.raises(DataError, match=r"in 3 folders; found 2 \.txt\)"):
        tree(ignored=IGNORED).open(None)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("a/1.JPG", None),
        ("a/", None),
        (".git/1.jpg", "hidden"),
        ("a/Thumbs.db", "operating system"),
        ("__MACOSX/1.jpg", "operating system"),
        ("a/notes.txt", r"not an image by its name \(\.txt\)"),
        ("a/README", r"\(no suffix\)"),
    ],
)
def test_what_is_left_alone_has_a_reason(path, told):
    reason = why_ignored(path)
    assert (reason is None) == (told is None)
    assert told is None or re.search(told, reason)


def test_bytes_that_are_no_text_can_be_written_and_sorted():
    broken = b"b\xff.jpg".decode("utf-8", "surrogateescape")
    assert as_unicode(broken) == "b\\xff.jpg"
    ids, places = sorted_ids([broken, "é.jpg", "a.jpg"])
    assert ids == ("a.jpg", "b\\xff.jpg", "é.jpg")
    assert np.argsort(places).tolist() == [1, 2, 0]


class Ignored:
    def __init__(self, path):
        self.id, self.reason = path, why_ignored(path)


IGNORED = [Ignored("train/notes.txt"), Ignored("test/notes.txt"), Ignored(".hidden/x")]
