import math

import pytest
import torch

from lookalike import registry
from lookalike.backbones.build import build_backbone
from lookalike.losses.adaface import adaface_loss
from lookalike.losses.cosface import cosface_loss
from lookalike.losses.proxy_anchor import proxy_anchor_loss
from lookalike.losses.soft_triple import soft_triple_loss
from lookalike.methods.adaface import AdaFace
from lookalike.methods.base import Batch
from lookalike.methods.proxies import Proxies
from lookalike.methods.subcentre_arcface import SubcentreArcFace
from lookalike.training.optim import adamw
from lookalike.training.schedule import own_rates, scale_rates, scheduled_rate


def a_method(kind=Proxies, **arguments):
    torch.manual_seed(0)
    given = {"class_count": 4, "widths": (8,), **arguments}
    return kind(build_backbone("small_conv", width=4), **given)


def a_batch():
    generator = torch.Generator().manual_seed(1)
    return Batch(
        (torch.rand(6, 3, 16, 16, generator=generator),), torch.arange(6) % 4, torch.arange(6)
    )


def test_the_loss_is_its_objective_of_what_embed_returns():
    method, batch = a_method(margin=0.2, scale=5.0), a_batch()
    z = method.embed(batch.views[0])
    want = cosface_loss(z, batch.labels, method.proxies, scale=5.0, margin=0.2)
    torch.testing.assert_close(method(batch).loss, want)


@pytest.mark.parametrize(("count", "want"), [(10_000, 13.0), (100, 6.5), (2, 0.98)])
def test_the_scale_follows_the_classes(count, want):
    """AdaCos: sqrt(2) log(C - 1), and above 0 where C is 2."""
    assert a_method(class_count=count).arguments["scale"] == pytest.approx(want, abs=0.05)


@pytest.mark.parametrize(("loss", "of"), [("proxy_anchor", proxy_anchor_loss)])
def test_a_scale_that_does_not_follow_the_classes_is_the_papers(loss, of):
    method, batch = a_method(loss=loss), a_batch()
    z = method.embed(batch.views[0])
    torch.testing.assert_close(method(batch).loss, of(z, batch.labels, method.proxies))


def test_several_centres_of_a_class():
    method, batch = a_method(loss="soft_triple"), a_batch()
    assert method.proxies.shape == (40, 8)
    z = method.embed(batch.views[0])
    want = soft_triple_loss(z, batch.labels, method.proxies)
    torch.testing.assert_close(method(batch).loss, want)
    assert a_method(SubcentreArcFace).proxies.shape == (12, 8)
    assert a_method(SubcentreArcFace, centres_of_a_class=2).proxies.shape == (8, 8)
    assert a_method(SubcentreArcFace, loss="cosface").proxies.shape == (4, 8)


def test_adaface_remembers_norms_after_the_step_and_not_before():
    method, batch = a_method(AdaFace), a_batch()
    z = method.embed(batch.views[0])
    scale = math.sqrt(2) * math.log(3)
    want = adaface_loss(z, batch.labels, method.proxies, 20.0, 100.0, scale=scale)
    step = method(batch)
    torch.testing.assert_close(step.loss, want)
    assert method.norms.tolist() == [20, 100]
    method.after_step(step, 0.5)
    norms = z.detach().norm(dim=1)
    want = torch.stack([0.99 * 20 + 0.01 * norms.mean(), 0.99 * 100 + 0.01 * norms.std()])
    torch.testing.assert_close(method.norms, want)


def test_the_centres_have_a_rate_of_their_own():
    method = a_method(proxy_rate=30.0)
    optimizer = adamw(method, lr=0.01)
    assert scheduled_rate(optimizer) == 0.01
    scale_rates(optimizer, own_rates(optimizer), 0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in method.named_parameters():
        assert rates[id(parameter)] == pytest.approx(0.15 if name == "proxies" else 0.005), name


def test_a_run_keeps_the_projector():
    method = a_method()
    network, name, arguments = method.encoder("small_conv", {"width": 4})
    assert (name, network.dim) == ("embedding", 8)
    assert arguments == {"backbone": "small_conv", "widths": (8,), "width": 4}


@pytest.mark.parametrize(
    "name",
    ["adaface", "arcface", "cosface", "normalised_softmax", "proxy_anchor", "sphereface"],
)
def test_a_preset_is_its_loss_by_name(name):
    method = a_method(registry.load(registry.locate("methods", name)))
    assert method.loss.__name__ == f"{name}_loss"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"class_count": 1}, "class_count"),
        ({"widths": ()}, "layers"),
        ({"proxy_rate": 0}, "proxy_rate"),
        ({"loss": "normalised_softmax", "margin": 0.1}, "margin must be none with the loss"),
        ({"centres_of_a_class": 2}, "centres_of_a_class must be none with the loss cosface"),
    ],
)
def test_nonsense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        a_method(**wrong)
