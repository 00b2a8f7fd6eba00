"""A classifier's answers: those of its method, image by image."""

import numpy as np
import pytest
import torch

from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.errors import UsageError
from lookalike.training.answers import answer
from lookalike.training.building import load_method
from lookalike.training.job import train
from lookalike.views.make import normalise


def a_run(out, method):
    settings = {"backbone": "small_conv", "backbone_arguments": {"width": 2}, "size": 16}
    return train(
        "hands", out=out, method=method, limit=64, epochs=1, evaluate=False, quiet=True, **settings
    )


def test_they_are_the_methods_own_of_pictures_as_it_was_trained_on(tmp_path):
    run = a_run(tmp_path / "run", "supervised")
    images = open_source("hands", split="test").select(np.arange(0, 40, 4))
    logits, labels = answer(run, images)
    squares = torch.from_numpy(load_squares(images, 16)[0])
    method = load_method(run.path).eval()
    for row, square in enumerate(squares):
        picture = normalise(square[None], run.config["mean"], run.config["std"])
        torch.testing.assert_close(logits[row], method.classify(picture)[0], rtol=1e-4, atol=1e-5)
    assert labels.tolist() == images.labels.tolist()


def test_a_method_without_a_classifier_has_none(tmp_path):
    with pytest.raises(UsageError, match="tells no classes apart"):
        answer(a_run(tmp_path / "run", "simclr"), open_source("hands", split="test"))
