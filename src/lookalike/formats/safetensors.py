"""Weights and how to build what they fit: `model.safetensors` and two small JSON files."""

from __future__ import annotations

from pathlib import Path

from lookalike.formats.agreement import Compute
from lookalike.inference import Encoder, load_encoder

SUFFIX = "-safetensors"
FILES = frozenset({"model.safetensors", "preprocessor.json", "config.json"})


def write(encoder: Encoder, path: Path) -> None:
    """Write a settled encoder as a folder, which `lookalike.load` reads.

    Raises:
        LookalikeError: no space is left.
    """
    encoder.save(path)


def read(path: Path) -> Compute:
    """Return the encoder of a folder; code that it names is run, as the original's was."""
    encoder = load_encoder(path, device="cpu", trust_code=True)
    return encoder.encode
