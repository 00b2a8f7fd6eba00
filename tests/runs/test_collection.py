"""A collection trains on patches, on shares of the labels, or on pairs, whatever befalls it."""

import numpy as np
import pytest
from PIL import Image

from lookalike.data.pairs import read_pairs
from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError
from lookalike.inference import load_encoder
from lookalike.judging.verify import verify_pairs
from lookalike.methods.drlim import DrLIM
from lookalike.methods.exemplar import Exemplar
from lookalike.runs.building import load_method
from lookalike.runs.collection import Collection, cut_patches
from lookalike.runs.job import train
from lookalike.runs.preview import preview
from lookalike.runs.readable import collect, images_trained_on
from lookalike.runs.told import Told, pair_up
from lookalike.training.progress import Progress

SIDES = [(40, 24), (16, 16), (30, 60), (24, 24), (90, 70), (20, 20), (33, 47), (64, 64)]
TINY = {
    "method": "exemplar",
    "backbone": "exemplar_small",
    "backbone_arguments": {"width": 2, "patch": 16},
    "size": 16,
    "batch_size": 4,
    "epochs": 2,
    "log_every": 1,
    "quiet": True,
    "device": "cpu",
    "evaluate": False,
}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    generator = np.random.default_rng(0)
    for number, (height, width) in enumerate(SIDES):
        pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "ab"[number % 2] / f"{number}.png")
    return folder


def collected(photos, tmp_path, *, resident=True, max_unreadable=0.0, limit=None):
    with Progress(None, printing=False) as progress:
        images = collect(
            photos,
            download=False,
            limit=limit,
            seed=0,
            resident_bytes_allowed=2**20 if resident else 0,
            max_pixels=10_000,
            max_unreadable=max_unreadable,
            listing=tmp_path / "unreadable.csv",
            progress=progress,
        )
    assert (images.resident is not None) == resident
    return images


def cut(images, size=16, seed=1):
    with Progress(None, printing=False) as progress:
        return cut_patches(Told(found=images), size, seed=seed, progress=progress)


def test_patches_are_the_same_from_memory_and_from_files(photos, tmp_path):
    kept, read = (cut(collected(photos, tmp_path, resident=resident)) for resident in (True, False))
    assert kept.resident.pixels.shape == (8, 3, 16, 16)
    assert kept.resident.pixels.dtype == np.uint8
    assert (kept.resident.pixels == read.resident.pixels).all()
    assert kept.told.record() == read.told.record()
    assert kept.told.facts.count == read.told.facts.count == 8


def test_a_class_without_images_has_a_name_still_and_labels_count_on(photos, tmp_path):
    images = collected(photos, tmp_path)
    facts = Told(found=images).facts
    assert (facts.classes, facts.class_names) == (2, 2)
    fewer = images.keep(np.flatnonzero(images.images.labels == 1))
    facts = Told(found=fewer).facts
    assert (facts.classes, facts.class_names) == (1, 2)
    assert fewer.images.labels.max() < facts.class_names


def test_the_record_is_that_of_the_whole_images(photos, tmp_path):
    images = collected(photos, tmp_path)
    assert cut(images).told.record() == Told(found=images).record()


def test_images_that_break_before_they_are_cut_are_left_out(photos, tmp_path):
    images = collected(photos, tmp_path, resident=False, max_unreadable=0.2)
    broken = sorted(photos.rglob("*.png"))[3]
    content = broken.read_bytes()
    broken.write_bytes(content[:60])
    patches = cut(images)
    assert (len(patches.images), len(patches.found.sizes), len(patches.cut.pixels)) == (7, 7, 7)
    assert len(images.images) == 8, "what has been handed on does not change"
    assert broken.name in (tmp_path / "unreadable.csv").read_text()
    broken.write_bytes(content)
    strict = collected(photos, tmp_path, resident=False)
    broken.write_bytes(content[:60])
    with pytest.raises(DataError, match="1 of 8 images"):
        cut(strict)


def test_whole_images_are_looked_at_at_the_scale_of_their_patches(photos, tmp_path):
    images = collected(photos, tmp_path)
    side = int(np.median([min(sides) for sides in SIDES]))
    assert Collection(Told(found=images)).picture_size(16) == 16  # no patches
    patches = cut(images)
    assert patches.picture_size(16) == side
    assert patches.picture_size(4) == 12  # no more than three sides of a patch
    assert patches.picture_size(50) == 50


def test_what_is_shown_is_what_views_are_made_of(photos, tmp_path):
    images = collected(photos, tmp_path)
    pixels, sizes = Collection(Told(found=images)).shown(3, size=16, seed=0)
    assert (pixels.shape, sizes.tolist()) == ((3, 3, 32, 32), [[32, 32]] * 3)
    pixels, sizes = cut(images).shown(3, size=16, seed=0)
    assert (pixels.shape, sizes.tolist()) == ((3, 3, 16, 16), [[16, 16]] * 3)


def losses(run):
    return [row["loss"] for row in run.metrics if "loss" in row]


def test_a_run_on_patches_is_the_same_from_memory_and_from_files(photos, tmp_path):
    runs = [
        train(photos, out=tmp_path / str(mb), resident_mb=mb, **TINY, max_unreadable=0)
        for mb in (1, 0)
    ]
    assert losses(runs[0]) == losses(runs[1])
    assert runs[0].config["method_arguments"] == {"image_count": 8}
    assert runs[0].config["size"] == 16
    assert (runs[0].path / "views.png").is_file()


def assert_it_ends_as_if_it_had_not_broken_off(
    photos, tmp_path, monkeypatch, scheme, *, steps, **settings
):
    whole = train(photos, out=tmp_path / "whole", save_every=0, **settings)
    done = []

    def fall(method, step, progress):
        done.append(progress)
        if len(done) == 3:
            raise KeyError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(scheme, "after_step", fall)
        with pytest.raises(KeyError, match="power cut"):
            train(photos, out=tmp_path / "broken", save_every=0, **settings)
    broken = train(photos, out=tmp_path / "broken", save_every=0, **settings)
    assert len(losses(whole)) == steps
    assert losses(broken) == losses(whole)
    one, other = (load_method(run.path).state_dict() for run in (whole, broken))
    assert all(tensor.equal(other[name]) for name, tensor in one.items())


def test_a_run_on_patches_that_broke_off_ends_as_one_that_did_not(photos, tmp_path, monkeypatch):
    """Patches are cut anew and alike, and dropout goes on where it was."""
    assert_it_ends_as_if_it_had_not_broken_off(
        photos, tmp_path, monkeypatch, Exemplar, steps=4, **TINY
    )


def test_a_preview_shows_patches(photos):
    picture = preview(photos, method="exemplar", size=16, count=3)
    assert picture.width > 0
    again = preview(photos, method="exemplar", size=16, count=3)
    assert picture.tobytes() == again.tobytes()


@pytest.mark.parametrize("limit", [None, 5])
def test_what_a_run_was_trained_on_is_found_again(photos, tmp_path, limit):
    (photos / "a" / "0.png").write_bytes(b"no image")
    images = collected(photos, tmp_path, max_unreadable=0.5, limit=limit)
    found = images_trained_on({**Told(found=images).record(), "seed": 0})
    assert found.ids == images.source.ids
    assert len(found) == (limit or len(SIDES))


def test_a_share_of_each_class_keeps_its_labels_and_is_written_down(tmp_path):
    runs = [
        train(
            "hands",
            out=tmp_path / str(share),
            method="supervised",
            backbone_arguments={"width": 2},
            size=16,
            epochs=1,
            labels=share,
            evaluate=False,
            quiet=True,
        )
        for share in (0.05, 0.1)
    ]
    few, more = (set((run.path / "labelled.csv").read_text().splitlines()[1:]) for run in runs)
    assert few < more  # a smaller share is a part of a larger one
    everything = open_source("hands", split="train")
    classes = [line.rpartition(",")[2] for line in few]
    for label, name in enumerate(everything.class_names):
        assert classes.count(name) == max(1, round(0.05 * (everything.labels == label).sum()))
    assert runs[0].config["images"] == len(few)
    with pytest.raises(UsageError, match="must lie in"):
        train("hands", out=tmp_path / "none", method="supervised", labels=0.0, quiet=True)


ON_PAIRS = {
    "method": "drlim",
    "backbone": "small_conv",
    "backbone_arguments": {"width": 2},
    "size": 16,
    "batch_size": 4,
    "epochs": 2,
    "log_every": 1,
    "quiet": True,
    "device": "cpu",
    "evaluate": False,
}
# Not transitive: a/0 is like a/2, that is like a/4, and a/4 is not like a/0.
PAIRS = ["02+", "24+", "04-", "13+", "35+", "57-", "01-", "67-", "46+", "15-", "26-"]


def write_pairs(path, pairs=PAIRS, *more):
    def named(digit):
        return f"{'ab'[int(digit) % 2]}/{digit}.png"

    rows = [f"{named(pair[0])},{named(pair[1])},{int(pair[2] == '+')}" for pair in pairs]
    path.write_text("\n".join(["path_a,path_b,same", *rows, *more]))
    return path


def names_of(pairs, images):
    return [
        images.ids[first][2] + images.ids[second][2] + "-+"[int(same)]
        for first, second, same in zip(pairs.first, pairs.second, pairs.same, strict=True)
    ]


@pytest.mark.parametrize("resident", [True, False])
def test_pairs_find_their_images_and_lose_those_of_unreadable_ones(photos, tmp_path, resident):
    (photos / "a" / "2.png").write_bytes(b"no image")
    images = collected(photos, tmp_path, resident=resident, max_unreadable=0.5)
    path = write_pairs(tmp_path / "pairs.csv")
    told = pair_up(images, path)
    assert names_of(told.pairs, images.images) == [pair for pair in PAIRS if "2" not in pair]
    assert told.pairs.skipped == 3
    assert (
        told.in_words("pairs", DrLIM)
        == ", 7 of them in 8 pairs to learn from, 3 pairs of unreadable images left out"
    )


@pytest.mark.parametrize(
    ("pairs", "more", "said"),
    [
        (["02+", "24+"], (), r"all of the 2 pairs in .* are alike\n  fix: list some that are not"),
        (["02-"], (), r"none of the 1 pairs in .* are alike\n  fix: list some that are alike"),
        (PAIRS, ("a/0.png,a/9.png,1", "b/9.png,a/9.png,1"), r"2 of the 13 pairs .* 'a/9.png' on"),
        (PAIRS, ("a/0.png,a/9.png,1",), r"or take these pairs out of the file$"),
        ([], (), "lists no pairs"),
    ],
)
def test_pairs_that_say_too_little_or_too_much(photos, tmp_path, pairs, more, said):
    images = collected(photos, tmp_path)
    with pytest.raises(DataError, match=said):
        pair_up(images, write_pairs(tmp_path / "pairs.csv", pairs, *more))


@pytest.mark.parametrize("resident_mb", [1, 0])
def test_a_run_on_pairs_that_broke_off_ends_as_one_that_did_not(
    photos, tmp_path, monkeypatch, resident_mb
):
    """In the middle of an epoch; that one and the next have 5 batches of 2 pairs."""
    settings = ON_PAIRS | {"resident_mb": resident_mb, "workers": 0}
    path = write_pairs(tmp_path / "pairs.csv")
    assert_it_ends_as_if_it_had_not_broken_off(
        photos, tmp_path, monkeypatch, DrLIM, steps=10, pairs=path, **settings
    )


def test_a_run_knows_its_pairs_by_what_they_say(photos, tmp_path):
    """Whoever moves the file goes on; whoever changes it is told, and so is who leaves it out."""
    path, out = write_pairs(tmp_path / "pairs.csv"), tmp_path / "run"
    run = train(photos, out=out, pairs=path, **ON_PAIRS)
    assert run.config["pairs"] == str(path)
    assert (run.config["sampling"], run.config["pairs_balanced"]) == ("pairs", True)
    assert {choice["name"] for choice in run.record["choices"]} >= {"pairs_balanced"}
    assert run.evaluation is None
    moved = path.rename(tmp_path / "moved.csv")
    assert train(photos, out=out, pairs=moved, **ON_PAIRS).config == run.config
    write_pairs(moved, PAIRS[1:])
    with pytest.raises(UsageError, match="pairs_sha256: "):
        train(photos, out=out, pairs=moved, **ON_PAIRS)
    write_pairs(moved)
    with pytest.raises(UsageError, match="pairs_balanced: True -> False"):
        train(photos, out=out, pairs=moved, pairs_balanced=False, **ON_PAIRS)
    with pytest.raises(UsageError, match="sampling: pairs -> classes"):
        train(photos, out=out, images_per_class=2, **ON_PAIRS)


def test_the_parts_of_a_batch_of_pairs_give_the_loss_of_the_whole(photos, tmp_path):
    """Without batch normalisation's share, to rounding; a part may end within a pair."""
    path = write_pairs(tmp_path / "pairs.csv")
    settings = ON_PAIRS | {"batch_size": 6, "pairs": path, "backbone": "drlim", "size": 32}
    settings |= {"backbone_arguments": None}
    whole, parts = (
        train(photos, out=tmp_path / str(count), accumulate=count, **settings) for count in (1, 2)
    )
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-4)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    """Stripes across or upright, in any place, width and colour: pixels do not tell which."""
    folder = tmp_path_factory.mktemp("stripes")
    generator = np.random.default_rng(0)
    for number in range(120):
        waves = np.sin(np.arange(16) * generator.uniform(1, 2) + generator.uniform(0, 6))
        grey = np.broadcast_to(waves, (16, 16)) if number % 2 else waves[:, None]
        colour = 128 + 120 * grey[..., None] * generator.uniform(-1, 1, 3) * np.ones((16, 16, 1))
        Image.fromarray(colour.astype(np.uint8)).save(folder / f"{number:03d}.png")
    pairs = {}
    for name, numbers in (("seen", range(80)), ("held-out", range(80, 120))):
        rows = [generator.choice(numbers, 2, replace=False).tolist() for _ in range(300)]
        lines = [f"{a:03d}.png,{b:03d}.png,{int((a - b) % 2 == 0)}" for a, b in rows]
        pairs[name] = folder.parent / f"{folder.name}-{name}.csv"
        pairs[name].write_text("\n".join(["path_a,path_b,same", *lines]))
    return folder, pairs


def test_what_pairs_call_alike_lies_close_also_in_images_they_do_not_name(stripes, tmp_path):
    folder, pairs = stripes
    settings = ON_PAIRS | {"batch_size": 32, "backbone_arguments": {"width": 8}, "epochs": 10}
    run = train(folder, out=tmp_path / "run", pairs=pairs["seen"], base_lr=5e-3, **settings)
    images = open_source(folder)
    encoder, held_out = load_encoder(run.path), read_pairs(pairs["held-out"], images)
    ways = verify_pairs(encoder, images, held_out, bootstraps=0).ways
    assert ways["encoder"].auc > 0.95
    assert max(ways["raw_pixels"].auc, ways["untrained"].auc) < 0.75
