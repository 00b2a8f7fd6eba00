"""What is told of images is a value of its own: labels, some hidden, or pairs."""

import csv
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from lookalike.data.decode import MAX_PIXELS
from lookalike.errors import DataError
from lookalike.methods.simclr import SimCLR
from lookalike.runs.readable import collect
from lookalike.runs.told import Told, draw_labels, hide_labels, keep_labelled, pair_up
from lookalike.training.progress import Progress


@pytest.fixture
def found(tmp_path):
    with Progress(None, printing=False) as progress:
        return collect(
            "hands",
            download=False,
            limit=60,
            seed=0,
            resident_bytes_allowed=2**24,
            max_pixels=MAX_PIXELS,
            max_unreadable=0.0,
            listing=tmp_path / "unreadable.csv",
            progress=progress,
        )


def test_hidden_labels_leave_the_images_found_as_they_were(found, tmp_path):
    """Those that stay are as `draw_labels` draws them, and the file lists exactly these."""
    before = found.images.labels.copy()
    hidden = hide_labels(found, 0.25, seed=3, listing=tmp_path / "labelled.csv")
    kept = draw_labels(before, share=0.25, seed=3)
    wanted = np.full(len(before), -1)
    wanted[kept] = before[kept]
    assert (hidden.images.labels == wanted).all()
    assert (found.images.labels == before).all()
    rows = list(csv.DictReader((tmp_path / "labelled.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == [found.images.ids[row] for row in kept]
    assert hidden.resident is found.resident, "no pixel is copied for it"


def test_images_without_a_label_are_left_out_of_the_next_value_only(found, tmp_path):
    hidden = hide_labels(found, 0.25, seed=0, listing=tmp_path / "labelled.csv")
    told = keep_labelled(hidden)
    assert (told.found.images.labels >= 0).all()
    assert told.unlabelled == 60 - len(told.found.images) > 0
    assert told.record()["unlabelled"] == told.unlabelled
    assert len(hidden.images) == 60
    assert keep_labelled(found).found is found, "nothing to leave out"
    with pytest.raises(FrozenInstanceError):
        told.unlabelled = 0


def test_one_class_tells_nothing_apart(found):
    alone = found.keep(np.flatnonzero(found.images.labels == found.images.labels[0]))
    with pytest.raises(DataError, match="has one class only"):
        keep_labelled(alone)


def test_pairs_point_at_readable_images_and_know_their_file(found, tmp_path):
    """One image is taken for unreadable: pairs of it are lost, the others' places move up."""
    ids = found.source.ids
    rows = [(0, 1, 1), (1, 2, 0), (2, 3, 1), (3, 4, 0)]
    path = tmp_path / "pairs.csv"
    lines = [f"{ids[a]},{ids[b]},{same}" for a, b, same in rows]
    path.write_text("\n".join(["path_a,path_b,same", *lines]))
    told = pair_up(found.keep(np.delete(np.arange(60), 1)), path)
    assert told.pairs.first.tolist() == [1, 2]
    assert told.pairs.second.tolist() == [2, 3]
    assert told.pairs.skipped == 2
    record = told.record()
    assert record["pairs"] == str(path)
    assert len(record["pairs_sha256"]) == 64


def test_the_record_tells_other_images_and_other_labels_apart(found):
    record = Told(found=found).record()
    assert "pairs" not in record
    others = [found.keep(np.arange(59)), found.relabel(np.zeros(len(found.source), dtype=np.int64))]
    digests = {Told(found=other).record()["images_sha256"] for other in (found, *others)}
    assert len(digests) == 3
    assert record["images"] == 60


def test_labels_that_training_never_sees_are_said_to_be_so(found):
    assert Told(found=found).in_words("shuffled", SimCLR).endswith("which training never sees")
