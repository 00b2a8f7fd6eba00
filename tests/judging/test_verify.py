"""Verification of an encoder: its cosines against `encode`, its baselines, what it leaves out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike import inference
from lookalike.backbones.build import build_backbone
from lookalike.data.image_set import ImageSet
from lookalike.data.pairs import Pairs
from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.errors import DataError
from lookalike.evaluation.pixels import raw_pixels
from lookalike.evaluation.verification import verification
from lookalike.inference import Encoder
from lookalike.judging import verify
from lookalike.judging.verify import VerificationCard, verify_pairs

SIZE = 16
SMALL = {"width": 4}
PEOPLE, EACH = 6, 4


def an_encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    backbone = build_backbone("small_conv", **SMALL)
    return Encoder(backbone, size=SIZE, name="small_conv", arguments=SMALL)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """Four noisy pictures each of six patterns."""
    random = np.random.default_rng(0)
    for person in range(PEOPLE):
        pattern = random.integers(0, 256, (20, 20, 3))
        (tmp_path / f"images/{person}").mkdir(parents=True)
        for number in range(EACH):
            pixels = (pattern + random.normal(0, 60, pattern.shape)).clip(0, 255)
            path = tmp_path / f"images/{person}/{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return open_source(tmp_path / "images")


def all_pairs(images: ImageSet, *, folds: bool = True) -> Pairs:
    first, second = np.triu_indices(len(images), 1)
    same = images.labels[first] == images.labels[second]
    fold = np.arange(len(first)) % 4 if folds else np.full(len(first), -1)
    return Pairs(first, second, same, fold, skipped=3)


def cosines(vectors: np.ndarray, pairs: Pairs) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (unit @ unit.T)[pairs.first, pairs.second]


def test_it_is_verification_of_the_cosines(images: ImageSet) -> None:
    encoder, pairs = an_encoder(), all_pairs(images)
    card = verify_pairs(encoder, images, pairs, seed=2, bootstraps=20)
    squares = torch.from_numpy(load_squares(images, SIZE)[0])
    assert list(card.ways) == ["encoder", "raw_pixels", "hog", "untrained"]
    for way, vectors in (
        ("encoder", encoder.represent(squares)),
        ("raw_pixels", raw_pixels(squares)),
        ("untrained", encoder.restarted(seed=2).represent(squares)),
    ):
        scores = cosines(vectors.double().numpy(), pairs)
        expected = verification(scores, pairs.same, pairs.fold, seed=2, bootstraps=20)
        found = card.ways[way]
        assert found.auc == pytest.approx(expected.auc, abs=1e-3)
        assert found.fold_thresholds == pytest.approx(expected.fold_thresholds, abs=1e-5)
        assert found.accuracy == pytest.approx(expected.accuracy, abs=0.01)
    assert (card.images, card.pairs, card.skipped) == (24, 276, 3)
    assert (card.unreadable, card.unreadable_pairs, card.trained_on) == (0, 0, None)


@pytest.mark.parametrize("gathered", [1, 1000])
def test_pairs_in_parts_are_the_same_pairs(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch, gathered: int
) -> None:
    whole = verify_pairs(an_encoder(), images, all_pairs(images), bootstraps=0)
    monkeypatch.setattr(verify, "GATHERED", gathered)
    assert verify_pairs(an_encoder(), images, all_pairs(images), bootstraps=0).ways == whole.ways


def test_images_in_parts_are_the_same_images(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images/0/1.png").write_bytes(b"?")  # so rows are not positions
    given = {"bootstraps": 0, "max_unreadable": 0.1}
    whole = verify_pairs(an_encoder(), images, all_pairs(images), **given)
    monkeypatch.setattr(inference, "CHUNK", 5)
    parts = verify_pairs(an_encoder(), images, all_pairs(images), **given)
    assert parts.most_alike_different[0][:2] == whole.most_alike_different[0][:2]
    for way, found in parts.ways.items():
        assert found.auc == pytest.approx(whole.ways[way].auc, abs=1e-3)


def test_only_the_images_of_pairs_are_looked_at_and_once(images: ImageSet) -> None:
    pairs = all_pairs(images)
    few = pairs.select((pairs.first < 8) & (pairs.second < 8))
    told: list[tuple[int, int]] = []
    card = verify_pairs(an_encoder(), images, few, bootstraps=0, progress=lambda *n: told.append(n))
    assert told == [(count, 8) for count in range(1, 9)]
    assert (card.images, card.pairs, card.skipped) == (8, 28, 3 + 276 - 28)


def test_the_hardest_pairs_are_the_extremes(images: ImageSet) -> None:
    encoder, pairs = an_encoder(), all_pairs(images)
    card = verify_pairs(encoder, images, pairs, bootstraps=0)
    squares = torch.from_numpy(load_squares(images, SIZE)[0])
    scores = cosines(encoder.represent(squares).double().numpy(), pairs)
    for hard, sign, among in (
        (card.most_alike_different, -1, ~pairs.same),
        (card.least_alike_same, 1, pairs.same),
    ):
        ordered = sorted(np.flatnonzero(among), key=lambda pair: sign * scores[pair])
        ends = {images.ids[pairs.first[ordered[0]]], images.ids[pairs.second[ordered[0]]]}
        assert {hard[0].first, hard[0].second} == ends
        assert hard[0].score == pytest.approx(scores[ordered[0]], abs=1e-5)
        assert [sign * pair.score for pair in hard] == sorted(sign * p.score for p in hard)
        names = [name for pair in hard for name in (pair.first, pair.second)]
        assert len(names) == len(set(names))
        assert len(hard) == verify.HARDEST
    shown = [*card.most_alike_different, *card.least_alike_same]
    assert {name for pair in shown for name in pair[:2]} == set(card.thumb_ids)
    assert card.thumbs.shape == (len(card.thumb_ids), 128, 128, 3)


def test_unreadable_images_take_their_pairs_with_them(images: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "images/2/1.png").write_bytes(b"?")
    pairs = all_pairs(images)
    with pytest.raises(DataError, match="1 of 24 images cannot be read"):
        verify_pairs(an_encoder(), images, pairs, bootstraps=0)
    card = verify_pairs(an_encoder(), images, pairs, bootstraps=0, max_unreadable=0.1)
    lost = images.ids.index("2/1.png")
    kept = pairs.select((pairs.first != lost) & (pairs.second != lost))
    assert (card.unreadable, card.unreadable_pairs, card.pairs) == (1, 23, 253)
    alone = verify_pairs(an_encoder(), images, kept, bootstraps=0)
    assert card.ways == alone.ways  # the other pairs keep their folds
    assert "23 left out: images that cannot be read" in "\n".join(card.lines())
    one_kind = pairs.select(pairs.same)
    with pytest.raises(DataError, match="33 same and 0 different ones can be judged"):
        verify_pairs(an_encoder(), images, one_kind, bootstraps=0, max_unreadable=0.1)


def test_images_that_were_trained_on_are_counted(images: ImageSet) -> None:
    seen = {*images.ids[:5], "another.png"}
    card = verify_pairs(an_encoder(), images, all_pairs(images), trained_on=seen, bootstraps=0)
    assert card.trained_on == 5


def test_the_encoder_stays_as_it_was(images: ImageSet) -> None:
    encoder = an_encoder()
    encoder.backbone.train()
    before, dice = encoder.fingerprint(), torch.get_rng_state()
    card = verify_pairs(encoder, images, all_pairs(images), bootstraps=5)
    assert card.fingerprint == encoder.fingerprint() == before
    assert encoder.backbone.training
    assert torch.get_rng_state().equal(dice)


def test_one_object_for_scripts(images: ImageSet) -> None:
    card = verify_pairs(an_encoder(), images, all_pairs(images), bootstraps=5)
    told = json.loads(json.dumps(card.to_json(), allow_nan=False))
    assert told["ways"]["encoder"]["auc"] == card.ways["encoder"].auc
    assert set(told["most_alike_different"][0]) == {"first", "second", "score"}
    assert "thumbs" not in told
    assert told["pairs"] == 276


def row(card: VerificationCard, title: str) -> list[str]:
    line = next(line for line in card.lines() if line.startswith(title))
    return line.removeprefix(title).split()


def test_a_table_for_people(images: ImageSet) -> None:
    card = verify_pairs(an_encoder(), images, all_pairs(images), bootstraps=20)
    encoder = card.ways["encoder"]
    assert row(card, "accuracy, 4 folds")[0] == f"{encoder.accuracy:.1%}"
    low, high = encoder.auc_ci95
    assert row(card, "AUC")[:2] == [f"{encoder.auc:.3f}", f"({low:.3f}-{high:.3f})"]
    assert row(card, "TAR at FAR 0.1")[0] == f"{encoder.tar_at_far[0].tar:.3f}"
    text = "\n".join(card.lines())
    assert "TAR at FAR 0.01" not in text  # 240 different pairs cannot tell
    assert "a FAR below 0.042 would let through fewer than 10 pairs" in text
    assert "the 4 folds of the list of pairs" in text
    assert "3 left out: images that are not there" in text
    without = verify_pairs(an_encoder(), images, all_pairs(images, folds=False), bootstraps=0)
    text = "\n".join(without.lines())
    assert "10 were drawn with seed 0" in text
    assert "bootstraps" not in text


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"bootstraps": -1}])
def test_refuses_what_cannot_be(images: ImageSet, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        verify_pairs(an_encoder(), images, all_pairs(images), **wrong)
