"""What paths say of splits and classes: each rule of the module's first lines, and their edges."""

import re
import unicodedata

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


@pytest.mark.parametrize("other", ["more/b/2.jpg", "loose.jpg"])
def test_splits_beside_something_else_are_no_classes_and_it_is_said(other):
    images = tree("train/a/1.jpg", "test/a/2.jpg", other).open(None)
    assert (len(images), images.class_names) == (3, ())
    assert "called like splits" in images.remarks[0]


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Test"),
        ("TRAIN", "VAL"),
        ("train", "eval"),
        ("train", "dev"),
        ("Training", "Testing"),
        ("train", "evaluation"),
        ("train", "test", "unlabeled"),
        ("Train", "Valid", "Unlabelled"),
        ("train", "validation", "dev", "test"),
    ],
)
def test_splits_are_no_classes_however_they_are_spelt(names):
    paths = [
        f"{name}/{kind}/{number}.jpg" for name in names[:2] for kind in "ab" for number in "12"
    ]
    whole = tree(*paths, *(f"{name}/3.jpg" for name in names[2:]))
    assert len(whole.splits()) == len(names)
    assert whole.splits()[0] == "train"
    for name in names[:2]:
        images = whole.open(name)
        assert images.ids == tuple(sorted(path for path in paths if path.startswith(f"{name}/")))
        assert images.class_names == ("a", "b")
        assert images.labels.tolist() == [0, 0, 1, 1]
    assert whole.open(None).ids == whole.open(names[0]).ids


@pytest.mark.parametrize(
    "folders",
    [
        ("2019", "2020"),
        ("2021-07", "2021-08", "2022-01"),
        ("20210714", "20210715"),
        ("2021_07_14 Paris", "2021_08_01 Rome"),
        ("14.07.2021", "15.07.2021"),
        ("July 2021", "August 2021"),
        ("Jan", "Feb", "Mar"),
        ("DCIM", "Screenshots"),
        ("100CANON", "101CANON"),
        ("100MSDCF", "102_PANA"),
        ("100APPLE", "Camera Roll"),
        ("2019", "2020", "2021", "family"),
    ],
)
def test_dates_and_cameras_are_no_classes(folders):
    images = tree(*(f"{folder}/{number}.jpg" for folder in folders for number in "12")).open(None)
    assert images.class_names == ()
    assert set(images.labels.tolist()) == {-1}
    assert "dates or cameras" in images.remarks[0]


@pytest.mark.parametrize(
    "folders",
    [
        [str(number) for number in range(10)],
        [f"{number:02d}" for number in range(1, 13)],
        [f"{number:04d}" for number in range(1800, 2400)],
        ["n01440764", "n01443537"],
        ["cat", "dog", "2019"],
        ["train", "bus", "car"],
        ["may", "rose", "lily"],
        ["100001", "100002"],
        ["19th century", "20th century"],
    ],
)
def test_names_that_only_resemble_dates_are_classes(folders):
    images = tree(*(f"{folder}/1.jpg" for folder in folders)).open(None)
    assert sorted(images.class_names) == sorted(folders)
    assert images.remarks == ()


def test_a_stray_image_beside_class_folders_is_of_no_class_and_takes_none_away():
    paths = [f"{kind}/{number:02d}.jpg" for kind in "ab" for number in range(10)]
    images = tree(*paths, "stray.jpg").open(None)
    assert classes(images) == {path: path[0] for path in paths} | {"stray.jpg": None}
    assert images.remarks == ("1 image lies beside the folders and so without a class",)
    images = tree(*paths, *(f"{number}.jpg" for number in range(9))).open(None)
    assert images.class_names == ()
    assert "9 images lie beside the folders, so these are not" in images.remarks[0]


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


def test_names_in_two_unicode_forms_are_one_class():
    paths = [f"{unicodedata.normalize(form, 'café')}/{form}.jpg" for form in ("NFC", "NFD")]
    whole = tree(f"train/{paths[0]}", "train/tea/1.jpg", f"test/{paths[1]}", "test/tea/2.jpg")
    assert [whole.open(split).class_names for split in ("train", "test")] == [("café", "tea")] * 2
    assert whole.open("test").labels.tolist() == [0, 1]
    alone = tree(*paths).open(None)
    assert set(classes(alone).values()) == {None}, "one folder tells nothing of classes"
