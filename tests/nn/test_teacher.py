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


def test_by_heart_it_answers_by_position_and_only_if_it_is_told_which():
    teacher, images = a_teacher(), torch.rand(3, 3, 2, 2)
    answers = torch.arange(20.0).view(5, 4)
    teacher.remember(answers)
    index = torch.tensor([4, 0, 4])
    assert teacher(images, index).equal(answers[index])
    torch.testing.assert_close(teacher(images), teacher.network(images))


def test_what_it_does_not_know_by_heart_the_network_tells():
    teacher, images = a_teacher(), torch.rand(3, 3, 2, 2)
    answers = torch.arange(20.0).view(5, 4)
    answers[2] = torch.nan
    teacher.remember(answers)
    found = teacher(images, torch.tensor([1, 2, 3]))
    assert found[[0, 2]].equal(answers[[1, 3]])
    torch.testing.assert_close(found[1], teacher.network(images)[1])


def test_what_it_knows_by_heart_is_in_no_state():
    teacher = a_teacher()
    teacher.remember(torch.zeros(5, 4))
    assert not teacher.state_dict()
