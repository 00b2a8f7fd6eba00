"""Batches are drawn as the user says, or as the method wants; numbers that do not fit are told."""

import inspect

import pytest
import torch

from lookalike.data.samplers import SHUFFLED, Classes, Identities
from lookalike.errors import UsageError
from lookalike.methods.simclr import SimCLR
from lookalike.training.defaults import resolve
from lookalike.training.facts import Facts
from lookalike.training.job import train
from lookalike.training.sampling import Sampling, needs_labels

CPU = torch.device("cpu")
TEN = Facts(count=5000, side=32, resident=True, classes=10, largest_class=500)
MANY = Facts(count=5000, side=32, resident=True, classes=1000, largest_class=5)


class Triplets(SimCLR):
    """Stands for methods that compare classes."""

    needs_labels = True
    sampling = "classes"
    images_per_class = 4


def resolved(facts=TEN, method=Triplets, **given):
    parameters = inspect.signature(train).parameters.values()
    asked = {each.name: each.default for each in parameters} | {"method": "simclr"} | given
    settings = resolve(asked, method, facts, CPU)
    return settings.drawn, {each.name: each.reason for each in settings.choices}


def test_shuffled_batches_are_no_choice():
    drawn, reasons = resolved(method=SimCLR)
    assert drawn == Sampling("shuffled", None, 64)
    assert not {"sampling", "images_per_class"} & reasons.keys()


def test_a_method_says_what_it_wants():
    drawn, reasons = resolved(MANY)
    assert drawn == Sampling("classes", 4, 64)
    assert reasons["sampling"] == reasons["images_per_class"] == "the method's"
    assert reasons["batch_size"] == "16 classes, 4 images of each"


def test_a_batch_has_no_more_classes_than_there_are():
    drawn, reasons = resolved()
    assert drawn == Sampling("classes", 4, 40)
    assert reasons["batch_size"] == "all 10 classes, 4 images of each"
    assert resolved(images_per_class=50)[0] == Sampling("classes", 50, 100)


@pytest.mark.parametrize(
    ("classes", "each", "size"), [(9, 5, 40), (15, 4, 56), (11, 8, 64), (3, 2, 6), (21, 3, 48)]
)
def test_several_processes_can_share_a_batch(classes, each, size):
    """Eight can wherever there are classes enough, at the price of a few."""
    facts = Facts(count=5000, side=32, resident=True, classes=classes, largest_class=500)
    assert resolved(facts, images_per_class=each)[0].batch_size == size


def test_what_is_given_is_taken():
    drawn, reasons = resolved(MANY, images_per_class=5, batch_size=30, sampling="classes")
    assert drawn == Sampling("classes", 5, 30)
    assert not {"sampling", "images_per_class", "batch_size"} & reasons.keys()
    drawn, _ = resolved(MANY, method=SimCLR, sampling="identities", images_per_class=3)
    assert drawn == Sampling("identities", 3, 64)
    assert resolved(sampling="shuffled")[0] == Sampling("shuffled", None, 64)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_size": 30}, r"30 is no multiple of 4 .*\n  fix: --batch-size 28 or .* 32$"),
        ({"batch_size": 42}, r"no multiple of 4 .*\n  fix: --batch-size 40$"),
        ({"batch_size": 64}, r"16 classes .* there are 10\n  fix: --batch-size 40, or .* 8$"),
        ({"batch_size": 4}, r"one class with 4 images.*\n  fix: --batch-size 8$"),
        ({"batch_size": 3}, r"no multiple of 4 .*\n  fix: --batch-size 8$"),
        ({"images_per_class": 501}, r"more than any class .*\n  fix: --images-per-class 500"),
        ({"images_per_class": 0}, "--images-per-class must be at least 1"),
        ({"sampling": "shuffled", "images_per_class": 4}, "leave it out, or --sampling classes"),
    ],
)
def test_numbers_that_do_not_fit_are_told_with_those_that_do(given, said):
    with pytest.raises(UsageError, match=said):
        resolved(**given)


def test_orders_go_by_their_names():
    assert Sampling("shuffled", None, 8).order is SHUFFLED
    assert Sampling("classes", 4, 8).order == Classes(4)
    assert Sampling("identities", 4, 8).order == Identities(4)


def test_labels_are_needed_by_the_method_or_by_the_batches():
    assert needs_labels(None, Triplets)
    assert needs_labels("shuffled", Triplets)
    assert needs_labels("classes", SimCLR)
    assert not needs_labels(None, SimCLR)
