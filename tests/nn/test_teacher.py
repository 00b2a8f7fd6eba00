"""A teacher: asked, never trained, and seen by nobody who collects parameters."""

import copy

import torch
from torch import nn

from lookalike.nn.teacher import Teacher


def a_teacher():
    torch.manual_seed(0)
    return Teacher(nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4)), size=2)


def test_it_stays_in_evaluation_mode_and_moves_no_statistics():
    whole, images = nn.Sequential(a_teacher()), torch.rand(5, 3, 2, 2)
    norm = whole[0].network[2]
    whole.train()
    first = whole(images)
    assert not norm.training
    assert norm.num_batches_tracked == 0
    assert whole(images).equal(first)


def test_nobody_who_collects_parameters_or_state_finds_it():
    whole = nn.Sequential(a_teacher(), nn.Linear(4, 2))
    assert [name for name, _ in whole.named_parameters()] == ["1.weight", "1.bias"]
    assert set(whole.state_dict()) == {"1.weight", "1.bias"}
    whole.load_state_dict(whole.state_dict())
    assert not any(each.requires_grad for each in whole[0].network.parameters())


def test_it_moves_with_what_it_stands_in():
    whole = nn.Sequential(a_teacher()).double()
    assert whole(torch.rand(3, 3, 2, 2).double()).dtype == torch.float64


def test_no_gradient_comes_out_and_a_copy_is_its_own():
    teacher = a_teacher()
    assert not teacher(torch.rand(3, 3, 2, 2, requires_grad=True)).requires_grad
    other = copy.deepcopy(teacher)
    other.network[1].weight.zero_()
    assert bool(teacher.network[1].weight.any())
