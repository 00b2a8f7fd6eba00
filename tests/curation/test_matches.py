"""Candidates hold the copies, decoys tell of chance, and no image meets itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.curation.agreement import lay
from lookalike.curation.album import Album, embed_album, plain_album
from lookalike.curation.looks import Looks
from lookalike.curation.matches import Matches, find_matches, read_album, score_pairs
from lookalike.curation.threshold import choose_threshold
from lookalike.data.sources import open_source
from lookalike.errors import DataError

OPTIONS = {"precision": 0.99, "neighbours": 5, "seed": 0}


@pytest.fixture(scope="module")
def seen(planted_album) -> tuple[Album, Looks]:
    return read_album(planted_album)


@pytest.fixture(scope="module")
def matches(seen) -> Matches:
    return find_matches(seen, **OPTIONS)


def originals(album: Album, pairs: np.ndarray) -> list[tuple[str, str]]:
    ids = album.images.ids
    return [(ids[i][:-4].partition("-")[0], ids[j][:-4].partition("-")[0]) for i, j in pairs]


def test_every_copy_is_among_the_pairs_that_count(seen, matches):
    album, _ = seen
    found = originals(album, matches.pairs[matches.found])
    assert all(one == other for one, other in found)
    assert len({one for one, _ in found}) == 24
    assert (np.diff(matches.scores[matches.found]) <= 0).all()


def test_pairs_come_once_in_order_and_never_of_one_image(matches):
    pairs = matches.pairs
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)


def test_scores_and_cosines_are_those_of_the_pairs(seen, matches):
    album, looks = seen
    i, j = matches.pairs.T
    grey = torch.from_numpy(looks.grey)
    laid = lay(grey[i], grey[j]).scores.numpy()
    as_they_are = (matches.kinds == "altered copy") & (matches.scores > 0.8)
    assert as_they_are.sum() >= 20
    np.testing.assert_allclose(matches.scores[as_they_are], laid[as_they_are], atol=0.03)
    rows = album.embeddings.vectors.astype(float)
    np.testing.assert_allclose(matches.cosines, (rows[i] * rows[j]).sum(1), atol=1e-5)


def test_of_two_sets_the_pairs_are_of_one_with_the_other(seen, matches):
    album, looks = seen
    half = np.arange(len(album)) % 2 == 0
    sides = [
        (album.select(where), looks.select(where))
        for where in (np.flatnonzero(half), np.flatnonzero(~half))
    ]
    across = find_matches(*sides, **OPTIONS)
    assert across.pairs[:, 0].max() < half.sum()
    assert across.pairs[:, 1].max() < (~half).sum()
    ids = [side[0].images.ids for side in sides]
    found = {frozenset((ids[0][i], ids[1][j])) for i, j in across.pairs[across.found].tolist()}
    apart = {
        frozenset((album.images.ids[i], album.images.ids[j]))
        for i, j in matches.pairs[matches.found].tolist()
        if half[i] != half[j]
    }
    assert found == apart


def test_a_thing_that_is_its_own_mirror_image_is_no_mistake(encoder, tmp_path):
    random = np.random.default_rng(0)
    for number in range(8):
        side = random.integers(0, 256, (12, 6, 3)).astype(np.uint8)
        image = Image.fromarray(np.concatenate([side, side[:, ::-1]], axis=1))
        image = image.resize((96, 96), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"{number}.png")
        image.save(tmp_path / f"{number}.jpg", quality=70)
    matches = find_matches(read_album(embed_album(encoder, open_source(tmp_path))), **OPTIONS)
    assert matches.threshold.mistakes == 0
    assert len(matches.found) == 8


def noise(random: np.random.Generator, cells: int = 12) -> Image.Image:
    pixels = random.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    return Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC)


def test_mirrored_twins_are_finds_and_no_mistakes(encoder, tmp_path):
    random = np.random.default_rng(0)
    for number in range(8):
        image = noise(random)
        image.save(tmp_path / f"{number}.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / f"{number}-m.png")
    seen = read_album(embed_album(encoder, open_source(tmp_path)))
    matches = find_matches(seen, **OPTIONS)
    assert matches.threshold.mistakes == 0
    assert len(matches.found) == 8
    assert set(matches.kinds[matches.found]) == {"mirrored copy"}
    assert len(find_matches(seen, **OPTIONS, without=("mirrored",)).found) == 0


def test_decoys_that_match_raise_the_threshold(encoder, tmp_path):
    """All show one form; what is of two halves agrees with a third as well as any two do."""
    random = np.random.default_rng(0)
    form = np.asarray(noise(random)).astype(float)
    for number in range(60):
        own = np.asarray(noise(random, 32)).astype(float)
        mixed = 0.92 * form + 0.08 * own
        Image.fromarray(mixed.round().astype(np.uint8)).save(tmp_path / f"{number}.png")
    matches = find_matches(read_album(embed_album(encoder, open_source(tmp_path))), **OPTIONS)
    assert np.median(matches.scores[matches.scores > 0]) > 0.8
    assert matches.threshold.searched > 20
    assert matches.threshold.value > 0.9
    assert matches.threshold.value > np.median(matches.scores[matches.scores > 0])
    assert len(matches.found) < len(matches.pairs) / 2


def test_ask_again_at_another_precision(matches, seen):
    lower = matches.at(0.5)
    fresh = find_matches(seen, precision=0.5, neighbours=5, seed=0)
    assert lower.threshold == fresh.threshold
    assert lower.pairs is matches.pairs
    with pytest.raises(ValueError, match="precision must be"):
        matches.at(1)


def test_no_encoder_is_needed(planted, matches):
    album, looks = read_album(plain_album(planted))
    bare = find_matches((album, looks), **OPTIONS)
    assert np.isnan(bare.cosines).all()
    found = {tuple(pair) for pair in matches.pairs[matches.found].tolist()}
    assert {tuple(pair) for pair in bare.pairs[bare.found].tolist()} == found


def test_refuses_kinds_that_cannot_be_left_out(seen):
    with pytest.raises(ValueError, match="without must be some of recoloured"):
        find_matches(seen, **OPTIONS, without=("resized",))


@pytest.mark.parametrize("count", [1, 2])
def test_few_images_have_few_pairs(seen, count):
    album, looks = seen
    some = (album.select(range(count)), looks.select(np.arange(count)))
    matches = find_matches(some, **OPTIONS)
    assert len(matches.pairs) == count - 1
    # no fewer copies than of many images, so that each kind has its say
    assert {each.copies for each in matches.threshold.recalls} == {25}


def test_borderline_pairs_are_the_nearest_to_the_threshold():
    scores = np.array([0.99, 0.5, 0.91, 0.88, 0.0, 0.2], dtype=np.float32)
    threshold = choose_threshold(
        scores,
        copies=np.full(9, 0.95, np.float32),
        kinds=["resized"] * 9,
        decoys=scores[:0],
        searched=0,
    )
    pairs = np.arange(12).reshape(6, 2)
    matches = Matches(
        pairs,
        scores,
        np.full(6, "altered copy"),
        scores,
        threshold,
        scores[:0],
        (),
        scores[:0],
        0,
        0.0,
    )
    assert matches.borderline(2).tolist() == [2, 3]
    assert matches.borderline(99).tolist() == [0, 2, 3, 1, 5]  # what scores 0 was not looked at
    assert matches.found.tolist() == [0, 2]


def test_pairs_are_scored_in_blocks(seen):
    grey = torch.from_numpy(seen[1].grey)
    pairs = np.random.default_rng(0).integers(0, len(grey), (4500, 2))
    pairs[:, 1] = (pairs[:, 0] + 70 + pairs[:, 1] % 5) % len(grey)
    scores = score_pairs(grey, grey, pairs).scores
    some = [0, 2250, 4499]
    np.testing.assert_allclose(scores[some], score_pairs(grey, grey, pairs[some]).scores, atol=1e-4)
    assert score_pairs(grey, grey, pairs[:0]).scores.shape == (0,)


def test_images_that_went_away_are_counted(encoder, planted, tmp_path):
    for path in sorted(planted.iterdir())[:4]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    album = embed_album(encoder, open_source(tmp_path))
    next(iter(sorted(tmp_path.iterdir()))).unlink()
    with pytest.raises(DataError, match="1 of 4 images cannot be read"):
        read_album(album)
    left, looks = read_album(album, max_unreadable=0.5)
    assert len(left) == len(looks.grey) == 3
