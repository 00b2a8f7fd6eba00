"""`serve` prints where it listens, answers there, and Ctrl-C ends it as something that is done."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.cli.app import main
from lookalike.inference import load_encoder
from lookalike.neighbors.embedding import embed_source


@pytest.fixture(scope="module")
def vectors(run: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors") / "photos.vec"
    embed_source(load_encoder(run), photos, out=folder)
    return folder


@pytest.fixture
def server(vectors: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "lookalike", "serve", str(vectors), "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def test_it_answers_until_it_is_interrupted(
    server: tuple[subprocess.Popen[str], str], vectors: Path, photos: Path
) -> None:
    process, address = server
    assert address.startswith("http://127.0.0.1:")
    assert httpx.get(f"{address}/api/collection").json()["images"] == 48
    with open(next(photos.rglob("*.png")), "rb") as file:
        found = httpx.post(f"{address}/api/search", files={"image": file}, params={"k": 1})
    assert found.json()["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert "server" not in found.headers
    assert httpx.get(address, headers={"host": "evil.example"}).status_code == 421

    promise = http.client.HTTPConnection(address.removeprefix("http://"))
    promise.putrequest("POST", "/api/search")
    promise.putheader("Content-Length", "20000001")
    promise.endheaders()  # it is refused before it sends a byte of this
    assert promise.getresponse().status == 413
    promise.close()

    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "48 images" in told
    assert f"next   lookalike serve {vectors}" in told
    assert "Traceback" not in told
    assert "warning" not in told


def test_where_others_can_reach_it_it_prints_a_token_and_answers_to_nothing_else(
    vectors: Path,
) -> None:
    words = ["serve", str(vectors), "--port", "0", "--host", "0.0.0.0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    address, _, token = process.stdout.readline().strip().partition("/?token=")
    address = address.replace("0.0.0.0", "127.0.0.1")
    assert len(token) >= 32
    for page in ("/", "/api/collection", "/api/images/0", "/page.js", "/api/openapi.json", "/no"):
        assert httpx.get(f"{address}{page}").status_code == 401
    asked = httpx.get(f"{address}/api/collection", headers={"Authorization": f"Bearer {token}"})
    assert asked.json()["images"] == 48
    with httpx.Client(headers={"Accept": "text/html"}, follow_redirects=True) as browser:
        page = browser.get(f"{address}/", params={"token": token})
        assert (page.status_code, str(page.url)) == (200, f"{address}/")
        assert browser.get(f"{address}/api/collection").json()["images"] == 48
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert token not in out + told, "it is printed once"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect what would be served."""
    calls: list[dict[str, Any]] = []

    def serve_index(index: Any, *, ready: Callable[[str], None], **settings: Any) -> None:
        calls.append(settings)
        ready("http://there")

    monkeypatch.setattr("lookalike.server.serving.serve_index", serve_index)
    return calls


def test_where_others_can_reach_it_it_says_so(
    vectors: Path, served: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(vectors), "--host", "0.0.0.0", "--port", "80"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "http://there\n"
    assert "warning: all who reach 0.0.0.0 and know the token can see and search" in shown.err
    assert (served[0]["host"], served[0]["port"]) == ("0.0.0.0", 80)


def test_without_an_encoder_it_says_so_and_serves(
    vectors: Path,
    run: Path,
    tmp_path: Path,
    served: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(vectors, tmp_path / "bare.vec")
    shutil.rmtree(tmp_path / "bare.vec/model")
    assert main(["serve", str(tmp_path / "bare.vec")]) == 0
    assert "keeps no encoder" in capsys.readouterr().err
    assert main(["serve", str(tmp_path / "bare.vec"), "--run", str(run)]) == 0
    assert "keeps no encoder" not in capsys.readouterr().err
    assert [each["encoder"] is None for each in served] == [True, False]


def test_what_is_no_collection_is_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(photos)]) == 2
    assert "is no collection" in capsys.readouterr().err


def test_duplicates_are_served_where_they_are_of_these_images(
    run: Path,
    photos: Path,
    tmp_path: Path,
    served: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(photos / "0", tmp_path / "photos")
    shutil.copy(next(photos.rglob("*.png")), tmp_path / "photos/again.png")
    shutil.copy(next(photos.rglob("*.png")), tmp_path / "photos/once more.png")
    vectors, out = tmp_path / "photos.vec", tmp_path / "dups"
    embed_source(load_encoder(run), tmp_path / "photos", out=vectors)
    assert main(["duplicates", str(vectors), "--out", str(out)]) == 0
    assert f"lookalike serve {vectors} --duplicates {out}" in capsys.readouterr().err
    assert main(["serve", str(vectors), "--duplicates", str(out)]) == 0
    told = capsys.readouterr().err
    assert "groups of duplicates at http://there/duplicates" in told
    assert f"lookalike apply {out} --table SAVED.csv --move-to FOLDER" in told
    assert served[0]["duplicates"].folder == out
    assert main(["serve", str(vectors)]) == 0
    assert served[1]["duplicates"] is None
    assert main(["serve", str(vectors), "--duplicates", str(photos)]) == 2
    assert "write it with lookalike duplicates" in capsys.readouterr().err
