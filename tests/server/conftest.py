"""A small collection, served in this process; and a real browser, driven by its developer tools."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import select
import shutil
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from lookalike.backbones.build import build_backbone
from lookalike.curation.table import Listed, read_listed
from lookalike.inference import Encoder
from lookalike.neighbors.embedding import embed_source
from lookalike.neighbors.index import Index
from lookalike.server.app import create_app

HERE = "http://127.0.0.1:8765"


def paint_photos(folder: Path) -> None:
    """Write 24 pictures in two classes, blue and red, some of them wider than high."""
    random = np.random.default_rng(0)
    for number in range(24):
        kind = ("blue", "red")[number % 2]
        coarse = random.integers(0, 120, (3, 4, 3))
        coarse[..., 2 if kind == "blue" else 0] += 120
        path = folder / "photos" / kind / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(coarse.astype(np.uint8))
        picture.resize((400, 300 + 20 * (number % 5)), Image.Resampling.BICUBIC).save(path)
    (folder / "secret.png").write_bytes((folder / "photos/red/01.png").read_bytes())


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """A small network, untrained."""
    torch.manual_seed(0)
    arguments = {"width": 4}
    backbone = build_backbone("small_conv", **arguments)
    return Encoder(backbone, size=16, name="small_conv", arguments=arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    """A folder of `photos`, their vectors in `photos.vec`, and a file that is not one of them."""
    folder = tmp_path_factory.mktemp("served")
    paint_photos(folder)
    embed_source(encoder, folder / "photos", out=folder / "photos.vec")
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> Index:
    """The index of these photos."""
    return Index.open(folder / "photos.vec")


@pytest.fixture(scope="module")
def listed(folder: Path, index: Index) -> Listed:
    """What `lookalike duplicates` could have said of these photos: a pair, a triple, a copy."""
    found = index.collection.table.select(["id", "width", "height"]).to_pylist()
    sides = {told["id"]: (told["width"], told["height"]) for told in found}
    groups = (
        (("blue/00.png", 1.0, "the largest"), ("blue/02.png", 1.0, "same file")),
        (
            ("red/01.png", 1.0, "the sharpest of the largest"),
            ("red/03.png", 0.97, ""),
            ("red/05.png", 0.83, ""),
        ),
        (("blue/04.png", 1.0, "the first by name"), ("red/07.png", 0.81, "")),
    )
    (folder / "dups").mkdir()
    with open(folder / "dups/duplicates.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("group", "id", "keep", "score", "width", "height", "bytes", "reason"))
        for number, group in enumerate(groups, 1):
            for place, (name, score, reason) in enumerate(group):
                size = (folder / "photos" / name).stat().st_size
                keep = "no" if place else "yes"
                rows.writerow((number, name, keep, f"{score:.6f}", *sides[name], size, reason))
    told = {"threshold": {"value": 0.8}, "folder": str(folder / "photos")}
    (folder / "dups/duplicates.json").write_text(json.dumps(told))
    return read_listed(folder / "dups")


@pytest.fixture(scope="module")
def client(index: Index, encoder: Encoder, listed: Listed) -> TestClient:
    """What asks the server; an error of the server is an answer, as it is to everybody."""
    app = create_app(index, encoder=encoder, duplicates=listed)
    return TestClient(app, base_url=HERE, raise_server_exceptions=False)


def packed(image: Image.Image, kind: str = "JPEG", **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def png_of(width: int, height: int, rows: bytes) -> bytes:
    """Return a PNG file of one-bit grey that tells of any size, whatever its rows are."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def list_odd_files() -> Iterator[tuple[str, bytes, bool | None]]:
    """Yield names and contents of files that people and strangers send, and whether they show."""
    photo = Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 60).convert("RGB")
    whole = packed(photo)
    yield "whole.jpg", whole, True
    for share in (0.02, 0.1, 0.3, 0.6, 0.9):
        yield f"cut off at {share}.jpg", whole[: int(share * len(whole))], False
    yield "empty.jpg", b"", False
    yield "zeros.jpg", bytes(5000), False
    yield "text.jpg", b"I am a text, and somebody called me an image.", False
    yield "page.jpg", b"<!doctype html><script>alert(1)</script>", False
    yield (
        "drawing.svg",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
        False,
    )
    yield "bomb.png", png_of(30_000, 30_000, bytes(30_000 * 3751)), False  # 900 MP in 110 kB
    yield "huge header.png", png_of(2**31 - 1, 2**31 - 1, b""), False
    yield "long.png", png_of(2**20, 1, bytes(2**17 + 1)), True
    yield "fits.jpg", b"SIMPLE  =                    T", False
    yield "cmyk.jpg", packed(photo.convert("CMYK")), True
    yield "grey.png", packed(photo.convert("L"), "PNG"), True
    yield "one bit.png", packed(photo.convert("1"), "PNG"), True
    yield "deep.png", packed(Image.fromarray(np.full((30, 30), 4000, np.uint16)), "PNG"), True
    yield "alpha.png", packed(photo.convert("RGBA"), "PNG"), True
    yield "palette.gif", packed(photo.convert("P"), "GIF"), True
    frames = [photo.rotate(turn) for turn in (10, 20)]
    yield "animated.gif", packed(photo, "GIF", save_all=True, append_images=frames), True
    yield "animated.png", packed(photo, "PNG", save_all=True, append_images=frames), True
    yield "one pixel.png", packed(Image.new("RGB", (1, 1)), "PNG"), True
    yield "wrong name.txt", whole, True
    yield (
        "turned.jpg",
        packed(photo, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"),
        True,
    )
    yield "../../etc/passwd", b"root:x:0:0", False
    yield "a\r\nSet-Cookie: x.jpg", whole, True
    random = np.random.default_rng(0)
    for number in range(70):
        spoilt = bytearray(whole)
        for place in random.integers(2, len(whole), 1 + number % 8):
            spoilt[place] = random.integers(256)
        yield f"spoilt {number}.jpg", bytes(spoilt), None  # it may show or not


@pytest.fixture(scope="session")
def odd_files() -> list[tuple[str, bytes, bool | None]]:
    """Names and contents of files that people and strangers send, and whether they show."""
    return list(list_odd_files())


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """A function that opens a window; without a browser, tests are skipped as in the report's."""
    if CHROMIUM is None:
        pytest.skip("chromium is not on PATH")
    windows: list[Browser] = []

    def open_window(*, width: int = 1280) -> Browser:
        windows.append(Browser(tmp_path / f"profile-{len(windows)}", width=width))
        return windows[-1]

    yield open_window
    for window in windows:
        window.close()


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
)


class Browser:
    """One page of Chromium.

    Args:
        profile: folder that it may write to.
        width: of the window, in points; the height is 900.
    """

    def __init__(self, profile: Path, *, width: int = 1280, height: int = 900) -> None:
        theirs, self._write = os.pipe()
        self._read, answers = os.pipe()
        # It reads commands from 3 and answers at 4.
        shell = f'exec "$@" 3<&{theirs} 4>&{answers}'
        size = f"--window-size={width},{height}"
        command = [str(CHROMIUM), *_FLAGS, size, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *command],
            pass_fds=(theirs, answers),
            stderr=subprocess.DEVNULL,
            env=os.environ | {"LANG": "C.UTF-8"},
        )
        os.close(theirs)
        os.close(answers)
        self._pending, self._number, self._session = b"", 0, ""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        (page,) = [
            each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page"
        ]
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Return what the browser answers; events that come before are noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression on the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str, *, seconds: float = 60) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({script})"):
            text = self.evaluate("document.body?.innerText")
            assert time.monotonic() < until, f"never became true: {script}\n{text}"
            time.sleep(0.05)

    def open(self, address: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=address)

    def drop(self, file: Path, x: float, y: float) -> None:
        """Drag a file onto the page, and let go of it."""
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for step in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=step, x=x, y=y, data=data)

    def press(self, key: str, code: int) -> None:
        """Press a key."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, **text},
            )

    def click(self, x: float, y: float) -> None:
        """Move the pointer to a place and click there."""
        for kind, held in (("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 1)):
            self.call(
                "Input.dispatchMouseEvent",
                **{"type": kind, "x": x, "y": y, "button": ("none", "left")[held]},
                clickCount=held,
            )

    def save_to(self, folder: Path) -> None:
        """Let the page save files to a folder."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def screenshot(self, path: Path, *, dark: bool = False, whole: bool = False) -> None:
        """Write what the window shows, or the whole page, as a PNG file."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        time.sleep(0.3)  # colours fade in
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the browser."""
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        self._process.wait(timeout=60)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read], [], [], 120)
            assert ready, "the browser says nothing"
            content = os.read(self._read, 2**16)
            assert content, "the browser has ended"
            self._pending += content
        line, _, self._pending = self._pending.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded":
                self.complaints.append(json.dumps(told)[:600])
        return message
