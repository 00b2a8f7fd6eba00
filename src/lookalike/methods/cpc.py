"""CPC. van den Oord et al. 2018, arXiv:1807.03748, section 3.2; Henaff et al. 2019, 1905.09272."""

import math
from collections.abc import Iterator
from typing import Literal, cast

import torch
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone, EncodesGrid
from lookalike.losses.info_nce import info_nce_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.masked_convolution import Context
from lookalike.views.patch_changes import drop_colours, jitter_patches
from lookalike.views.plans import CPC as CPC_VIEWS
from lookalike.views.plans import CPC_SMALL

TURNS = {"down": (0,), "all": (0, 1, 2, 3)}


class CPC(Method):
    """Predict the patches below from those above; patches of the whole batch are the wrong answers.

    The backbone must have a `grid`, as `patches` has. Where there are several views, each counts as
    an image.

    Args:
        steps: how many rows ahead are predicted, each by its own weights (paper: 5).
        skip: rows left out before the first one that is predicted: with patches that overlap by
            half, the next row shows half of the same pixels.
        out_dim: width of the space in which predictions meet patches; none: that of the
            representation, as in the paper, where they meet as they are.
        context_dim: width of a context; none: that of the representation.
        blocks: residual blocks of the context network.
        directions: down, or all four, with one context network (second version).
        jitter: share of a patch's side that is cut off at random (paper: 4 of 64 pixels).
        colour_drop: probability that a patch keeps one of its colours alone (second version).

    Raises:
        ValueError: a number is out of its range; the backbone has no grid.

    Deviations: wrong answers are all patches of the batch that are as many rows below, where the
    paper does not say how many are drawn; products are divided by the root of their width. For
    small images the learning rate is five times the paper's, which days on 32 GPUs allow for.
    """

    views = CPC_VIEWS
    small_views = CPC_SMALL
    recipe = Recipe("adamw", lr=2e-4, scaling="none")
    small_recipe = Recipe(
        "adamw", lr=1e-3, scaling="none", method_arguments={"steps": 3, "out_dim": 64, "blocks": 3}
    )
    default_backbone = "patches"

    def __init__(
        self,
        backbone: Backbone,
        *,
        steps: int = 5,
        skip: int = 1,
        out_dim: int | None = None,
        context_dim: int | None = None,
        blocks: int = 5,
        directions: Literal["down", "all"] = "down",
        jitter: float = 1 / 16,
        colour_drop: float = 0.0,
    ) -> None:
        super().__init__(backbone)
        if not isinstance(backbone, EncodesGrid):
            name = type(backbone).__name__
            raise ValueError(f"backbone must have a grid, as patches has, got {name} without one")
        _check.at_least(1, steps=steps)
        _check.at_least(0, skip=skip)
        _check.one_of(TURNS, directions=directions)
        _check.fraction(jitter=jitter, colour_drop=colour_drop)
        self.steps, self.skip, self.turns = steps, skip, TURNS[directions]
        self.jitter, self.colour_drop = jitter, colour_drop
        context_dim = context_dim or backbone.dim
        width = out_dim or backbone.dim
        self.root = math.sqrt(width)
        self.context = Context(backbone.dim, context_dim, blocks=blocks)
        self.key = nn.Linear(backbone.dim, out_dim, bias=False) if out_dim else nn.Identity()
        self.predictors = nn.ModuleList(
            nn.ModuleList(nn.Linear(context_dim, width, bias=False) for _ in range(steps))
            for _ in self.turns
        )

    def forward(self, batch: Batch) -> Step:
        """Return InfoNCE, averaged over steps and directions.

        Its logs are bounds on the mutual information of a context and the patch k rows further
        below, in nats: log of the wrong and right answers' number, less the loss.

        Raises:
            ValueError: the grid has too few rows for `skip` and `steps`.
        """
        change = self._change if self.training else None
        grid = cast(EncodesGrid, self.backbone).grid(torch.cat(batch.views), change)
        losses, bounds = [], []
        for turn, predictors in zip(self.turns, self.predictors, strict=True):
            turned = torch.rot90(grid, turn, dims=(1, 2))  # (B, rows, columns, dim)
            for query, key in self._pairs(turned, cast(nn.ModuleList, predictors)):
                losses.append(info_nce_loss(query, key, temperature=self.root, normalise=False))
                bounds.append(math.log(len(key)) - losses[-1].detach())
        informations = torch.stack(bounds).view(len(self.turns), self.steps).mean(0)
        logs = {f"information_{k}": each for k, each in enumerate(informations, start=1)}
        return Step(torch.stack(losses).mean(), logs)

    def _pairs(self, grid: Tensor, predictors: nn.ModuleList) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield predictions and what they should be, (M, width) each, of all processes, by step."""
        rows = grid.shape[1]
        if rows <= self.skip + self.steps:
            raise ValueError(
                f"steps must be below {rows - self.skip}, the grid's {rows} rows less a skip of "
                f"{self.skip}, got {self.steps}"
            )
        contexts, keys = self.context(grid), self.key(grid)  # (B, rows, columns, ...) each
        for step, predictor in enumerate(predictors, start=1):
            offset = self.skip + step
            predictions = predictor(contexts[:, :-offset])  # W_k c, of row r
            below = keys[:, offset:]  # z, of row r + offset
            yield gather(predictions.flatten(0, 2)), gather(below.flatten(0, 2))

    def _change(self, patches: Tensor) -> Tensor:
        """Return (N, 3, S, S) patches, each cut and coloured by a draw of its own."""
        pixels = math.ceil(self.jitter * patches.shape[-1])
        return drop_colours(jitter_patches(patches, pixels=pixels), probability=self.colour_drop)
