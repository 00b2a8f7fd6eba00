"""The statistics of a labelled batch against loops, and what they say of known batches."""

import pytest
import torch
from torch import Tensor

from lookalike.losses.pair_statistics import pair_statistics
from lookalike.pairwise import distances


def batch(seed: int, rows: int = 14, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(rows, 3, dtype=torch.float64, generator=generator)
    return embeddings, torch.randint(classes, (rows,), generator=generator)


def slow(embeddings: Tensor, labels: Tensor, margin: float, power: int) -> dict[str, float]:
    count, labels = range(len(labels)), labels.tolist()
    d = [[float(torch.dist(a, b)) ** power for b in embeddings] for a in embeddings]
    near: list[list[float]] = [
        [d[i][j] for j in count if labels[i] == labels[j] and i != j] for i in count
    ]
    far = [[d[i][j] for j in count if labels[i] != labels[j]] for i in count]
    active = [p + margin > n for i in count for p in near[i] for n in far[i]]

    def mean(values: list[float]) -> float:
        return sum(values) / max(len(values), 1)

    return {
        "active_triplets": mean(active),
        "positive_distance": mean([p for each in near for p in each]),
        "negative_distance": mean([n for each in far for n in each]),
        "hardest_positive": mean([max(each) for each in near if each]),
        "hardest_negative": mean([min(each) for each in far if each]),
        "norm": mean([float(row.norm()) for row in embeddings]),
    }


@pytest.mark.parametrize("tile", [50, 2**18], ids=["tiles", "one tile"])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("margin", [0.0, 0.7])
def test_every_mean_is_that_of_a_loop(
    margin: float, power: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "CPU_TILE", tile)
    distance = "euclidean" if power == 1 else "squared_euclidean"
    for seed, (rows, classes) in enumerate([(14, 4), (14, 12), (5, 1), (1, 1)]):
        embeddings, labels = batch(seed, rows, classes)
        got = pair_statistics(embeddings, labels, margin=margin, distance=distance)
        want = slow(embeddings, labels, margin, power)
        assert {name: value.item() for name, value in got.items()} == pytest.approx(want)


def test_collapse_shows_in_all_of_them() -> None:
    """All distances are 0 and with a margin every triplet is active; the norm says where."""
    got = pair_statistics(torch.full((12, 4), 0.5), torch.arange(12) % 3, margin=0.2)
    want = dict.fromkeys(got, 0.0) | {"active_triplets": 1.0, "norm": 1.0}
    assert {name: value.item() for name, value in got.items()} == want


def test_classes_apart_leave_no_triplet_active() -> None:
    rows, labels = torch.tensor([[0.0], [1.0], [9.0], [10.0]]), torch.tensor([0, 0, 1, 1])
    got = pair_statistics(rows, labels, margin=2.0)
    assert got["active_triplets"].item() == 0
    assert (got["positive_distance"].item(), got["hardest_negative"].item()) == (1.0, 8.5)


def test_the_norm_is_that_before_normalising() -> None:
    embeddings, labels = batch(5)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    got, want = pair_statistics(embeddings, labels, normalise=True), pair_statistics(unit, labels)
    assert got.pop("norm").item() == pytest.approx(embeddings.norm(dim=1).mean().item())
    want.pop("norm")
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_no_gradient_and_float32(dtype: torch.dtype) -> None:
    embeddings, labels = batch(6)
    for value in pair_statistics(embeddings.to(dtype).requires_grad_(), labels).values():
        assert value.shape == ()
        assert value.dtype == torch.float32
        assert not value.requires_grad
        assert value.isfinite()


def test_torch_compile_sees_one_graph() -> None:
    embeddings, labels = batch(7)
    compiled = torch.compile(pair_statistics, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(embeddings, labels), pair_statistics(embeddings, labels))


def test_wrong_arguments_are_named() -> None:
    rows, labels = batch(8)
    with pytest.raises(ValueError, match="margin must be at least 0, got -1"):
        pair_statistics(rows, labels, margin=-1)
    with pytest.raises(ValueError, match="distance must be one of euclidean"):
        pair_statistics(rows, labels, distance="cosine")
    with pytest.raises(ValueError, match="labels must have shape"):
        pair_statistics(rows, labels[1:])
