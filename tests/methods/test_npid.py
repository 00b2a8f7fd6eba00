"""P2 to P4 of the property catalogue."""

import math

import pytest
import torch
from torch.nn import functional as F

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.npid import NPID

IMAGES = 20


def a_method(**arguments):
    torch.manual_seed(0)
    settings = {"image_count": IMAGES, "out_dim": 6, "noise": 8, **arguments}
    return NPID(build_backbone("small_conv", width=4), **settings)


def a_batch(count=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(IMAGES, generator=generator)[:count]
    return Batch((torch.rand(count, 3, 16, 16, generator=generator),), index, index)


def test_softmax_is_cross_entropy_over_the_bank():
    method, batch = a_method(objective="softmax", temperature=0.2), a_batch()
    features = F.normalize(method.embed(batch.views[0]), dim=1)
    want = F.cross_entropy(features @ method.bank.rows.T / 0.2, batch.index)
    torch.testing.assert_close(method(batch).loss, want)


def test_own_row_among_orthonormal_ones():
    """P4: log(1 + (n - 1) exp(-1 / T)), of one image, for any other would not be orthogonal."""
    method = a_method(objective="softmax", temperature=0.5, out_dim=IMAGES).eval()
    image = torch.rand(1, 3, 16, 16)
    feature = F.normalize(method.embed(image), dim=1).detach()
    basis = torch.linalg.qr(torch.cat([feature.T, torch.randn(IMAGES, IMAGES - 1)], 1))[0].T
    method.bank.rows.copy_(basis.roll(7, 0))
    method.bank.rows[7] = feature[0]
    index = torch.tensor([7])
    loss = method(Batch((image,), index, index)).loss
    assert loss.item() == pytest.approx(math.log(1 + (IMAGES - 1) * math.exp(-2)), rel=1e-4)


def test_only_the_rows_of_the_batch_move_and_by_the_old_features():
    """P2."""
    method, batch = a_method(bank_momentum=0.5), a_batch()
    before = method.bank.rows.clone()
    step = method(batch)
    assert method.bank.rows.equal(before)
    features = F.normalize(method.embed(batch.views[0]), dim=1).detach()
    method.after_step(step, 0.5)
    for position in range(IMAGES):
        if position in batch.index.tolist():
            place = batch.index.tolist().index(position)
            want = F.normalize((before[position] + features[place]) / 2, dim=0)
            torch.testing.assert_close(method.bank.rows[position], want)
        else:
            assert method.bank.rows[position].equal(before[position])


def test_the_normaliser_is_that_of_the_first_step():
    """P3."""
    method = a_method(objective="nce")
    assert float(method.normaliser) == 0
    method.after_step(method(a_batch(seed=1)), 0.1)
    first = float(method.normaliser)
    assert first > 0
    method.after_step(method(a_batch(seed=2)), 0.2)
    assert float(method.normaliser) == first


def test_noise_differs_from_step_to_step_and_not_otherwise():
    method, batch = a_method(objective="nce"), a_batch()
    method.normaliser.fill_(100.0)
    once, again = method(batch).loss.item(), method(batch).loss.item()
    method.steps += 1
    assert once == again != method(batch).loss.item()


def test_proximal_is_the_distance_from_the_own_row():
    batch = a_batch()
    plain, bound = (a_method(objective="softmax", proximal=p) for p in (0.0, 3.0))
    features = F.normalize(plain.embed(batch.views[0]), dim=1)
    distance = (features - plain.bank.rows[batch.index]).square().sum(1).mean()
    torch.testing.assert_close(bound(batch).loss, plain(batch).loss + 3 * distance)


def test_parametric_is_a_linear_classifier_over_images():
    method, batch = a_method(objective="parametric"), a_batch()
    logits = method.embed(batch.views[0]) @ method.classifier.weight.T
    torch.testing.assert_close(method(batch).loss, F.cross_entropy(logits, batch.index))


def test_the_bank_has_a_row_for_each_image():
    assert NPID.fit(1234, 10)["image_count"][0] == 1234


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"noise": 0}, {"objective": "hinge"}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
