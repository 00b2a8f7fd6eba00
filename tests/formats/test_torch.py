"""A torch.export program says what the encoder says, where there is no lookalike."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lookalike.formats.agreement import compare
from lookalike.formats.program import facts, settled
from lookalike.formats.torch import read, write


@pytest.fixture(scope="module")
def file(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("torch") / "tiny.pt2"
    write(settled(encoder), path)
    return path


@pytest.mark.slow
def test_runs_without_lookalike(encoder, file, photos, run_without, least_cosine):
    script = f"""
import torch
program = torch.export.load({str(file)!r}).module()
parts = [program(torch.from_numpy(images[:count])) for count in (1, 3, 8)]
vectors = torch.cat(parts).numpy()
"""
    images = np.stack([photo[:20, :17] for photo in photos])
    vectors = run_without(script, images, "lookalike", "timm")
    wanted = encoder.encode(np.concatenate([images[:1], images[:3], images[:8]]))
    assert least_cosine(vectors, wanted) >= 0.9999


def test_takes_whole_photos_of_any_size(encoder, file, photos):
    assert compare(settled(encoder), read(file), photos) >= 0.9999


def test_tells_what_it_holds_and_nothing_of_this_machine(encoder, file):
    extra = {"lookalike.json": ""}
    torch.export.load(io.BytesIO(file.read_bytes()), extra_files=extra)
    assert json.loads(extra["lookalike.json"]) == facts(encoder)
    with zipfile.ZipFile(file) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    for place in (Path(__file__).parents[2], Path(sys.prefix), Path.home()):
        assert str(place).encode() not in content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "arguments"),
    [
        ("resnet18", 32, {"width": 4}),
        ("patches", 32, {"width": 4}),
        ("embedding", 32, {"backbone": "drlim", "widths": (8,)}),
        ("timm/mobilenetv3_small_050", 64, {}),
        ("timm/vit_tiny_patch16_224", 32, {"img_size": 32}),
    ],
)
def test_every_family_agrees(make_encoder, photos, tmp_path, name, size, arguments):
    encoder = settled(make_encoder(name, size=size, **arguments))
    write(encoder, tmp_path / "a.pt2")
    assert compare(encoder, read(tmp_path / "a.pt2"), photos) >= 0.9999
