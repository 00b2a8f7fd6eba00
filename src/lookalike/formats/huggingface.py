"""A folder for timm, or for the Hugging Face hub. github.com/huggingface/pytorch-image-models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import timm
import torch
from PIL import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn

from lookalike.backbones.embedding import Embedding
from lookalike.backbones.resnet import ResNet
from lookalike.backbones.timm_models import TimmModel
from lookalike.data.decode import centre_square
from lookalike.durable import write_atomically
from lookalike.errors import UsageError
from lookalike.formats.agreement import Compute
from lookalike.inference import Encoder
from lookalike.pairwise.similarity import unit_rows

SUFFIX = "-huggingface"
FILES = frozenset({"model.safetensors", "config.json"})
TIMM_WIDTH = 64  # of the first stage of timm's ResNets


class _Network(NamedTuple):
    """An encoder as timm builds it.

    name: timm's, perhaps with a tag.
    arguments: that timm takes with it.
    weights: by timm's names, less those of a classifier.
    head: a linear layer where timm has its classifier; None for none.
    """

    name: str
    arguments: dict[str, Any]
    weights: dict[str, Tensor]
    head: nn.Linear | None


def write(encoder: Encoder, path: Path) -> None:
    """Write a settled encoder as a folder for `timm.create_model("local-dir:...")`.

    Raises:
        UsageError: timm has no such network.
        LookalikeError: no space is left.
    """
    network = _network(encoder)
    classes = 0 if network.head is None else encoder.dim
    model: Any = timm.create_model(network.name, num_classes=classes, **network.arguments)
    known: dict[str, Any] = model.pretrained_cfg
    weights = dict(network.weights)
    if network.head is not None:
        head = network.head.state_dict()
        weights |= {f"{known['classifier']}.{name}": tensor for name, tensor in head.items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as problem:
        raise _refusal(encoder) from problem
    config = {
        "architecture": network.name.partition(".")[0],
        "num_classes": classes,
        "num_features": model.num_features,
        "model_args": network.arguments,
        "pretrained_cfg": {
            "input_size": [3, encoder.size, encoder.size],
            "fixed_input_size": known.get("fixed_input_size", False),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": encoder.mean,
            "std": encoder.std,
            "first_conv": known.get("first_conv"),
            "classifier": known.get("classifier"),
        },
    }
    path.mkdir(parents=True, exist_ok=True)
    packed = {name: tensor.contiguous().clone() for name, tensor in weights.items()}
    content = safetensors.torch.save(packed, metadata={"format": "pt"})
    write_atomically(path / "model.safetensors", content)
    write_atomically(path / "config.json", json.dumps(config, indent=2).encode())


def read(path: Path) -> Compute:
    """Return the encoder of a folder: timm's network, fed with squares by timm's own transform."""
    model = timm.create_model(f"local-dir:{path}", pretrained=True).eval()
    config: dict[str, Any] = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    transform = create_transform(**config, is_training=False)
    size = config["input_size"][-1]

    def compute(images: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, Any]:
        squares = [Image.fromarray(centre_square(image, size)) for image in images]
        with torch.inference_mode():
            vectors: Tensor = model(torch.stack([transform(square) for square in squares]))
        return unit_rows(vectors).numpy()

    return compute


def _network(encoder: Encoder) -> _Network:
    """Return what timm builds that computes what an encoder does.

    Raises:
        UsageError: there is nothing of the kind.
    """
    backbone, arguments, name = encoder.backbone, dict(encoder.arguments), encoder.name
    head = None
    if isinstance(backbone, Embedding):
        head = _only_layer(backbone.head)
        if head is None:
            raise _refusal(encoder)
        name = str(arguments.pop("backbone", "resnet18"))
        arguments.pop("widths", None)
        backbone = backbone.backbone
    name = name.removeprefix("timm/")
    if isinstance(backbone, TimmModel):
        arguments.pop("pretrained", None)
        return _Network(name, arguments, backbone.model.state_dict(), head)
    if isinstance(backbone, ResNet) and (arguments.get("stem"), backbone.bn1.num_features) == (
        "imagenet",
        TIMM_WIDTH,
    ):
        return _Network(name.lower(), {}, backbone.state_dict(), head)
    raise _refusal(encoder)


def _only_layer(head: nn.Module) -> nn.Linear | None:
    """Return the linear layer that a head is, if it is one."""
    layers = list(head.children()) or [head]
    only = layers[0]
    return only if len(layers) == 1 and isinstance(only, nn.Linear) else None


def _refusal(encoder: Encoder) -> UsageError:
    return UsageError(
        f"timm has no network that does what this {encoder.name} does: it has its own models, "
        f"ResNets of width {TIMM_WIDTH} with the imagenet stem, and one linear layer on either\n"
        "  fix: --to onnx, torch or safetensors"
    )
