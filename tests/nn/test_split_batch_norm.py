"""Split batch normalisation is batch normalisation of each group; M7 of the property catalogue."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn

from lookalike.nn.split_batch_norm import (
    SplitBatchNorm,
    shuffle,
    split_batch_norm,
    split_count,
    unshuffle,
)


def the_pair(splits, norm=nn.BatchNorm2d):
    plain = norm(5)
    with torch.no_grad():
        plain.weight.uniform_(0.5, 2)
        plain.bias.normal_()
    return plain, split_batch_norm(copy.deepcopy(plain), splits)


def images(layout=torch.contiguous_format, count=12):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 5, 3, 4, generator=generator).contiguous(memory_format=layout)


def test_one_split_is_left_alone():
    plain, split = the_pair(1)
    assert type(split) is type(plain)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("splits", [2, 3, 4])
def test_each_group_is_normalised_as_if_it_were_alone(splits, layout):
    """Outputs, gradients and running averages, against a loop over ordinary layers."""
    plain, split = the_pair(splits)
    x, y = images(layout).requires_grad_(), images(layout).requires_grad_()
    got = split(x)
    assert isinstance(split, SplitBatchNorm)
    assert got.stride() == x.stride()
    want = torch.empty_like(y)
    layers = [copy.deepcopy(plain) for _ in range(splits)]
    parts = [layer(y[number::splits]) for number, layer in enumerate(layers)]
    want = torch.stack(parts, 1).flatten(0, 1)
    torch.testing.assert_close(got, want)
    slope = torch.randn_like(got)
    (got * slope).sum().backward()
    (want * slope).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    for name in ("weight", "bias"):
        whole = sum(getattr(layer, name).grad for layer in layers)
        torch.testing.assert_close(getattr(split, name).grad, whole)
    for name in ("running_mean", "running_var"):
        mean = sum(getattr(layer, name) for layer in layers) / splits
        torch.testing.assert_close(getattr(split, name), mean)
    assert int(split.num_batches_tracked) == 1


def test_a_group_that_is_constant_becomes_zero():
    _, split = the_pair(3)
    nn.init.ones_(split.weight)
    nn.init.zeros_(split.bias)
    levels = torch.tensor([1.0, -4.0, 9.0]).repeat(4)  # row n has the level of group n mod 3
    x = levels.view(12, 1, 1, 1).expand(12, 5, 3, 4)
    torch.testing.assert_close(split(x), torch.zeros(12, 5, 3, 4))


def test_evaluation_is_ordinary():
    plain, split = the_pair(4)
    split(images())
    plain.load_state_dict(split.state_dict())
    torch.testing.assert_close(split.eval()(images()), plain.eval()(images()))


def test_bfloat16_comes_out_as_it_came_in():
    _, split = the_pair(4)
    assert split(images().bfloat16()).dtype == torch.bfloat16


def test_vectors_are_split_too():
    plain, split = the_pair(2, nn.BatchNorm1d)
    x = torch.randn(8, 5)
    torch.testing.assert_close(split(x)[::2], plain(x[::2]))


@pytest.mark.parametrize(
    ("rows", "splits", "count"), [(64, 8, 8), (12, 8, 6), (9, 8, 3), (7, 1, 1)]
)
def test_a_batch_is_split_as_finely_as_it_divides(rows, splits, count):
    assert split_count(rows, splits) == count


def test_a_batch_that_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="7 rows cannot be split"):
        split_count(7, 8)


def on_each_process():
    """Two groups a process, of a batch that all processes share."""
    world, rank = dist.get_world_size(), dist.get_rank()
    torch.manual_seed(0)
    _, split = the_pair(2 * world)
    output = split(images().chunk(world)[rank].clone()).detach()
    shuffled = shuffle(images(), 2)  # as if each process had a batch of its own
    return {
        "output": output,
        "running_mean": split.running_mean.clone(),
        "sources": shuffled[:, 0, 0, 0],
        "back": unshuffle(shuffled, 2),
    }


def test_processes_share_the_groups_and_the_averages(ranks):
    torch.manual_seed(0)
    plain, _ = the_pair(1)
    means = []
    for rank, result in enumerate(ranks):
        share = images().chunk(len(ranks))[rank]
        for group in range(2):
            layer = copy.deepcopy(plain)
            torch.testing.assert_close(result["output"][group::2], layer(share[group::2]))
            means.append(layer.running_mean)
    for result in ranks:
        torch.testing.assert_close(result["running_mean"], sum(means) / len(means))


def test_unshuffling_gives_each_process_its_own_rows_back(ranks):
    for result in ranks:
        assert result["back"].equal(images())


@pytest.mark.parametrize("splits", [1, 2, 3, 4, 6])
def test_a_shuffle_can_be_undone(splits):
    x = images()
    assert unshuffle(shuffle(x, splits), splits).equal(x)


@pytest.mark.parametrize(("rows", "splits"), [(64, 8), (36, 6), (12, 3), (512, 8)])
def test_two_rows_share_their_group_before_or_after_but_hardly_both(rows, splits):
    before = torch.arange(rows) % splits  # the group of each row
    after = torch.empty(rows, dtype=torch.int64)
    after[shuffle(torch.arange(rows), splits)] = torch.arange(rows) % splits
    for number in range(rows):
        both = (before == before[number]) & (after == after[number])
        assert int(both.sum()) <= -(-rows // splits**2)


def test_the_shuffle_matters_where_groups_do():
    """M6: with one group, or in evaluation, keys stay what they are; with several they change."""
    x = images()
    for splits, training, same in ((1, True, True), (3, False, True), (3, True, False)):
        _, layer = the_pair(splits)
        layer.train(training)
        keys = unshuffle(layer(shuffle(x, splits)), splits)
        assert torch.allclose(keys, layer(x), atol=1e-5) == same


def test_timms_normalisation_keeps_its_activation():
    timm = pytest.importorskip("timm.layers")
    plain = timm.BatchNormAct2d(5)
    split = split_batch_norm(copy.deepcopy(plain), 3)
    torch.testing.assert_close(split(images())[::3], plain(images()[::3]))
