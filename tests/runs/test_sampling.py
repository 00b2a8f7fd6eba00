"""Batches are drawn as the user says, or as the method wants; numbers that do not fit are told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lookalike.data.pairs import Pairs
from lookalike.data.samplers import SHUFFLED, Classes, Identities, Paired
from lookalike.errors import UsageError
from lookalike.methods.simclr import SimCLR
from lookalike.runs import job
from lookalike.runs.defaults import resolve
from lookalike.runs.facts import Facts
from lookalike.runs.sampling import Sampling, needs_labels, refuse_beside_pairs

CPU = torch.device("cpu")
TEN = Facts(count=5000, side=32, resident=True, classes=10, largest_class=500)
MANY = Facts(count=5000, side=32, resident=True, classes=1000, largest_class=5)


def facts_of_pairs(alike, apart):
    count = alike + apart
    pairs = Pairs(
        np.arange(count), np.arange(count) + 1, np.arange(count) < alike, np.full(count, -1)
    )
    return replace(TEN, pairs=pairs)


class Triplets(SimCLR):
    """Stands for methods that compare classes."""

    needs_labels = True
    sampling = "classes"
    images_per_class = 4


class Springs(Triplets):
    """Stands for methods that take pairs as well."""

    takes_pairs = True


def asked_for(**given):
    return job.asked_for("photos", **given)


def resolved(facts=TEN, method=Triplets, **given):
    settings = resolve(asked_for(**given), method, facts, CPU)
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


def test_pairs_come_in_turn_unless_every_one_is_wanted_once():
    facts = facts_of_pairs(30, 500)
    drawn, reasons = resolved(facts, Springs)
    assert drawn == Sampling("pairs", None, 64, Paired(facts.pairs, balanced=True))
    assert reasons["pairs_balanced"] == "30 alike and 500 not, in turn: no kind drowns the other"
    assert not {"sampling", "images_per_class"} & reasons.keys()
    drawn, reasons = resolved(facts, Springs, pairs_balanced=False)
    assert drawn.order == Paired(facts.pairs, balanced=False)
    assert "pairs_balanced" not in reasons


def test_few_pairs_make_small_batches():
    drawn, reasons = resolved(facts_of_pairs(9, 10), Springs)
    assert drawn.batch_size == 8
    assert reasons["batch_size"] == "19 pairs: some steps an epoch"
    assert resolved(facts_of_pairs(1, 1), Springs)[0].batch_size == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_size": 33}, r"33 is odd, .*\n  fix: --batch-size 32 or --batch-size 34$"),
        ({"batch_size": 40}, r"takes 20 pairs, .* has 18\n  fix: --batch-size 36, or leave"),
        (
            {"batch_size": 40, "pairs_balanced": False},
            r"takes 20 pairs, .* has 19\n  fix: --batch-size 38, or leave",
        ),
    ],
)
def test_batches_that_pairs_do_not_fill_are_told_with_those_that_they_do(given, said):
    facts = facts_of_pairs(9, 10)
    with pytest.raises(UsageError, match=said):
        resolved(facts, Springs, **given)
    fitting = int(said.partition("fix: --batch-size ")[2].split(",")[0].split()[0])
    assert resolved(facts_of_pairs(20, 10), Springs, **given | {"batch_size": fitting})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sampling": "classes"}, "--sampling does not go with --pairs: batches are then"),
        ({"images_per_class": 4}, "--images-per-class does not go with --pairs"),
        ({"limit": 10}, "--limit does not go with --pairs: it leaves out images"),
        ({"loss": "triplet"}, "--loss does not go with --pairs: it learns from labels"),
        ({"loss_arguments": {"margin": 2, "balanced": True}}, "--loss.balanced does not go"),
        ({"method_arguments": {"memory": 64}}, "--method.memory does not go with --pairs"),
    ],
)
def test_what_says_nothing_of_pairs_is_refused_beside_them(tmp_path, given, said):
    (tmp_path / "pairs.csv").touch()
    pairs = tmp_path / "pairs.csv"
    refuse_beside_pairs(asked_for(pairs=pairs, loss_arguments={"margin": 2}), Springs)
    with pytest.raises(UsageError, match=said) as found:
        refuse_beside_pairs(asked_for(pairs=pairs, **given), Springs)
    assert "\n  fix: leave one out" in str(found.value)


def test_pairs_need_a_file_and_a_method_that_takes_them(tmp_path):
    asked = asked_for(pairs=tmp_path / "pairs.csv", method="simclr")
    with pytest.raises(UsageError, match=r"pairs.csv is no file\n  fix: name a .csv"):
        refuse_beside_pairs(asked, Springs)
    (tmp_path / "pairs.csv").touch()
    with pytest.raises(UsageError, match=r"simclr learns from no pairs\n.*--method drlim"):
        refuse_beside_pairs(asked, SimCLR)


def test_without_pairs_nothing_is_said_of_them():
    refuse_beside_pairs(asked_for(), SimCLR)
    for value in (True, False):
        with pytest.raises(UsageError, match="--pairs-balanced says nothing without pairs"):
            refuse_beside_pairs(asked_for(pairs_balanced=value), Springs)
