import torch

from lookalike.backbones.build import build_backbone
from lookalike.losses.alignment import alignment_loss
from lookalike.losses.uniformity import uniformity_loss
from lookalike.methods.align_uniform import AlignUniform
from lookalike.methods.base import Batch


def test_the_loss_is_its_two_terms():
    torch.manual_seed(0)
    method = AlignUniform(build_backbone("small_conv", width=4), weight=0.7, t=1.5, power=1.0)
    views = tuple(torch.rand(6, 3, 16, 16) for _ in range(2))
    batch = Batch(views, torch.arange(6), torch.arange(6))
    z1, z2 = method.embed(torch.cat(views)).chunk(2)
    align = alignment_loss(z1, z2, power=1.0)
    uniform = (uniformity_loss(z1, t=1.5) + uniformity_loss(z2, t=1.5)) / 2
    step = method(batch)
    torch.testing.assert_close(step.loss, align + 0.7 * uniform)
    torch.testing.assert_close(step.logs["alignment"], align.detach())
    torch.testing.assert_close(step.logs["uniformity"], uniform.detach())
    assert torch.equal(method.compare(method.project(views), batch).loss, step.loss)
