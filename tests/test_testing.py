"""`check_method` finds each breach of the contract; a check that cannot fail would be none."""

import pytest
import torch
from torch import nn

from lookalike.losses.info_nce import info_nce_loss
from lookalike.methods.base import Method, Step
from lookalike.testing import check_method


class Good(Method):
    def __init__(self, backbone):
        super().__init__(backbone)
        self.head = nn.Linear(backbone.dim, 8)
        self.register_buffer("average", torch.zeros(8))

    def forward(self, batch):
        first, second = (self.head(self.backbone(view)) - self.average for view in batch.views)
        loss = info_nce_loss(first, second, temperature=0.2)
        return Step(loss, {"first": first.detach().mean()}, (first.detach().mean(0),))

    def after_step(self, step, progress):
        self.average.lerp_(step.carry[0], 0.1)


class MovesInForward(Good):
    def forward(self, batch):
        step = super().forward(batch)
        self.average += 1
        return step


class ChangesViews(Good):
    def forward(self, batch):
        batch.views[0].mul_(0.5)
        return super().forward(batch)


class OneLossAnImage(Good):
    def forward(self, batch):
        step = super().forward(batch)
        return step._replace(loss=step.loss.expand(2))


class NotANumber(Good):
    def forward(self, batch):
        step = super().forward(batch)
        return step._replace(loss=step.loss * torch.nan)


class KeepsTheGraph(Good):
    def forward(self, batch):
        loss = super().forward(batch).loss
        return Step(loss, {"loss": loss})


class CarriesTheGraph(Good):
    def forward(self, batch):
        loss = super().forward(batch).loss
        return Step(loss, carry=(loss.expand(8),))


class HasIdleParameters(Good):
    def __init__(self, backbone):
        super().__init__(backbone)
        self.idle = nn.Linear(2, 2)


class HidesState(Good):
    def __init__(self, backbone):
        super().__init__(backbone)
        self.hidden = torch.zeros(8)

    def forward(self, batch):
        step = super().forward(batch)
        return Step(step.loss + (self.head.weight.sum() * self.hidden.sum()), carry=step.carry)

    def after_step(self, step, progress):
        self.hidden = self.hidden + step.carry[0]


class LosesPrecision(Good):
    def forward(self, batch):
        step = super().forward(batch)
        return step._replace(loss=step.loss.to(self.head(torch.zeros(1, 16)).dtype))


class ReturnsALoss(Good):
    def forward(self, batch):
        return super().forward(batch).loss


class MovesWhatIsTrained(Good):
    def after_step(self, step, progress):
        super().after_step(step, progress)
        self.head.weight.mul_(0.99)


class LooksAtNumbers(Good):
    def forward(self, batch):
        step = super().forward(batch)
        return step._replace(loss=step.loss * (2 if step.loss.item() > 1 else 3))


class ChangesWhenCompiled(Good):
    def forward(self, batch):
        step = super().forward(batch)
        return step._replace(loss=step.loss * (2 if torch.compiler.is_compiling() else 1))


class HidesItsHead(Good):
    def embed(self, images):
        return self.head(self.backbone(images))


class NamesItsHead(HidesItsHead):
    heads = ("head",)


class StartsElsewhere(Good):
    def stages(self, images):
        return {"head": self.head(self.backbone(images))}


class KeepsMaps(Good):
    def stages(self, images):
        return {**super().stages(images), "maps": images}


def test_a_method_that_keeps_it_passes():
    check_method(Good)
    check_method(NamesItsHead)


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (MovesInForward, "forward moved average"),
        (ChangesViews, "changed the views"),
        (OneLossAnImage, "must be a scalar"),
        (NotANumber, "must be finite"),
        (KeepsTheGraph, "'loss' must be detached"),
        (CarriesTheGraph, "`carry` holds must be detached"),
        (HasIdleParameters, "idle.weight gets no gradient"),
        (HidesState, "differs after a resume"),
        (LosesPrecision, "must be float32"),
        (ReturnsALoss, "must return a Step"),
        (MovesWhatIsTrained, r"after_step moved head\.weight, which the optimizer trains"),
        (LooksAtNumbers, "cannot be compiled whole"),
        (ChangesWhenCompiled, "compiling changes the loss"),
        (HidesItsHead, "embed returns is none of the stages backbone: name its head"),
        (StartsElsewhere, "first of stages must be 'backbone', got 'head'"),
        (KeepsMaps, r"'maps' must be \(B, D\), got \(8, 3, 16, 16\)"),
    ],
)
def test_each_breach_is_named(method, told):
    with pytest.raises(AssertionError, match=told):
        check_method(method)


def test_a_torch_that_cannot_compile_is_asked_nothing(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.10.1+cpu")
    check_method(LooksAtNumbers)
