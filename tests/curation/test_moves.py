"""Moves go where they should, never over anything, and come back whenever they were cut short."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from lookalike.curation import moves as module
from lookalike.curation.moves import (
    Move,
    apply_moves,
    plan_moves,
    read_folder,
    read_undo,
    require_none_begun,
    undo_moves,
)
from lookalike.errors import DataError, UsageError

SPARE = ("a/2.jpg", "a/3.jpg", "b/5.jpg")


class Place(NamedTuple):
    """Where a test moves files.

    photos: the images' folder.
    table: the list of duplicates.
    target: where spare ones go.
    undo: the file that remembers.
    """

    photos: Path
    table: Path
    target: Path
    undo: Path

    def plan(self) -> list[Move]:
        return plan_moves(self.table, self.photos, self.target, self.undo).moves

    def skipped(self) -> dict[str, str]:
        return dict(plan_moves(self.table, self.photos, self.target, self.undo).skipped)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a folder of five images, two groups of duplicates, three of them spare."""
    photos, found = tmp_path / "photos", tmp_path / "dups"
    for name in ("a/1.jpg", "a/2.jpg", "a/3.jpg", "b/4.jpg", "b/5.jpg", "b/6.jpg"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_text(f"image {name}")
    found.mkdir()
    rows = [
        (1, "a/1.jpg", "yes"),
        (1, "a/2.jpg", "no"),
        (1, "a/3.jpg", "no"),
        (2, "b/4.jpg", "yes"),
        (2, "b/5.jpg", "no"),
    ]
    write(found / "duplicates.csv", [(*row, len(f"image {row[1]}")) for row in rows])
    return Place(photos, found / "duplicates.csv", tmp_path / "moved", found / "undo.csv")


def write(table: Path, rows: list[tuple]) -> None:
    with open(table, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("group", "id", "keep", "bytes"), *rows])


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_spare_images_move_and_come_back(place):
    before = files(place.photos)
    assert apply_moves(place.plan(), place.undo) == 3
    assert files(place.target) == {name: before[name] for name in SPARE}
    assert files(place.photos) == {n: text for n, text in before.items() if n not in SPARE}
    assert undo_moves(place.undo) == 3
    assert files(place.photos) == before
    assert files(place.target) == {}
    assert not place.undo.exists()


def test_applied_twice_moves_once(place):
    apply_moves(place.plan(), place.undo)
    assert place.plan() == []
    assert apply_moves([], place.undo) == 0
    assert len(read_undo(place.undo)) == 3


def test_what_is_kept_can_be_changed_in_the_table(place):
    text = place.table.read_text()
    place.table.write_text(text.replace("b/5.jpg,no", "b/5.jpg,Yes ").replace("a/2.jpg,no", ""))
    with pytest.raises(UsageError, match=r"line 3 of .* has no"):
        place.plan()
    place.table.write_text(text.replace("b/5.jpg,no", "b/5.jpg,Yes "))
    assert {move.source.name for move in place.plan()} == {"2.jpg", "3.jpg"}


KILLED = """
import os, sys
from pathlib import Path
from lookalike.curation import moves

photos, table, target, undo = map(Path, sys.argv[1:5])
stop, where = int(sys.argv[5]), sys.argv[6]
calls = 0

def dying(function, before):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == stop and before:
            os._exit(9)
        function(*arguments, **options)
        if calls == stop:
            os._exit(9)
    return call

if where == "link":
    os.link = dying(os.link, before=True)
elif where == "linked":
    os.link = dying(os.link, before=False)
elif where == "unlinked":
    Path.unlink = dying(Path.unlink, before=False)
elif where == "copied":
    def refuse(*arguments, **options):
        raise OSError("no links here")
    os.link = refuse
    os.rename = dying(os.rename, before=False)
if "back" in sys.argv:
    moves.undo_moves(undo)
else:
    moves.apply_moves(moves.plan_moves(table, photos, target, undo).moves, undo)
"""


def killed(place: Place, stop: int, where: str, *words: str) -> None:
    command = [sys.executable, "-c", KILLED, *map(str, place), str(stop), where, *words]
    done = subprocess.run(command, timeout=120, check=False)
    assert done.returncode == 9


@pytest.mark.parametrize("where", ["link", "linked", "unlinked", "copied"])
def test_a_killed_move_goes_on_or_comes_back(place, where):
    before = files(place.photos)
    killed(place, 2, where)
    some = files(place.photos) | files(place.target)
    assert some == before  # nothing is lost at any moment
    names = {str(move.source.relative_to(place.photos)) for move in read_undo(place.undo)}
    assert names == set(SPARE[:2])
    apply_moves(place.plan(), place.undo)
    assert files(place.target) == {name: before[name] for name in SPARE}
    killed(place, 2, where, "back")
    assert files(place.photos) | files(place.target) == before
    undo_moves(place.undo)
    assert files(place.photos) == before
    assert files(place.target) == {}


def test_a_line_that_was_cut_short_is_no_move(place):
    apply_moves(place.plan()[:1], place.undo)
    with open(place.undo, "a") as file:
        file.write(f"{place.photos}/a/3.j")
    assert len(read_undo(place.undo)) == 1
    apply_moves(place.plan(), place.undo)
    assert [move.source.name for move in read_undo(place.undo)] == ["2.jpg", "3.jpg", "5.jpg"]
    assert undo_moves(place.undo) == 3


def test_the_line_is_on_the_disk_before_the_image_moves(place, monkeypatch):
    told: list[int] = []
    move = module._move

    def watch(*arguments, **options):
        told.append(len(read_undo(place.undo)))
        move(*arguments, **options)

    monkeypatch.setattr(module, "_move", watch)
    apply_moves(place.plan(), place.undo)
    assert told == [1, 2, 3]


def test_nothing_is_overwritten(place):
    (place.target / "b").mkdir(parents=True)
    (place.target / "b/5.jpg").write_text("mine")
    assert [move.source.name for move in place.plan()] == ["2.jpg", "3.jpg"]
    assert "b/5.jpg is there already, and nothing is overwritten" in place.skipped()["b/5.jpg"]
    assert not place.undo.exists()
    (place.target / "b/5.jpg").unlink()
    planned = place.plan()
    (place.target / "b/5.jpg").write_text("a moment later")
    with pytest.raises(DataError, match="nothing is overwritten"):
        apply_moves(planned, place.undo)
    assert (place.target / "b/5.jpg").read_text() == "a moment later"
    assert (place.photos / "b/5.jpg").exists()
    with pytest.raises(DataError, match="is there already, so"):
        undo_moves(place.undo)


def test_nothing_is_overwritten_on_the_way_back(place):
    apply_moves(place.plan(), place.undo)
    (place.photos / "a/3.jpg").write_text("new")
    with pytest.raises(DataError, match="cannot go back"):
        undo_moves(place.undo)
    assert (place.photos / "a/3.jpg").read_text() == "new"
    assert len(files(place.target)) == 3  # all or none
    (place.photos / "a/3.jpg").unlink()
    (place.target / "a/2.jpg").unlink()
    with pytest.raises(DataError, match="is gone"):
        undo_moves(place.undo)


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "a/../../secret.jpg", "/etc/hostname", "out/secret.jpg", "..", "a/.."]
)
def test_paths_outside_the_folder_are_refused(place, name, tmp_path):
    (tmp_path / "secret.jpg").write_text("secret")
    (place.photos / "out").symlink_to(tmp_path)
    write(place.table, [(1, "a/1.jpg", "yes", 1), (1, name, "no", 6)])
    with pytest.raises(UsageError, match="which is no image inside"):
        place.plan()


def test_a_target_inside_the_folder_is_refused(place):
    for inside in (place.photos, place.photos / "moved"):
        with pytest.raises(UsageError, match="would be found again"):
            plan_moves(place.table, place.photos, inside, place.undo)


def test_a_group_must_keep_an_image(place):
    text = place.table.read_text().replace("a/1.jpg,yes", "a/1.jpg,no")
    place.table.write_text(text)
    with pytest.raises(UsageError, match="keeps no image of group 1"):
        place.plan()


@pytest.mark.parametrize("loss", ["gone", "changed", "a folder", "a link to nothing"])
def test_nothing_moves_of_a_group_whose_kept_image_is_lost(place, loss):
    kept = place.photos / "b/4.jpg"
    kept.unlink()
    if loss == "changed":
        kept.write_text("another image by now")
    elif loss == "a folder":
        kept.mkdir()
    elif loss == "a link to nothing":
        kept.symlink_to("nowhere")
    assert {move.source.name for move in place.plan()} == {"2.jpg", "3.jpg"}
    assert place.skipped() == {"b/5.jpg": "what group 2 keeps is gone or has changed"}


def test_what_has_changed_is_not_moved_and_the_rest_is(place):
    spare = place.photos / "a/3.jpg"
    spare.write_text("another image by now")
    assert place.skipped() == {"a/3.jpg": "it has changed since it was compared"}
    spare.unlink()
    assert place.skipped() == {"a/3.jpg": "no plain file any more"}
    spare.symlink_to(place.photos / "a/2.jpg")
    assert place.skipped() == {"a/3.jpg": "a link, which holds nothing of its own"}
    assert {move.source.name for move in place.plan()} == {"2.jpg", "5.jpg"}


@pytest.mark.parametrize("way", ["symbolic", "absolute", "chain", "hard", "folder", "folded"])
def test_what_a_kept_name_leads_to_is_never_moved(place, way):
    kept, spare = place.photos / "a/1.jpg", place.photos / "a/2.jpg"
    name = "a/1.jpg"
    kept.unlink()
    if way == "symbolic":
        kept.symlink_to("2.jpg")
    elif way == "absolute":
        kept.symlink_to(spare)
    elif way == "chain":
        (place.photos / "a/between").symlink_to("2.jpg")
        kept.symlink_to("between")
    elif way == "hard":
        os.link(spare, kept)
    elif way == "folder":
        (place.photos / "c").symlink_to("a")
        name = "c/2.jpg"
    else:
        name = "a/./2.jpg"
    size = spare.stat().st_size
    write(place.table, [(1, name, "yes", size), (1, "a/2.jpg", "no", size)])
    assert place.plan() == []
    assert place.skipped() == {
        "a/2.jpg": f"the same file as {name}, which is kept: links are no copies"
    }
    assert apply_moves(place.plan(), place.undo) == 0
    assert (place.photos / name).read_text() == "image a/2.jpg"


def test_a_kept_file_stays_under_its_other_names_too(place):
    size = len("image a/1.jpg")
    os.link(place.photos / "a/1.jpg", place.photos / "a/hard.jpg")
    (place.photos / "a/soft.jpg").symlink_to("1.jpg")
    names = ("a/1.jpg", "./a/1.jpg", "a/hard.jpg", "a/soft.jpg")
    rows = [(1, "a/1.jpg", "yes", size), *((1, name, "no", size) for name in names)]
    write(place.table, [*rows, (1, "a/2.jpg", "no", size), (1, "./a/2.jpg", "no", size)])
    assert [move.source.name for move in place.plan()] == ["2.jpg"], "once"
    before = files(place.photos)
    apply_moves(place.plan(), place.undo)
    assert files(place.photos) == {n: text for n, text in before.items() if n != "a/2.jpg"}


def test_what_another_group_keeps_stays(place):
    size = len("image a/1.jpg")
    rows = [
        (1, "a/1.jpg", "yes"),
        (1, "a/2.jpg", "no"),
        (2, "a/2.jpg", "yes"),
        (2, "b/5.jpg", "no"),
    ]
    write(place.table, [(*row, size) for row in rows])
    assert [move.source.name for move in place.plan()] == ["5.jpg"]
    assert set(place.skipped()) == {"a/2.jpg"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, "a/2.jpg", "perhaps", 3), "keep is yes or no"),
        ((1, "a/2.jpg", "no", "many"), "bytes is a number"),
        ((1, "", "no", 3), "has no id"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(place, row, message):
    write(place.table, [(1, "a/1.jpg", "yes", 1), row])
    with pytest.raises(UsageError, match=message):
        place.plan()
    place.table.unlink()
    with pytest.raises(UsageError, match="write it with lookalike duplicates"):
        place.plan()


def test_the_folder_is_the_one_that_was_searched(place, tmp_path):
    record = tmp_path / "dups/duplicates.json"
    for content, message in (
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"folder": null}', "no files of a folder"),
        ('{"folder": "/nowhere/at/all"}', "no files of a folder"),
    ):
        record.write_text(content)
        with pytest.raises(UsageError, match=message):
            read_folder(tmp_path / "dups")
    record.write_text(f'{{"folder": "{place.photos}"}}')
    assert read_folder(tmp_path / "dups") == place.photos


def test_what_is_no_list_of_moves_is_refused(place):
    with pytest.raises(UsageError, match="nothing was moved"):
        undo_moves(place.undo)
    require_none_begun(place.undo.parent)
    place.undo.write_text("a,b,c\n")
    with pytest.raises(UsageError, match="is no list of moves"):
        undo_moves(place.undo)
    with pytest.raises(UsageError, match=r"lookalike apply .* --undo"):
        require_none_begun(place.undo.parent)


def test_hard_links_are_not_needed(place, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    before = files(place.photos)
    stamp = (place.photos / "a/2.jpg").stat().st_mtime_ns
    assert apply_moves(place.plan(), place.undo) == 3
    assert files(place.target) == {name: before[name] for name in SPARE}
    assert (place.target / "a/2.jpg").stat().st_mtime_ns == stamp
    assert undo_moves(place.undo) == 3
    assert files(place.photos) == before
