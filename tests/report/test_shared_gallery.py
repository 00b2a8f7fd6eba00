"""What galleries have in common: the same images, and how far their neighbours agree."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.report.reading import Gallery, read_run
from lookalike.report.shared_gallery import COMPARED, LARGEST, share_gallery, sign_test


@pytest.fixture
def gallery(full_run: Path) -> Gallery:
    found = read_run(full_run).gallery
    assert found is not None
    return found


def turned(gallery: Gallery, *, seed: int = 0, noise: float = 0.0) -> Gallery:
    """Return the gallery as another encoder might see it."""
    rng = np.random.default_rng(seed)
    vectors = gallery.vectors + noise * rng.normal(size=gallery.vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return replace(gallery, vectors=vectors.astype(np.float32))


def nearest(gallery: Gallery, image: int) -> set[int]:
    cosines = gallery.vectors @ gallery.vectors[image]
    return set(np.argsort(-np.delete(cosines, image), kind="stable")[:COMPARED].tolist())


def test_agreement_is_what_a_slow_loop_counts(gallery: Gallery):
    other = turned(gallery, noise=0.3)
    shared = share_gallery({"A": gallery, "B": other})
    slow = [
        len(nearest(gallery, image) & nearest(other, image)) / COMPARED
        for image in range(len(gallery))
    ]
    np.testing.assert_allclose(shared.kept, slow)
    assert shared.pairs[0].overlap == pytest.approx(np.mean(slow))
    least = [shared.kept[image] for image in shared.changed]
    assert least == sorted(slow)[: len(least)]


def test_an_encoder_agrees_with_itself_and_has_changed_nothing(gallery: Gallery):
    shared = share_gallery({"A": gallery, "B": gallery})
    assert shared.pairs[0].overlap == 1
    assert shared.changed == ()
    assert shared.pairs[0].chance == 1
    assert shared.pairs[0].verdict == "may be chance"


def test_strangers_agree_as_chance_has_it(gallery: Gallery):
    rng = np.random.default_rng(0)
    count = len(gallery)
    galleries = {
        letter: replace(gallery, vectors=each / np.linalg.norm(each, axis=1, keepdims=True))
        for letter, each in zip(
            "AB", rng.normal(size=(2, count, 64)).astype(np.float32), strict=True
        )
    }
    shared = share_gallery(galleries)
    assert shared.by_chance == COMPARED / (count - 1)
    spread = math.sqrt(shared.by_chance / (count * COMPARED))
    assert abs(shared.pairs[0].overlap - shared.by_chance) < 5 * spread


def test_images_meet_by_name_and_pixels_in_any_order(gallery: Gallery):
    count = len(gallery)
    order = np.random.default_rng(1).permutation(count)
    mixed = gallery.select(order.tolist())
    assert share_gallery({"A": gallery, "B": mixed}).pairs[0].overlap == 1
    other = gallery.thumbs.copy()
    other[:5] += 1  # another image under the same name
    shared = share_gallery({"A": gallery, "B": replace(gallery, thumbs=other)})
    assert shared.left_out == 5
    assert shared.first.ids == gallery.ids[5:]


def test_galleries_of_other_images_are_refused_in_a_sentence(gallery: Gallery):
    elsewhere = replace(gallery, ids=tuple(f"other/{name}" for name in gallery.ids))
    with pytest.raises(ValueError, match="of A, B and C have no images in common"):
        share_gallery({"A": gallery, "B": gallery, "C": elsewhere})
    few = gallery.select([0, 1, 2])
    with pytest.raises(ValueError, match="of A and B have only 3 images in common"):
        share_gallery({"A": gallery, "B": few})


def test_who_is_right_alone_is_counted_over_the_same_images(gallery: Gallery):
    worse = turned(gallery, noise=0.4)
    pair = share_gallery({"A": gallery, "B": worse}).pairs[0]
    right = []
    for each in (gallery, worse):
        cosines = each.vectors @ each.vectors.T
        np.fill_diagonal(cosines, -2)
        right.append(each.labels[cosines.argmax(axis=1)] == each.labels)
    assert pair.only_first == (right[0] & ~right[1]).sum()
    assert pair.only_second == (~right[0] & right[1]).sum()
    assert pair.verdict == "A is better"
    blind = replace(gallery, labels=np.full(len(gallery), -1))
    assert share_gallery({"A": blind, "B": blind}).pairs[0].chance is None


def test_labels_are_taken_from_whoever_has_them(gallery: Gallery):
    blind = replace(gallery, labels=np.full(len(gallery), -1))
    assert share_gallery({"A": blind, "B": gallery}).first is not None
    assert share_gallery({"A": blind, "B": gallery}).pairs[0].chance == 1


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 5), (9, 1), (6, 6)])
def test_the_sign_test_counts_all_falls_of_the_coins(first: int, second: int):
    falls = list(itertools.product((0, 1), repeat=first + second))
    uneven = abs(first - second)
    as_much = [fall for fall in falls if abs(2 * sum(fall) - len(fall)) >= uneven]
    assert sign_test(first, second) == pytest.approx(len(as_much) / len(falls))


def test_more_images_than_fit_are_drawn_alike_in_every_run():
    count = LARGEST + 50
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    thumbs = rng.integers(0, 255, (count, 2, 2, 3), dtype=np.uint8)
    ids = tuple(map(str, range(count)))
    gallery = Gallery(thumbs, ids, np.full(count, -1), (), vectors)
    shared = share_gallery({"A": gallery, "B": gallery.select(range(count)[::-1])})
    assert len(shared.kept) == LARGEST
    assert shared.left_out == 50
    assert shared.galleries["A"].ids == shared.galleries["B"].ids
