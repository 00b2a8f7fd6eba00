"""Feature matching: which layers are compared, and in what shape."""

import torch
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.nn.feature_matching import CONTRASTED, FeatureMatching
from lookalike.nn.teacher import Teacher


def matched(loss, **layers):
    """Return what a loss gets of a student and a teacher that have seen the same images."""
    torch.manual_seed(0)
    student = build_backbone("small_conv", width=4)
    teacher = Teacher(build_backbone("small_conv", width=6), size=16)
    matching = FeatureMatching(loss, student, teacher, **layers)
    images = torch.rand(5, 3, 16, 16)
    student(images)
    teacher(images)
    return matching()


def test_vectors_by_default_and_maps_where_the_loss_is_of_maps():
    assert [tuple(each.shape) for each in matched("rkd")] == [(5, 32), (5, 48)]
    maps = [(5, 32, 2, 2), (5, 48, 2, 2)]
    assert [tuple(each.shape) for each in matched("attention_transfer")] == maps


def test_where_shapes_must_meet_they_do():
    student, teacher = matched("fitnet", student_layer="layers.5", teacher_layer="layers.8")
    assert student.shape == teacher.shape == (5, 24, 4, 4)
    mean, truth, log_variance = matched("vid")
    assert mean.shape == truth.shape == (5, 48)
    torch.testing.assert_close(log_variance.exp(), torch.full((48,), 5.0))
    assert [tuple(each.shape) for each in matched("crd")] == [(5, CONTRASTED)] * 2


def test_the_student_is_no_part_of_it():
    student, teacher = nn.Flatten(), Teacher(nn.Flatten(), size=2)
    assert not list(FeatureMatching("rkd", student, teacher).parameters())
