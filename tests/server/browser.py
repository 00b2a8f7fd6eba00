"""A real browser without a window, driven over a pipe by the protocol of its developer tools."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

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
            each
            for each in self.call("Target.getTargets")["targetInfos"]
            if each["type"] == "page"
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
            text = self.evaluate("document.body.innerText")
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

    def screenshot(self, path: Path, *, dark: bool = False, whole: bool = False) -> None:
        """Write what the window shows, or the whole page, as a PNG file."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        time.sleep(0.3)
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
