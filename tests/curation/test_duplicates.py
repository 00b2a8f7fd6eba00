"""Planted duplicates are found, nothing else is, and the best of each group is kept."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

import lookalike
from lookalike.curation.album import Album, embed_album
from lookalike.curation.duplicates import Duplicates, find_duplicates, write_csv
from lookalike.data.decode import decode
from lookalike.data.sources import open_source
from lookalike.errors import DataError
from lookalike.neighbors.embedding import embed_source

from ..neighbors.conftest import Page


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Return 16 photos of hands as one, 256 pixels wide."""
    images = open_source("hands/train")
    photos = [decode(images.read(position)) for position in range(0, 320, 20)]
    rows = [np.concatenate(photos[start : start + 4], axis=1) for start in range(0, 16, 4)]
    return Image.fromarray(np.concatenate(rows))


@pytest.fixture(scope="module")
def found(planted_album) -> Duplicates:
    return find_duplicates(planted_album)


def album_of(encoder, folder) -> Album:
    return embed_album(encoder, open_source(folder), max_unreadable=0.5)


def names(found: Duplicates) -> list[list[str]]:
    return [[found.id_of(member.position) for member in group] for group in found.groups]


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def origin(name: str) -> str:
    return name[:-4].partition("-")[0]


def test_planted_duplicates_are_found_and_nothing_else_is(found):
    groups = names(found)
    assert all(len({origin(name) for name in group}) == 1 for group in groups)
    assert sorted(origin(group[0]) for group in groups) == [f"{n:02d}" for n in range(24)]
    assert sum(len(group) for group in groups) == 24 * 2 + 1
    assert found.copies == 1
    assert len(found.spare) == 25
    assert found.matches.threshold.precision == 1


def test_exact_copies_are_found_without_being_compared(found):
    same = next(group for group in found.groups if len(group) == 3)
    by_name = {found.id_of(member.position): member for member in same}
    assert set(by_name) == {"03.jpg", "03-same.jpg", "03-light.jpg"}
    compared = {found.id_of(place) for place in found.matches.pairs.ravel().tolist()}
    assert "03-same.jpg" in compared  # the first by name stands for both
    assert "03.jpg" not in compared


def test_exact_copies_alone_make_a_group(encoder, planted, tmp_path):
    for name in ("a.jpg", "b.jpg", "c/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((planted / "30.jpg").read_bytes())
    (tmp_path / "z.jpg").write_bytes((planted / "31.jpg").read_bytes())
    found = find_duplicates(album_of(encoder, tmp_path))
    assert names(found) == [["a.jpg", "b.jpg", "c/a.jpg"]]
    assert [member.keep for member in found.groups[0]] == [True, False, False]
    assert [member.score for member in found.groups[0]] == [1, 1, 1]
    assert {member.reason for member in found.groups[0][1:]} == {"same file"}


def test_links_are_no_copies(encoder, planted, tmp_path):
    photo = (planted / "30.jpg").read_bytes()
    (tmp_path / "m.jpg").write_bytes(photo)
    (tmp_path / "a.jpg").symlink_to("m.jpg")
    (tmp_path / "z.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "hard.jpg").hardlink_to(tmp_path / "m.jpg")
    (tmp_path / "other.jpg").write_bytes((planted / "31.jpg").read_bytes())
    found = find_duplicates(album_of(encoder, tmp_path))
    assert (names(found), found.links) == ([], 3)
    assert "3 more names of the same files are links" in str(found)
    (tmp_path / "copy.jpg").write_bytes(photo)
    found = find_duplicates(album_of(encoder, tmp_path))
    assert names(found) == [["copy.jpg", "hard.jpg"]], "each a file of its own"
    made = embed_source(encoder, tmp_path, out=tmp_path.parent / f"{tmp_path.name}.vec")
    assert names(find_duplicates(made.path)) == [["copy.jpg", "hard.jpg"]]


def test_keeps_the_largest_then_the_sharpest_then_the_least_compressed(encoder, photo, tmp_path):
    blurred = photo.filter(ImageFilter.GaussianBlur(0.8))
    for name, image, quality in (
        ("a.jpg", photo.resize((200, 200)), 95),
        ("b.jpg", blurred, 95),
        ("c.jpg", photo, 30),
        ("d.jpg", photo, 80),
    ):
        image.save(tmp_path / name, quality=quality)
    kept = []
    for best in ("d.jpg", "c.jpg", "b.jpg"):
        (group,) = find_duplicates(album_of(encoder, tmp_path)).groups
        kept.append((sorted(tmp_path.iterdir())[group[0].position].name, group[0].reason))
        (tmp_path / best).unlink()
    assert kept == [
        ("d.jpg", "the least compressed of the largest"),
        ("c.jpg", "the sharpest of the largest"),
        ("b.jpg", "the largest"),
    ]


def test_of_equals_the_first_by_name_is_kept(encoder, photo, tmp_path):
    for name in ("b.png", "a.png"):
        photo.save(tmp_path / name)
    found = find_duplicates(album_of(encoder, tmp_path))
    assert names(found) == [["a.png", "b.png"]]
    assert found.groups[0][0].reason == "the first by name"
    assert found.describe(0).startswith("256 x 256, ")


def test_a_series_from_one_picture_to_another_is_no_chain(encoder, photo, tmp_path):
    one = np.asarray(photo).astype(float)
    other = np.asarray(photo.transpose(Image.Transpose.ROTATE_90)).astype(float)
    for number, share in enumerate(np.linspace(0, 0.45, 10)):
        mixed = (1 - share) * one + share * other
        Image.fromarray(mixed.round().astype(np.uint8)).save(tmp_path / f"{number}.png")
    found = find_duplicates(album_of(encoder, tmp_path), neighbours=9)
    matches, level = found.matches, found.matches.threshold.value
    score = {
        tuple(pair): float(value)
        for pair, value in zip(matches.pairs.tolist(), matches.scores, strict=True)
    }
    assert all(score[number, number + 1] >= level for number in range(9))  # each like the next
    assert score[0, 9] < level  # and the ends are not
    assert not any({0, 9} <= {member.position for member in group} for group in found.groups)
    for group in found.groups:
        places = sorted(member.position for member in group)
        assert all(score[pair] >= level for pair in itertools.combinations(places, 2))


def test_the_table_says_what_to_keep(found, planted, tmp_path):
    write_csv(found, tmp_path / "duplicates.csv")
    rows = list(csv.DictReader((tmp_path / "duplicates.csv").read_text().splitlines()))
    assert len(rows) == 49
    for _, group in itertools.groupby(rows, key=lambda row: row["group"]):
        keep = [row["keep"] for row in group]
        assert keep == ["yes", *["no"] * (len(keep) - 1)]
    for row in rows:
        assert int(row["bytes"]) == (planted / row["id"]).stat().st_size
        assert (int(row["width"]), int(row["height"])) == size_of(planted / row["id"])


def test_scripts_find_one_object_and_people_a_table(found, planted):
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["folder"] == str(planted)
    assert [[each["id"] for each in group] for group in told["groups"]] == names(found)
    assert told["threshold"]["precision"] == 1
    text = "\n".join(found.lines())
    assert "24 groups of 49 images; 25 of 145 images need not be kept, 1 of them the same" in text
    assert "and 14 more groups" in text


def test_the_same_seed_finds_the_same(found, planted_album):
    assert find_duplicates(planted_album).to_json() == found.to_json()


def test_a_collection_will_do(encoder, found, planted, tmp_path):
    embed_source(encoder, planted, out=tmp_path / "photos.vec")
    assert names(lookalike.find_duplicates(tmp_path / "photos.vec")) == names(found)
    assert names(lookalike.find_duplicates(planted)) == names(found)  # nor is one needed


def test_one_image_is_no_duplicate(encoder, planted, tmp_path):
    (tmp_path / "only.jpg").write_bytes((planted / "00.jpg").read_bytes())
    found = find_duplicates(album_of(encoder, tmp_path))
    assert found.groups == ()
    assert "0 groups of 0 images" in found.lines()[0]


def test_what_cannot_be_read_is_counted(encoder, planted, tmp_path):
    for name in ("00.jpg", "00-jpeg.jpg", "30.jpg"):
        (tmp_path / name).write_bytes((planted / name).read_bytes())
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    album = album_of(encoder, tmp_path)
    (tmp_path / "30.jpg").unlink()
    found = find_duplicates(album, max_unreadable=0.5)
    assert found.unreadable == 2
    assert names(found) == [["00-jpeg.jpg", "00.jpg"]] or names(found) == [
        ["00.jpg", "00-jpeg.jpg"]
    ]
    assert "2 could not be read" in "\n".join(found.lines())
    with pytest.raises(DataError, match="1 of 3 images cannot be read"):
        find_duplicates(album)


@pytest.mark.parametrize("options", [{"precision": 1}, {"precision": 0}, {"neighbours": 0}])
def test_refuses_what_cannot_be(planted_album, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        find_duplicates(planted_album.select([0, 1]), **options)


def test_printed_it_is_short(found):
    spare = f"{len(found.spare):,} of {len(found.album):,} images spare"
    assert repr(found) == f"Duplicates({len(found.groups)} groups, {spare})"
    assert str(found).splitlines() == found.lines()


def test_a_notebook_shows_the_first_groups(found):
    page = Page(found._repr_html_())
    shown = found.groups[:10]
    assert len(page.pictures) == sum(map(len, shown))
    assert page.text.count("keep\n") == len(shown)
    for group in shown:
        for member in group:
            assert f"{found.id_of(member.position)}\n" in page.text
            assert member.keep or f"{member.score:.3f}\n" in page.text
    assert f"and {len(found.groups) - 10} more groups" in page.text
    assert len(found._repr_html_()) < 500_000


def test_a_notebook_shows_a_large_group_in_part(encoder, photo, tmp_path):
    for number in range(20):
        photo.save(tmp_path / f"{number:02d}.png")
    found = find_duplicates(album_of(encoder, tmp_path))
    page = Page(found._repr_html_())
    assert len(page.pictures) == 12
    assert "20 images; kept: the first by name" in page.text
    assert "and 8 more" in page.text
    for path in tmp_path.iterdir():
        path.unlink()
    gone = Page(found._repr_html_())
    assert gone.pictures == []
    assert "table" in dict(gone.tags)


def plant_altered(
    source: Path, folder: Path, change: Callable[[Image.Image], Image.Image]
) -> list[list[str]]:
    """Copy 60 photos of hands, alter six of them, and return the groups to be found."""
    folder.mkdir()
    for number in range(60):
        shutil.copy(source / f"{number + 24:02d}.jpg", folder / f"{number:02d}.jpg")
    for number in range(0, 60, 10):
        with Image.open(folder / f"{number:02d}.jpg") as photo:
            change(photo.convert("RGB")).save(folder / f"{number:02d}-new.jpg", quality=92)
    return [sorted([f"{number:02d}-new.jpg", f"{number:02d}.jpg"]) for number in range(0, 60, 10)]


CHANGES = {
    "mirrored": ImageOps.mirror,
    "turned": lambda photo: photo.rotate(90, expand=True),
    "framed": lambda photo: ImageOps.expand(photo, 7, (250, 250, 250)),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_each_kind_is_found_and_named_and_may_be_left_out(planted, tmp_path, kind):
    expected = plant_altered(planted, tmp_path / "photos", CHANGES[kind])
    found = find_duplicates(tmp_path / "photos")
    assert [sorted(group) for group in names(found)] == expected
    reasons = {member.reason for group in found.groups for member in group if not member.keep}
    assert reasons == {f"{kind} copy"}
    write_csv(found, tmp_path / "duplicates.csv")
    assert (tmp_path / "duplicates.csv").read_text().count(f"{kind} copy") == 6
    without = (kind, "cropped") if kind == "framed" else (kind,)  # the photo is a crop of it
    assert find_duplicates(tmp_path / "photos", without=without).groups == ()


def test_one_mirrored_copy_changes_nothing_else(planted, tmp_path):
    """It agrees with its mirrored image as copies do, which once passed for fifty mistakes."""
    for path in planted.iterdir():
        shutil.copy(path, tmp_path)
    before = find_duplicates(tmp_path)
    with Image.open(tmp_path / "40.jpg") as photo:
        ImageOps.mirror(photo).save(tmp_path / "40-mirror.jpg", quality=92)
    after = find_duplicates(tmp_path)
    assert len(before.groups) == 24
    mirrored = {"40.jpg", "40-mirror.jpg"}
    others = {frozenset(group) for group in names(after)} - {frozenset(mirrored)}
    assert others == {frozenset(group) for group in names(before)}
    assert len(after.groups) == 25


def test_ask_again_at_another_precision(found, planted_album):
    assert found.at(0.9).to_json() == find_duplicates(planted_album, precision=0.9).to_json()
