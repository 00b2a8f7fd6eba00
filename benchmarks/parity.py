"""Our methods beside lightly's parts with the same weights: loss and gradient within 1e-5.

    pip install lookalike[benchmarks]
    python benchmarks/parity.py

Each method is put together from lightly's heads and losses as its documentation does, takes over
our weights and sees our batch, in float32. The error is relative, of the loss or of the gradient of
all backbone parameters together, whichever is larger. Where the two conventions differ by a factor
or a summand it is stated; a method above 1e-5 ends the script with status 1.
"""

import copy
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from machine import processor
from torch import Tensor, nn

from lookalike.backbones.build import build_backbone
from lookalike.methods.align_uniform import AlignUniform
from lookalike.methods.base import Batch, Method
from lookalike.methods.byol import BYOL
from lookalike.methods.moco import MoCo
from lookalike.methods.simclr import SimCLR
from lookalike.methods.simsiam import SimSiam

BAR = 1e-5
IMAGES, SIDE, OUT = 16, 32, 64


class Row(NamedTuple):
    """One method: ours, how lightly's is put together, and what lies between the conventions."""

    name: str
    ours: Method
    theirs: Callable[[Any, Method, nn.Module, Batch], Tensor]
    factor: float = 1.0
    summand: float = 0.0


def head_like(make: Any, head: nn.Module, *widths: int, **options: Any) -> nn.Module:
    """Return one of lightly's heads with the weights of ours."""
    theirs = make(*widths, **options)
    pairs = zip(_linear(theirs), _linear(head), strict=True)
    with torch.no_grad():
        for their, our in pairs:
            their.weight.copy_(our.weight)
            if their.bias is not None:
                their.bias.zero_() if our.bias is None else their.bias.copy_(our.bias)
    return theirs


def _linear(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def simclr(lightly: Any, method: Any, backbone: nn.Module, batch: Batch) -> Tensor:
    head = method.projector
    z = head(backbone(torch.cat(batch.views)))
    return lightly.loss.NTXentLoss(temperature=method.temperature)(*z.chunk(2))


def moco(lightly: Any, method: Any, backbone: nn.Module, batch: Batch) -> Tensor:
    make = lightly.models.modules.MoCoProjectionHead
    widths = (backbone.dim, backbone.dim, OUT)
    head = head_like(make, method.projector, *widths, batch_norm=False)
    slow, slow_head = copy.deepcopy(backbone), copy.deepcopy(head)
    loss = lightly.loss.NTXentLoss(
        temperature=method.temperature, memory_bank_size=tuple(method.queue.rows.shape)
    )
    loss.memory_bank.bank = method.queue.rows.clone()
    loss.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.int64)
    query = head(backbone(batch.views[0]))
    return loss(query, slow_head(slow(batch.views[1])).detach())


def byol(lightly: Any, method: Any, backbone: nn.Module, batch: Batch) -> Tensor:
    modules, hidden = lightly.models.modules, 2 * backbone.dim
    head = head_like(modules.BYOLProjectionHead, method.projector, backbone.dim, hidden, OUT)
    predictor = head_like(modules.BYOLPredictionHead, method.predictor, OUT, hidden, OUT)
    slow, slow_head = copy.deepcopy(backbone), copy.deepcopy(head)
    distance = lightly.loss.NegativeCosineSimilarity()
    p1, p2 = (predictor(head(backbone(view))) for view in batch.views)
    t1, t2 = (slow_head(slow(view)).detach() for view in batch.views)
    return (distance(p1, t2) + distance(p2, t1)) / 2


def simsiam(lightly: Any, method: Any, backbone: nn.Module, batch: Batch) -> Tensor:
    modules = lightly.models.modules
    head = head_like(modules.SimSiamProjectionHead, method.projector, backbone.dim, OUT, OUT)
    predictor = head_like(modules.SimSiamPredictionHead, method.predictor, OUT, OUT // 4, OUT)
    distance = lightly.loss.NegativeCosineSimilarity()
    z1, z2 = (head(backbone(view)) for view in batch.views)
    p1, p2 = predictor(z1), predictor(z2)
    return (distance(p1, z2.detach()) + distance(p2, z1.detach())) / 2


def align_uniform(lightly: Any, method: Any, backbone: nn.Module, batch: Batch) -> Tensor:
    from lightly.loss.hypersphere_loss import HypersphereLoss

    z1, z2 = method.projector(backbone(torch.cat(batch.views))).chunk(2)
    return HypersphereLoss(t=method.t, lam=method.weight, alpha=method.power)(z1, z2)


def rows() -> list[Row]:
    net = partial(build_backbone, "resnet18", width=8)
    return [
        Row("SimCLR", SimCLR(net(), out_dim=OUT), simclr),
        Row("MoCo v2", MoCo(net(), out_dim=OUT, queue_size=512, splits=1), moco),
        Row("BYOL", BYOL(net(), out_dim=OUT), byol, factor=4.0, summand=4.0),
        Row("SimSiam", SimSiam(net(), out_dim=OUT), simsiam),
        Row("align-uniform", AlignUniform(net(), out_dim=OUT), align_uniform),
    ]


def gradient(loss: Tensor, backbone: nn.Module) -> Tensor:
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, backbone.parameters())])


def error(row: Row, lightly: Any) -> float:
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(IMAGES, 3, SIDE, SIDE, generator=generator)
    noise = torch.rand(IMAGES, 3, SIDE, SIDE, generator=generator)
    index = torch.arange(IMAGES)
    batch = Batch((first, 0.8 * first + 0.2 * noise), -torch.ones_like(index), index)
    backbone = copy.deepcopy(row.ours.backbone)
    theirs = row.factor * row.theirs(lightly, row.ours, backbone, batch) + row.summand
    ours = row.ours(batch).loss
    of_loss = float(((ours - theirs) / theirs).detach().abs())
    got, want = gradient(ours, row.ours.backbone), gradient(theirs, backbone)
    return max(of_loss, float((got - want).norm() / want.norm()))


def main() -> None:
    warnings.filterwarnings("ignore")
    import lightly.loss
    import lightly.models.modules

    torch.manual_seed(0)
    print(f"{processor()}, torch {torch.__version__}, lightly {version('lightly')}")
    print(f"{'method':14}  {'ours is':18}  relative error")
    worst = 0.0
    for row in rows():
        found = error(row, lightly)
        worst = max(worst, found)
        convention = f"{row.factor:g} x theirs + {row.summand:g}" if row.summand else "theirs"
        print(f"{row.name:14}  {convention:18}  {found:.1e}")
    print(f"bar {BAR:g}: {'reached' if worst < BAR else 'MISSED'}")
    sys.exit(0 if worst < BAR else 1)


if __name__ == "__main__":
    main()
