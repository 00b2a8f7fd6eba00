"""CRD: its two memories, what is drawn from them, and the paper's loss in loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.crd import CRD
from lookalike.nn.teacher import Teacher
from lookalike.testing import check_method

IMAGES, NEGATIVES = 20, 12
ALONE = {"label_weight": 0.0, "contrast_weight": 1.0}


class Network(nn.Module):
    """A classifier as a run has it: its representation is the layer `backbone`."""

    def __init__(self):
        super().__init__()
        self.backbone = build_backbone("small_conv", width=6)
        self.classifier = nn.Linear(48, 4)

    def forward(self, images):
        return self.classifier(self.backbone(images))


def a_teacher():
    torch.manual_seed(5)
    return Teacher(Network(), size=16)


def a_method(**arguments):
    torch.manual_seed(0)
    settings = {"image_count": IMAGES, "negatives": NEGATIVES, **arguments}
    return CRD(build_backbone("small_conv", width=4), (a_teacher(),), **settings)


def a_batch(count=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(IMAGES, generator=generator)[:count]
    return Batch((torch.rand(count, 3, 16, 16, generator=generator),), index % 4, index)


def said(method, batch):
    """Return what both networks say of a batch, (B, 128) unit vectors each."""
    method(batch)
    view = batch.views[0]
    mine = method.matching.adapter(method.backbone(view))
    theirs = method.matching.contrast(method.teachers[0].network.backbone(view))
    return F.normalize(mine).detach(), F.normalize(theirs).detach()


def after(method, batch):
    """Return the method after a step without an optimizer."""
    with torch.no_grad():
        method.after_step(method(batch), 0.1)
    return method


def slow(method, batch, rows, temperature=0.07):
    """Return the loss of a batch image by image and row by row, and both normalisers."""
    sides = zip(
        said(method, batch), (method.teacher_bank.rows, method.student_bank.rows), strict=True
    )
    total, normalisers, n, k = 0.0, [], IMAGES, len(rows)
    for vectors, bank in sides:
        kept = [
            [
                row
                for row in rows
                if row != place and (method.labels[row] != label or not method.by_class)
            ]
            for place, label in zip(batch.index.tolist(), batch.labels.tolist(), strict=True)
        ]
        mass = [
            math.exp(float(vector @ bank[row]) / temperature)
            for vector, place, others in zip(vectors, batch.index.tolist(), kept, strict=True)
            for row in (place, *others)
        ]
        z = n * sum(mass) / (len(vectors) * (1 + k))
        normalisers.append(z)
        for vector, place, others in zip(vectors, batch.index.tolist(), kept, strict=True):
            for row, own in [(place, True), *((row, False) for row in others)]:
                p = math.exp(float(vector @ bank[row]) / temperature) / z
                h = p / (p + k / n)
                total -= math.log(h if own else 1 - h) / len(vectors)
    return total, normalisers


@pytest.mark.parametrize("negatives_from", ["other_classes", "other_images"])
def test_the_loss_is_the_papers_in_loops(negatives_from):
    """With classes of images that were seen, among them some of the batch's."""
    method, batch = a_method(**ALONE, negatives_from=negatives_from), a_batch()
    method.eval()
    method.labels[:12] = torch.arange(12) % 4
    rows = method._drawn().tolist()
    want, normalisers = slow(method, batch, rows)
    step = method(batch)
    assert step.loss.item() == pytest.approx(want, rel=1e-4)
    assert step.carry[-1].tolist() == pytest.approx(normalisers, rel=1e-4)
    known = zip(batch.index.tolist(), batch.labels.tolist(), strict=True)
    ours = {(place, row) for place, label in known for row in rows if method.labels[row] == label}
    assert any(place != row for place, row in ours), "or classes would make no difference"


def test_where_nobody_knows_anything_the_loss_is_the_papers_first():
    """Every P is 1 / n, so that a side is log(1 + K) + K log(1 + 1 / K), less who is left out."""
    method, batch = a_method(**ALONE, negatives_from="other_images"), a_batch()
    for bank in (method.student_bank, method.teacher_bank):
        bank.rows.zero_()
    method.normalisers.fill_(IMAGES)
    rows, k = method._drawn(), NEGATIVES
    heard = (batch.index[:, None] != rows).sum(1).float().mean().item()
    side = math.log(1 + k) + heard * math.log(1 + 1 / k)
    assert method(batch).loss.item() == pytest.approx(2 * side, rel=1e-5)


def test_only_the_rows_of_the_batch_move_half_way_to_what_was_said():
    method, batch = a_method(), a_batch()
    banks = (method.student_bank, method.teacher_bank)
    before = [bank.rows.clone() for bank in banks]
    vectors = said(method, batch)
    step = method(batch)
    assert all(bank.rows.equal(rows) for bank, rows in zip(banks, before, strict=True))
    method.after_step(step, 0.5)
    others = [place for place in range(IMAGES) if place not in batch.index.tolist()]
    for bank, rows, said_of in zip(banks, before, vectors, strict=True):
        want = F.normalize((rows[batch.index] + said_of) / 2)
        torch.testing.assert_close(bank.rows[batch.index], want)
        assert bank.rows[others].equal(rows[others])


def test_classes_are_known_of_images_that_were_seen():
    method, batch = a_method(), a_batch()
    assert method.labels.tolist() == [-1] * IMAGES
    after(method, batch)
    assert method.labels[batch.index].equal(batch.labels)
    assert int((method.labels >= 0).sum()) == len(batch.index)


def test_an_image_without_a_label_shares_its_class_with_nobody():
    method, batch = a_method(), a_batch()
    nameless = batch._replace(labels=torch.full_like(batch.labels, -1))
    rows = method._drawn()
    assert method._left_out(nameless, rows).equal(nameless.index[:, None] == rows)


def test_the_normalisers_are_those_of_the_first_step():
    method = after(a_method(), a_batch(seed=1))
    first = method.normalisers.clone()
    assert bool((first > 0).all())
    assert after(method, a_batch(seed=2)).normalisers.equal(first)


def test_negatives_differ_from_step_to_step_and_come_from_everywhere():
    method = a_method(negatives=4000)
    first = method._drawn()
    assert method._drawn().equal(first)
    counts = torch.bincount(first, minlength=IMAGES)
    assert len(counts) == IMAGES
    assert bool((counts > 100).all()), "200 each in the mean, with a deviation of 14"
    after(method, a_batch())
    assert not method._drawn().equal(first)


def test_the_student_and_both_maps_learn_and_the_teacher_does_not():
    method = a_method(**ALONE)
    method(a_batch()).loss.backward()
    for layer in (method.backbone.layers[0], method.matching.adapter, method.matching.contrast):
        assert bool(layer.weight.grad.isfinite().all())
        assert bool(layer.weight.grad.any())
    assert all(each.grad is None for each in method.teachers[0].network.parameters())


def test_it_is_added_to_what_distillation_learns():
    batch, options = a_batch(), {"label_weight": 0.3, "response_weight": 0.7}
    none = a_method(**options, contrast_weight=0.0)(batch)
    some = a_method(**options, contrast_weight=2.0)(batch)
    torch.testing.assert_close(some.loss, none.loss + 2 * some.logs["contrast"])


def test_it_falls_silent_with_the_teacher():
    method, batch = a_method(**ALONE, until=0.5), a_batch()
    assert method(batch).loss.item() > 0
    method.after_step(method(batch), 0.6)
    assert method(batch).loss.item() == 0


def test_it_keeps_the_contract():
    check_method(lambda net: CRD(net, (a_teacher(),), image_count=8, negatives=16))


def test_a_layer_goes_by_name_and_must_make_vectors():
    with pytest.raises(ValueError, match=r"crd compares vectors \(D,\)"):
        a_method(student_layer="layers.8")


def test_without_its_teacher_it_still_loads_and_classifies():
    alone = CRD(build_backbone("small_conv", width=4), class_count=4, image_count=IMAGES)
    known = a_method().state_dict()
    alone.load_state_dict({name: known[name] for name in alone.state_dict()})
    assert alone.classify(a_batch().views[0]).shape == (6, 4)


def test_the_memories_have_a_row_for_each_image():
    assert CRD.fit(1234, 10)["image_count"][0] == 1234
    assert CRD.fit(1234, 10)["class_count"][0] == 10


@pytest.mark.parametrize(
    "wrong",
    [
        {"contrast_temperature": 0},
        {"negatives": 0},
        {"contrast_weight": -1},
        {"bank_momentum": 1.5},
        {"negatives_from": "nowhere"},
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
