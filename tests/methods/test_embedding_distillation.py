"""Embedding distillation: its two terms, its queue, and an encoder in the teacher's space."""

import pytest
import torch
import torch.nn.functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.embedding_distillation import EmbeddingDistillation
from lookalike.nn.teacher import Teacher
from lookalike.testing import check_method


def a_teacher():
    torch.manual_seed(5)
    return Teacher(build_backbone("small_conv", width=2), size=16)


def a_method(**arguments):
    torch.manual_seed(0)
    settings = {"dim": 16, "queue_size": 10, **arguments}
    return EmbeddingDistillation(build_backbone("small_conv", width=4), (a_teacher(),), **settings)


def a_batch(seed=1):
    torch.manual_seed(seed)
    return Batch((torch.rand(6, 3, 16, 16),), torch.full((6,), -1), torch.arange(6))


def test_it_keeps_the_contract():
    check_method(lambda net: EmbeddingDistillation(net, (a_teacher(),), dim=16, queue_size=12))


def test_the_loss_is_regression_and_divergence_of_similarities():
    method, batch = (
        a_method(regression_weight=0.5, similarity_weight=2.0, temperature=0.1),
        a_batch(),
    )
    with torch.no_grad():
        mine = F.normalize(method.embed(batch.views[0]))
        theirs = F.normalize(method.teachers[0](batch.views[0]))
    regression = (2 - 2 * (mine * theirs).sum(1)).mean()
    wanted, said = ((each @ method.queue.rows.T / 0.1).log_softmax(1) for each in (theirs, mine))
    divergence = (wanted.exp() * (wanted - said)).sum(1).mean()
    torch.testing.assert_close(method(batch).loss.detach(), 0.5 * regression + 2 * divergence)


def test_the_queue_holds_what_the_teacher_said():
    method, batch = a_method(), a_batch()
    step = method(batch)
    method.after_step(step, 0.5)
    known = F.normalize(method.teachers[0](batch.views[0]))
    torch.testing.assert_close(method.queue.rows[:6], known)


def test_the_encoder_speaks_in_the_teachers_space():
    method, batch = a_method().eval(), a_batch()
    kept, name, arguments = method.encoder("small_conv", {"width": 4})
    assert (kept.dim, name) == (16, "embedding")
    assert arguments == {"backbone": "small_conv", "widths": (16,), "width": 4}
    torch.testing.assert_close(kept(batch.views[0]), method.embed(batch.views[0]))


def test_two_teachers_have_no_mean():
    backbone = build_backbone("small_conv", width=4)
    with pytest.raises(ValueError, match="teachers must be one"):
        EmbeddingDistillation(backbone, (a_teacher(), a_teacher()), dim=16)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"regression_weight": -1.0}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
