"""What is shown of a gallery is what the gallery holds."""

from pathlib import Path

import numpy as np
import pytest

from lookalike.report import exhibit
from lookalike.report.exhibit import IN_ROW, Exhibit
from lookalike.report.reading import Gallery, read_gallery


@pytest.fixture
def gallery(full_run: Path) -> Gallery:
    return read_gallery(full_run / "gallery.npz")


def test_rows_show_the_nearest_with_their_cosines(gallery: Gallery) -> None:
    shown = Exhibit.of(gallery)
    assert shown is not None
    cosines = gallery.vectors @ gallery.vectors.T
    for query, others in shown.rows:
        nearest = np.argsort(-cosines[query.position])[1 : IN_ROW + 1]
        assert [other.position for other in others] == nearest.tolist()
        for other in others:
            assert other.cosine == f"{cosines[query.position, other.position]:.2f}"
            assert other.same == (other.class_name == query.class_name)
            assert other.name == gallery.ids[other.position]
            assert other.row * shown.sheet.columns + other.column == other.position
    assert shown.matches == sum(other.same is True for _, others in shown.rows for other in others)


def test_without_labels_nothing_is_marked(gallery: Gallery) -> None:
    unlabelled = Gallery(
        gallery.thumbs, gallery.ids, np.full(len(gallery), -1), (), gallery.vectors
    )
    shown = Exhibit.of(unlabelled)
    assert shown is not None
    assert not shown.labelled
    assert not shown.hardest
    assert shown.closest
    assert shown.agreement is None
    assert {other.same for _, others in shown.rows for other in others} == {None}


def test_a_large_gallery_is_thinned_by_a_seed(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exhibit, "LARGEST_GALLERY", 50)
    first, again = Exhibit.of(gallery), Exhibit.of(gallery)
    assert first is not None
    assert again is not None
    assert first.count == 50
    assert first.data == again.data
    assert set(first.data["names"]) < set(gallery.ids)


def test_one_image_has_no_neighbours(gallery: Gallery) -> None:
    one = Gallery(
        gallery.thumbs[:1], gallery.ids[:1], gallery.labels[:1], ("a",), gallery.vectors[:1]
    )
    assert Exhibit.of(one) is None


def test_two_equal_images_are_shown_without_a_map(gallery: Gallery) -> None:
    pick = [0, 0]
    two = Gallery(
        gallery.thumbs[pick],
        ("a", "b"),
        gallery.labels[pick],
        gallery.class_names,
        gallery.vectors[pick],
    )
    shown = Exhibit.of(two)
    assert shown is not None
    assert shown.plane is None
    assert "at least 3 images" in shown.no_map
    assert shown.closest[0][1].cosine == "1.00"


def test_the_static_map_has_a_dot_for_every_image(gallery: Gallery) -> None:
    shown = Exhibit.of(gallery)
    assert shown is not None
    assert sum(path.count("M") for _, path in shown.dots) == len(gallery)
    assert sum(count for _, _, count in shown.legend) == len(gallery)
