"""What an experiment measures of a finished run; a function a measure, named by a claim's arms."""

from __future__ import annotations

import torch

from lookalike.data.resident import load_squares
from lookalike.data.sources import ImageSet, open_source
from lookalike.embeddings import Embeddings
from lookalike.evaluation.knn import knn_accuracy
from lookalike.evaluation.linear_probe import linear_probe
from lookalike.inference import evaluating, load_encoder
from lookalike.training.job import load_method
from lookalike.training.run_folder import Run
from lookalike.views.make import normalise

BATCH = 256


def linear_top1(run: Run, source: str) -> float:
    """Return the share of test images that a linear classifier on the representation gets right."""
    train, test = _representations(run, source)
    return linear_probe(train, test).accuracy


def knn_top1(run: Run, source: str) -> float:
    """Return the share of test images that their 15 nearest training images vote right."""
    train, test = _representations(run, source)
    return knn_accuracy(train, test, k=15)


def head_linear_top1(run: Run, source: str) -> float:
    """Return what `linear_top1` does, on what comes out of the projection head."""
    train, test = (_projections(run, open_source(source, split=split)) for split in _SPLITS)
    return linear_probe(train, test).accuracy


MEASURES = {each.__name__: each for each in (linear_top1, knn_top1, head_linear_top1)}

_SPLITS = ("train", "test")


def _representations(run: Run, source: str) -> tuple[Embeddings, Embeddings]:
    encoder = load_encoder(run.path)
    train, test = (encoder.embed(open_source(source, split=split)) for split in _SPLITS)
    return train, test


def _projections(run: Run, images: ImageSet) -> Embeddings:
    """Return what the method's loss compares, of each image as it is."""
    method, config = load_method(run.path), run.config
    squares, kept = load_squares(images, config["size"])
    pictures = normalise(torch.from_numpy(squares), config["mean"], config["std"])
    with torch.no_grad(), evaluating(method):
        vectors = torch.cat([method.embed(part).float() for part in torch.split(pictures, BATCH)])
    chosen = images.select(kept)
    return Embeddings(vectors.numpy(), chosen.ids, chosen.labels, chosen.class_names)
