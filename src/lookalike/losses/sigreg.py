"""SIGReg: how far from a standard normal. Balestriero & LeCun 2025, arXiv:2511.08544, section 4.

It is the Epps-Pulley statistic of projections onto lines: their characteristic function, beside
that of a normal, at some points of the positive half-axis.
"""

import math
from typing import Any

import torch
from torch import Tensor

from lookalike import _check

KNOTS, LAST = 17, 3.0  # where the characteristic function is looked at: 0, ..., 3
TILE = 2**20  # projections at a time, 4 MiB


def sigreg_loss(z: Tensor, directions: Tensor) -> Tensor:
    """Epps and Pulley's statistic of what is seen along each direction, the mean over directions.

    Along a direction a it is B times the integral over t of phi(t) |mean of exp(i t a.z) -
    phi(t)|^2, phi(t) = exp(-t^2 / 2), over [-3, 3] by 17 knots of one half. Memory is O((B + S) D)
    and one tile: projections are made some directions at a time, and again in backward. float32
    arithmetic at least; the gradient cannot be differentiated again.

    Args:
        z: (B, D), B >= 1, embeddings; their place and scale are what is judged.
        directions: (S, D), S >= 1, of norm 1; they get no gradient.

    Returns:
        () >= 0; for a sample of a standard normal it is 1.05 on average, whatever B is; where all
        rows are 0 it is 0.402 B, and the gradient is 0: a collapse is a saddle.

    Raises:
        ValueError: shapes do not match, or there is no row or direction.
    """
    _check.same_width(z=z, directions=directions)
    _check.at_least(1, rows=len(z), directions=len(directions))
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    loss: Tensor = torch.ops.lookalike.sigreg(z, directions.detach().to(z.dtype))[0]
    return loss


def _knots() -> list[tuple[float, float, float]]:
    """Return every point t, phi(t), and the weight of the trapezium rule for both halves."""
    step = LAST / (KNOTS - 1)
    ends = {0, KNOTS - 1}
    return [
        (step * k, math.exp(-((step * k) ** 2) / 2), step * (1 if k in ends else 2))
        for k in range(KNOTS)
    ]


def _waves(lines: Tensor) -> Any:
    """Yield cos(t x) and sin(t x) of (B, S) projections at every knot, each by turning the last."""
    turn_cos, turn_sin = (lines * (LAST / (KNOTS - 1))).cos(), (lines * (LAST / (KNOTS - 1))).sin()
    cos, sin = torch.ones_like(lines), torch.zeros_like(lines)
    for _ in range(KNOTS):
        yield cos, sin
        cos, sin = cos * turn_cos - sin * turn_sin, sin * turn_cos + cos * turn_sin


def _tiles(z: Tensor, directions: Tensor) -> Any:
    """Yield slices of directions with the projections onto them, (B, S')."""
    width = max(1, TILE // len(z))
    for start in range(0, len(directions), width):
        some = slice(start, start + width)
        lines = z.new_zeros(len(z), len(directions[some]))
        yield some, lines.addmm_(z, directions[some].T)  # autocast lets in-place calls be


torch.library.define("lookalike::sigreg", "(Tensor z, Tensor directions) -> (Tensor, Tensor)")
torch.library.define(
    "lookalike::sigreg_backward",
    "(Tensor gradient, Tensor means, Tensor z, Tensor directions) -> Tensor",
)


@torch.library.impl("lookalike::sigreg", "default")
def _sigreg(z: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Return the statistic, (), and how the means of cos and sin miss a normal's, (2, 17, S)."""
    means = z.new_empty(2, KNOTS, len(directions))
    for some, lines in _tiles(z, directions):
        for k, (cos, sin) in enumerate(_waves(lines)):
            means[0, k, some], means[1, k, some] = cos.mean(0), sin.mean(0)
    points = _knots()
    means[0] -= z.new_tensor([phi for _, phi, _ in points])[:, None]
    weights = z.new_tensor([weight * phi for _, phi, weight in points])  # (17,)
    return len(z) * (weights * means.square().sum(0).mean(1)).sum(), means


@torch.library.impl("lookalike::sigreg_backward", "default")
def _sigreg_backward(gradient: Tensor, means: Tensor, z: Tensor, directions: Tensor) -> Tensor:
    """Return the gradient of z: that of a projection x is 2 t (S cos(t x) - C sin(t x)), summed.

    C and S are how the means of cos and sin miss a normal's; B times their 1 / B is 1.
    """
    to_z = torch.zeros_like(z)
    for some, lines in _tiles(z, directions):
        slope = torch.zeros_like(lines)  # (B, S')
        for (t, phi, weight), (cos, sin), missed in zip(
            _knots(), _waves(lines), means[:, :, some].unbind(1), strict=True
        ):
            slope.addcmul_(cos, missed[1], value=2 * t * phi * weight)
            slope.addcmul_(sin, missed[0], value=-2 * t * phi * weight)
        to_z.addmm_(slope, directions[some])
    return to_z.mul_(gradient / len(directions))


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1], *inputs)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None]:
    return torch.ops.lookalike.sigreg_backward(gradient, *ctx.saved_tensors), None


def _refuse(ctx: Any, *gradients: Tensor) -> None:
    raise RuntimeError("the gradient of sigreg_loss cannot be differentiated again")


# What a graph must know without computing: the shapes.
def _like(z: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    return z.new_empty(()), z.new_empty(2, KNOTS, directions.shape[0])


def _like_backward(gradient: Tensor, means: Tensor, z: Tensor, directions: Tensor) -> Tensor:
    return torch.empty_like(z)


torch.library.register_fake("lookalike::sigreg", _like)
torch.library.register_fake("lookalike::sigreg_backward", _like_backward)
torch.library.register_autograd("lookalike::sigreg", _differentiate, setup_context=_save)
torch.library.register_autograd("lookalike::sigreg_backward", _refuse)
