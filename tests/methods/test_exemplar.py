"""Exemplar-CNN keeps the contract; its loss is a softmax over images."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.exemplar import Exemplar
from lookalike.testing import check_method
from lookalike.views.make import make_views
from lookalike.views.plans import EXEMPLAR


def a_method(image_count=40, **arguments):
    torch.manual_seed(0)
    arguments = {"width": 8, "patch": 16, "dropout": 0.0} | arguments
    return Exemplar(build_backbone("exemplar_small", **arguments), image_count=image_count)


def a_batch(count=12, views=1):
    generator = torch.Generator().manual_seed(1)
    pictures = tuple(torch.randn(count, 3, 16, 16, generator=generator) for _ in range(views))
    return Batch(pictures, torch.full((count,), -1), torch.arange(count) + 3)


def test_keeps_the_contract():
    check_method(lambda backbone: Exemplar(backbone, image_count=8))


@pytest.mark.parametrize("count", [2, 100, 8000])
def test_p_a_new_network_knows_nothing(count):
    """The catalogue's: log N, for 8000 images 8.987."""
    method = a_method(count)
    batch = a_batch()._replace(index=torch.arange(12) % count)
    assert method(batch).loss.item() == pytest.approx(math.log(count), abs=0.2)


def test_without_weights_it_is_log_n_to_rounding():
    method = a_method(8000)
    torch.nn.init.zeros_(method.classifier.weight)
    assert method(a_batch()).loss.item() == pytest.approx(math.log(8000), abs=1e-5)


def test_the_loss_is_the_cross_entropy_of_the_images_numbers():
    method, batch = a_method(), a_batch(views=2)
    shares = [method.classifier(method.embed(view)).softmax(1) for view in batch.views]
    slow = -sum(
        share[row, image].log()
        for share in shares
        for row, image in enumerate(batch.index.tolist())
    )
    assert_close(method(batch).loss, slow / 24)


def test_p_jensen_copies_cost_at_least_what_their_mean_logits_cost():
    """The paper's equation 5: what is left over is the regulariser, and is not negative."""
    method = a_method()
    image, index = torch.randn(1, 3, 16, 16), torch.tensor([7])
    for strength in (0.0, 0.1, 2.0):
        copies = image + strength * torch.randn(32, 3, 16, 16)
        logits = 30 * method.classifier(method.backbone(copies))
        apart = F.cross_entropy(logits, index.expand(32))
        together = F.cross_entropy(logits.mean(0, keepdim=True), index)
        assert apart >= together - 1e-5
        assert strength or apart.item() == pytest.approx(together.item(), abs=1e-4)


def test_p_every_copy_of_an_image_is_of_its_class():
    """Flat pictures, each of its own grey, only moved: the copy's grey tells which it is."""
    pixels = (torch.arange(10, dtype=torch.uint8) * 20)[:, None, None, None].expand(-1, 3, 16, 16)
    moved = EXEMPLAR.with_(principal=(1.0, 1.0), tone=0.0, hue_shift=0.0)
    index = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    for epoch in range(5):
        (view,) = make_views(
            moved,
            pixels[index],
            torch.full((10, 2), 16),
            index,
            size=16,
            seed=0,
            epoch=epoch,
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
        )
        found = (view.mean((1, 2, 3)) * 255 / 20).round().long()
        assert torch.equal(found, index)


def test_the_shares_of_two_processes_make_the_whole():
    """Loss and gradient of a batch are the means of its halves': no process needs another's."""
    method, batch = a_method(), a_batch(12)
    method(batch).loss.backward()
    whole = {name: each.grad.clone() for name, each in method.named_parameters()}
    method.zero_grad()
    for half in (slice(0, 6), slice(6, 12)):
        part = Batch((batch.views[0][half],), batch.labels[half], batch.index[half])
        (method(part).loss / 2).backward()
    for name, parameter in method.named_parameters():
        assert_close(parameter.grad, whole[name])


def test_it_learns_which_image_is_which():
    """A few pictures and their noisy copies: soon far below log N."""
    method, batch = a_method(12), a_batch()._replace(index=torch.arange(12))
    optimizer = torch.optim.SGD(method.parameters(), lr=0.05, momentum=0.9)
    for _ in range(60):
        noisy = batch.views[0] + 0.1 * torch.randn_like(batch.views[0])
        loss = method(batch._replace(views=(noisy,))).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert method(batch).loss.item() < 0.1 * math.log(12)


def test_training_fills_in_the_number_of_images():
    arguments = Exemplar.fit(321, 0)
    assert arguments["image_count"][0] == 321
    assert arguments["image_count"][1]


def test_there_must_be_images():
    with pytest.raises(ValueError, match="image_count must be at least 1"):
        a_method(0)
