"""k-center is the greedy of a slow loop, typicality its formula, and what is labelled is left."""

from __future__ import annotations

import csv
import itertools
import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.curation.album import Album
from lookalike.curation.select import (
    k_center,
    select_images,
    typical_first,
    typicalities,
    write_csv,
)
from lookalike.data.image_set import ImageSet
from lookalike.embeddings import Embeddings
from lookalike.errors import LookalikeError


class Nothing:
    """Gives no pictures: images are chosen by their vectors alone."""

    def read(self, key: int, limit: int | None = None) -> bytes:
        raise AssertionError(key)


def unit(rows: int, *, seed: int = 0, dim: int = 6) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def album_of(vectors: np.ndarray, labels: np.ndarray | None = None, prefix: str = "") -> Album:
    labels = np.full(len(vectors), -1) if labels is None else labels
    ids = tuple(f"{prefix}{place:03d}.jpg" for place in range(len(vectors)))
    images = ImageSet("made up", ids, labels, ("cat",), Nothing(), np.arange(len(vectors)))
    return Album(images, Embeddings(vectors, ids, labels, ("cat",)))


def slow_k_center(vectors: np.ndarray, count: int, covered: np.ndarray) -> list[int]:
    rows = vectors.astype(float)
    chosen: list[int] = []
    for _ in range(count):
        left = [place for place in range(len(rows)) if place not in chosen]
        known = [*covered.astype(float), *(rows[place] for place in chosen)]
        if known:
            far = [min(np.linalg.norm(rows[place] - each) for each in known) for place in left]
        else:
            far = [float(rows[place] @ rows.mean(axis=0)) for place in left]
        chosen.append(left[int(np.argmax(far))])
    return chosen


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 3))
def test_k_center_is_the_greedy_of_a_slow_loop(seed, count, covered):
    vectors, known = unit(12, seed=seed), unit(covered, seed=seed + 1)
    chosen, gains = k_center(vectors, count, covered=known)
    assert chosen == slow_k_center(vectors, count, known)
    assert gains == sorted(gains, reverse=True)  # what is left never grows
    assert np.isinf(gains[0]) == (covered == 0)


def test_k_center_is_within_twice_of_the_best_choice():
    for seed in range(5):
        vectors = unit(11, seed=seed, dim=3).astype(float)

        def radius(chosen: tuple[int, ...] | list[int], rows: np.ndarray = vectors) -> float:
            apart = np.linalg.norm(rows[:, None] - rows[list(chosen)], axis=2)
            return float(apart.min(axis=1).max())

        chosen, _ = k_center(vectors.astype(np.float32), 3)
        best = min(radius(each) for each in itertools.combinations(range(11), 3))
        assert best <= radius(chosen) <= 2 * best + 1e-6


def test_k_center_takes_copies_last_and_none_twice():
    vectors = np.concatenate([unit(4), unit(4)])
    chosen, gains = k_center(vectors, 8)
    assert sorted(chosen) == list(range(8))
    assert len({place % 4 for place in chosen[:4]}) == 4
    assert gains[4:] == pytest.approx([0, 0, 0, 0], abs=1e-3)


def test_typicality_is_one_over_the_mean_distance():
    angles = np.array([0, 10, 20, 90]) * np.pi / 180
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def chord(degrees: float) -> float:
        return 2 * np.sin(degrees * np.pi / 360)

    expected = [
        2 / (chord(10) + chord(20)),
        2 / (chord(10) + chord(10)),
        2 / (chord(10) + chord(20)),
        2 / (chord(70) + chord(80)),
    ]
    np.testing.assert_allclose(typicalities(vectors, neighbours=2), expected, rtol=1e-4)
    all_three = 3 / (chord(10) + chord(20) + chord(90))
    assert typicalities(vectors, neighbours=20)[0] == pytest.approx(all_three, rel=1e-4)
    assert typicalities(vectors[:1]).tolist() == [0]


def test_typical_images_of_large_clusters_come_first():
    vectors = unit(9)
    members = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    chosen, values = typical_first(vectors, members, 5)
    assert members[chosen].tolist() == [0, 1, 2, 0, 1]  # each once before any twice
    for number in (0, 1, 2):
        inside = np.flatnonzero(members == number)
        best = inside[typicalities(vectors[inside]).argmax()]
        assert chosen[number] == best
        assert values[number] == pytest.approx(typicalities(vectors[inside]).max())


def test_clusters_that_are_covered_wait():
    members = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    chosen, _ = typical_first(unit(9), members, 4, covered=[1, 4])
    assert members[chosen].tolist() == [2, 0, 1, 2]
    assert not {1, 4} & set(chosen)
    everything, _ = typical_first(unit(9), members, 7, covered=[1, 4])
    assert sorted([*everything, 1, 4]) == list(range(9))


@pytest.mark.parametrize("by", ["k-center", "typicality", "random"])
def test_a_choice_is_of_different_images_and_the_same_each_time(by):
    album = album_of(unit(40))
    first, again = (select_images(album, count=12, by=by, seed=3) for _ in range(2))
    places = [pick.position for pick in first.picks]
    assert len(set(places)) == 12
    assert first.picks == again.picks
    assert all(pick.reason for pick in first.picks)
    if by == "random":
        assert select_images(album, count=12, by=by, seed=4).picks != first.picks


@pytest.mark.parametrize("by", ["k-center", "typicality", "random"])
def test_labelled_images_are_not_chosen(by):
    labels = np.full(30, -1)
    labels[::3] = 0
    album = album_of(unit(30), labels)
    found = select_images(album, count=99, by=by)
    assert sorted(pick.position for pick in found.picks) == [n for n in range(30) if n % 3]
    assert found.labelled == 10
    besides = select_images(album_of(unit(30)), count=99, by=by, labelled=album.select([4, 7]))
    assert not {4, 7} & {pick.position for pick in besides.picks}
    assert (len(besides.picks), besides.labelled) == (28, 2)


def test_a_set_whose_labels_are_all_known_is_chosen_from_all_the_same():
    found = select_images(album_of(unit(8), np.zeros(8, dtype=np.int64)), count=3, by="k-center")
    assert (len(found.picks), found.labelled) == (3, 0)


def test_images_like_those_labelled_elsewhere_come_last():
    vectors = unit(10)
    elsewhere = album_of(vectors[:9], prefix="other/")
    found = select_images(album_of(vectors), count=1, by="k-center", labelled=elsewhere)
    assert [pick.position for pick in found.picks] == [9]
    assert "from all chosen before" in found.picks[0].reason


def test_copies_share_a_cluster():
    vectors = np.repeat(unit(5), 4, axis=0)
    found = select_images(album_of(vectors), count=12)
    places = [pick.position // 4 for pick in found.picks]
    assert sorted(places[:5]) == list(range(5))
    assert sorted(places[5:10]) == list(range(5))


def test_nothing_is_left_to_choose():
    album = album_of(unit(4))
    found = select_images(album, labelled=album)
    assert found.picks == ()
    assert "0 of 4 images" in found.lines()[-1]


def test_one_image_is_chosen(tmp_path):
    for by in ("k-center", "typicality", "random"):
        assert [pick.position for pick in select_images(album_of(unit(1)), by=by).picks] == [0]


def test_table_object_and_lines_tell_the_same(tmp_path):
    found = select_images(album_of(unit(30)), count=20, by="k-center")
    write_csv(found, tmp_path / "selection.csv")
    rows = list(csv.DictReader((tmp_path / "selection.csv").read_text().splitlines()))
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [row["id"] for row in rows] == [each["id"] for each in told["picks"]]
    assert [int(row["place"]) for row in rows] == list(range(1, 21))
    lines = found.lines()
    assert lines[0].split()[:2] == ["1", rows[0]["id"]]
    assert "and 5 more" in lines


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(LookalikeError, match=r"pip install 'lookalike\[cluster\]'"):
        select_images(album_of(unit(5)), count=2)
    assert len(select_images(album_of(unit(5)), count=2, by="k-center").picks) == 2


@pytest.mark.parametrize("options", [{"count": 0}, {"by": "beauty"}])
def test_refuses_what_cannot_be(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        select_images(album_of(unit(5)), **options)
    for count in (0, 6):
        with pytest.raises(ValueError, match="count must be in"):
            k_center(unit(5), count)
