"""Nothing is destroyed unasked, and nothing half-written is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.formats.place import drafted, refuse_existing, size_of

FILES = {"weights", "config"}


def refuse(path: Path, *, folder: bool, overwrite: bool = False) -> None:
    card = path / "card" if folder else path.with_name(f"{path.name}.md")
    refuse_existing(path, card, FILES if folder else (), overwrite=overwrite)


def test_what_is_not_there_may_be_written(tmp_path):
    refuse(tmp_path / "a", folder=True)
    refuse(tmp_path / "a", folder=False)
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "empty", folder=True)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]  # asking writes nothing


@pytest.mark.parametrize("name", ["a.onnx", "a.onnx.md"])
def test_a_file_or_its_card_goes_only_if_asked(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=rf"{name} is there already\n.*--overwrite"):
        refuse(tmp_path / "a.onnx", folder=False)
    refuse(tmp_path / "a.onnx", folder=False, overwrite=True)


def test_a_folder_goes_only_if_asked_and_only_if_it_is_an_export(tmp_path):
    for name in ("weights", "config", "card"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="is there already"):
        refuse(tmp_path, folder=True)
    refuse(tmp_path, folder=True, overwrite=True)
    (tmp_path / "diary").touch()
    with pytest.raises(UsageError, match="holds diary, which no export wrote"):
        refuse(tmp_path, folder=True, overwrite=True)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"is a file\n.*name a folder"):
        refuse(tmp_path / "file", folder=True, overwrite=True)
    with pytest.raises(UsageError, match=r"is a folder\n.*name a file"):
        refuse(tmp_path, folder=False, overwrite=True)


def test_a_draft_takes_its_name_in_the_end(tmp_path):
    path = tmp_path / "new" / "a"
    for content in ("first", "second"):
        with drafted(path) as draft:
            draft.write_text(content)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == content
    assert [each.name for each in path.parent.iterdir()] == ["a"]
    assert size_of(path) == len("second")


def test_a_folder_makes_way_for_a_draft(tmp_path):
    for content in ("first", "second"):
        with drafted(tmp_path / "a") as draft:
            draft.mkdir()
            (draft / content).write_text(content)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["second"]
    assert size_of(tmp_path / "a") == len("second")


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_what_was_there(tmp_path, folder):
    path = tmp_path / "a"
    if folder:
        path.mkdir()
        (path / "weights").write_text("old")
    else:
        path.write_text("old")

    def write_half(draft: Path) -> None:
        if folder:
            draft.mkdir()
        (draft / "weights" if folder else draft).write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), drafted(path) as draft:
        write_half(draft)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert (path / "weights" if folder else path).read_text() == "old"


def test_a_folder_that_cannot_take_its_name_leaves_the_old_one(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    (path / "weights").write_text("old")
    with pytest.raises(FileNotFoundError), drafted(path):
        pass  # nothing was written
    assert (path / "weights").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
