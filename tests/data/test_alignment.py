"""Alignment: the closed form beside Umeyama's singular values, the warp beside known places."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data import alignment as module
from lookalike.data.alignment import (
    TEMPLATE,
    align_face,
    align_images,
    read_landmarks,
    similarity_transform,
)
from lookalike.data.decode import decode
from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError

FACE = 112 * np.array(TEMPLATE)


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the transform by singular values, as the paper writes it, in any dimension."""
    means = source.mean(0), target.mean(0)
    s, t = source - means[0], target - means[1]
    u, values, v = np.linalg.svd(t.T @ s / len(s))
    signs = np.ones(len(values))
    if np.linalg.det(u) * np.linalg.det(v) < 0:
        signs[-1] = -1
    rotation = u @ np.diag(signs) @ v
    scale = (values * signs).sum() / s.var(0).sum()
    return np.column_stack([scale * rotation, means[1] - scale * rotation @ means[0]])


def moved(points: np.ndarray, *, scale: float, turn: float, shift: tuple[float, float]):
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return scale * points @ turned.T + shift


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [2, 3, 5, 40])
def test_it_is_umeyamas(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    source, target = random.normal(size=(2, count, 2)) * random.uniform(0.1, 90)
    np.testing.assert_allclose(
        similarity_transform(source, target), umeyama(source, target), rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("turn", [0.0, 0.3, -2.0, math.pi])
def test_a_similarity_is_found_again(turn: float) -> None:
    target = moved(FACE, scale=1.7, turn=turn, shift=(-40.0, 9.0))
    matrix = similarity_transform(FACE, target)
    np.testing.assert_allclose(matrix[:, :2] @ FACE.T + matrix[:, 2:], target.T, atol=1e-9)
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(1.7**2)


def test_a_mirror_image_is_not_mirrored_back() -> None:
    mirrored = FACE * [-1, 1]
    matrix = similarity_transform(mirrored, FACE)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_no_small_change_brings_the_points_closer() -> None:
    random = np.random.default_rng(0)
    source, target = random.normal(size=(2, 5, 2))

    def error(real: float, imaginary: float, x: float, y: float) -> float:
        matrix = np.array([[real, -imaginary, x], [imaginary, real, y]])
        return float(np.square(matrix[:, :2] @ source.T + matrix[:, 2:] - target.T).sum())

    matrix = similarity_transform(source, target)
    best = np.array([matrix[0, 0], matrix[1, 0], *matrix[:, 2]])
    for _ in range(100):
        assert error(*best) < error(*(best + 1e-3 * random.normal(size=4)))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (np.ones((5, 2)), "points that differ"),
        (np.full((5, 2), np.nan), "finite"),
        (np.ones((4, 2)), "one shape"),
        (np.ones(10), "matrix"),
        (1e9 + np.zeros((5, 2)), "points that differ"),
    ],
)
def test_refuses_what_no_map_can_be_made_of(source: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        similarity_transform(source, FACE)


def test_the_template_is_level_centred_and_inside() -> None:
    points = np.array(TEMPLATE)
    left, right = points[[0, 2, 3]], points[[1, 2, 4]]
    np.testing.assert_allclose(left[:, 0] + right[:, 0], 1)  # mirrored, it is itself
    np.testing.assert_allclose(left[:, 1], right[:, 1])
    assert ((points > 0.2) & (points < 0.9)).all()
    assert (np.diff(points[[0, 2, 3], 1]) > 0).all()  # eyes, nose, mouth from above


def a_picture(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_landmarks_on_the_template_change_nothing(interpolation: str) -> None:
    picture = a_picture(112, 112)
    same = align_face(picture, FACE, interpolation=interpolation)
    np.testing.assert_array_equal(same[3:-3, 3:-3], picture[3:-3, 3:-3])


def test_whole_pixels_are_moved_whole() -> None:
    picture = a_picture(140, 150)
    cut = align_face(picture, FACE + np.array([20, 11]))
    np.testing.assert_array_equal(cut[3:-3, 3:-3], picture[11:123, 20:132][3:-3, 3:-3])


def test_a_quarter_turn_is_numpys() -> None:
    picture = a_picture(112, 112)
    turned = moved(FACE - 56, scale=1, turn=math.pi / 2, shift=(56, 56))  # y is down: clockwise
    np.testing.assert_array_equal(align_face(np.rot90(picture, -1).copy(), turned), picture)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_marks_land_on_the_template(scale: float, turn: float) -> None:
    landmarks = moved(FACE - 56, scale=scale, turn=turn, shift=(350, 330))
    picture = np.zeros((660, 700, 3), np.uint8)
    down, right = np.mgrid[:660, :700] + 0.5
    radius = 4 * scale
    for x, y in landmarks:
        inside = np.clip(radius + 0.5 - np.hypot(right - x, down - y), 0, 1)  # soft at its rim
        picture = np.maximum(picture, (255 * inside[..., None]).astype(np.uint8))
    light = align_face(picture, landmarks)[..., 0].astype(float)
    down, right = np.mgrid[:112, :112] + 0.5
    for x, y in FACE:
        near = ((right - x) ** 2 + (down - y) ** 2 < 8**2) * light
        centre = (right * near).sum() / near.sum(), (down * near).sum() / near.sum()
        np.testing.assert_allclose(centre, (x, y), atol=max(0.25, 0.1 / scale))


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 200  # narrower than a pixel of the result: their mean is all that is left
    shrunk = align_face(stripes, FACE * 800 / 112)[8:-8, 8:-8]
    np.testing.assert_allclose(shrunk, 100, atol=2)


def test_shrinking_close_to_the_edge_of_a_large_picture() -> None:
    flat = np.full((500, 500, 3), 77, np.uint8)
    cut = align_face(flat, FACE * 3 + [400, 300])  # most of it lies beyond the picture
    assert (cut[:40, :20] == 77).all()
    assert (cut[-20:] == 0).all()
    assert (align_face(flat, FACE * 3 + [9000, 0]) == 0).all()


@pytest.mark.parametrize(
    ("landmarks", "complaint"),
    [
        (FACE[:4], r"5 points \(5, 2\), got shape \(4, 2\)"),
        (FACE * np.nan, "finite"),
        (FACE * 0, "differ"),
        (FACE * 1e-5, "differ|scale"),
        (FACE * 1e5, "scale"),
    ],
)
def test_landmarks_that_are_none(landmarks: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        align_face(a_picture(), landmarks)


def test_arguments_stay_as_they_were() -> None:
    picture, landmarks = a_picture(300, 300), FACE * 2.5
    kept = picture.copy(), landmarks.copy()
    align_face(picture, landmarks, size=48)
    np.testing.assert_array_equal(picture, kept[0])
    np.testing.assert_array_equal(landmarks, kept[1])
    with pytest.raises(ValueError, match="size"):
        align_face(picture, landmarks, size=0)
    with pytest.raises(ValueError, match="interpolation"):
        align_face(picture, landmarks, interpolation="nearest")


# A folder of images


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/1.gif", "b/3.png", "b/4.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(a_picture(130, 120)).save(folder / name)
    (folder / "b/broken.png").write_bytes(b"?")
    (folder / "notes.txt").write_text("ignored")
    return folder


def test_every_image_is_written_or_listed(photos: Path, tmp_path: Path) -> None:
    landmarks = {
        "a/1.png": FACE,
        "b/1.gif": FACE,
        "b/1.png": FACE,
        "b/3.png": FACE * 0,
        "b/4.png": FACE,
        "b/broken.png": FACE,
        "c/gone.png": FACE,
    }
    told: list[tuple[int, int]] = []
    images = open_source(photos)
    done = align_images(images, landmarks, tmp_path / "out", progress=lambda *n: told.append(n))
    assert done.written == ("a/1.png", "b/1.gif", "b/4.png")
    reasons = {each.id: each.reason for each in done.left_out}
    assert set(reasons) | set(done.written) == set(images.ids)
    assert reasons["a/2.png"] == "no landmarks"
    assert reasons["b/1.png"] == "another image is already written as b/1.png"
    assert "differ" in reasons["b/3.png"]
    assert "not an image" in reasons["b/broken.png"]
    assert done.unused == ("c/gone.png",)
    assert told == [(count, 7) for count in range(1, 8)]
    with open(tmp_path / "out/left-out.csv", newline="") as file:
        listed = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert {name: listed[name] for name in reasons} == reasons
    assert "notes.txt" in listed
    again = open_source(tmp_path / "out")
    assert again.ids == ("a/1.png", "b/1.png", "b/4.png")
    pixels = decode(again.read(0))
    np.testing.assert_array_equal(pixels, align_face(decode(images.read(0)), FACE))


def test_what_finds_landmarks_sees_the_picture(photos: Path, tmp_path: Path) -> None:
    seen = []

    def find(picture: np.ndarray) -> np.ndarray | None:
        seen.append(picture.shape)
        return FACE if len(seen) % 2 else None

    done = align_images(open_source(photos), find, tmp_path / "out", size=24)
    assert seen == [(130, 120, 3)] * 6
    assert len(done.written) == 3
    assert {each.reason for each in done.left_out} >= {"no face was found"}
    assert done.unused == ()
    assert open_source(tmp_path / "out").measure(0)[:2] == (24, 24)


def test_nothing_is_written_outside_or_over(photos: Path, tmp_path: Path) -> None:
    table = photos / "deep" / "t.csv"
    table.parent.mkdir()
    absolute = photos / "a/1.png"
    table.write_text(f"path\n../a/1.png\n{absolute}\n../a/../a/2.png\n")
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    images = open_source(table)
    done = align_images(images, dict.fromkeys(images.ids, FACE), tmp_path / "out")
    assert done.written == ()
    assert {each.reason for each in done.left_out} == {"its path leads out of the folder"}
    assert {path: path.stat().st_mtime_ns for path in photos.rglob("*")} == before
    for taken in (photos, absolute):
        with pytest.raises(UsageError, match="not an empty folder"):
            align_images(images, {}, taken)


# Tables of landmarks

NUMBERS = [float(n) for n in FACE.ravel()]
HEADER = "path," + ",".join(f"{axis}{n}" for n in range(1, 6) for axis in "xy")


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    rows = [f"{name},{','.join(map(str, NUMBERS))}" for name in ("a/1.png", '"b,2.png"')]
    (tmp_path / "l.csv").write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8-sig")
    (tmp_path / "l.json").write_text(
        json.dumps({name: FACE.tolist() for name in ("a/1.png", "b,2.png")})
    )
    for name in ("l.csv", "l.json"):
        table = read_landmarks(tmp_path / name)
        assert list(table) == ["a/1.png", "b,2.png"]
        for points in table.values():
            np.testing.assert_allclose(points, FACE)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("l.csv", "", "first row of path and ten columns"),
        ("l.csv", "file,x,y\n", "first row of path and ten columns"),
        ("l.csv", HEADER, "lists no landmarks"),
        ("l.csv", f"{HEADER}\na,1,2,3", "row 1: want ten numbers"),
        ("l.csv", f"{HEADER}\na{',1' * 10}\nb{',1' * 9},x", "row 2: want ten numbers"),
        ("l.csv", f"{HEADER}\na{',1' * 9},inf", "row 1: want ten numbers"),
        ("l.csv", f"{HEADER}\na{',1' * 10}\na{',1' * 10}", "row 2: 'a' is listed a second time"),
        ("l.json", "{", "cannot be read as landmarks"),
        ("l.json", "[]", "want one object"),
        ("l.json", '{"a": [1, 2]}', "entry 'a': want ten numbers"),
        ("l.json", '{"a": {"x": 1}}', "entry 'a': want ten numbers"),
        ("l.json", "[" * 100_000, "cannot be read as landmarks"),
    ],
)
def test_malformed_landmarks(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=complaint):
        read_landmarks(tmp_path / name)


def test_there_must_be_a_file_of_sensible_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="cannot be opened"):
        read_landmarks(tmp_path / "gone.csv")
    monkeypatch.setattr(module, "MAX_LANDMARK_BYTES", 20)
    (tmp_path / "l.csv").write_text(HEADER)
    with pytest.raises(DataError, match="larger than"):
        read_landmarks(tmp_path / "l.csv")
