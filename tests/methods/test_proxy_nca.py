"""Proxy-NCA keeps the contract; its loss is that of the embeddings and their classes' proxies."""

import pytest
import torch
from torch.nn import functional as F

from lookalike.backbones.build import build_backbone
from lookalike.losses.proxy_nca import proxy_nca_loss
from lookalike.methods.base import Batch
from lookalike.methods.proxy_nca import ProxyNCA
from lookalike.testing import check_method


def a_method(**arguments):
    torch.manual_seed(0)
    settings = {"class_count": 3, "out_dim": 8, **arguments}
    return ProxyNCA(build_backbone("small_conv", width=4), **settings)


def a_batch(count=6, views=1):
    generator = torch.Generator().manual_seed(1)
    pictures = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(views))
    return Batch(pictures, torch.arange(count) % 3, torch.arange(count))


def test_keeps_the_contract():
    check_method(lambda backbone: ProxyNCA(backbone, class_count=4))


@pytest.mark.parametrize("exclude_own", [True, False])
def test_it_is_the_loss_of_every_view(exclude_own):
    method, batch = a_method(exclude_own=exclude_own, scale=4.0).eval(), a_batch(views=2)
    losses = [
        proxy_nca_loss(
            method.embed(view), batch.labels, method.proxies, scale=4.0, exclude_own=exclude_own
        )
        for view in batch.views
    ]
    torch.testing.assert_close(method(batch).loss, sum(losses) / 2)


def test_images_without_a_label_are_left_out():
    method, batch = a_method().eval(), a_batch()
    unknown = batch._replace(labels=batch.labels.where(batch.index < 4, -1))
    few = Batch((batch.views[0][:4],), batch.labels[:4], batch.index[:4])
    torch.testing.assert_close(method(unknown).loss, method(few).loss)


def test_a_step_of_the_network_s_rate_turns_proxies_about_ten_times_as_far():
    """As far as the same gradient's step turns a row of norm 1."""
    wide = a_method(out_dim=64, class_count=200)
    rows = F.normalize(wide.proxies.detach(), dim=1)
    step = 1e-4 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(2)).sign()
    slow, fast = (
        (F.normalize(start + step, dim=1) - rows).norm(dim=1).mean().item()
        for start in (rows, wide.proxies.detach())
    )
    assert 8 < fast / slow < 12


def test_proxies_find_the_images_of_their_class():
    """Five steps on the proxies alone, from anywhere, towards embeddings at right angles."""
    method, labels = a_method(), torch.arange(6) % 3
    embeddings = torch.eye(8)[:6]
    optimizer = torch.optim.SGD([method.proxies], lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        proxy_nca_loss(embeddings, labels, method.proxies).backward()
        optimizer.step()
    nearest = torch.cdist(embeddings, F.normalize(method.proxies, dim=1)).argmin(1)
    assert nearest.equal(labels)


def test_the_encoder_that_is_kept_gives_the_embeddings():
    method = a_method().eval()
    kept, name, arguments = method.encoder("small_conv", {"width": 4})
    images = a_batch().views[0]
    assert kept(images).equal(method.embed(images))
    again = build_backbone(name, **arguments).eval()
    again.load_state_dict(kept.state_dict())
    assert again(images).equal(method.embed(images))


def test_there_is_a_proxy_for_each_class():
    assert ProxyNCA.fit(1234, 7)["class_count"][0] == 7
    assert a_method(class_count=7).proxies.shape == (7, 8)


@pytest.mark.parametrize("wrong", [{"class_count": 1}, {"out_dim": 0}, {"scale": 0.0}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        a_method(**wrong)
