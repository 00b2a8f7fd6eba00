"""Instance discrimination. Wu et al. 2018, arXiv:1805.01978, equations 2 to 10."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.losses.instance_nce import estimated_normaliser, instance_nce_loss
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.nn.gather import gather
from lookalike.nn.memory_bank import MemoryBank
from lookalike.pairwise.similarity import row_logsumexp, unit_rows
from lookalike.randomness import uniforms
from lookalike.views.plans import NPID as NPID_VIEWS


class NPID(Method):
    """Every image is a class of its own; what stands for it is what the network last said of it.

    Args:
        image_count: images of the data set, each with a row in the memory bank.
        out_dim: width of a row (paper: 128).
        temperature: > 0; lower weighs the nearest images more (paper: 0.07; CIFAR-10: 0.1).
        objective: softmax over all images, or NCE with some of them as noise (paper); parametric
            is the rival of table 2, with a learned weight vector for each image.
        noise: images drawn as noise for each one that is learned (paper: 4096), with
            replacement.
        bank_momentum: share of a row that stays when its image is seen, in [0, 1); the authors'
            code has it, the paper replaces the row.
        proximal: >= 0, weight of the squared distance of a feature from its image's row, equation
            9.

    Deviations: the images of a batch share their noise, so that it is one matrix product. As in
    the authors' code, a bank with momentum takes the place of proximal regularisation, whose weight
    is 0. The learning rate falls by a cosine, not in steps.
    """

    views = NPID_VIEWS
    small_views = NPID_VIEWS
    recipe = Recipe("sgd", lr=0.03, scaling="linear", weight_decay=1e-4)
    small_recipe = Recipe(
        "sgd",
        lr=0.0075,
        scaling="square_root",
        weight_decay=5e-4,
        method_arguments={"objective": "softmax", "temperature": 0.1},
    )

    normaliser: Tensor
    steps: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        image_count: int,
        out_dim: int = 128,
        temperature: float = 0.07,
        objective: Literal["softmax", "nce", "parametric"] = "nce",
        noise: int = 4096,
        bank_momentum: float = 0.5,
        proximal: float = 0.0,
    ) -> None:
        super().__init__(backbone)
        _check.positive(temperature=temperature)
        _check.fraction(bank_momentum=bank_momentum)
        _check.at_least(1, noise=noise)
        _check.at_least(0, proximal=proximal)
        _check.one_of(("softmax", "nce", "parametric"), objective=objective)
        self.projector = nn.Linear(backbone.dim, out_dim)
        self.bank = MemoryBank(image_count, out_dim)
        self.register_buffer("normaliser", torch.zeros(()))  # 0 until the first step has told it
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.classifier = (
            nn.Linear(out_dim, image_count, bias=False) if objective == "parametric" else None
        )
        self.temperature = temperature
        self.objective = objective
        self.noise = noise
        self.bank_momentum = bank_momentum
        self.proximal = proximal

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return the size of the bank."""
        return {"image_count": (images, "one row of the bank for each image")}

    def forward(self, batch: Batch) -> Step:
        """Return the loss of recognising each image among all, by the bank as it is."""
        projections = self.embed(batch.views[0])
        features = unit_rows(projections)  # (B, out_dim)
        own = self.bank.rows[batch.index]  # (B, out_dim)
        positive = (features * own).sum(1)  # (B,)
        normaliser = self.normaliser
        if self.classifier is not None:
            with torch.autocast(features.device.type, enabled=False):
                logits = self.classifier(projections.to(features.dtype))  # (B, image_count)
            loss = F.cross_entropy(logits, batch.index)
        elif self.objective == "softmax":
            every = row_logsumexp(features, self.bank.rows, scale=1 / self.temperature)
            loss = (every - positive / self.temperature).mean()
        else:
            loss, normaliser = self._among_noise(features, positive)
        if self.proximal:
            loss = loss + self.proximal * (features - own).square().sum(1).mean()
        return Step(loss, carry=(gather(features.detach()), gather(batch.index), normaliser))

    def _among_noise(self, features: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, and the normaliser that the first step fixes for good."""
        images, temperature = len(self.bank.rows), self.temperature
        # Drawn by the number of the step alone, and so alike on all processes.
        draws = uniforms(self.noise, seed=0, epoch=0, index=self.steps[None], stream=0)[0]
        with torch.autocast(features.device.type, enabled=False):
            noise = features @ self.bank.rows[(draws * images).long()].T  # (B, noise)
        first = estimated_normaliser(positive, noise, images=images, temperature=temperature)
        normaliser = torch.where(self.normaliser > 0, self.normaliser, gather(first[None]).mean())
        loss = instance_nce_loss(
            positive, noise, images=images, normaliser=normaliser, temperature=temperature
        )
        return loss, normaliser

    def after_step(self, step: Step, progress: float) -> None:
        """Write what the network said of these images, before its step, into the bank.

        Args:
            step: its carry is the features and positions of all processes, and the normaliser.
            progress: fraction of training done.
        """
        features, index, normaliser = step.carry
        self.bank.update(index, features, momentum=self.bank_momentum)
        self.normaliser.copy_(normaliser)
        self.steps += 1

    def embed(self, images: Tensor) -> Tensor:
        """Return (B, out_dim) projections, not normalised."""
        projections: Tensor = self.projector(self.backbone(images))
        return projections
