"""A softmax's means in tiles against the dense softmax."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch.distributions import Categorical

from lookalike.losses._soft_targets import soft_targets
from lookalike.pairwise import similarity


def inputs(dtype=torch.float64, rows=7, columns=11):
    generator = torch.Generator().manual_seed(0)
    shapes = ((rows, 4), (columns, 4), (columns, 3))
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes]


@pytest.mark.parametrize("tile", [(3, 2), (512, 2048)])
@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_it_is_the_dense_softmax(scale, tile, monkeypatch):
    monkeypatch.setattr(similarity, "CPU_TILE", tile)
    rows, columns, values = inputs()
    logits = scale * rows @ columns.T
    got = soft_targets(rows, columns, values, scale=scale)
    torch.testing.assert_close(got.logsumexp, logits.logsumexp(1))
    torch.testing.assert_close(got.means, logits.softmax(1) @ values)
    torch.testing.assert_close(got.negative_entropy, -Categorical(logits=logits).entropy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends(dtype):
    """No scale to speak of: all alike. A large one: the nearest alone, whatever came before it."""
    rows, columns, values = inputs(dtype)
    flat = soft_targets(0 * rows, columns, values, scale=1.0)
    torch.testing.assert_close(flat.means, values.mean(0).expand(7, 3))
    torch.testing.assert_close(flat.negative_entropy, torch.full((7,), -math.log(11), dtype=dtype))
    sharp = soft_targets(rows, columns, values, scale=1e6)
    torch.testing.assert_close(sharp.means, values[(rows @ columns.T).argmax(1)])
    assert not sharp.negative_entropy.any()


def test_no_matrix_of_all_pairs_is_held():
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        pytest.skip("the system does not tell peak memory")

    def read(field):
        return int(re.search(rf"{field}:\s*(\d+) kB", status.read_text())[1]) * 1024

    soft_targets(*inputs(), scale=1.0)  # loads what is loaded lazily
    big = inputs(torch.float32, 4096, 8192)
    reset.write_text("5")
    before = read("VmRSS")
    soft_targets(*big, scale=1.0)
    assert read("VmHWM") - before < 4096 * 8192 * 4 / 4


def test_nothing_asks_for_a_gradient():
    rows, columns, values = (each.requires_grad_() for each in inputs())
    assert not any(each.requires_grad for each in soft_targets(rows, columns, values, scale=1.0))


def test_the_operator_keeps_torchs_contract():
    torch.library.opcheck(
        torch.ops.lookalike.soft_targets,
        (*inputs(), 2.0),
        test_utils=("test_schema", "test_faketensor"),
    )
