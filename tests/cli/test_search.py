"""`search` finds by file, folder and id; it tells in a table, in JSON and on a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.cli.app import main


def found(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[list[list[dict[str, Any]]], dict[str, Any]]:
    assert main(["search", *words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    return [query["neighbours"] for query in told["queries"]], told


def test_an_image_file_finds_itself_and_more(
    vectors: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sorted(photos.rglob("*.png"))[5]
    own = str(path.relative_to(photos))
    assert main(["search", str(vectors), str(path), "-k", "5"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == str(path)
    assert lines[1].split() == ["1.000", own, f"({own[0]})"]
    assert len(lines) == 7
    assert lines[-1].startswith("(exact, ")
    assert "--html photos.vec.html" in shown.err


def test_an_image_of_the_collection_is_left_out(
    vectors: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))[5]
    (hits,), told = found([str(vectors), own, "--id"], capsys)
    assert len(hits) == 10
    assert own not in [hit["id"] for hit in hits]
    assert told["queries"][0]["query"] == own
    again, _ = found([str(vectors), own], capsys)  # there is no such file here
    assert again == [hits]


def test_a_folder_asks_for_all_its_images(
    vectors: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hits, told = found([str(vectors), str(photos / "2"), "-k", "48"], capsys)
    queries = [each["query"] for each in told["queries"]]
    assert queries == sorted(path.name for path in (photos / "2").glob("*.png"))
    for name, neighbours in zip(queries, hits, strict=True):
        own = next(each for each in neighbours if each["id"] == f"2/{name}")
        assert own["cosine"] > neighbours[0]["cosine"] - 2e-3, "half precision may swap frames"


def test_only_what_is_wanted_is_found(
    vectors: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(next((photos / "0").glob("*.png")))
    (hits,), _ = found([str(vectors), path, "--where", "class=1,class=3", "-k", "99"], capsys)
    assert len(hits) == 24
    assert {hit["class"] for hit in hits} == {"1", "3"}


def test_writes_a_page(
    vectors: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "found.html"
    for query in (str(photos), "2/nothing"):
        own = str(sorted((photos / "2").glob("*.png"))[0].relative_to(photos))
        chosen = own if query.endswith("nothing") else query
        assert main(["search", str(vectors), chosen, "-k", "3", "--html", str(page)]) == 0
        assert f"wrote  {page}" in capsys.readouterr().err
        text = page.read_text()
        assert text.count("<article") == (48 if chosen == query else 1)
        assert "no picture</span>" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("QUERY --where clas=1", "no column 'clas'. Did you mean class?"),
        ("QUERY --where class", "--where wants COLUMN=VALUE"),
        ("QUERY --where class=9", "has no image where class is ['9']"),
        ("QUERY -k 0", "k must be at least 1"),
        ("nowhere.png", "nowhere.png is no file, source of images, or id in"),
        ("nowhere.png --id", "has no image 'nowhere.png'"),
    ],
)
def test_refuses_what_cannot_be(
    vectors: Path, photos: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    query = str(next(photos.rglob("*.png")))
    assert main(["search", str(vectors), *words.replace("QUERY", query).split()]) == 2
    assert message in capsys.readouterr().err


def test_refuses_another_encoder(
    run: Path, vectors: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--backbone small_conv --backbone.width 4 --batch-size 16 --epochs 1 --device cpu"
    other = tmp_path / "other"
    assert main(["train", str(photos), "--out", str(other), *words.split(), "--seed", "9"]) == 0
    path = str(next(photos.rglob("*.png")))
    capsys.readouterr()
    assert main(["search", str(vectors), path, "--run", str(other)]) == 2
    assert "their vectors cannot be compared" in capsys.readouterr().err
    assert main(["search", str(vectors), path, "--run", str(run)]) == 0


def test_names_a_damaged_file(
    vectors: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((vectors / "vectors.npy").read_bytes())
    content[-1] ^= 1
    (vectors / "vectors.npy").write_bytes(content)
    words = ["search", str(vectors), str(next(photos.rglob("*.png")))]
    assert main(words) == 3
    assert "vectors.npy is damaged" in capsys.readouterr().err
    assert main([*words, "--no-verify"]) == 0


def test_a_folder_without_a_collection_is_told(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(photos), str(photos)]) == 2
    assert "is no collection" in capsys.readouterr().err
