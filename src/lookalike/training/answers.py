"""What a run's classifier says of images."""

from __future__ import annotations

import torch
from torch import Tensor

from lookalike.data.image_set import ImageSet
from lookalike.errors import UsageError
from lookalike.inference import evaluating, squares_in_parts
from lookalike.methods.base import Classifies
from lookalike.training.building import load_method
from lookalike.training.run_folder import Run
from lookalike.views.make import normalise

BATCH = 256


def answer(run: Run, images: ImageSet) -> tuple[Tensor, Tensor]:
    """Return what a run's classifier says of images, and their labels.

    Args:
        run: of a method that classifies, with a checkpoint.
        images: those that cannot be read are left out.

    Returns:
        (N, C) float32 logits, and (N,) int64 labels, -1 where unknown.

    Raises:
        UsageError: the run's method tells no classes apart.
    """
    method, config = load_method(run.path), run.config
    if not isinstance(method, Classifies):
        raise UsageError(f"{run.path} is a run of {config['method']}, which tells no classes apart")
    logits, labels = [torch.zeros(0, 0)], []
    known = torch.from_numpy(images.labels)
    with torch.no_grad(), evaluating(method):
        for squares, positions in squares_in_parts(images, config["size"]):
            for part in torch.split(squares, BATCH):
                pictures = normalise(part, config["mean"], config["std"])
                pictures = pictures.contiguous(memory_format=torch.channels_last)
                logits.append(method.classify(pictures).float())
            labels.append(known[torch.from_numpy(positions)])
    return torch.cat(logits[1:] or logits), torch.cat(labels or [known[:0]])
