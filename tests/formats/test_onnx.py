"""An ONNX file says what the encoder says, where there is neither torch nor lookalike."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from lookalike.errors import LookalikeError
from lookalike.formats.agreement import compare
from lookalike.formats.onnx import read, write
from lookalike.formats.program import settled


@pytest.fixture(scope="module")
def file(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    write(settled(encoder), path)
    return path


def test_runs_without_torch_and_lookalike(encoder, file, photos, run_without, least_cosine):
    script = f"""
import onnxruntime
session = onnxruntime.InferenceSession({str(file)!r})
of = lambda images: session.run(["vectors"], {{"images": images}})[0]
vectors = np.concatenate([of(images[:1]), of(images[:3]), of(images[:8])])
"""
    images = np.stack([photo[:20, :17] for photo in photos])
    vectors = run_without(script, images, "torch", "lookalike")
    wanted = encoder.encode(np.concatenate([images[:1], images[:3], images[:8]]))
    assert vectors.dtype == np.float32
    assert least_cosine(vectors, wanted) >= 0.9999


def test_takes_whole_photos_of_any_size(encoder, file, photos):
    assert compare(settled(encoder), read(file), photos) >= 0.9999


def test_is_one_file_that_tells_what_it_holds(encoder, file):
    assert [path.name for path in file.parent.iterdir()] == ["tiny.onnx"]
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    said = {each.key: each.value for each in model.metadata_props}
    assert said["fingerprint"] == encoder.fingerprint()
    assert json.loads(said["preparation"]) == json.loads(json.dumps(encoder.preparation()))
    (images,), (vectors,) = model.graph.input, model.graph.output
    shapes = [
        [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (images, vectors)
    ]
    assert (images.name, vectors.name) == ("images", "vectors")
    assert shapes == [["batch", "height", "width", 3], ["batch", encoder.dim]]


def test_tells_nothing_of_this_machine(file):
    content = file.read_bytes()
    for place in (Path(__file__).parents[2], Path(sys.prefix), Path.home()):
        assert str(place).encode() not in content


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_says_what_to_install(encoder, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LookalikeError, match=rf"{package}.*\n.*pip install 'lookalike\[export\]'"):
        write(encoder, tmp_path / "a.onnx")


def test_what_no_file_can_hold_is_refused(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("lookalike.formats.onnx.MOST_BYTES", 1000)
    with pytest.raises(LookalikeError, match=r"at most .* GB.*\n.*--to torch"):
        write(encoder, tmp_path / "a.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "arguments"),
    [
        ("resnet18", 32, {"width": 4}),
        ("resnet34", 32, {"width": 4, "stem": "strided"}),
        ("resnet50", 64, {"width": 4, "stem": "imagenet"}),
        ("patches", 32, {"width": 4}),
        ("exemplar_medium", 32, {"width": 4}),
        ("drlim", 32, {"dim": 5}),
        ("embedding", 32, {"backbone": "exemplar_small", "width": 4, "widths": (16, 8)}),
        ("timm/mobilenetv3_small_050", 64, {}),
        ("timm/vit_tiny_patch16_224", 32, {"img_size": 32}),
    ],
)
def test_every_family_agrees(make_encoder, photos, tmp_path, name, size, arguments):
    encoder = settled(make_encoder(name, size=size, **arguments))
    write(encoder, tmp_path / "a.onnx")
    assert compare(encoder, read(tmp_path / "a.onnx"), photos) >= 0.9999
