"""Any loss of labelled embeddings trains; what the papers set is set; a memory is remembered."""

import pytest
import torch

from lookalike import registry
from lookalike.backbones.build import build_backbone
from lookalike.backbones.embedding import Embedding
from lookalike.errors import UsageError
from lookalike.methods.base import Batch
from lookalike.methods.metric import Metric

PRESETS = ["drlim", "facenet", "trinet", "nca", "n_pair", "ice"]


def make(name="metric", **arguments):
    torch.manual_seed(0)
    method = registry.load(registry.locate("methods", name))
    return method(build_backbone("small_conv", width=4), **arguments)


def batch(count=8, views=1):
    generator = torch.Generator().manual_seed(1)
    pictures = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(views))
    index = torch.arange(count)
    return Batch(pictures, index // 2, index)


@pytest.mark.parametrize("loss", registry.names("losses"))
def test_every_loss_of_the_room_trains(loss):
    method = make(loss=loss)
    loss = method(batch()).loss
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(method.projector[-1].weight.grad.any())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_paper_s_loss_of_the_embeddings(name):
    method = make(name).eval()
    some = batch()
    preset = method.preset
    loss = registry.load(registry.locate("losses", preset.loss))
    expected = loss(method.embed(some.views[0]), some.labels, **preset.loss_arguments)
    assert method(some).loss.equal(expected)


def test_an_argument_of_a_preset_s_loss_can_be_changed_alone():
    method = make("facenet", loss_arguments={"margin": 0.5})
    assert method.loss_arguments == {**method.preset.loss_arguments, "margin": 0.5}


def test_another_loss_takes_none_of_the_preset_s_arguments():
    assert make("facenet", loss="supcon").loss_arguments == {}


def test_all_views_of_an_image_have_its_label():
    method = make(loss="supcon").eval()
    some = batch(views=2)
    embeddings = torch.cat([method.embed(view) for view in some.views])
    expected = method.loss(embeddings, some.labels.repeat(2))
    torch.testing.assert_close(method(some).loss, expected)


def test_the_memory_is_compared_with_and_gets_no_gradient():
    method = make(loss="batch_contrastive", memory=6).eval()
    first, second = batch(), batch(count=4)
    with torch.no_grad():
        method.after_step(method(first), 0.5)
    remembered = method.memory.rows.clone()
    assert remembered.equal(method.embed(first.views[0])[-6:].detach())
    step = method(second)
    whole = torch.cat([method.embed(second.views[0]), remembered])
    labels = torch.cat([second.labels, method.memory.labels])
    torch.testing.assert_close(step.loss, method.loss(whole, labels))
    assert method.memory.rows.equal(remembered), "forward only reads"


def test_the_encoder_that_is_kept_ends_with_the_head():
    method = make(widths=(10, 6)).eval()
    network, name, arguments = method.encoder("small_conv", {"width": 4})
    images = torch.rand(2, 3, 16, 16)
    assert isinstance(network, Embedding)
    assert network(images).equal(method.embed(images))
    again = build_backbone(name, **arguments)
    again.load_state_dict(network.state_dict())
    assert again.eval()(images).equal(network(images))


def test_without_a_head_the_encoder_is_the_backbone():
    method = make(widths=())
    network, name, arguments = method.encoder("small_conv", {"width": 4})
    assert network is method.backbone
    assert (name, arguments) == ("small_conv", {"width": 4})


def test_an_unknown_loss_is_told_what_there_is():
    with pytest.raises(UsageError, match=r"'tripelt' is no loss .* Did you mean triplet"):
        make(loss="tripelt")


def test_an_unknown_argument_of_a_loss_is_refused_before_training():
    with pytest.raises(TypeError, match="sharpness"):
        make(loss="triplet", loss_arguments={"sharpness": 3})


def test_somebody_s_own_loss_trains(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "def pull_loss(embeddings, labels, *, weight: float = 1.0):\n"
        "    return weight * embeddings.square().mean()\n"
    )
    method = make(loss=f"{path}:pull_loss", loss_arguments={"weight": 2.0}).eval()
    some = batch()
    expected = 2 * method.embed(some.views[0]).square().mean()
    torch.testing.assert_close(method(some).loss, expected)


def test_a_memory_below_nothing_is_refused():
    with pytest.raises(ValueError, match="memory must be at least 0, got -1"):
        Metric(build_backbone("small_conv", width=4), memory=-1)
