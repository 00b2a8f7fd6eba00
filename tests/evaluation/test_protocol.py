"""Who votes on whom, source by source."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data.sources import open_source
from lookalike.errors import UsageError
from lookalike.evaluation.protocol import choose_sides


def fill(folder: Path, counts: dict[str, int], *, seed: int = 0) -> Path:
    """Write so many different pictures into each class folder."""
    random = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def contents(images) -> set[bytes]:
    return {images.read(position) for position in range(len(images))}


def classes(images) -> list[str]:
    return sorted({images.class_names[label] for label in images.labels})


def test_the_train_split_votes_on_the_other(tmp_path):
    fill(tmp_path / "train", {"cat": 3, "dog": 2})
    fill(tmp_path / "test", {"cat": 1, "dog": 1}, seed=1)
    for source in (tmp_path, tmp_path / "test"):
        sides = choose_sides(source)
        assert (len(sides.queries), len(sides.bank)) == (2, 5)
        assert sides.queries.class_names == sides.bank.class_names == ("cat", "dog")
        assert "splits" in sides.reason


def test_the_train_split_asked_about_does_not_vote_on_itself(tmp_path):
    fill(tmp_path / "train", {"cat": 8, "dog": 8})
    fill(tmp_path / "test", {"cat": 1, "dog": 1}, seed=1)
    sides = choose_sides(tmp_path, split="train")
    assert (len(sides.queries), len(sides.bank)) == (4, 12)


def test_a_source_without_splits_is_split_by_class(tmp_path):
    fill(tmp_path, {"cat": 20, "dog": 4, "emu": 1})
    sides = choose_sides(tmp_path, seed=3)
    np.testing.assert_array_equal(np.bincount(sides.queries.labels, minlength=3), [5, 1, 0])
    np.testing.assert_array_equal(np.bincount(sides.bank.labels), [15, 3, 1])
    assert contents(sides.queries).isdisjoint(contents(sides.bank))
    assert sides.queries.ids == choose_sides(tmp_path, seed=3).queries.ids
    assert sides.queries.ids != choose_sides(tmp_path, seed=4).queries.ids


def test_a_bank_that_is_given_votes_in_the_numbers_of_both(tmp_path):
    asked = fill(tmp_path / "asked", {"cat": 2, "dog": 2})
    bank = fill(tmp_path / "bank", {"ant": 3, "dog": 3}, seed=1)
    sides = choose_sides(asked, bank=bank)
    names = sides.queries.class_names
    assert names == sides.bank.class_names
    assert sorted(names) == ["ant", "cat", "dog"]
    assert classes(sides.queries) == ["cat", "dog"]
    assert classes(sides.bank) == ["ant", "dog"]


def test_copies_of_queries_do_not_vote(tmp_path):
    asked = fill(tmp_path / "asked", {"cat": 4, "dog": 4})
    bank = fill(tmp_path / "bank", {"cat": 6, "dog": 6})  # the same dice: cats 0 to 3 are the same
    for arguments in ({"bank": bank}, {"trained_on": bank}):
        sides = choose_sides(asked, **arguments)
        assert contents(sides.queries).isdisjoint(contents(sides.bank))
        assert 0 < len(sides.bank) < 12
    with pytest.raises(UsageError, match="not asked about itself"):
        choose_sides(asked, bank=asked)


def test_what_was_trained_on_votes_if_nothing_better_does(tmp_path):
    asked = fill(tmp_path / "asked", {"cat": 4, "dog": 4})
    seen = fill(tmp_path / "seen", {"cat": 5, "dog": 5}, seed=1)
    other = fill(tmp_path / "other", {"oak": 5, "elm": 5}, seed=2)
    assert len(choose_sides(asked, trained_on=seen).bank) == 10
    for useless in (asked, other):  # the same images; other classes
        sides = choose_sides(asked, trained_on=useless)
        assert (len(sides.queries), len(sides.bank)) == (2, 6)
        assert "no split of its own" in sides.reason


def test_unseen_classes_are_asked_of_each_other():
    sides = choose_sides("omniglot")
    assert sides.bank is None
    assert sides.has_labels
    assert len(sides.queries.class_names) == 106
    assert "leave one out" in sides.reason


def test_the_photos_that_ship_come_in_splits():
    sides = choose_sides("hands", trained_on="hands")
    assert (len(sides.queries), len(sides.bank)) == (516, 1546)
    for name in ("hands/test", open_source("hands", split="test")):
        assert len(choose_sides(name, trained_on="hands").bank) == 1546


def test_nobody_votes_without_labels_or_partners(tmp_path):
    plain = fill(tmp_path / "plain", {"": 3})
    lone = fill(tmp_path / "lone", {"cat": 1, "dog": 1})
    two = open_source(fill(tmp_path / "two", {"cat": 3, "dog": 3}))
    one = two.select(np.flatnonzero(two.labels == 0))
    strange = fill(tmp_path / "strange", {"elm": 3, "oak": 3}, seed=1)
    for source, bank, reason in (
        (plain, None, "no labels"),
        (lone, None, "one image a class"),
        (one, None, "one class"),
        (lone, strange, "one image each"),
    ):
        sides = choose_sides(source, bank=bank)
        assert not sides.has_labels
        assert sides.bank is None
        assert reason in sides.reason


def test_a_split_of_opened_images_is_a_mistake(tmp_path):
    images = open_source(fill(tmp_path, {"cat": 2, "dog": 2}))
    with pytest.raises(UsageError, match="split 'test'"):
        choose_sides(images, split="test")
