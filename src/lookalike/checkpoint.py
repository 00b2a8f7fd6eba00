"""Checkpoints: complete, checksummed, replaced whole, with nothing in them that could run.

    checkpoints/step-000000123/state.json           the nesting, and every plain value
                               tensors.safetensors  the tensors that it names
                               MANIFEST.sha256      written last; `sha256sum -c` reads it
    checkpoints/LATEST                              the newest folder's name, for other programs

A folder is filled under a hidden name and then renamed, so a crash at any byte leaves the
checkpoints before it as they were.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from lookalike import _check
from lookalike.durable import NO_SPACE, no_space, sync_folder, write_atomically
from lookalike.errors import LookalikeError

FORMAT = 1
STATE, TENSORS, MANIFEST = "state.json", "tensors.safetensors", "MANIFEST.sha256"
LATEST = "LATEST"
_FOLDER_NAME = re.compile(r"step-(\d{9,})(?:-(\d+))?")
_UNFINISHED = ".unfinished-"  # before the name of a folder that is being filled or removed
_SPARE_BYTES = 2**20  # for the file system's own books
_DTYPE_NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.uint16: "U16",
    torch.uint32: "U32",
    torch.uint64: "U64",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.complex64: "C64",
}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, read and verified.

    Attributes:
        step: optimizer steps done when it was saved.
        state: what was saved.
        path: its folder.
        damaged: newer checkpoints that could not be used, each with its reason.
    """

    step: int
    state: dict[str, Any]
    path: Path
    damaged: tuple[str, ...]


class _DamagedError(Exception):
    """A checkpoint that cannot be used; the message says why."""


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], *, keep: int = 3) -> Path:
    """Save a state beside the earlier ones, then remove the oldest.

    Args:
        folder: holds the checkpoints of one run, written by one process; made if it is missing.
        step: optimizer steps done, >= 0.
        state: dicts (with string and integer keys), lists and tuples of tensors, numbers,
            strings, booleans and None. Subclasses of these are saved as the plain type.
        keep: checkpoints that stay, this one among them, >= 1.

    Returns:
        The new checkpoint's folder.

    Raises:
        ValueError: the state holds something else.
        LookalikeError: no space is left; the earlier checkpoints are as they were.
    """
    _check.at_least(0, step=step)
    _check.at_least(1, keep=keep)
    tensors: dict[str, Tensor] = {}
    structure = _encode(dict(state), "state", tensors)
    text = json.dumps({"format": FORMAT, "step": step, "state": structure}).encode()
    path = _unused_path(folder, step)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        _require_space(path, len(text) + sum(tensor.nbytes for tensor in tensors.values()))
        _write_folder(path, text, tensors)
        write_atomically(folder / LATEST, f"{path.name}\n".encode())
        _prune(folder, newest=path, keep=keep)
    except OSError as problem:
        if problem.errno in NO_SPACE:
            raise no_space(path) from problem
        raise
    return path


def load_checkpoint(folder: Path, *, device: torch.device | str = "cpu") -> Checkpoint | None:
    """Return the newest whole checkpoint, or None where none was ever saved.

    Args:
        folder: what `save_checkpoint` wrote to; may be read while it writes.
        device: where the tensors go.

    Raises:
        LookalikeError: there are checkpoints, and all are damaged.
    """
    damaged: list[str] = []
    for path in reversed(_saved(folder)):
        try:
            step, state = _read(path, device)
        except _DamagedError as problem:
            if not path.exists():  # it was pruned while we read, so there are newer ones
                return load_checkpoint(folder, device=device)
            damaged.append(f"{path.name}: {problem}")
        else:
            return Checkpoint(step, state, path, tuple(damaged))
    if damaged:
        raise LookalikeError(
            f"every checkpoint in {folder} is damaged ({'; '.join(damaged)})\n"
            "  fix: restore one from a backup, or start again in a new folder"
        )
    return None


def _saved(folder: Path) -> list[Path]:
    """Return the checkpoints' folders, oldest first."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _FOLDER_NAME.fullmatch(path.name):
            found.append((int(match[1]), int(match[2] or 1), path))
    return [path for *_, path in sorted(found)]


def _unused_path(folder: Path, step: int) -> Path:
    """Return a folder's name that is free: what exists is never overwritten, damaged or not."""
    path = folder / f"step-{step:09d}"
    repeats = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(name for name in itertools.chain([path], repeats) if not name.exists())


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written or half-removed."""
    for path in folder.glob(f"{_UNFINISHED}step-*"):
        shutil.rmtree(path)
    for path in folder.glob(f".{LATEST}.*.tmp"):  # of `write_atomically`
        path.unlink()


def _require_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < size + _SPARE_BYTES:
        raise no_space(path, f"it takes {size / 1e6:.1f} MB and {free / 1e6:.1f} MB are free")


def _write_folder(path: Path, text: bytes, tensors: Mapping[str, Tensor]) -> None:
    """Fill a hidden folder, make it durable, and only then give it its name."""
    unfinished = path.with_name(_UNFINISHED + path.name)
    try:
        unfinished.mkdir()
        digests = {
            TENSORS: _write_file(unfinished / TENSORS, _safetensors(tensors)),
            STATE: _write_file(unfinished / STATE, [text]),
        }
        lines = [_manifest_line(name, digest).encode() for name, digest in digests.items()]
        _write_file(unfinished / MANIFEST, lines)
        sync_folder(unfinished)
        unfinished.rename(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync_folder(path.parent)


def _write_file(path: Path, parts: Iterable[bytes | memoryview]) -> str:
    """Write a new file to the disk itself and return its SHA-256."""
    digest = hashlib.sha256()
    with open(path, "xb") as file:
        for part in parts:
            file.write(part)
            digest.update(part)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _manifest_line(name: str, digest: str) -> str:
    return f"{digest}  {name}\n"


def _prune(folder: Path, *, newest: Path, keep: int) -> None:
    others = [path for path in _saved(folder) if path != newest]
    for path in others[: max(0, len(others) + 1 - keep)]:
        hidden = path.with_name(_UNFINISHED + path.name)
        path.rename(hidden)  # readers see it whole or not at all
        shutil.rmtree(hidden, ignore_errors=True)  # what stays is removed at the next save


def _safetensors(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """Yield a safetensors file piece by piece.

    The library's own writer wants all tensors in memory once more (it takes none that share
    memory or have strides) and tells a full disk in words only.
    """
    widest_first = sorted(tensors.items(), key=lambda item: -item[1].element_size())  # aligned
    header, end = {}, 0
    for name, tensor in widest_first:
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _DTYPE_NAMES[tensor.dtype],
            "shape": tuple(tensor.shape),
            "data_offsets": (start, end),
        }
    text = json.dumps(header, ensure_ascii=False).encode()  # the format wants UTF-8
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for _, tensor in widest_first:
        yield tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data


def _encode(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON knows it, moving its tensors to `tensors` by name."""
    match value:
        case Tensor():
            if value.dtype not in _DTYPE_NAMES or value.layout != torch.strided:
                raise ValueError(f"{path} must be dense, of a usual dtype, got {value.dtype}")
            while path in tensors:  # {"a": {"b": x}, "a/b": y}
                path += "'"
            tensors[path] = value.detach()
            return {"$tensor": path}
        case dict():
            if not all(isinstance(key, str | int) for key in value):
                raise ValueError(f"{path} must have string or integer keys, got {list(value)}")
            items = [(key, _encode(item, f"{path}/{key}", tensors)) for key, item in value.items()]
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return dict(items)
            return {"$dict": items}
        case list() | tuple():
            encoded = [_encode(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]
            return encoded if isinstance(value, list) else {"$tuple": encoded}
        case float() if not math.isfinite(value):
            return {"$float": str(value)}
        case None | bool() | int() | float() | str():
            return value
    raise ValueError(
        f"{path} must be a tensor, dict, list, tuple, number, string, boolean or None, "
        f"got {type(value).__name__}"
    )


def _decode(text: bytes, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `_encode`, from JSON's text."""

    def revive(value: dict[str, Any]) -> Any:
        match value:
            case {"$tensor": name}:
                return tensors[name]
            case {"$dict": items}:
                return dict(items)
            case {"$tuple": items}:
                return tuple(items)
            case {"$float": number}:
                return float(number)
        return value

    return json.loads(text, object_hook=revive)


def _read(path: Path, device: torch.device | str) -> tuple[int, dict[str, Any]]:
    """Return a checkpoint's step and state; raise _DamagedError if it is not whole."""
    manifest = _read_file(path / MANIFEST).decode(errors="replace")
    contents = {name: _read_file(path / name) for name in (STATE, TENSORS)}
    for name, content in contents.items():
        if _manifest_line(name, hashlib.sha256(content).hexdigest()) not in manifest:
            raise _DamagedError(f"{name} does not match its checksum in {MANIFEST}")
    try:
        loaded = safetensors.torch.load(contents[TENSORS])
        tensors = {name: tensor.to(device) for name, tensor in loaded.items()}
        record = _decode(contents[STATE], tensors)
        if record["format"] != FORMAT:
            raise _DamagedError(f"its format is {record['format']}, this version reads {FORMAT}")
        return record["step"], record["state"]
    except (ValueError, KeyError, TypeError, SafetensorError) as problem:
        raise _DamagedError(f"its content makes no sense: {problem!r}") from problem


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as problem:
        raise _DamagedError(f"{path.name} is missing") from problem
    except OSError as problem:
        raise _DamagedError(f"{path.name} cannot be read: {problem.strerror}") from problem
