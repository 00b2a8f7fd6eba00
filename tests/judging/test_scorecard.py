"""The scorecard: its numbers against those of its parts, its protocol, and what it refuses."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lookalike.backbones.base import Backbone
from lookalike.backbones.build import build_backbone
from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.embeddings import Embeddings
from lookalike.errors import DataError
from lookalike.evaluation.hog import hog_with_colours
from lookalike.evaluation.knn import knn_accuracy, leave_one_out_accuracy
from lookalike.evaluation.linear_probe import linear_probe
from lookalike.evaluation.pixels import raw_pixels
from lookalike.evaluation.principal import principal_axes
from lookalike.evaluation.retrieval import retrieval
from lookalike.evaluation.spectrum import alpha_req, effective_rank
from lookalike.evaluation.uniformity import uniformity
from lookalike.evaluation.verdict import BASELINES
from lookalike.inference import Encoder
from lookalike.judging.baselines import pixel_axes, project
from lookalike.judging.kept import KeptMeasures
from lookalike.judging.scorecard import score

SIZE = 16
SMALL = {"width": 4}
COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


def an_encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    backbone = build_backbone("small_conv", **SMALL)
    return Encoder(backbone, size=SIZE, name="small_conv", arguments=SMALL)


def paint(folder: Path, per_class: int, *, seed: int = 0, colours=COLOURS, noise: int = 90) -> Path:
    """Write noisy pictures of some colours, a folder each."""
    random = np.random.default_rng(seed)
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            pixels = random.normal(colour, noise, (20, 24, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def split(tmp_path):
    """Nine images a class to vote, four to ask."""
    paint(tmp_path / "train", 9)
    paint(tmp_path / "test", 4, seed=1)
    return tmp_path


def test_many_classes_of_few_images_are_not_worth_a_linear_probe(tmp_path, monkeypatch):
    monkeypatch.setattr("lookalike.judging.scorecard.MOST_CLASSES", 2)
    paint(tmp_path / "train", 4)
    paint(tmp_path / "test", 4, seed=1)
    few = score(an_encoder(), tmp_path)
    assert few.encoder.linear_top1 is None
    assert few.encoder.knn_top1 is not None
    assert "no linear probe: 3 classes of few images each" in few.protocol
    paint(tmp_path / "train", 5)
    enough = score(an_encoder(), tmp_path)
    assert enough.encoder.linear_top1 is not None
    assert "no linear probe" not in enough.protocol


def embeddings(source, describe, which) -> Embeddings:
    images = open_source(source, split=which)
    vectors = describe(torch.from_numpy(load_squares(images, SIZE)[0]))
    return Embeddings(vectors.numpy(), images.ids, images.labels, images.class_names)


def test_the_numbers_are_those_of_the_parts(split):
    encoder = an_encoder()
    card = score(encoder, split, k=3, temperature=0.2)
    for measures, describe in (
        (card.encoder, encoder.represent),
        (card.baselines["raw_pixels"], raw_pixels),
        (card.baselines["hog"], hog_with_colours),
        (card.baselines["untrained"], encoder.restarted(seed=0).represent),
    ):
        bank, queries = (embeddings(split, describe, which) for which in ("train", "test"))
        vectors = torch.from_numpy(queries.vectors)
        assert measures.knn_top1 == knn_accuracy(bank, queries, k=3, temperature=0.2)
        searched = retrieval(queries)
        assert measures.recall_at_1 == searched.recall_at_k[1]
        assert (measures.r_precision, measures.map_at_r) == (
            searched.r_precision,
            searched.map_at_r,
        )
        assert measures.rankme == pytest.approx(effective_rank(vectors), rel=1e-4)
        expected = alpha_req(vectors)
        assert measures.alpha_req == (
            None if math.isnan(expected) else pytest.approx(expected, rel=1e-2)
        )
        assert measures.uniformity == pytest.approx(uniformity(vectors), abs=1e-4)
        assert measures.dim == vectors.shape[1]
    assert (card.query_images, card.bank_images, card.unreadable) == (12, 27, 0)


def test_pixels_are_probed_by_their_principal_components(split):
    """Fitted on the images that vote: what is asked about must not say which components matter."""
    card = score(an_encoder(), split, k=3)
    bank, queries = (embeddings(split, raw_pixels, which) for which in ("train", "test"))
    axes = pixel_axes(bank, seed=0)
    few = [project(each, axes) for each in (bank, queries)]
    pixels, components = card.baselines["raw_pixels"], card.baselines["pca_pixels"]
    assert components.knn_top1 == knn_accuracy(*few, k=3)
    assert components.linear_top1 == pixels.linear_top1 == linear_probe(*few).accuracy
    assert components.recall_at_1 == retrieval(few[1]).recall_at_k[1]
    assert components.dim == few[0].vectors.shape[1] == 27  # as many as images that vote
    assert pixels.dim == 3 * SIZE**2
    for name in ("knn_top1", "linear_top1", "recall_at_1", "alignment"):
        assert all(getattr(each, name) is not None for each in card.baselines.values()), name


def test_wide_gradients_are_probed_by_their_first_components(split, monkeypatch):
    monkeypatch.setattr("lookalike.judging.scorecard.HOG_PROBED", 5)
    found = score(an_encoder(), split).baselines["hog"].linear_top1
    sides = [embeddings(split, hog_with_colours, which) for which in ("train", "test")]
    axes = principal_axes(torch.from_numpy(sides[0].vectors), count=5)
    assert found == linear_probe(*(project(each, axes) for each in sides)).accuracy


def test_a_class_asked_about_once_has_nothing_to_search_for(tmp_path):
    paint(tmp_path / "train", 5)
    paint(tmp_path / "test", 1, seed=1)
    card = score(an_encoder(), tmp_path)
    assert card.encoder.knn_top1 is not None
    assert card.encoder.recall_at_1 is card.encoder.r_precision is card.encoder.map_at_r is None
    assert not any(line.startswith(("recall", "MAP")) for line in card.lines())


def test_scripts_find_one_flat_object(split):
    flat = score(an_encoder(), split).to_json()
    assert json.loads(json.dumps(flat, allow_nan=False)) is not None
    for name in ("knn_top1", "linear_top1", "raw_pixels_knn_top1", "untrained_knn_top1"):
        assert 0 <= flat[name] <= 1
    assert flat["k"] == 1
    assert "tenth of the 9 images a class" in flat["k_reason"]
    assert not any(isinstance(value, dict) for value in flat.values())


def test_layers_are_judged_as_the_encoder_is(split):
    encoder = an_encoder()

    def stages(squares):
        vectors = encoder.represent(squares)
        return {"backbone": vectors, "first half": vectors[:, : vectors.shape[1] // 2]}

    card = score(encoder, split, k=3, stages=stages)
    same, half = card.layers.values()
    assert list(card.layers) == ["backbone", "first half"]
    assert (same.dim, same.knn_top1) == (card.encoder.dim, card.encoder.knn_top1)
    assert same.linear_top1 == card.encoder.linear_top1
    bank, queries = (
        embeddings(split, lambda squares: stages(squares)["first half"], which)
        for which in ("train", "test")
    )
    assert half.knn_top1 == knn_accuracy(bank, queries, k=3)
    assert half.linear_top1 == linear_probe(bank, queries).accuracy
    assert half.dim == bank.vectors.shape[1]
    assert set(card.baselines) == {*BASELINES} - {"starting"}
    without = score(encoder, split, k=3)
    assert without.to_json() | {"layers": card.to_json()["layers"]} == card.to_json()
    row = next(line for line in card.lines() if line.startswith("  first half"))
    assert row.split()[2:] == [f"{half.linear_top1:.1%}", f"{half.knn_top1:.1%}", str(half.dim)]


def test_confusion_and_recall_tell_the_same_story(split):
    card = score(an_encoder(), split)
    confusion = np.array(card.confusion)
    np.testing.assert_array_equal(confusion.sum(axis=1), [4, 4, 4])
    assert confusion.trace() / 12 == card.encoder.knn_top1
    np.testing.assert_allclose(confusion.diagonal() / 4, card.per_class_recall)
    low, high = card.encoder.knn_top1_ci95
    assert low <= card.encoder.knn_top1 <= high


def test_the_encoder_stays_as_it_was(split):
    encoder = an_encoder()
    encoder.backbone.train()
    state = {name: tensor.clone() for name, tensor in encoder.backbone.state_dict().items()}
    dice = torch.get_rng_state()
    card = score(encoder, split)
    assert all(module.training for module in encoder.backbone.modules())
    assert all(tensor.equal(state[name]) for name, tensor in encoder.backbone.state_dict().items())
    assert torch.get_rng_state().equal(dice)
    assert card.fingerprint == encoder.fingerprint()


class Restless(Backbone):
    """Counts its calls, and so is another network after each."""

    def __init__(self) -> None:
        super().__init__(dim=3)
        self.layer = nn.Linear(3, 3)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, images):
        self.calls += 1
        return self.layer(images.mean(dim=(2, 3)))


def test_an_encoder_that_moves_is_not_scored(split):
    encoder = Encoder(Restless(), size=SIZE, name="small_conv", arguments=SMALL)
    with pytest.raises(RuntimeError, match="changed while it was measured"):
        score(encoder, split)


def test_the_same_seed_gives_the_same_card(tmp_path):
    paint(tmp_path, 8)
    first, second = (score(an_encoder(), tmp_path, seed=4).to_json() for _ in range(2))
    assert first == second
    assert "seed 4" in first["protocol"]


def test_unseen_classes_are_asked_of_each_other(tmp_path):
    paint(tmp_path / "train", 3, colours={"red": COLOURS["red"]})
    paint(tmp_path / "test", 6, colours={name: COLOURS[name] for name in ("blue", "green")})
    encoder = an_encoder()
    card = score(encoder, tmp_path, k=2)
    queries = embeddings(tmp_path, encoder.represent, "test")
    assert card.encoder.knn_top1 == leave_one_out_accuracy(queries, k=2)
    assert card.encoder.linear_top1 is not None
    assert card.class_names == ("blue", "green")
    assert card.bank_images == 0


def test_without_labels_only_what_needs_none_is_measured(tmp_path):
    paint(tmp_path, 5, colours={"": (90, 90, 90)})
    card = score(an_encoder(), tmp_path)
    assert card.k is None
    assert card.encoder.knn_top1 is card.encoder.linear_top1 is card.confusion is None
    assert card.encoder.rankme is not None
    assert card.encoder.alignment is not None
    assert "no labels" in card.protocol
    assert not any("kNN" in line for line in card.lines())
    json.dumps(card.to_json(), allow_nan=False)


def test_a_table_shows_the_encoder_beside_its_baselines(split):
    card = score(an_encoder(), split)
    lines = card.lines()
    names = ["encoder", "raw pixels", "PCA of pixels", "HOG with colours", "untrained network"]
    assert re.split(r"\s{2,}", lines[0].strip()) == names
    row = next(line for line in lines if line.startswith("kNN top-1")).split()
    shown = [card.encoder, *card.baselines.values()]
    assert row[2:] == [f"{measures.knn_top1:.1%}" for measures in shown]
    assert any("k = 1" in line and "T = 0.1" in line for line in lines)
    assert any("12 images asked, 27 vote" in line for line in lines)


def test_unreadable_images_are_counted_and_too_many_are_an_error(split):
    (split / "train/red/cut.png").write_bytes(b"cut off")
    with pytest.raises(DataError, match="1 of 40 images cannot be read"):
        score(an_encoder(), split)
    card = score(an_encoder(), split, max_unreadable=0.1)
    assert (card.unreadable, card.bank_images) == (1, 27)
    assert any("1 could not be read" in line for line in card.lines())


def test_the_untrained_network_has_no_branch_switched_off(split):
    arguments = {"width": 4, "stem": "cifar", "zero_init_residual": True}
    torch.manual_seed(0)
    backbone = build_backbone("resnet18", **arguments)
    encoder = Encoder(backbone, size=SIZE, name="resnet18", arguments=arguments)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = build_backbone("resnet18", **(arguments | {"zero_init_residual": False}))
    switched_on = Encoder(whole, size=SIZE, name="resnet18")
    vectors = embeddings(split, switched_on.represent, "test").vectors
    expected = effective_rank(torch.from_numpy(vectors))
    card = score(encoder, split)
    assert card.baselines["untrained"].rankme == pytest.approx(expected, rel=1e-3)
    assert card.encoder.rankme != pytest.approx(expected, rel=1e-3)


def test_an_encoder_that_started_from_published_weights_is_compared_with_them(
    split, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import torch\n"
        "from lookalike.backbones.small import SmallConv\n"
        "def mine(*, pretrained=False):\n"
        "    net = SmallConv(2)\n"
        "    if pretrained:\n"
        "        torch.nn.init.ones_(net.layers[0].weight)\n"
        "    return net\n"
    )
    arguments = {"pretrained": True}
    backbone = build_backbone("mine.py:mine", **arguments)
    encoder = Encoder(backbone, size=SIZE, name="mine.py:mine", arguments=arguments)
    card = score(encoder, split)
    assert set(card.baselines) == {*BASELINES}
    assert card.to_json()["starting_knn_top1"] == card.baselines["starting"].knn_top1
    assert card.baselines["starting"] != card.baselines["untrained"]


def test_kept_baselines_are_not_measured_again(split, tmp_path, monkeypatch):
    kept = KeptMeasures(tmp_path / "kept")
    measured = []
    monkeypatch.setattr(
        "lookalike.judging.baselines.hog_with_colours",
        lambda squares: measured.append(len(squares)) or hog_with_colours(squares),
    )
    plain = score(an_encoder(), split).to_json()
    measured.clear()
    first = score(an_encoder(), split, kept=kept).to_json()
    assert measured
    measured.clear()
    assert score(an_encoder(), split, kept=kept).to_json() == first == plain
    assert not measured

    other = score(an_encoder(seed=5), split, kept=kept).to_json()  # another encoder, same baselines
    assert not measured
    assert other["fingerprint"] != first["fingerprint"]
    assert other["hog_knn_top1"] == first["hog_knn_top1"]
    for changed in ({"k": 5}, {"temperature": 0.5}, {"seed": 1}):  # these are other numbers
        found = score(an_encoder(), split, kept=kept, **changed).to_json()
        assert measured, changed
        assert found == score(an_encoder(), split, **changed).to_json()
        measured.clear()


@pytest.mark.parametrize("change", ["pixels", "label", "name", "order"])
def test_other_images_have_other_baselines(split, tmp_path, change):
    """Also where files keep their names and sizes, or move from class to class."""
    kept = KeptMeasures(tmp_path / "kept")
    images = {which: open_source(split, split=which) for which in ("train", "test")}
    score(an_encoder(), images["test"], bank=images["train"], kept=kept)
    before = set(kept.folder.iterdir())
    if change == "pixels":
        one, two = (split / f"train/{name}/0.png" for name in ("red", "green"))
        first = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(first)
    elif change == "name":
        (split / "train/red/0.png").rename(split / "train/red/00.png")
    elif change == "label":
        (split / "train/red/0.png").rename(split / "train/blue/x.png")
    bank = open_source(split, split="train")
    if change == "order":
        bank = bank.select(range(len(bank))[::-1])
    changed = score(an_encoder(), images["test"], bank=bank, kept=kept)
    assert changed.to_json() == score(an_encoder(), images["test"], bank=bank).to_json()
    assert len(set(kept.folder.iterdir()) - before) == 4


def test_progress_counts_every_image(split):
    told = []
    score(an_encoder(), split, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 39) for done in range(1, 40)]


@pytest.mark.parametrize("wrong", [{"k": 0}, {"temperature": 0.0}, {"batch_size": 0}])
def test_impossible_arguments_are_refused_before_any_work(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        score(an_encoder(), "no such source", **wrong)
