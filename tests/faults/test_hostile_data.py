"""Hostile, damaged and strange files: each is read or listed with its reason, and nothing else."""

from __future__ import annotations

import csv
import io
import os
import stat
import struct
import tarfile
import time
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.data import archives
from lookalike.data.decode import UnreadableImage, decode
from lookalike.data.image_set import ImageSet
from lookalike.data.quarantine import Quarantine, survey
from lookalike.data.resident import load_resident, load_squares, resident_bytes
from lookalike.data.sources import open_source
from lookalike.errors import DataError

ODD_FILES = Path(__file__).parents[3] / "shared" / "data" / "robustness.zip"

# What Pillow reads and we refuse, and why; the manifest says what Pillow did.
REFUSED = {
    "pillow/black_and_white.ico": "not an image by its name (.ico)",
    "pillow/rgba.psd": "not an image by its name (.psd)",
    # Pillow refuses these two as well, when they are loaded for the first time.
    "pillow/broken_data_stream.png": "damaged: unrecognized data stream contents",
    "pillow/truncated_end_chunk.png": "cut off: the file ends before the image does",
}


def png(width: int = 30, height: int = 20) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def flat_png(width: int, height: int) -> bytes:
    """Return a black-and-white PNG of any size, a few kilobytes on the disk."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + -(-width // 8)) * height))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.skipif(not ODD_FILES.exists(), reason="the odd files lie beside CI's checkout only")
@pytest.mark.parametrize("unpacked", [True, False])
def test_each_odd_file_is_read_or_listed_with_its_reason(tmp_path: Path, unpacked: bool) -> None:
    with zipfile.ZipFile(ODD_FILES) as archive:
        manifest = archive.read("manifest.tsv").decode().split("\n", 1)[1]
        if unpacked:
            archive.extractall(tmp_path)
    pillow = {
        row["file"]: row["pillow_result"].startswith("ok")
        for row in csv.DictReader(io.StringIO(manifest), delimiter="\t")
    }
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        images = open_source(tmp_path if unpacked else ODD_FILES)
        found = survey(images)
        squares, kept = load_squares(images, 32)
        resident_bytes(images)
    assert not warned
    read = {images.ids[place] for place in found.positions}
    listed = dict([*found.unreadable, *found.ignored])
    assert len(pillow) == 105
    assert read | set(listed) == set(pillow) | {"manifest.tsv"}
    assert not read & set(listed)
    assert len(squares) == len(read)
    np.testing.assert_array_equal(kept, found.positions)
    for name, loads in pillow.items():
        assert loads == (name in read) or listed[name].startswith(REFUSED[name])


def zip_of(path: Path, members: dict[str, int]) -> ImageSet:
    """Write a zip archive of members with Unix modes, and open it."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, png() if stat.S_ISREG(mode) else "/etc/passwd")
    return open_source(path)


def tar_of(path: Path, members: dict[str, int]) -> ImageSet:
    """Write a tar archive of members with Unix modes, and open it."""
    kinds = {
        stat.S_IFREG: tarfile.REGTYPE,
        stat.S_IFLNK: tarfile.SYMTYPE,
        stat.S_IFCHR: tarfile.CHRTYPE,
        stat.S_IFIFO: tarfile.FIFOTYPE,
    }
    with tarfile.open(path, "w") as archive:
        for name, mode in members.items():
            info = tarfile.TarInfo(name)
            info.type = kinds[stat.S_IFMT(mode)]
            info.linkname = "/etc/passwd"
            info.size = len(png()) if stat.S_ISREG(mode) else 0
            archive.addfile(info, io.BytesIO(png()))
        hard = tarfile.TarInfo("hard.png")
        hard.type, hard.linkname = tarfile.LNKTYPE, "good.png"
        archive.addfile(hard)
    return open_source(path)


@pytest.mark.parametrize(("name", "write"), [("a.zip", zip_of), ("a.tar", tar_of)])
def test_evil_members_are_refused_and_listed(
    tmp_path: Path, name: str, write: Callable[[Path, dict[str, int]], ImageSet]
) -> None:
    images = write(
        tmp_path / name,
        {
            "good.png": stat.S_IFREG | 0o644,
            "../up.png": stat.S_IFREG | 0o644,
            "in/../../up.png": stat.S_IFREG | 0o644,
            "..\\up.png": stat.S_IFREG | 0o644,
            "/etc/absolute.png": stat.S_IFREG | 0o644,
            "C:\\drive.png": stat.S_IFREG | 0o644,
            "link.png": stat.S_IFLNK | 0o777,
            "device.png": stat.S_IFCHR | 0o666,
            "pipe.png": stat.S_IFIFO | 0o666,
        },
    )
    assert images.ids == ("good.png",)
    outside = {one.id for one in images.ignored if "outside the archive" in one.reason}
    special = {one.id for one in images.ignored if "link or device" in one.reason}
    assert outside == {
        "../up.png",
        "in/../../up.png",
        "..\\up.png",
        "/etc/absolute.png",
        "C:\\drive.png",
    }
    assert special - {"hard.png"} == {"link.png", "device.png", "pipe.png"}
    assert decode(images.read(0)).shape == (20, 30, 3)
    assert {path.name for path in tmp_path.iterdir()} == {name}, "nothing is written"


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", png() + bytes(40 * 2**20))
        archive.writestr("good.png", png())
    tracemalloc.start()
    found = survey(open_source(tmp_path / "a.zip"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ((name, reason),) = found.unreadable
    assert name == "bomb.png"
    assert "more than an image does" in reason
    assert peak < 10 * 2**20


def test_a_zip_that_lies_about_a_size_unpacks_no_more(tmp_path: Path) -> None:
    body = png() + bytes(40 * 2**20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", body)
    true, false = struct.pack("<I", len(body)), struct.pack("<I", 1000)
    raw = (tmp_path / "a.zip").read_bytes()
    assert raw.count(true) == 2  # before the file, and in the directory
    (tmp_path / "a.zip").write_bytes(raw.replace(true, false))
    images = open_source(tmp_path / "a.zip")
    tracemalloc.start()
    with pytest.raises(UnreadableImage, match="damaged in its archive"):
        images.read(0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 2**20


def test_an_encrypted_member_is_unreadable(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png())
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(UnreadableImage, match="encrypted"):
        open_source(tmp_path / "a.zip").read(0)


def test_a_damaged_member_is_unreadable_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png())
        archive.writestr("2.png", png())
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[raw.index(b"IDAT") + 9] ^= 1
    (tmp_path / "a.zip").write_bytes(raw)
    found = survey(open_source(tmp_path / "a.zip"))
    assert [one.id for one in found.unreadable] == ["1.png"]


def test_a_compressed_tar_is_not_unpacked_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_PACKED_TAR", 2**20)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("1.png")
        member.size = 2**21
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(DataError, match=r"unpacks to more than .*\nfix: unpack it"):
        open_source(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_name_without_end_is_refused(tmp_path: Path, suffix: str) -> None:
    with tarfile.open(tmp_path / f"a{suffix}", f"w:{suffix[5:]}") as archive:
        member = tarfile.TarInfo("1.png")
        member.type, member.size = tarfile.GNUTYPE_LONGNAME, 2**26
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(DataError, match="unreasonable length"):
        open_source(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(("width", "height"), [(8_000, 8_000), (12_000, 12_000), (20_000, 12_000)])
def test_a_small_file_of_many_pixels_is_refused_before_it_is_decoded(
    width: int, height: int
) -> None:
    # Of these, Pillow would read the first, warn of the second, and refuse the third.
    raw = flat_png(width, height)
    assert len(raw) < 500_000
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        began = time.process_time()
        reason = refusal(raw)
        assert time.process_time() - began < 0.05
    assert not warned
    assert "pixels" in reason


def refusal(raw: bytes) -> str:
    """Return why an image is not read."""
    with pytest.raises(UnreadableImage) as refused:
        decode(raw)
    return refused.value.reason


NAMES = [
    b"new\nline.png",
    b"</script><b>.png",
    b"caf\xe9.png",
    b"-rf.png",
    b"\x1b[31mred.png",
    b'"q",.png',
]


def test_names_of_any_kind_are_read_listed_and_written(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "images")
    os.mkdir(folder)
    for name in NAMES:
        for path, content in ((folder + b"/" + name, png()), (folder + b"/bad" + name, b"")):
            file = Path(os.fsdecode(path))
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
    images = open_source(tmp_path / "images")
    found = survey(images)
    assert len(found.positions) == len(found.unreadable) == len(NAMES)
    quarantine = Quarantine(len(images))
    for one in found.unreadable:
        quarantine.add(*one)
        assert str(one).isprintable()
    quarantine.write_csv(tmp_path / "unreadable.csv")
    with open(tmp_path / "unreadable.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows} == {one.id for one in found.unreadable}
    with pytest.raises(DataError) as told:
        quarantine.raise_if_above()
    assert len(str(told.value).splitlines()) == 2


def test_files_that_vanish_after_they_were_listed(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(png())
    images = open_source(tmp_path)
    (tmp_path / "1.png").unlink()
    (tmp_path / "3.png").unlink()
    (tmp_path / "3.png").mkdir()
    found = survey(images)
    assert dict(found.unreadable) == {
        "1.png": "cannot be opened: No such file or directory",
        "3.png": "cannot be opened: Is a directory",
    }
    assert load_resident(images).positions.tolist() == [0, 2, 4]
    assert load_squares(images, 8)[1].tolist() == [0, 2, 4]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_read_is_listed(tmp_path: Path) -> None:
    for path in ("open/1.png", "open/2.png", "shut/3.png"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(png())
    (tmp_path / "open/2.png").chmod(0)
    (tmp_path / "shut").chmod(0)
    found = survey(open_source(tmp_path))
    (tmp_path / "shut").chmod(0o700)
    assert dict(found.unreadable) == {"open/2.png": "cannot be opened: Permission denied"}
    assert dict(found.ignored) == {"shut/": "cannot be listed: Permission denied"}


def test_an_archive_that_vanishes_or_changes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png())
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("1.png")
        member.size = len(png())
        tar.addfile(member, io.BytesIO(png()))
    for name in ("a.zip", "a.tar"):
        images = open_source(tmp_path / name)
        (tmp_path / name).write_bytes(b"something else")
        assert len(survey(images).unreadable) == 1
        images = images.select([0])
        (tmp_path / name).unlink()
        assert len(survey(images).unreadable) == 1


def test_a_table_reaches_plain_files_only(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "up.png").write_bytes(png())
    os.mkfifo(tmp_path / "set" / "pipe.png")
    rows = ["path", "../up.png", "/dev/zero", "/dev/stdin", "pipe.png", "/etc", "/proc/self/mem"]
    (tmp_path / "set" / "t.csv").write_text("\n".join(rows))
    found = survey(open_source(tmp_path / "set" / "t.csv"))
    assert found.positions.tolist() == [0]
    assert len(found.unreadable) == 5


def test_a_page_and_nothing_at_all_named_as_images(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<!DOCTYPE html><title>404</title>")
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c.png").write_bytes(png())
    assert dict(survey(open_source(tmp_path)).unreadable) == {
        "a.jpg": "a web page, not an image",
        "b.png": "an empty file",
    }
