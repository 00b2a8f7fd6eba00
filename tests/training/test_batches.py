"""Batches are a function of (seed, epoch, number) alone: not of workers, processes or the past."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.data.pairs import Pairs
from lookalike.data.quarantine import Quarantine
from lookalike.data.resident import load_resident
from lookalike.data.samplers import SHUFFLED, Classes, Identities, Paired
from lookalike.data.sources import open_source
from lookalike.training.batches import ResidentBatches, StreamedBatches, Viewing
from lookalike.training.distributed import World
from lookalike.views.plans import MOCO_V2

IMAGES, BATCH, SIZE = 14, 6, 12
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = generator.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
        (folder / "ab"[number % 2]).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "ab"[number % 2] / f"{number:02d}.png")
    return folder


def viewing(world=None, seed=3, order=SHUFFLED):
    return Viewing(
        plan=MOCO_V2,
        size=SIZE,
        batch_size=BATCH,
        seed=seed,
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        world=world or World(0, 1, CPU),
        order=order,
    )


def resident(photos, settings):
    images = open_source(photos)
    return ResidentBatches(load_resident(images), images.labels, settings)


def streamed(photos, settings, tmp_path, workers=0, max_unreadable=0.0):
    images = open_source(photos)
    return StreamedBatches(
        images,
        settings,
        workers=workers,
        max_pixels=10_000,
        quarantine=Quarantine(len(images), images.ignored),
        listing=tmp_path / "unreadable.csv",
        max_unreadable=max_unreadable,
    )


def assert_same(ones, others):
    ones, others = list(ones), list(others)
    assert len(ones) == len(others) > 0
    for one, other in zip(ones, others, strict=True):
        for view, same in zip(one.views, other.views, strict=True):
            assert view.equal(same)
        assert one.labels.equal(other.labels)
        assert one.index.equal(other.index)
        assert (one.similar is None) == (other.similar is None)
        assert one.similar is None or one.similar.equal(other.similar)


def test_resident_batches_are_those_of_their_number(photos):
    batches = resident(photos, viewing())
    first, second = batches.epoch(1, start=0, stop=2)
    assert_same([second], batches.epoch(1, start=1, stop=2))
    assert_same([first], batches.epoch(1, start=0, stop=1))
    assert not first.views[0].equal(first.views[1])
    (other_epoch,) = batches.epoch(2, start=0, stop=1)
    assert not first.index.equal(other_epoch.index)
    assert len(set(torch.cat([first.index, second.index]).tolist())) == 2 * BATCH


def test_labels_and_index_belong_to_the_images_shown(photos):
    """With views that change nothing but the size, pixels tell which image it is."""
    images = open_source(photos)
    for batch in resident(photos, viewing()).epoch(0, start=0, stop=2):
        assert batch.labels.tolist() == images.labels[batch.index.numpy()].tolist()


@pytest.mark.parametrize("workers", [2, 3])
def test_streams_are_the_same_with_any_number_of_workers(photos, tmp_path, workers):
    alone = streamed(photos, viewing(), tmp_path).epoch(0, start=0, stop=2)
    helped = streamed(photos, viewing(), tmp_path, workers=workers).epoch(0, start=0, stop=2)
    assert_same(alone, helped)


@pytest.mark.parametrize("kind", ["resident", "streamed"])
@pytest.mark.parametrize("size", [2, 3])
def test_the_parts_of_several_processes_are_the_batch_of_one(photos, tmp_path, kind, size):
    def batches(settings):
        if kind == "resident":
            return resident(photos, settings).epoch(0, start=0, stop=2)
        return streamed(photos, settings, tmp_path).epoch(0, start=0, stop=2)

    parts = zip(*(batches(viewing(World(rank, size, CPU))) for rank in range(size)), strict=True)
    for whole, shares in zip(batches(viewing()), parts, strict=True):
        assert whole.index.equal(torch.cat([share.index for share in shares]))
        for number, view in enumerate(whole.views):
            together = torch.cat([share.views[number] for share in shares])
            torch.testing.assert_close(together, view, rtol=0, atol=1e-6)


def test_a_file_that_breaks_in_training_is_listed_and_replaced(photos, tmp_path):
    batches = streamed(photos, viewing(), tmp_path, max_unreadable=0.2)
    broken = sorted(photos.rglob("*.png"))[4]
    content = broken.read_bytes()
    broken.write_bytes(content[:40])
    try:
        made = list(batches.epoch(0, start=0, stop=2))
    finally:
        broken.write_bytes(content)
    assert [len(batch.index) for batch in made] == [BATCH, BATCH]
    if 4 in torch.cat([batch.index for batch in made]):
        assert broken.name in (tmp_path / "unreadable.csv").read_text()


# Each of 14 images with the next, and with the one after that: an image is in four pairs.
ALIKE = {tuple(sorted((n, (n + 1) % IMAGES))) for n in range(IMAGES)}
APART = {tuple(sorted((n, (n + 2) % IMAGES))) for n in range(IMAGES)}
TABLE = np.array(sorted(ALIKE | APART))
PAIRS = Pairs(
    TABLE[:, 0],
    TABLE[:, 1],
    np.array([tuple(pair) in ALIKE for pair in TABLE.tolist()]),
    np.full(len(TABLE), -1),
)
ORDERS = [Classes(3), Identities(2), Paired(PAIRS, balanced=True)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["resident", "streamed"])
def test_batches_of_an_order_go_on_in_the_middle_of_an_epoch(photos, tmp_path, kind, order):
    def batches(start):
        settings = viewing(order=order)
        if kind == "resident":
            return resident(photos, settings).epoch(1, start=start, stop=2)
        return streamed(photos, settings, tmp_path).epoch(1, start=start, stop=2)

    assert_same(list(batches(0))[1:], batches(1))


@pytest.mark.parametrize(
    ("order", "size"), [*itertools.product(ORDERS[:2], (2, 3)), (ORDERS[2], 3)]
)
def test_processes_share_batches_of_an_order(photos, size, order):
    whole = resident(photos, viewing(order=order)).epoch(0, start=0, stop=2)
    shares = (
        resident(photos, viewing(World(rank, size, CPU), order=order)).epoch(0, start=0, stop=2)
        for rank in range(size)
    )
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        assert batch.labels.equal(torch.cat([part.labels for part in parts]))
        assert batch.index.equal(torch.cat([part.index for part in parts]))
        if batch.similar is not None:
            assert batch.similar.equal(torch.cat([part.similar for part in parts]))


def test_no_pair_is_parted(photos):
    settings = viewing(World(1, 2, CPU), order=ORDERS[2])
    said = "batch_size must hold as many pairs for each of 2 processes, got 6"
    with pytest.raises(ValueError, match=said):
        next(resident(photos, settings).epoch(0, start=0, stop=1))


def pairs_of(batch):
    pairs = (tuple(sorted(pair)) for pair in batch.index.reshape(-1, 2).tolist())
    return list(zip(pairs, batch.similar.tolist(), strict=True))


@pytest.mark.parametrize("kind", ["resident", "streamed"])
def test_a_batch_is_of_pairs_with_what_is_said_of_each(photos, tmp_path, kind):
    settings = viewing(order=Paired(PAIRS, balanced=False))
    made = resident(photos, settings) if kind == "resident" else None
    made = made or streamed(photos, settings, tmp_path)
    shown = [pair for batch in made.epoch(0, start=0, stop=9) for pair in pairs_of(batch)]
    assert len(set(shown)) == len(shown) == 27
    for pair, similar in shown:
        assert pair in (ALIKE if similar else APART)


def test_an_image_of_several_pairs_is_seen_anew_in_each(photos):
    settings = viewing(order=Paired(PAIRS, balanced=False))
    batches = list(resident(photos, settings).epoch(0, start=0, stop=9))
    index = torch.cat([batch.index for batch in batches])
    views = torch.cat([batch.views[0] for batch in batches])
    for image in range(IMAGES):
        seen = views[index == image].flatten(1)
        assert len(seen.unique(dim=0)) == len(seen) >= 3


def test_an_image_whose_other_breaks_in_training_is_paired_with_itself(photos, tmp_path):
    """What is shown in the broken one's stead is of no pair, so nobody knows what it is like."""
    made = streamed(photos, viewing(order=Paired(PAIRS, balanced=False)), tmp_path, 0, 0.2)
    files = sorted(photos.rglob("*.png"))
    whole = {number: files[number].read_bytes() for number in (4, 5)}  # alike, and broken both
    for number, content in whole.items():
        files[number].write_bytes(content[:40])
    try:
        batches = list(made.epoch(0, start=0, stop=9))
    finally:
        for number, content in whole.items():
            files[number].write_bytes(content)
    shown = [pair for batch in batches for pair in pairs_of(batch)]
    assert not {4, 5} & {image for pair, _ in shown for image in pair}
    alone = [pair for pair, _ in shown if pair[0] == pair[1]]
    assert len(alone) >= 6  # of the 7 pairs of either, for one of the 28 waits for another epoch
    for (first, second), similar in shown:
        known = ALIKE if similar else APART
        assert (first, second) in known or (first == second and similar)
    for batch in batches:
        for view, same in batch.views[0].reshape(3, 2, -1):
            assert not view.equal(same)


def test_a_batch_is_of_classes(photos):
    for batch in resident(photos, viewing(order=Classes(3))).epoch(0, start=0, stop=2):
        assert batch.labels.sort().values.tolist() == [0, 0, 0, 1, 1, 1]


def test_an_image_that_comes_again_is_seen_anew(photos, tmp_path):
    """A class of one image fills its group with it: no two of its views are the same."""
    kept = load_resident(open_source(photos).select([0, 7, 8, 9]))
    labels = np.array([0, 1, 1, 1])
    settings = viewing(order=Classes(3))
    (batch,) = ResidentBatches(kept, labels, settings).epoch(0, start=0, stop=1)
    lone = (batch.labels == 0).nonzero()[:, 0]
    assert batch.index[lone].tolist() == [0, 0, 0]
    for view in batch.views:
        assert len(view[lone].flatten(1).unique(dim=0)) == 3


def test_streams_show_what_memory_shows_where_images_come_again(photos, tmp_path):
    """Their crops are rounded to 8 bits, and more is not between them."""
    images = open_source(photos).select([0, 7, 8, 9])
    settings = viewing(order=Classes(3))
    (here,) = ResidentBatches(load_resident(images), images.labels, settings).epoch(
        0, start=0, stop=1
    )
    stream = StreamedBatches(
        images,
        settings,
        workers=0,
        max_pixels=10_000,
        quarantine=Quarantine(4, ()),
        listing=tmp_path / "unreadable.csv",
        max_unreadable=0.0,
    )
    (streamed_batch,) = stream.epoch(0, start=0, stop=1)
    assert here.index.equal(streamed_batch.index)
    assert here.labels.equal(streamed_batch.labels)
    assert len(set(here.index.tolist())) < len(here.index)
    for view, same in zip(here.views, streamed_batch.views, strict=True):
        assert (view - same).abs().mean() < 0.1 * view.std()
