"""Kept numbers come back as they were, or not at all."""

import json
import os

import pytest

from lookalike.evaluation.card import Measures
from lookalike.judging.kept import KeptMeasures, cache_folder, key_of

KEY = key_of("images", k=3)
MEASURES = Measures(dim=8, knn_top1=1 / 3, knn_top1_ci95=(0.1, 0.7), rankme=2.5)


def test_what_is_kept_is_found(tmp_path):
    kept = KeptMeasures(tmp_path / "not" / "there yet")
    assert kept.find(KEY) is None
    kept.keep(KEY, MEASURES)
    assert kept.find(KEY) == MEASURES
    kept.keep(KEY, Measures(dim=2))
    assert kept.find(KEY) == Measures(dim=2)
    assert kept.find(key_of("images", k=4)) is None
    assert kept.find(key_of("others", k=3)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"measures": 3, "digest": ""}',
        b'{"measures": {"dim": 8}, "digest": "another"}',
    ],
)
def test_a_damaged_file_is_not_believed(tmp_path, content):
    kept = KeptMeasures(tmp_path)
    kept.keep(KEY, MEASURES)
    (tmp_path / f"{KEY}.json").write_bytes(content)
    assert kept.find(KEY) is None
    kept.keep(KEY, MEASURES)
    assert kept.find(KEY) == MEASURES


def test_no_flipped_digit_gets_through(tmp_path):
    kept = KeptMeasures(tmp_path)
    kept.keep(KEY, MEASURES)
    path = tmp_path / f"{KEY}.json"
    told = json.loads(path.read_text())
    told["measures"]["knn_top1"] = 0.9
    path.write_text(json.dumps(told))
    assert kept.find(KEY) is None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    kept = KeptMeasures(tmp_path / "file" / "folder")
    kept.keep(KEY, MEASURES)
    assert kept.find(KEY) is None


def test_the_folder_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "lookalike" / "baselines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert os.fspath(cache_folder()).startswith(os.fspath(tmp_path / "home" / ".cache"))
