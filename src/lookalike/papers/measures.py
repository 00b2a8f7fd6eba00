"""What an experiment measures of a finished run; a function a measure, named by a claim's arms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from lookalike.data.resident import load_squares
from lookalike.data.sources import ImageSet, open_source
from lookalike.embeddings import Embeddings
from lookalike.errors import UsageError
from lookalike.evaluation.knn import knn_accuracy
from lookalike.evaluation.linear_probe import linear_probe
from lookalike.evaluation.quadrants import HasStages, quadrant_features
from lookalike.evaluation.retrieval import retrieval
from lookalike.evaluation.spectrum import effective_rank
from lookalike.inference import Encoder, evaluating, load_encoder, squares_in_parts
from lookalike.runs.answers import answer
from lookalike.runs.building import load_method
from lookalike.runs.layers import load_stages
from lookalike.training.run_folder import Run, read_lines
from lookalike.views.make import normalise

BATCH = 256


def linear_top1(run: Run, source: str) -> float:
    """Return the share of test images that a linear classifier on the representation gets right."""
    train, test = _representations(run, source)
    return linear_probe(train, test).accuracy


def untrained_linear_top1(run: Run, source: str) -> float:
    """Return what `linear_top1` does, of the run's encoder as it was before training."""
    encoder = load_encoder(run.path).restarted(seed=run.config["seed"])
    train, test = (encoder.embed(open_source(source, split=split)) for split in _SPLITS)
    return linear_probe(train, test).accuracy


def knn_top1(run: Run, source: str) -> float:
    """Return the share of test images that their 15 nearest training images vote right."""
    train, test = _representations(run, source)
    return knn_accuracy(train, test, k=15)


def recall_at_1(run: Run, source: str) -> float:
    """Return the share of test images whose nearest other test image is of their class."""
    test = load_encoder(run.path).embed(open_source(source, split="test"))
    return retrieval(test, ks=(1,), average_precision=None).recall_at_k[1]


def classifier_top1(run: Run, source: str) -> float:
    """Return the share of test images that the run's own classifier gets right."""
    logits, labels = answer(run, open_source(source, split="test"))
    return float((logits.argmax(1) == labels).double().mean())


def head_linear_top1(run: Run, source: str) -> float:
    """Return what `linear_top1` does, on what comes out of the projection head."""
    train, test = (_projections(run, open_source(source, split=split)) for split in _SPLITS)
    return linear_probe(train, test).accuracy


def quadrant_linear_top1(run: Run, source: str) -> float:
    """Return what `linear_top1` does, on the maxima of all layers in the quarters of an image.

    Raises:
        UsageError: the run's backbone does not show its layers.
    """
    encoder = load_encoder(run.path)
    train, test = (embed_quadrants(encoder, open_source(source, split=split)) for split in _SPLITS)
    return linear_probe(train, test).accuracy


def rankme_share(run: Run, source: str) -> float:
    """Return RankMe of the test images' representations, as a share of their width."""
    vectors = torch.from_numpy(_after(run, open_source(source, split="test"), "backbone").vectors)
    return effective_rank(vectors) / len(vectors[0])


def last_spread(run: Run, source: str) -> float:
    """Return how widely projections point at the end: about 1 healthy, 0 collapsed.

    It is what the monitors read of the views that the run was trained on.
    """
    rows = read_lines(run.path / "metrics.jsonl")
    return float([row for row in rows if row["kind"] == "monitor"][-1]["spread"])


def first_loss(run: Run, source: str) -> float:
    """Return the mean loss of the first steps that a row of metrics is about."""
    return _losses(run)[0]


def highest_loss(run: Run, source: str) -> float:
    """Return the highest of the mean losses that the rows of metrics tell."""
    return max(_losses(run))


def last_loss(run: Run, source: str) -> float:
    """Return the mean loss of the last steps that a row of metrics is about."""
    return _losses(run)[-1]


def layer_linear_top1(stage: str) -> Measure:
    """Return a measure: what a linear classifier gets right after a layer, not normalised.

    Its name is `stage` with underscores, and "_linear_top1".

    Args:
        stage: the layer's name in `Method.stages`.
    """

    def measure(run: Run, source: str) -> float:
        train, test = (_after(run, open_source(source, split=split), stage) for split in _SPLITS)
        return linear_probe(train, test).accuracy

    measure.__name__ = f"{stage.replace(' ', '_')}_linear_top1"
    return measure


Measure = Callable[[Run, str], float]
MEASURES: dict[str, Measure] = {
    each.__name__: each
    for each in (
        linear_top1,
        untrained_linear_top1,
        knn_top1,
        recall_at_1,
        classifier_top1,
        head_linear_top1,
        quadrant_linear_top1,
        rankme_share,
        last_spread,
        first_loss,
        highest_loss,
        last_loss,
        *map(layer_linear_top1, ("backbone", "projector 1", "projector 2", "projector 3")),
    )
}

_SPLITS = ("train", "test")


def _representations(run: Run, source: str) -> tuple[Embeddings, Embeddings]:
    encoder = load_encoder(run.path)
    train, test = (encoder.embed(open_source(source, split=split)) for split in _SPLITS)
    return train, test


def embed_quadrants(encoder: Encoder, images: ImageSet) -> Embeddings:
    """Return the maxima of every layer's quarters, of each image."""
    network = encoder.backbone
    if not isinstance(network, HasStages):
        raise UsageError(f"the backbone {encoder.name} shows no layers: it has no `stages`")
    squares, kept = load_squares(images, encoder.size)
    pictures = torch.split(torch.from_numpy(squares), BATCH)
    with torch.inference_mode(), evaluating(network):
        parts = [
            quadrant_features(
                network.stages(normalise(part.to(encoder.device), encoder.mean, encoder.std))
            ).cpu()
            for part in pictures
        ]
    chosen = images.select(kept)
    return Embeddings(torch.cat(parts).numpy(), chosen.ids, chosen.labels, chosen.class_names)


def _projections(run: Run, images: ImageSet) -> Embeddings:
    """Return what the method's loss compares, of each image as it is."""
    method, config = load_method(run.path), run.config
    squares, kept = load_squares(images, config["size"])
    pictures = normalise(torch.from_numpy(squares), config["mean"], config["std"])
    with torch.no_grad(), evaluating(method):
        vectors = torch.cat([method.embed(part).float() for part in torch.split(pictures, BATCH)])
    chosen = images.select(kept)
    return Embeddings(vectors.numpy(), chosen.ids, chosen.labels, chosen.class_names)


def _losses(run: Run) -> list[float]:
    rows = read_lines(run.path / "metrics.jsonl")
    return [float(row["loss"]) for row in rows if row["kind"] == "train"]


def _after(run: Run, images: ImageSet, stage: str) -> Embeddings:
    """Return what comes out of one layer of the run's network, of each image as it is.

    Raises:
        ValueError: its network has no such layer.
    """
    stages = load_stages(run.path)
    vectors, rows = [], []
    for squares, positions in squares_in_parts(images, run.config["size"]):
        found = stages(squares)
        if stage not in found:
            raise ValueError(f"stage must be one of {', '.join(found)}, got {stage!r}")
        vectors.append(found[stage])
        rows.append(positions)
    kept = images.select(np.concatenate(rows))
    return Embeddings(torch.cat(vectors).numpy(), kept.ids, kept.labels, kept.class_names)
