"""Candidates hold the copies, mirrored pictures tell of chance, and no image meets itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.curation.agreement import agreement
from lookalike.curation.album import Album, embed_album
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
    np.testing.assert_allclose(matches.scores, agreement(grey[i], grey[j]).numpy(), atol=1e-4)
    rows = album.embeddings.vectors.astype(float)
    np.testing.assert_allclose(matches.cosines, (rows[i] * rows[j]).sum(1), atol=1e-5)


def test_of_two_sets_the_pairs_are_of_one_with_the_other(seen, matches):
    album, looks = seen
    half = np.arange(len(album)) % 2 == 0
    sides = [
        (album.select(where), looks._replace(grey=looks.grey[where]))
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


def test_mirrored_pictures_that_match_raise_the_threshold(encoder, tmp_path):
    random = np.random.default_rng(0)
    for number in range(8):  # mirrored twins: as likely as the images' own pairs
        image = Image.fromarray(random.integers(0, 256, (12, 12, 3)).astype(np.uint8))
        image = image.resize((96, 96), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"{number}.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / f"{number}-m.png")
    matches = find_matches(read_album(embed_album(encoder, open_source(tmp_path))), **OPTIONS)
    assert (matches.mirrored > 0.95).sum() == 8
    assert len(matches.found) == 0


@pytest.mark.parametrize("count", [1, 2])
def test_few_images_have_few_pairs(seen, count):
    album, looks = seen
    some = (album.select(range(count)), looks._replace(grey=looks.grey[:count]))
    matches = find_matches(some, **OPTIONS)
    assert len(matches.pairs) == count - 1
    assert matches.threshold.copies == 40  # no fewer, so that each kind has its say


def test_borderline_pairs_are_the_nearest_to_the_threshold():
    scores = np.array([0.99, 0.5, 0.91, 0.88, 0.0, 0.2], dtype=np.float32)
    threshold = choose_threshold(
        scores, copies=np.full(9, 0.95, np.float32), mirrored=scores[:0], searched=0
    )
    pairs = np.arange(12).reshape(6, 2)
    matches = Matches(pairs, scores, scores, threshold, scores[:0], scores[:0])
    assert matches.borderline(2).tolist() == [2, 3]
    assert matches.borderline(99).tolist() == [0, 2, 3, 1, 5]  # what scores 0 was not looked at
    assert matches.found.tolist() == [0, 2]


def test_pairs_are_scored_in_blocks(seen):
    grey = torch.from_numpy(seen[1].grey)
    pairs = np.random.default_rng(0).integers(0, len(grey), (4500, 2))
    pairs[:, 1] = (pairs[:, 0] + 70 + pairs[:, 1] % 5) % len(grey)
    scores = score_pairs(grey, grey, pairs)
    some = [0, 2250, 4499]
    np.testing.assert_allclose(scores[some], score_pairs(grey, grey, pairs[some]), atol=1e-4)
    assert score_pairs(grey, grey, pairs[:0]).shape == (0,)


def test_images_that_went_away_are_counted(encoder, planted, tmp_path):
    for path in sorted(planted.iterdir())[:4]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    album = embed_album(encoder, open_source(tmp_path))
    next(iter(sorted(tmp_path.iterdir()))).unlink()
    with pytest.raises(DataError, match="1 of 4 images cannot be read"):
        read_album(album)
    left, looks = read_album(album, max_unreadable=0.5)
    assert len(left) == len(looks.grey) == 3
