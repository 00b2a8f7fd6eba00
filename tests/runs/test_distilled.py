"""A student beside its teacher: numbers from slow loops, and what a user gets."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.backbones.build import build_backbone
from lookalike.data.sources import open_source
from lookalike.errors import UsageError
from lookalike.inference import Encoder
from lookalike.runs.distilled import compare, distill

COLOURS = {"red": (220, 40, 40), "green": (40, 220, 40), "blue": (40, 40, 220)}


def an_encoder(seed, width=4):
    torch.manual_seed(seed)
    backbone = build_backbone("small_conv", width=width)
    return Encoder(backbone, size=16, name="small_conv", arguments={"width": width})


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures of three colours with a little noise, a folder each."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for number in range(16):
            pixels = random.normal(colour, 25, (16, 16, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_an_encoder_beside_itself_keeps_everything(photos):
    encoder = an_encoder(0)
    found = compare(encoder, encoder, photos)
    assert found.overlap == found.found_itself == found.kept == 1.0
    assert found.teacher.parameters == sum(p.numel() for p in encoder.backbone.parameters())
    assert {share for _, share in found.changed} == {1.0}


def test_the_neighbours_in_common_are_those_of_a_slow_loop(photos):
    teacher, student = an_encoder(0), an_encoder(1)
    found = compare(teacher, student, photos)
    images = open_source(photos)
    asked = images.select([images.ids.index(name) for name, _ in found.changed])
    near = []
    for encoder in (teacher, student):
        vectors = encoder.embed(asked).vectors
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -2)
        near.append(np.argsort(-cosines, axis=1)[:, : min(10, len(asked) - 1)])
    shares = [len(set(a) & set(b)) / len(a) for a, b in zip(*near, strict=True)]
    known = dict(zip(asked.ids, shares, strict=True))
    assert dict(found.changed) == pytest.approx(known)
    assert [share for _, share in found.changed] == sorted(shares)
    assert found.overlap == pytest.approx(np.mean(shares))


def test_other_widths_have_no_index_in_common(photos):
    found = compare(an_encoder(0, width=4), an_encoder(0, width=2), photos)
    assert found.found_itself is found.across_recall_at_1 is None
    assert not any("teacher's index" in line for line in found.lines())


def test_a_model_folder_says_not_what_it_was_trained_on(tmp_path):
    an_encoder(0).save(tmp_path / "model")
    with pytest.raises(UsageError, match="--data SOURCE"):
        distill(tmp_path / "model", student="small_conv")


def test_a_student_is_trained_compared_and_written_down(photos, tmp_path):
    an_encoder(0, width=8).save(tmp_path / "model")

    def distilled():
        return distill(
            tmp_path / "model",
            student="small_conv",
            student_arguments={"width": 2},
            data=str(photos),
            out=tmp_path / "student",
            epochs=3,
            batch_size=16,
            monitor_every=1000,  # the teacher has seen nothing: it finds all images alike
            quiet=True,
        )

    run, found = distilled()
    assert found.student.parameters < found.teacher.parameters
    assert found.found_itself is not None
    told = json.loads((run.path / "comparison.json").read_text())
    assert told["overlap"] == found.overlap
    rows = list(csv.DictReader((run.path / "changed.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == [name for name, _ in found.changed]
    again, same = distilled()  # finished: compared anew, not trained anew
    assert (again.path, same.overlap) == (run.path, found.overlap)
