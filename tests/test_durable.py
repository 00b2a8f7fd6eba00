"""A file is replaced whole or not at all, and a full disk is told in one line."""

import errno
import os
import subprocess
import sys

import pytest

from lookalike import durable
from lookalike.durable import open_atomically, write_atomically
from lookalike.errors import LookalikeError


def test_a_file_gets_its_new_content_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "numbers.json"
    for content in (b"old", b"new"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["numbers.json"]


def test_the_content_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    done = []
    synced, replaced = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (done.append("sync"), synced(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("replace"), replaced(*names)))
    write_atomically(tmp_path / "numbers.json", b"new")
    assert done == ["sync", "replace", "sync"], "the file, its name, and the folder it is in"


@pytest.mark.parametrize("number", sorted(durable.NO_SPACE))
def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(tmp_path, monkeypatch, number):
    path = tmp_path / "numbers.json"
    write_atomically(path, b"old")

    def full(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LookalikeError, match=r"no space left to write .*numbers\.json"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["numbers.json"]


def test_other_problems_are_told_as_they_are(tmp_path, monkeypatch):
    def broken(descriptor):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="input/output error"):
        write_atomically(tmp_path / "numbers.json", b"new")
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_written_in_parts_takes_its_name_at_the_end(tmp_path):
    path = tmp_path / "rows.npy"
    write_atomically(path, b"old")
    with open_atomically(path) as file:
        for part in (b"ne", b"w"):
            file.write(part)
            assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_whatever_breaks_off_the_writing_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "rows.npy"
    write_atomically(path, b"old")

    def break_off():
        with open_atomically(path) as file:
            file.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["rows.npy"]


KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike.durable import open_atomically
with open_atomically(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["rows.npy", ".hidden", "a b.json"])
def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path, name):
    path = tmp_path / name
    write_atomically(path, b"old")
    subprocess.run([sys.executable, "-c", KILLED, path, "killed"], check=False)
    assert len(os.listdir(tmp_path)) == 2
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert os.listdir(tmp_path) == [name]


def test_what_another_process_is_writing_stays(tmp_path):
    path = tmp_path / "rows.npy"
    words = [sys.executable, "-c", KILLED, path, "alive"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"writing\n"
        write_atomically(path, b"ours")
        assert len(os.listdir(tmp_path)) == 2
        other.communicate()
    assert other.returncode == 0
    assert path.read_bytes() == b"half", "the last to finish has the name"
    assert os.listdir(tmp_path) == ["rows.npy"]


def test_files_that_only_look_like_leftovers_stay(tmp_path):
    for name in (".rows.npy.mine.tmp", ".rows.npy.1.bak", ".other.1.tmp"):
        (tmp_path / name).touch()
    write_atomically(tmp_path / "rows.npy", b"new")
    assert len(os.listdir(tmp_path)) == 4
