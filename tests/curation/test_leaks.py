"""Test images that were trained on are found, as the same file or altered; others are not."""

from __future__ import annotations

import csv
import io
import json

import pytest
from PIL import Image, ImageOps

from lookalike.curation.album import Album, embed_album, plain_album
from lookalike.curation.leaks import Leaks, find_leaks, write_csv
from lookalike.data.sources import open_source
from lookalike.errors import DataError


@pytest.fixture
def sides(encoder, planted, tmp_path) -> tuple[Album, Album]:
    """Return train and test: test has the altered copies, two files of train, and 20 more."""
    for path in sorted(planted.iterdir()):
        number = int(path.name[:-4].partition("-")[0])
        side = "test" if "-" in path.name or number >= 100 else "train"
        (tmp_path / side).mkdir(exist_ok=True)
        (tmp_path / side / path.name).write_bytes(path.read_bytes())
    (tmp_path / "test/same.jpg").write_bytes((planted / "50.jpg").read_bytes())
    train, test = (embed_album(encoder, open_source(tmp_path / name)) for name in ("train", "test"))
    return train, test


def names(found: Leaks) -> dict[str, str]:
    return {
        found.second.images.ids[leak.position].rpartition("/")[2]: (
            found.first.images.ids[leak.original].rpartition("/")[2]
        )
        for leak in found.leaks
    }


def test_copies_are_traced_to_their_photos_and_nothing_else_is(sides, planted):
    found = find_leaks(*sides)
    copies = {path.name for path in planted.iterdir() if "-" in path.name}
    assert names(found) == {
        "same.jpg": "50.jpg",
        **{name: f"{name.partition('-')[0]}.jpg" for name in copies},
    }
    exact = {found.second.images.ids[leak.position][-8:] for leak in found.leaks if leak.exact}
    assert exact == {"same.jpg"}
    assert found.share == pytest.approx(26 / 46)


def test_the_table_and_the_object_tell_the_same(sides, tmp_path):
    found = find_leaks(*sides)
    write_csv(found, tmp_path / "leaks.csv")
    rows = list(csv.DictReader((tmp_path / "leaks.csv").read_text().splitlines()))
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [(row["test"], row["train"]) for row in rows] == [
        (leak["test"], leak["train"]) for leak in told["leaks"]
    ]
    assert [row["how"] == "same file" for row in rows] == [leak["exact"] for leak in told["leaks"]]
    text = "\n".join(found.lines())
    assert "26 of 46 test images (56.5%) are in train, 2 of them the same byte for byte" in text
    assert "and 16 more" in text


def test_sets_that_share_nothing_have_no_leaks(sides):
    train, test = sides
    apart = [
        place for place, name in enumerate(test.images.ids) if "/1" in name and "-" not in name
    ]
    assert len(apart) == 20
    found = find_leaks(train, test.select(apart))
    assert found.leaks == ()
    assert found.lines()[0].startswith("0 of ")


def test_one_image_on_either_side(sides):
    train, test = sides
    place = next(place for place, name in enumerate(test.images.ids) if "-size" in name)
    name = test.images.ids[place]
    original = f"{name.rpartition('/')[2].partition('-')[0]}.jpg"
    home = next(at for at, each in enumerate(train.images.ids) if each.endswith(original))
    found = find_leaks(train.select([home]), test.select([place]))
    assert names(found) == {name.rpartition("/")[2]: original}


def test_what_cannot_be_read_is_counted(sides, tmp_path):
    (tmp_path / "test/same.jpg").unlink()
    with pytest.raises(DataError, match="1 of 46 images cannot be read"):
        find_leaks(*sides)
    found = find_leaks(*sides, max_unreadable=0.1)
    assert found.unreadable == 1
    assert "same.jpg" not in names(found)


def test_a_mirrored_leak_hides_no_other(planted, tmp_path):
    """Of 40 test photos 20 are leaked: 20 are found, whether one more is mirrored or not."""
    for side in ("train", "test"):
        (tmp_path / side).mkdir()
    for number in range(60):
        raw = (planted / f"{number + 24:02d}.jpg").read_bytes()
        if number < 40:
            (tmp_path / "train" / f"{number:02d}.jpg").write_bytes(raw)
        if number >= 20:
            with Image.open(io.BytesIO(raw)) as photo:
                photo.save(tmp_path / "test" / f"{number:02d}.jpg", quality=70)
    sides = [plain_album(tmp_path / side) for side in ("train", "test")]
    plain = {f"{number:02d}.jpg": f"{number:02d}.jpg" for number in range(20, 40)}
    assert names(find_leaks(*sides)) == plain
    with Image.open(planted / "24.jpg") as photo:
        ImageOps.mirror(photo).save(tmp_path / "test/99.jpg", quality=92)
    again = find_leaks(sides[0], plain_album(tmp_path / "test"))
    assert names(again) == {**plain, "99.jpg": "00.jpg"}
    assert again.leaks[-1].kind == "mirrored copy"
    assert again.at(0.9).leaks[-1] == again.leaks[-1]
