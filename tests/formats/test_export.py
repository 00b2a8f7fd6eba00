"""An export is checked before it takes its name; what disagrees is never there."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.errors import DataError, LookalikeError, UsageError
from lookalike.formats.export import default_name, export
from lookalike.formats.safetensors import write


@pytest.mark.parametrize(
    ("to", "names"),
    [
        pytest.param("onnx", ["out", "out.md"], marks=pytest.mark.slow),
        ("torch", ["out", "out.md"]),
        ("safetensors", ["out"]),
        ("huggingface", ["out"]),
    ],
)
def test_writes_what_agrees_and_a_card(make_encoder, tmp_path, to, names):
    name = "timm/test_resnet" if to == "huggingface" else "small_conv"
    encoder = make_encoder(name, **({} if to == "huggingface" else {"width": 4}), size=32)
    written = lookalike.export(encoder, tmp_path / "new/out", to=to)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == names
    assert written.card.read_text().count("# out")
    assert written.agreement.images == "hands"
    assert 0.9999 <= written.agreement.cosine <= 1 + 1e-6
    assert written.fingerprint == encoder.fingerprint()
    told = written.to_json()
    assert json.loads(json.dumps(told)) == told
    assert (told["checked_images"], told["to"]) == (8, to)
    assert str(written.path) in written.lines()[0]


def test_a_run_and_its_model_folder_are_encoders(a_run, tmp_path):
    for number, folder in enumerate((a_run, a_run / "model", str(a_run))):
        written = export(folder, tmp_path / str(number), to="safetensors")
        assert written.fingerprint == lookalike.load(a_run).fingerprint()
    assert "40 of hands" in (tmp_path / "0/README.md").read_text()
    assert "exported without its run" in (tmp_path / "1/README.md").read_text()
    with pytest.raises(UsageError, match="is no model"):
        export(tmp_path / "nowhere", tmp_path / "3")


def spoil(monkeypatch, module: str, how) -> None:
    """Let what was written be read back as something else."""
    form = importlib.import_module(f"lookalike.formats.{module}")
    read = form.read
    monkeypatch.setattr(form, "read", lambda path: lambda images: how(read(path)(images)))


def test_what_disagrees_is_not_left(encoder, tmp_path, monkeypatch):
    spoil(monkeypatch, "safetensors", lambda vectors: vectors + 0.03 * np.eye(1, vectors.shape[1]))
    with pytest.raises(LookalikeError, match=r"does not agree .*0\.99.*want 0\.9999") as caught:
        export(encoder, tmp_path / "out", to="safetensors")
    assert caught.value.exit_code == 1
    assert not list(tmp_path.iterdir())


def test_what_disagrees_does_not_replace_what_agreed(encoder, tmp_path, monkeypatch):
    export(encoder, tmp_path / "out", to="safetensors")
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    spoil(monkeypatch, "safetensors", lambda vectors: -vectors)
    with pytest.raises(LookalikeError, match="does not agree"):
        export(encoder, tmp_path / "out", to="safetensors", overwrite=True)
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_write_that_fails_leaves_nothing(encoder, tmp_path, monkeypatch):
    def fail(still, path):
        write(still, path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lookalike.formats.safetensors.write", fail)
    with pytest.raises(OSError, match="No space"):
        export(encoder, tmp_path / "out", to="safetensors")
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_replaced_only_if_asked(encoder, make_encoder, tmp_path):
    export(encoder, tmp_path / "out", to="safetensors")
    other = make_encoder(width=5)
    with pytest.raises(UsageError, match="--overwrite"):
        export(other, tmp_path / "out", to="safetensors")
    assert lookalike.load(tmp_path / "out").fingerprint() == encoder.fingerprint()
    export(other, tmp_path / "out", to="safetensors", overwrite=True)
    assert lookalike.load(tmp_path / "out").fingerprint() == other.fingerprint()


def test_pictures_to_check_with_are_those_asked_for_or_those_of_the_run(
    a_run, encoder, photos, tmp_path
):
    mine = tmp_path / "mine"
    mine.mkdir()
    Image.fromarray(photos[0]).save(mine / "a.png")
    asked = export(encoder, tmp_path / "0", to="safetensors", check_on=str(mine))
    assert (asked.agreement.images, asked.agreement.pictures) == ("mine", 1)
    record = json.loads((a_run / "run.json").read_text())
    record["resolved"] |= {"source": str(mine), "split": None, "images": 1}
    (a_run / "run.json").write_text(json.dumps(record))
    assert export(a_run, tmp_path / "1", to="safetensors").agreement.images == "mine"
    (mine / "a.png").write_bytes(b"gone bad")  # then those that come along
    assert export(a_run, tmp_path / "2", to="safetensors").agreement.images == "hands"
    with pytest.raises(DataError, match="can be read"):
        export(a_run, tmp_path / "3", to="safetensors", check_on=str(mine))
    (mine / "a.png").unlink()
    assert export(a_run, tmp_path / "4", to="safetensors").agreement.images == "hands"


def test_there_are_four_formats(encoder, tmp_path):
    with pytest.raises(ValueError, match="to must be one of huggingface, onnx, safetensors, torch"):
        export(encoder, tmp_path / "out", to="tflite")


def test_a_default_name_is_the_runs(tmp_path, monkeypatch):
    run = tmp_path / "photos"
    (run / "model").mkdir(parents=True)
    assert default_name(run, "onnx") == default_name(run / "model", "onnx") == "photos.onnx"
    assert default_name(run, "torch") == "photos.pt2"
    monkeypatch.chdir(run)
    assert default_name(run.relative_to(run), "safetensors") == "photos-safetensors"
