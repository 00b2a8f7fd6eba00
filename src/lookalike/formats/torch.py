"""A program of torch.export, `.pt2`: runs wherever PyTorch does, without lookalike."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch

from lookalike.durable import write_atomically
from lookalike.formats.agreement import Compute
from lookalike.formats.program import facts, trace
from lookalike.inference import Encoder

SUFFIX = ".pt2"
FILES: frozenset[str] = frozenset()
FACTS = "lookalike.json"


def write(encoder: Encoder, path: Path) -> None:
    """Write a settled encoder as one file.

    Raises:
        LookalikeError: the encoder cannot be a graph, or no space is left.
    """
    content = io.BytesIO()
    torch.export.save(trace(encoder), content, extra_files={FACTS: json.dumps(facts(encoder))})
    write_atomically(path, content.getvalue())


def read(path: Path) -> Compute:
    """Return the encoder of a file."""
    program = torch.export.load(io.BytesIO(path.read_bytes())).module()
    return lambda images: program(torch.from_numpy(images)).numpy()
