"""Teacher-free distillation: a slow loop, and where it is plain cross entropy."""

import math

import pytest
import torch
import torch.nn.functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.teacher_free import TeacherFree
from lookalike.testing import check_method


def a_method(**arguments):
    torch.manual_seed(0)
    return TeacherFree(build_backbone("small_conv", width=4), **{"class_count": 4, **arguments})


def a_batch():
    torch.manual_seed(1)
    return Batch((torch.rand(6, 3, 16, 16),), torch.arange(6) % 4, torch.arange(6))


def test_it_keeps_the_contract():
    check_method(lambda backbone: TeacherFree(backbone, class_count=4))


def test_it_is_the_slow_loop():
    method, batch = a_method(sureness=0.7, temperature=2.0, alpha=0.25), a_batch()
    total = 0.0
    for row, label in zip(
        method.embed(batch.views[0]).tolist(), batch.labels.tolist(), strict=True
    ):
        teacher = [math.sqrt(0.7 if k == label else 0.1) for k in range(4)]  # to the power of 1 / T
        teacher = [share / sum(teacher) for share in teacher]
        soft = [math.exp(value / 2) for value in row]
        told = sum(t * math.log(t * sum(soft) / s) for t, s in zip(teacher, soft, strict=True))
        plain = math.log(sum(map(math.exp, row))) - row[label]
        total += 0.75 * plain + 0.25 * 4 * told
    assert math.isclose(method(batch).loss.item(), total / 6, rel_tol=1e-5)


def test_without_the_teacher_it_is_cross_entropy():
    method, batch = a_method(alpha=0.0), a_batch()
    known = F.cross_entropy(method.embed(batch.views[0]), batch.labels)
    torch.testing.assert_close(method(batch).loss, known)


@pytest.mark.parametrize("wrong", [{"sureness": 0.25}, {"alpha": 2.0}, {"temperature": 0.0}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
