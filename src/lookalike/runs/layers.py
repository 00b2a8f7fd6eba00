"""What a run's network makes of pictures, layer by layer: where to cut off the head.

"Guillotine regularization": the Cookbook, Balestriero et al. 2023, arXiv:2304.12210, section 3.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lookalike.inference import evaluating
from lookalike.judging.baselines import Stages
from lookalike.runs.building import load_method
from lookalike.training.run_folder import Run
from lookalike.views.make import normalise


def load_stages(
    run: str | Path,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 256,
    trust_code: bool = False,
) -> Stages:
    """Return what shows pictures to a run's network and tells what they are after each layer.

    Its method is that of the newest checkpoint, in evaluation mode, and prepares pictures as it was
    trained to. Vectors are not normalised.

    Args:
        run: a run folder.
        device: where to compute.
        batch_size: pictures at a time.
        trust_code: whether the method and the backbone may come from a file or package that the run
            names. Their code is then run, so say it only of runs you know.

    Raises:
        UsageError: there is no run, it has no checkpoint yet, or it needs code that is not trusted.
    """
    config = Run(run).config
    method = load_method(run, trust_code=trust_code).to(device)

    def stages(squares: Tensor) -> dict[str, Tensor]:
        parts: dict[str, list[Tensor]] = {}
        with torch.inference_mode(), evaluating(method):
            for batch in torch.split(squares, batch_size):
                pictures = normalise(batch.to(device), config["mean"], config["std"])
                pictures = pictures.contiguous(memory_format=torch.channels_last)
                for name, vectors in method.stages(pictures).items():
                    parts.setdefault(name, []).append(vectors.float().cpu())
        return {name: torch.cat(vectors) for name, vectors in parts.items()}

    return stages
