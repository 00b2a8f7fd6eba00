"""A collection that trains on patches holds them in memory, the same however it came by them."""

import numpy as np
import pytest
from PIL import Image

from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError
from lookalike.methods.exemplar import Exemplar
from lookalike.training.building import load_method
from lookalike.training.collection import collect, images_trained_on
from lookalike.training.job import train
from lookalike.training.preview import preview
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
        images.cut_patches(size, seed=seed, progress=progress)
    return images


def test_patches_are_the_same_from_memory_and_from_files(photos, tmp_path):
    kept, read = (cut(collected(photos, tmp_path, resident=resident)) for resident in (True, False))
    assert kept.resident.pixels.shape == (8, 3, 16, 16)
    assert kept.resident.pixels.dtype == np.uint8
    assert (kept.resident.pixels == read.resident.pixels).all()
    assert kept.record() == read.record()
    assert kept.facts.count == read.facts.count == 8


def test_a_class_without_images_has_a_name_still_and_labels_count_on(photos, tmp_path):
    images = collected(photos, tmp_path)
    assert (images.facts.classes, images.facts.class_names) == (2, 2)
    images.images = images.images.select(np.flatnonzero(images.images.labels == 1))
    assert (images.facts.classes, images.facts.class_names) == (1, 2)
    assert images.images.labels.max() < images.facts.class_names


def test_the_record_is_that_of_the_whole_images(photos, tmp_path):
    images = collected(photos, tmp_path)
    before = images.record()
    assert cut(images).record() == before


def test_images_that_break_before_they_are_cut_are_left_out(photos, tmp_path):
    images = collected(photos, tmp_path, resident=False, max_unreadable=0.2)
    broken = sorted(photos.rglob("*.png"))[3]
    content = broken.read_bytes()
    broken.write_bytes(content[:60])
    cut(images)
    assert (len(images.images), len(images.sizes), len(images.resident.pixels)) == (7, 7, 7)
    assert broken.name in (tmp_path / "unreadable.csv").read_text()
    broken.write_bytes(content)
    strict = collected(photos, tmp_path, resident=False)
    broken.write_bytes(content[:60])
    with pytest.raises(DataError, match="1 of 8 images"):
        cut(strict)


def test_whole_images_are_looked_at_at_the_scale_of_their_patches(photos, tmp_path):
    images = collected(photos, tmp_path)
    side = int(np.median([min(sides) for sides in SIDES]))
    assert images.picture_size(16) == 16  # no patches
    cut(images)
    assert images.picture_size(16) == side
    assert images.picture_size(4) == 12  # no more than three sides of a patch
    assert images.picture_size(50) == 50


def test_what_is_shown_is_what_views_are_made_of(photos, tmp_path):
    images = collected(photos, tmp_path)
    pixels, sizes = images.shown(3, size=16, seed=0)
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


def test_a_run_on_patches_that_broke_off_ends_as_one_that_did_not(photos, tmp_path, monkeypatch):
    """Patches are cut anew and alike, and dropout goes on where it was."""
    whole = train(photos, out=tmp_path / "whole", save_every=0, **TINY)
    steps = []

    def fall(method, step, progress):
        steps.append(progress)
        if len(steps) == 3:
            raise KeyError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(Exemplar, "after_step", fall)
        with pytest.raises(KeyError, match="power cut"):
            train(photos, out=tmp_path / "broken", save_every=0, **TINY)
    broken = train(photos, out=tmp_path / "broken", save_every=0, **TINY)
    assert len(losses(whole)) == 4
    assert losses(broken) == losses(whole)
    one, other = (load_method(run.path).state_dict() for run in (whole, broken))
    assert all(tensor.equal(other[name]) for name, tensor in one.items())


def test_a_preview_shows_patches(photos):
    picture = preview(photos, method="exemplar", size=16, count=3)
    assert picture.width > 0
    again = preview(photos, method="exemplar", size=16, count=3)
    assert picture.tobytes() == again.tobytes()


@pytest.mark.parametrize("limit", [None, 5])
def test_what_a_run_was_trained_on_is_found_again(photos, tmp_path, limit):
    (photos / "a" / "0.png").write_bytes(b"no image")
    images = collected(photos, tmp_path, max_unreadable=0.5, limit=limit)
    found = images_trained_on({**images.record(), "seed": 0})
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
