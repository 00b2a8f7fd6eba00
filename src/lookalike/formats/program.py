"""An encoder as one program, from the pixels of whole images to vectors."""

from __future__ import annotations

import copy
import json
from importlib.metadata import version

import torch
from torch import SymInt, Tensor, nn
from torch.export import Dim, ExportedProgram

from lookalike.errors import LookalikeError
from lookalike.inference import Encoder
from lookalike.pairwise.similarity import unit_rows
from lookalike.views.make import normalise

INPUT, OUTPUT = "images", "vectors"
"""What goes in and what comes out, by name, where a format has names."""

AXES = ("batch", "height", "width")


class Program(nn.Module):
    """Pixels in, vectors out: what `Encoder.encode` does with pictures, as tensor arithmetic.

    Args:
        encoder: what it computes; its backbone is used, not copied.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.backbone = encoder.backbone
        self.size, self.mean, self.std = encoder.size, encoder.mean, encoder.std

    def forward(self, images: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 RGB, of any H and W -> (B, dim) float32, each of length 1 (or 0)."""
        pictures = centre_squares(images.permute(0, 3, 1, 2), self.size)
        return unit_rows(self.backbone(normalise(pictures / 255, self.mean, self.std)))


def centre_squares(images: Tensor, size: int) -> Tensor:
    """Return what `data.decode.centre_square` makes of images: Pillow's, as two matrix products.

    The weights are made of the image's height and width, so that one program serves every size,
    and of plain arithmetic, which every runtime has; an antialiased resize only some do.

    Args:
        images: (B, 3, H, W) uint8.
        size: side of a square in pixels.

    Returns:
        (B, 3, size, size) float32, whole numbers in [0, 255]. Some are one off where an image is
        tall: Pillow 13 then takes the axes the other way round, and rounds in between.
    """
    height, width = images.shape[2:]
    side = torch.sym_min(height, width)
    narrow = _eight_bits(images.float() @ resize_weights(width, side, size).T)  # (B, 3, H, size)
    return _eight_bits(resize_weights(height, side, size) @ narrow)


def resize_weights(length: int, side: int | SymInt, size: int) -> Tensor:
    """Return what each pixel of an axis adds to each of its resized middle part.

    The kernel is the cubic convolution of Keys 1981 with a = -1/2, stretched where the axis
    shrinks, so that nothing is aliased. As in Pillow it looks over the border of the middle part,
    but not over that of the image.

    Args:
        length: pixels of the axis.
        side: pixels of the part in its middle.
        size: pixels that this part becomes.

    Returns:
        (size, length), rows of sum 1.
    """
    scale = torch.ones(()).mul(side) / size  # () tensor: of any side, where a number is of one
    centres = (torch.arange(size) + 0.5) * scale + (length - side) // 2  # (size,)
    places = torch.arange(length) + 0.5  # (length,)
    x = ((places - centres[:, None]) / scale.clamp(min=1)).abs()  # (size, length)
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, inner, torch.where(x < 2, outer, 0.0))
    return weights / weights.sum(1, keepdim=True)


def _eight_bits(values: Tensor) -> Tensor:
    """Round to whole numbers in [0, 255], as Pillow does after each axis."""
    return (values + 0.5).floor().clamp(0, 255)


def settled(encoder: Encoder) -> Encoder:
    """Return a copy of an encoder that only computes: on the CPU, in float32, not in training."""
    still = copy.copy(encoder)
    still.backbone = copy.deepcopy(encoder.backbone).cpu().float().eval().requires_grad_(False)
    still.compiled, still.precision = None, "float32"
    return still


def trace(encoder: Encoder) -> ExportedProgram:
    """Return the graph of an encoder's program, for any batch, height and width.

    Nothing in it tells of this machine.

    Args:
        encoder: a settled one.

    Raises:
        LookalikeError: its backbone does what a graph cannot hold.
    """
    axes = {number: Dim(name, min=1) for number, name in enumerate(AXES)}
    # No two axes alike, and none of 1: what an example happens to be would be taken for a rule.
    example = torch.zeros(2, encoder.size + 1, encoder.size + 2, 3, dtype=torch.uint8)
    try:
        program = torch.export.export(Program(encoder), (example,), dynamic_shapes=(axes,))
    except Exception as problem:  # the tracer raises whatever it stumbles over
        reason = str(problem).strip().partition("\n")[0]
        raise LookalikeError(
            f"the backbone {encoder.name} cannot be written as a graph: {reason}\n"
            "  fix: --to safetensors writes its weights"
        ) from problem
    program.example_inputs = None
    for node in program.graph.nodes:
        for trail in ("stack_trace", "nn_module_stack", "torch_fn"):
            node.meta.pop(trail, None)
    return program


def facts(encoder: Encoder) -> dict[str, str]:
    """Return what a file says of the encoder in it, by name, as text."""
    return {
        "lookalike": version("lookalike"),
        "fingerprint": encoder.fingerprint(),
        "backbone": encoder.name,
        "backbone_arguments": json.dumps(encoder.arguments),
        "dim": str(encoder.dim),
        "preparation": json.dumps(encoder.preparation()),
        INPUT: "(batch, height, width, 3) uint8 RGB, upright; any height and width",
        OUTPUT: f"(batch, {encoder.dim}) float32, each of length 1",
    }
