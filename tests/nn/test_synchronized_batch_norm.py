"""N processes normalise as one does, and one does as torch's own."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from lookalike.nn.gather import gather, world_size
from lookalike.nn.synchronized_batch_norm import (
    SynchronizedBatchNorm,
    SynchronizedBatchNormAct,
    synchronize_batch_norm,
)


class BatchNormAct2d(nn.BatchNorm2d):
    """What timm's class of this name comes to, without the seconds its import takes."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, input: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(input)))


LAYERS = {
    "rows": (nn.BatchNorm1d(3), (12, 3)),
    "sequences": (nn.BatchNorm1d(3, momentum=None), (12, 3, 5)),
    "images": (nn.BatchNorm2d(3, momentum=0.3, eps=1e-3), (12, 3, 4, 2)),
    "no parameters": (nn.BatchNorm2d(3, affine=False), (12, 3, 4, 2)),
    "no averages": (nn.BatchNorm2d(3, track_running_stats=False), (12, 3, 4, 2)),
    "with activation": (BatchNormAct2d(3), (12, 3, 4, 2)),
}


def normalise_all(dtype: torch.dtype = torch.float64) -> dict[str, dict[str, Tensor]]:
    """Return what two training steps of every layer give, over the global batch."""
    return {name: normalise(*LAYERS[name], dtype) for name in LAYERS}


def normalise(layer: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    layer = copy.deepcopy(layer).to(dtype)
    if getattr(layer, "weight", None) is not None:
        nn.init.normal_(layer.weight, generator=generator)
        nn.init.normal_(layer.bias, generator=generator)
    layer = synchronize_batch_norm(layer) if world_size() > 1 else layer
    rank = dist.get_rank() if world_size() > 1 else 0
    for _ in range(2):
        inputs, slopes = (torch.randn(2, *shape, generator=generator) * 2 + 7).to(dtype)
        local = inputs.chunk(world_size())[rank].requires_grad_()
        output = layer(local)
        (output * slopes.chunk(world_size())[rank]).sum().backward()
    results = {"output": gather(output.detach()), "gradient": gather(local.grad)}
    for name, parameter in layer.named_parameters():
        if world_size() > 1:
            dist.all_reduce(parameter.grad)
        results[name] = parameter.grad
    layer.eval()
    return results | layer.state_dict() | {"evaluated": layer(inputs).detach()}


def normalise_far_from_zero() -> Tensor:
    """Return the variance found for float32 inputs with a large mean."""
    layer = synchronize_batch_norm(nn.BatchNorm1d(1, momentum=1.0))
    inputs = 1e4 + torch.arange(4.0)[:, None] + 4 * dist.get_rank()
    layer(inputs)
    return layer.running_var


def draw(rank: int) -> Tensor:
    return torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(rank))


def normalise_in_half() -> dict[str, Tensor]:
    """Return output and gradient of bfloat16 inputs around float32 parameters."""
    layer = synchronize_batch_norm(nn.BatchNorm2d(3))
    half = draw(dist.get_rank()).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(half)
    output.float().square().sum().backward()
    return {"output": output.detach(), "gradient": half.grad, "mean": layer.running_mean}


def on_each_process() -> dict[str, dict[str, Tensor]]:
    return {
        **normalise_all(),
        "half": normalise_in_half(),
        "far": {"variance": normalise_far_from_zero()},
    }


def test_processes_normalise_as_one(ranks) -> None:
    expected = normalise_all()
    for results in ranks:
        for name, layer in expected.items():
            assert results[name].keys() == layer.keys()
            for part, value in layer.items():
                assert torch.allclose(results[name][part], value, atol=1e-12), (name, part)


def test_a_large_mean_does_not_spoil_the_variance(ranks) -> None:
    expected = torch.arange(4.0 * len(ranks)).var().item()
    for results in ranks:
        assert results["far"]["variance"].item() == pytest.approx(expected, rel=1e-5)


def test_statistics_are_float32_under_autocast(ranks) -> None:
    layer, inputs = nn.BatchNorm2d(3), torch.cat([draw(rank) for rank in range(len(ranks))])
    expected = layer(inputs.bfloat16().float())
    for rank, results in enumerate(ranks):
        half = results["half"]
        assert half["output"].dtype == half["gradient"].dtype == torch.bfloat16
        assert torch.allclose(half["output"].float(), expected[4 * rank :][:4], atol=0.02)
        assert torch.allclose(half["mean"], layer.running_mean, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_one_process_has_torchs_own(name: str, training: bool) -> None:
    layer, shape = LAYERS[name]
    ours = synchronize_batch_norm(copy.deepcopy(layer)).train(training)
    theirs = copy.deepcopy(layer).train(training)
    inputs = torch.randn(*shape)
    assert torch.equal(ours(inputs), theirs(inputs))
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)


def test_conversion_keeps_all_but_the_class() -> None:
    shared = nn.BatchNorm1d(4)
    net = nn.Sequential(nn.Linear(4, 4), shared, nn.Sequential(BatchNormAct2d(4)), shared)
    before, parameters = list(net.state_dict()), list(net.parameters())
    assert synchronize_batch_norm(net) is net
    assert type(net[1]) is type(net[3]) is SynchronizedBatchNorm
    assert type(net[2][0]) is SynchronizedBatchNormAct
    assert list(net.state_dict()) == before
    assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))


def test_timms_own_keeps_its_activation() -> None:
    from timm.layers import BatchNormAct2d

    theirs, inputs = BatchNormAct2d(3), torch.randn(4, 3, 2, 2)
    ours = synchronize_batch_norm(copy.deepcopy(theirs))
    assert type(ours) is SynchronizedBatchNormAct
    assert torch.equal(ours(inputs), theirs(inputs))


def test_other_kinds_are_left_alone() -> None:
    class Split(nn.BatchNorm2d):
        pass

    assert type(synchronize_batch_norm(Split(3))) is Split


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(B, C, ...\), got shape \(3,\)"):
        SynchronizedBatchNorm(3)(torch.ones(3))
