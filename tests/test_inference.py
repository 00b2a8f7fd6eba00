"""The encoder: what it makes of pictures, that nothing moves, and what it saves."""

import contextlib
import inspect
import json
import resource
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from lookalike.backbones.base import Backbone
from lookalike.backbones.build import WEIGHTS_FROM, build_backbone
from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError
from lookalike.inference import Encoder, evaluating, load_encoder

SMALL = {"width": 8}


def an_encoder(*, size: int = 24, seed: int = 0, **arguments) -> Encoder:
    torch.manual_seed(seed)
    backbone = build_backbone("small_conv", **SMALL)
    return Encoder(backbone, size=size, name="small_conv", arguments=SMALL, **arguments)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth picture, so that resizing keeps it."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


class Colours(Backbone):
    """Shows what it was given: the mean of each channel."""

    def __init__(self) -> None:
        super().__init__(dim=3)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return images.mean(dim=(2, 3))


def test_vectors_are_unit_float32_of_the_backbones_width():
    encoder = an_encoder()
    vectors = encoder.encode([photo(40, 30, seed) for seed in range(3)])
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_preparation_is_a_centred_square_resized_and_standardised():
    """Done step by step with Pillow and numpy."""
    image, mean, std = photo(30, 50), (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    encoder = Encoder(Colours(), size=12, mean=mean, std=std, name="colours")
    middle = (10, 0, 40, 30)
    square = Image.fromarray(image).resize((12, 12), Image.Resampling.BICUBIC, box=middle)
    expected = (np.asarray(square) / 255 - mean) / std
    vector = expected.mean(axis=(0, 1))
    got = encoder.encode(image)[0]
    np.testing.assert_allclose(got, vector / np.linalg.norm(vector), atol=1e-5)


def test_paths_images_and_arrays_are_the_same_picture(tmp_path):
    image = photo(40, 40)
    file = tmp_path / "picture.png"
    Image.fromarray(image).save(file)
    encoder = an_encoder()
    mixed = encoder.encode([file, str(file), Image.open(file), image, Image.fromarray(image)])
    np.testing.assert_allclose(mixed, mixed[:1].repeat(5, 0), atol=1e-6)
    for one in (file, image, Image.fromarray(image), image[None]):
        np.testing.assert_allclose(encoder.encode(one), mixed[:1], atol=1e-6)


def test_grey_alpha_and_turned_images_are_read_as_files_are(tmp_path):
    encoder = an_encoder()
    grey = photo(30, 40)[:, :, 0]
    np.testing.assert_allclose(
        encoder.encode([grey, Image.fromarray(grey)]),
        encoder.encode([np.repeat(grey[:, :, None], 3, axis=2)] * 2),
        atol=1e-6,
    )
    turned = Image.fromarray(photo(30, 40))
    turned.getexif()[0x0112] = 6
    glass = Image.fromarray(photo(30, 40)).convert("RGBA")
    glass.putalpha(100)
    for number, image in enumerate((turned, glass)):
        file = tmp_path / f"{number}.png"
        image.save(file, exif=image.getexif())
        np.testing.assert_allclose(encoder.encode(image), encoder.encode(file), atol=1e-6)


def test_the_batch_size_and_an_empty_list_change_nothing():
    encoder = an_encoder()
    images = [photo(20 + seed, 30, seed) for seed in range(7)]
    np.testing.assert_allclose(
        encoder.encode(images, batch_size=2), encoder.encode(images), atol=1e-5
    )
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_nothing_moves_while_encoding():
    encoder = an_encoder()
    backbone = encoder.backbone.train()
    next(backbone.children()).eval()  # a part that somebody has frozen
    modes = [module.training for module in backbone.modules()]
    state = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    encoder.encode([photo(20, 20)] * 3)
    assert [module.training for module in backbone.modules()] == modes
    for name, tensor in backbone.state_dict().items():
        assert tensor.equal(state[name]), name
    assert all(parameter.grad is None for parameter in backbone.parameters())


def test_modes_come_back_after_an_error():
    module = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2).eval())
    with evaluating(module):
        assert not any(part.training for part in module.modules())
        with pytest.raises(RuntimeError), evaluating(module):
            module(torch.zeros(1, 99))
    assert [part.training for part in module.modules()] == [True, True, False]


def test_bfloat16_stays_within_a_cosine_of_0_999():
    images = [photo(40, 40, seed) for seed in range(8)]
    full, half = (an_encoder(precision=p).encode(images) for p in ("float32", "bfloat16"))
    assert (full * half).sum(axis=1).min() > 0.999


def test_an_image_set_becomes_embeddings(tmp_path):
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(photo(20, 20, len(name) + ord(name[4]))).save(tmp_path / name)
    (tmp_path / "dog/2.png").write_bytes(b"nothing of the kind")
    encoder, told = an_encoder(), []
    images = open_source(tmp_path)
    found = encoder.embed(images, progress=lambda done, total: told.append((done, total)))
    assert found.ids == ("cat/1.png", "cat/2.png", "dog/1.png")
    assert [found.class_names[label] for label in found.labels] == ["cat", "cat", "dog"]
    paths = [tmp_path / name for name in found.ids]
    np.testing.assert_allclose(found.vectors, encoder.encode(paths), atol=1e-6)
    assert told[-1] == (4, 4)


@pytest.mark.parametrize(
    ("item", "kind", "message"),
    [
        ("missing.png", UsageError, "missing.png"),
        ("broken.png", DataError, "broken.png"),
        ("folder", DataError, "folder"),
        (np.zeros((3, 3, 5), np.uint8), UsageError, "image 1"),
        (np.zeros((3, 3, 3), np.float32), UsageError, "image 1"),
        (7, UsageError, "image 1.*int"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, item, kind, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.png").write_bytes(b"not an image, though called one")
    item = tmp_path / item if isinstance(item, str) else item
    with pytest.raises(kind, match=message):
        an_encoder().encode([photo(9, 9), item])


def test_squares_of_another_size_or_type_are_refused():
    encoder = an_encoder(size=16)
    for wrong in (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, 3, 16, 16)):
        with pytest.raises(ValueError, match="squares must be uint8"):
            encoder.represent(wrong)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"std": (1, 1, 0)}, {"mean": (0, 0)}])
def test_an_impossible_preparation_is_refused(wrong):
    with pytest.raises(ValueError, match=r"size|std"):
        an_encoder(**wrong)


def test_a_saved_encoder_is_the_same_encoder(tmp_path):
    encoder = an_encoder(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    encoder.backbone.train()(torch.rand(8, 3, 24, 24))  # move the running averages
    encoder.save(tmp_path / "run" / "model")
    images = [photo(30, 40, seed) for seed in range(3)]
    for path in (tmp_path / "run", tmp_path / "run" / "model", str(tmp_path / "run")):
        again = load_encoder(path, device="cpu")
        np.testing.assert_array_equal(again.encode(images), encoder.encode(images))
        assert again.fingerprint() == encoder.fingerprint()
        assert (again.mean, again.std, again.size) == (encoder.mean, encoder.std, 24)
    names = {file.name for file in (tmp_path / "run" / "model").iterdir()}
    assert names == {"model.safetensors", "config.json", "preprocessor.json"}


def test_a_fingerprint_is_of_weights_and_preparation():
    first = an_encoder()
    assert an_encoder().fingerprint() == first.fingerprint()
    assert an_encoder(seed=1).fingerprint() != first.fingerprint()
    assert an_encoder(size=25).fingerprint() != first.fingerprint()
    with torch.no_grad():
        next(first.backbone.parameters()).view(-1)[0] += 1e-6
    assert an_encoder().fingerprint() != first.fingerprint()


def test_a_restarted_encoder_is_as_new_and_leaves_the_dice_alone():
    encoder = an_encoder(seed=5)
    before = torch.get_rng_state()
    again = encoder.restarted(seed=0)
    assert torch.get_rng_state().equal(before)
    assert again.fingerprint() == an_encoder(seed=0).fingerprint()
    assert encoder.fingerprint() == an_encoder(seed=5).fingerprint()


def edit(file: Path, **changes) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | changes))


def forget(file: Path, name: str) -> None:
    content = json.loads(file.read_text())
    del content[name]
    file.write_text(json.dumps(content))


def reshape_a_weight(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    name = max(weights)
    weights[name] = torch.zeros(3, 7)
    safetensors.torch.save_file(weights, file)


def nudge_a_weight(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[name] += 1
    safetensors.torch.save_file(weights, file)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "preprocessor.json").write_text("{"), "preprocessor.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), "no JSON object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"cut"), "model.safetensors"),
        (reshape_a_weight, "should have shape"),
        (nudge_a_weight, "damaged"),
        (lambda folder: edit(folder / "config.json", version=99), "update lookalike"),
        (lambda folder: edit(folder / "config.json", format="other"), "other"),
        (lambda folder: edit(folder / "config.json", backbone_arguments={"depth": 9}), "depth"),
        (lambda folder: forget(folder / "config.json", "backbone"), "backbone"),
        (lambda folder: edit(folder / "preprocessor.json", std=[0, 0, 0]), "std"),
    ],
)
def test_what_is_no_whole_model_is_said(tmp_path, harm, message):
    an_encoder().save(tmp_path)
    harm(tmp_path)
    with pytest.raises(UsageError, match=message):
        load_encoder(tmp_path)


def test_there_may_be_nothing_at_all(tmp_path):
    with pytest.raises(UsageError, match="no model"):
        load_encoder(tmp_path / "nowhere")


@pytest.mark.parametrize("inner", [False, True])
def test_code_that_a_model_names_runs_only_if_trusted(tmp_path, monkeypatch, inner):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from pathlib import Path\n"
        "Path('it-ran').touch()\n"
        "from lookalike.backbones.small import SmallConv\n"
        "def mine(*, width):\n"
        "    return SmallConv(width)\n"
    )
    an_encoder().save("model")
    named: dict[str, object] = {"backbone": "mine.py:mine"}
    if inner:  # a backbone of ours that has theirs inside
        named = {"backbone": "embedding", "backbone_arguments": {**named, "width": 4}}
    edit(Path("model/config.json"), **named)
    with pytest.raises(UsageError, match="trust_code=True"):
        load_encoder("model")
    assert not Path("it-ran").exists()
    with contextlib.suppress(UsageError):  # its weights do not fit
        load_encoder("model", trust_code=True)
    assert Path("it-ran").exists()


OUTSIDE = {
    "checkpoint_path": "outside.pt",
    "pretrained_cfg": {"file": "outside.pt"},
    "pretrained_cfg_overlay": {"file": "outside.pt", "url": ""},
    "cache_dir": ".",
}


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("pretrained", [False, True])
def test_a_model_folder_names_no_file_outside_it(tmp_path, monkeypatch, name, pretrained, inner):
    monkeypatch.chdir(tmp_path)
    Path("outside.pt").write_bytes(b"it must not be opened")
    opened = []
    for place in ("_factory.load_checkpoint", "_builder.load_pretrained"):
        monkeypatch.setattr(f"timm.models.{place}", lambda *args, **rest: opened.append(args))
    plain = {"backbone": "timm/test_vit", "widths": (4,)} if inner else {}
    network = build_backbone("embedding" if inner else "timm/test_vit", **plain)
    called = "embedding" if inner else "timm/test_vit"
    encoder = Encoder(network, size=160, name=called, arguments=plain)
    encoder.save("model")
    told = {**plain, name: OUTSIDE[name], "pretrained": pretrained}
    edit(Path("model/config.json"), backbone_arguments=told)
    again = load_encoder("model")
    assert again.fingerprint() == encoder.fingerprint()
    assert again.arguments == {**plain, "pretrained": pretrained} | (
        {"widths": [4]} if inner else {}
    )
    again.restarted(seed=0)
    assert not opened


def test_all_that_timm_opens_files_by_is_known():
    import timm

    known = {"model_name", "scriptable", "exportable", "no_jit", "kwargs"} | WEIGHTS_FROM
    assert set(inspect.signature(timm.create_model).parameters) == known


@pytest.mark.parametrize("arguments", [{"width": 20_000}, {"width": 10**7}, {"width": 3}])
def test_a_network_larger_than_its_weights_is_refused_before_it_is_built(tmp_path, arguments):
    an_encoder().save(tmp_path)
    edit(tmp_path / "config.json", backbone_arguments=arguments)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match=r"far larger than its weights|does not fit"):
        load_encoder(tmp_path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 700_000, "kilobytes: what is free of any network, and no more"


@pytest.mark.parametrize("arguments", [{"width": "x"}, {"width": []}, {"width": -1}, {"w": 1}, 7])
def test_arguments_of_another_kind_are_told_in_a_line(tmp_path, arguments):
    an_encoder().save(tmp_path)
    edit(tmp_path / "config.json", backbone_arguments=arguments)
    with pytest.raises(UsageError) as refusal:
        load_encoder(tmp_path)
    assert "\n" not in str(refusal.value)


def test_it_is_a_step_of_a_scikit_learn_pipeline():
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    images = np.zeros((12, 16, 16, 3), dtype=np.uint8)
    images[::2, :, :, 0] = 200  # red
    images[1::2, :, :, 2] = 200  # blue
    images += np.random.default_rng(0).integers(0, 40, images.shape, dtype=np.uint8)
    colours = np.array(["red", "blue"] * 6)
    torch.manual_seed(0)
    encoder = Encoder(build_backbone("small_conv", width=4), size=16, name="small_conv")
    pipeline = make_pipeline(encoder, KNeighborsClassifier(1)).fit(images[:8], colours[:8])
    assert pipeline.predict(images[8:]).tolist() == colours[8:].tolist()
    known = KNeighborsClassifier(1).fit(encoder.encode(images[:8]), colours[:8])
    assert pipeline.score(images[8:], colours[8:]) == known.score(
        encoder.encode(images[8:]), colours[8:]
    )
    assert cross_val_score(pipeline, images, colours, cv=3).mean() == 1.0


def test_printed_an_encoder_is_one_line():
    encoder = an_encoder(size=24)
    assert repr(encoder) == f"Encoder({encoder.name}, {encoder.dim} wide, of 24 x 24 pixels)"
