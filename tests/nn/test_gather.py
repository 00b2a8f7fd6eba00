"""N8: a loss over gathered rows is the loss of one process with the whole batch."""

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from lookalike.losses.nt_xent import nt_xent_loss
from lookalike.nn.gather import gather, world_size
from lookalike.nn.heads import mlp
from lookalike.nn.synchronized_batch_norm import synchronize_batch_norm

BATCH = 12


def share(tensor: Tensor) -> Tensor:
    """Return this process's rows of a global batch."""
    rank = dist.get_rank() if world_size() > 1 else 0
    return tensor.chunk(world_size())[rank]


def net_and_views(dtype: torch.dtype) -> tuple[nn.Sequential, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    net.extend(mlp(4 * 36, 16, 8, final_batch_norm="scale"))
    return net.to(dtype), torch.randn(2, BATCH, 3, 8, 8).to(dtype)


def learn(dtype: torch.dtype, gathered: bool = True) -> dict[str, Tensor]:
    """Return the loss, and the parameters' gradients averaged over processes."""
    net, views = net_and_views(dtype)
    synchronize_batch_norm(net)
    z1, z2 = net(torch.cat([share(view) for view in views])).chunk(2)
    if gathered:
        loss = nt_xent_loss(gather(z1), gather(z2))
    else:  # others' rows without their gradient
        rank, size = (dist.get_rank(), len(z1)) if world_size() > 1 else (0, len(z1))
        whole = [gather(z.detach()) for z in (z1, z2)]
        for all_rows, z in zip(whole, (z1, z2), strict=True):
            all_rows[rank * size : (rank + 1) * size] = z
        loss = nt_xent_loss(*whole)
    loss.backward()
    results = {"loss": loss.detach()}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            if world_size() > 1:
                dist.all_reduce(parameter.grad)
            results[name] = parameter.grad / world_size()
    return results


def distance(results: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Return the relative error of all gradients taken together."""
    names = [name for name in expected if name != "loss"]
    got, want = (torch.cat([r[name].flatten() for name in names]) for r in (results, expected))
    return float((got - want).norm() / want.norm())


def gather_and_weigh() -> dict[str, Tensor]:
    rank = dist.get_rank()
    tensor = torch.tensor([[10.0 * rank], [10.0 * rank + 1]], requires_grad=True)
    rows = gather(tensor)
    weights = (rank + 1) * torch.arange(float(len(rows)))
    (rows[:, 0] * weights).sum().backward()
    return {"rows": rows.detach()[:, 0], "gradient": tensor.grad[:, 0]}


def on_each_process() -> dict[str, dict[str, Tensor]]:
    return {
        "float64": learn(torch.float64),
        "float32": learn(torch.float32),
        "cut off": learn(torch.float64, gathered=False),
        "weighed": gather_and_weigh(),
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_n8_processes_learn_as_one(ranks, dtype: str, tolerance: float) -> None:
    expected = learn(torch.float64)
    for results in ranks:
        assert results[dtype]["loss"].item() == pytest.approx(
            expected["loss"].item(), rel=tolerance
        )
        assert distance(results[dtype], expected) < tolerance


def test_n8_without_the_others_gradient_it_is_another_one(ranks) -> None:
    for results in ranks:
        assert results["cut off"]["loss"].item() == pytest.approx(results["float64"]["loss"].item())
        assert distance(results["cut off"], results["float64"]) > 0.1


def test_rows_come_in_rank_order_and_gradients_add_up(ranks) -> None:
    times = sum(range(1, len(ranks) + 1))  # rank r weighs a row r + 1 times its position
    for rank, results in enumerate(ranks):
        everyone = [float(10 * r + row) for r in range(len(ranks)) for row in range(2)]
        assert results["weighed"]["rows"].tolist() == everyone
        first = 2 * rank
        assert results["weighed"]["gradient"].tolist() == [times * first, times * (first + 1)]


def test_one_process_has_all_the_rows() -> None:
    tensor = torch.ones(3, 2)
    assert gather(tensor) is tensor
    assert world_size() == 1
