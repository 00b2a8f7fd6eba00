"""Pseudo-labels: cross entropy with the teacher's first choice, whatever else it says."""

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses.pseudo_label import pseudo_label_loss


def a_case():
    torch.manual_seed(0)
    return torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)


def test_it_is_cross_entropy_with_the_first_choice():
    student, teacher = a_case()
    first = [max(range(4), key=row.__getitem__) for row in teacher.tolist()]
    known = F.cross_entropy(student, torch.tensor(first))
    torch.testing.assert_close(pseudo_label_loss(student, teacher), known)


def test_how_sure_the_teacher_is_does_not_matter():
    student, teacher = a_case()
    assert pseudo_label_loss(student, teacher) == pseudo_label_loss(student, 0.01 * teacher + 7)


def test_the_gradient_is_right_and_stops_at_the_teacher():
    student, teacher = (each.requires_grad_() for each in a_case())
    assert torch.autograd.gradcheck(lambda s: pseudo_label_loss(s, teacher.detach()), (student,))
    pseudo_label_loss(student, teacher).backward()
    assert teacher.grad is None


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((0, 3), (0, 3))])
def test_what_cannot_be_is_refused(shapes):
    with pytest.raises(ValueError, match=r"teacher_logits|rows"):
        pseudo_label_loss(*map(torch.rand, shapes))
