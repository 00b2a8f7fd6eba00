"""The triplet loss against explicit triplets, closed forms and the papers' properties."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from lookalike.losses.triplet import triplet_loss
from lookalike.pairwise import distances, triplets

MININGS = ["batch_hard", "batch_all", "semi_hard", "hard", "easy", "random"]
FIXED = [mining for mining in MININGS if mining != "random"]
CASES = [  # semi-hard mining is refused a soft margin
    (mining, margin)
    for mining in MININGS
    for margin in ("soft", 0.3)
    if (mining, margin) != ("semi_hard", "soft")
]
FACENET = {"mining": "semi_hard", "margin": 0.2, "distance": "squared_euclidean", "normalise": True}


def batch(seed: int, rows: int = 12, classes: int = 4, width: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(rows, width, dtype=torch.float64, generator=generator)
    return embeddings, torch.randint(classes, (rows,), generator=generator)


def dense(embeddings: Tensor, *, squared: bool = False, normalise: bool = False) -> Tensor:
    """All distances, by their differences."""
    rows = F.normalize(embeddings, dim=1) if normalise else embeddings
    squares = (rows[:, None] - rows).square().sum(2)
    if squared:
        return squares
    return squares.where(squares > 0, 1).sqrt().where(squares > 0, 0)


def mined(d: Tensor, labels: Tensor, mining: str, margin: float) -> Iterator[tuple[int, int, int]]:
    """Every triplet that a mining takes, by the words of the docstring."""
    d, labels = d.tolist(), labels.tolist()
    everyone = range(len(labels))
    for a in everyone:
        positives = [j for j in everyone if labels[j] == labels[a] and j != a]
        negatives = [j for j in everyone if labels[j] != labels[a]]
        if not positives or not negatives:
            continue
        nearest = min(negatives, key=lambda n, a=a: d[a][n])
        if mining == "batch_hard":
            yield a, max(positives, key=lambda p, a=a: d[a][p]), nearest
        elif mining == "easy":
            near = min(positives, key=lambda p, a=a: d[a][p])
            yield a, near, max(negatives, key=lambda n, a=a: d[a][n])
        elif mining == "hard":
            yield from ((a, p, nearest) for p in positives)
        elif mining == "batch_all":
            yield from ((a, p, n) for p in positives for n in negatives)
        else:
            for p in positives:
                window = [n for n in negatives if d[a][p] < d[a][n] < d[a][p] + margin]
                if window:
                    yield a, p, min(window, key=lambda n, a=a: d[a][n])


def slow(
    embeddings: Tensor,
    labels: Tensor,
    mining: str,
    margin: float | str,
    reduction: str = "mean",
    **options: bool,
) -> Tensor:
    d = dense(embeddings, **options)
    number = 0.0 if margin == "soft" else margin
    taken = list(mined(d, labels, mining, number))
    if not taken:
        return 0 * embeddings.sum()
    a, p, n = torch.tensor(taken).T
    gaps = d[a, p] - d[a, n]
    terms = F.softplus(gaps) if margin == "soft" else F.relu(gaps + margin)
    if reduction == "sum":
        return terms.sum()
    return terms.sum() / (len(taken) if reduction == "mean" else max(int((terms > 0).sum()), 1))


@pytest.mark.parametrize("few", [0, 64], ids=["by sort", "by positives"])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize(("mining", "margin"), [case for case in CASES if case[0] != "random"])
def test_value_and_gradient_are_those_of_the_triplets_one_by_one(
    mining: str, margin: float | str, squared: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triplets, "FEW", few)
    monkeypatch.setattr(distances, "CPU_TILE", 60)  # five anchors at a time
    for seed in range(3):
        embeddings, labels = batch(seed)
        embeddings.requires_grad_()
        for reduction in ("mean", "mean_nonzero", "sum"):
            got = triplet_loss(
                embeddings,
                labels,
                margin=margin,
                mining=mining,
                distance="squared_euclidean" if squared else "euclidean",
                reduction=reduction,
            )
            want = slow(embeddings, labels, mining, margin, reduction, squared=squared)
            torch.testing.assert_close(got, want)
            torch.testing.assert_close(
                *(torch.autograd.grad(value, embeddings)[0] for value in (got, want))
            )


def test_the_triplets_of_a_large_class_and_of_small_ones() -> None:
    """Seventy rows of one class go by the sort on their own account, and exactly."""
    embeddings, labels = batch(0, rows=80, classes=20, width=1)
    labels[:70] = 3
    assert labels.bincount().max() > triplets.FEW + 1
    for mining in ("batch_all", "semi_hard"):
        got = triplet_loss(embeddings, labels, mining=mining, margin=0.5, reduction="sum")
        torch.testing.assert_close(got, slow(embeddings, labels, mining, 0.5, "sum"))


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 14), classes=st.integers(1, 6))
@pytest.mark.parametrize("mining", ["batch_hard", "batch_all", "semi_hard"])
def test_any_batch(mining: str, seed: int, rows: int, classes: int) -> None:
    embeddings, labels = batch(seed, rows, classes)
    got = triplet_loss(embeddings, labels, mining=mining, margin=0.3, normalise=True)
    want = slow(embeddings, labels, mining, 0.3, normalise=True)
    assert float(got) == pytest.approx(float(want), abs=1e-9)
    assert 0 <= float(got) <= 2 + 0.3


def test_facenets_own() -> None:
    embeddings, labels = batch(1, rows=20, width=8)
    want = slow(embeddings, labels, "semi_hard", 0.2, squared=True, normalise=True)
    assert float(want) > 0
    torch.testing.assert_close(triplet_loss(embeddings, labels, **FACENET), want)
    torch.testing.assert_close(triplet_loss(7 * embeddings, labels, **FACENET), want)
    assert float(want) < 0.2  # a negative in the window is less than the margin short


@pytest.mark.parametrize(("mining", "margin"), [case for case in CASES if case[0] != "random"])
def test_gradient_is_that_of_finite_differences(mining: str, margin: float | str) -> None:
    embeddings, labels = batch(2, rows=8, classes=3)
    assert gradcheck(
        lambda x: triplet_loss(x, labels, mining=mining, margin=margin, normalise=True),
        embeddings.requires_grad_(),
    )


@pytest.mark.parametrize("mining", ["batch_hard", "batch_all", "hard", "easy", "random"])
def test_collapse_costs_the_margin_or_log_2(mining: str) -> None:
    alike, labels = torch.full((12, 5), 0.3), torch.arange(12) % 4
    options = {"mining": mining, "reduction": "mean_nonzero"}
    assert float(triplet_loss(alike, labels, **options)) == pytest.approx(math.log(2))
    assert float(triplet_loss(alike, labels, margin=0.2, **options)) == pytest.approx(0.2)


def test_batch_all_counts_p4_k3_as_216_triplets() -> None:
    alike, labels = torch.zeros(12, 5), torch.arange(12) % 4
    total = triplet_loss(alike, labels, mining="batch_all", margin=1.0, reduction="sum")
    assert float(total) == 4 * 3 * (12 - 3) * 2 == 216


def test_batch_hard_is_no_less_than_batch_all() -> None:
    for seed in range(10):
        embeddings, _ = batch(seed)
        hard, every = (
            triplet_loss(embeddings, torch.arange(12) % 3, margin=0.5, mining=mining)
            for mining in ("batch_hard", "batch_all")
        )
        assert float(hard) >= float(every)


def test_facenets_gradient_of_one_triplet() -> None:
    a, p, n = rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.5]], requires_grad=True)
    loss = triplet_loss(
        rows,
        torch.tensor([0, 0, 1]),
        margin=2.0,
        mining="batch_all",
        distance="squared_euclidean",
        reduction="sum",
    )  # of (a, p, n): 2 + 1 - 2.25; (p, a, n) is 2 + 1 - 3.25 and not there
    assert loss.item() == pytest.approx(0.75)
    (gradient,) = torch.autograd.grad(loss, rows)
    closed = torch.stack([2 * (n - p), 2 * (p - a), 2 * (a - n)])
    torch.testing.assert_close(gradient, closed.detach())


@pytest.mark.parametrize("mining", FIXED)
def test_order_rotation_translation_and_scale(mining: str) -> None:
    embeddings, labels = batch(3)
    loss = triplet_loss(embeddings, labels, mining=mining, margin=0.5)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(batch(4, rows=3)[0])[0]
    for same in (
        triplet_loss(embeddings[order], labels[order], mining=mining, margin=0.5),
        triplet_loss(embeddings @ rotation, labels, mining=mining, margin=0.5),
        triplet_loss(embeddings + 3, labels, mining=mining, margin=0.5),
        triplet_loss(embeddings, 100 - labels, mining=mining, margin=0.5),
        triplet_loss(7 * embeddings, labels, mining=mining, margin=3.5) / 7,
    ):
        torch.testing.assert_close(same, loss)


@pytest.mark.parametrize(("mining", "margin"), CASES)
def test_batches_without_a_triplet_cost_nothing_and_pull_nothing(
    mining: str, margin: float | str
) -> None:
    for rows, labels in ((6, torch.zeros(6)), (6, torch.arange(6)), (1, torch.zeros(1))):
        embeddings = batch(5, rows)[0].requires_grad_()
        for reduction in ("mean", "mean_nonzero", "sum"):
            loss = triplet_loss(
                embeddings, labels, mining=mining, margin=margin, reduction=reduction
            )
            assert loss.item() == 0
            assert not torch.autograd.grad(loss, embeddings)[0].any()


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean"])
@pytest.mark.parametrize("mining", MININGS)
def test_equal_rows_and_zero_rows_have_a_finite_gradient(mining: str, distance: str) -> None:
    embeddings, labels = batch(6)
    embeddings[1], embeddings[2], embeddings[5] = embeddings[0], 0, 0
    embeddings.requires_grad_()
    for normalise in (True, False):
        loss = triplet_loss(
            embeddings, labels, mining=mining, margin=1.0, distance=distance, normalise=normalise
        )
        assert bool(torch.autograd.grad(loss, embeddings)[0].isfinite().all())


@pytest.mark.parametrize("few", [0, 64], ids=["by sort", "by positives"])
def test_the_window_is_open_on_both_sides(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a line, negatives exactly as far as the positive, or by the margin farther, are out."""
    monkeypatch.setattr(triplets, "FEW", few)
    labels = torch.tensor([0, 0, 1, 2])
    for places, want in (
        ([0.0, 1.0, -1.0, 3.0], 1.0),  # from 0 at 1 and 3, both out; from 1 at 2, in
        ([0.0, 1.0, -1.0, 2.0], 2.0),  # from 0 at 1, out, and 2; from 1 at 1, out, and 2
    ):
        line = torch.tensor(places)[:, None]
        loss = triplet_loss(line, labels, mining="semi_hard", margin=2.0, reduction="sum")
        assert float(loss) == want


def test_random_negatives_are_uniform_and_each_is_a_negative() -> None:
    """The loss is linear in the term, so its mean over draws is the mean over all triplets."""
    embeddings, labels = batch(7, rows=10, classes=3)
    far = 1000.0  # every term is above 0
    want = triplet_loss(embeddings, labels, mining="batch_all", margin=far) - far
    count = torch.bincount(labels)[labels]  # a pair weighs by its anchor's negatives in that mean
    d = dense(embeddings)
    pairs = [
        d[a, p] - d[a][labels != labels[a]].mean()
        for a in range(10)
        for p in range(10)
        if a != p and labels[a] == labels[p]
    ]
    want = torch.stack(pairs).mean()
    assert count.max() < 10
    torch.manual_seed(0)
    draws = [
        float(triplet_loss(embeddings, labels, mining="random", margin=far)) - far
        for _ in range(400)
    ]
    spread = torch.tensor(draws).std() / math.sqrt(400)
    assert spread > 0  # it does draw
    assert sum(draws) / 400 == pytest.approx(float(want), abs=4 * float(spread))


def test_random_is_what_the_generator_says() -> None:
    embeddings, labels = batch(8)
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(float(triplet_loss(embeddings, labels, mining="random")))
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("options", [{}, {"mining": "batch_all"}, FACENET])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype: torch.dtype, options: dict) -> None:
    embeddings, labels = batch(9, rows=32, width=16)
    half = (30 * embeddings).to(dtype).requires_grad_()
    full = half.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = triplet_loss(half, labels, **options)
    want = triplet_loss(full, labels, **options)
    assert got.dtype == torch.float32
    assert got.item() == want.item()
    (gradient,) = torch.autograd.grad(got, half)
    assert bool(gradient.isfinite().all())


def test_float32_keeps_the_digits_of_close_rows_far_from_the_origin() -> None:
    embeddings, labels = batch(10, rows=30, width=8)
    close = (1e-3 * embeddings).float().double() + 128  # the sums are float32 numbers
    close = close.float().double()
    for mining in ("batch_all", "batch_hard", "semi_hard"):
        got = triplet_loss(close.float(), labels, mining=mining, margin=1e-3)
        want = slow(close, labels, mining, 1e-3)
        assert float(got) == pytest.approx(float(want), rel=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"mining": "batch_all", "margin": 0.2}, FACENET, {"mining": "random"}]
)
def test_torch_compile_sees_one_graph(options: dict) -> None:
    embeddings, labels = batch(11)
    embeddings.requires_grad_()
    compiled = torch.compile(triplet_loss, fullgraph=True, backend="aot_eager")
    results = []
    for function in (compiled, triplet_loss):
        torch.manual_seed(0)
        value = function(embeddings, labels, **options)
        results.append((value, torch.autograd.grad(value, embeddings)[0]))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want)


def test_the_gradient_is_not_differentiated_again() -> None:
    embeddings, labels = batch(12)
    embeddings.requires_grad_()
    (gradient,) = torch.autograd.grad(
        triplet_loss(embeddings, labels), embeddings, create_graph=True
    )
    with pytest.raises(RuntimeError, match="triplet_sums cannot be differentiated again"):
        gradient.sum().backward()


def test_without_gradient_and_with_it_the_value_is_the_same() -> None:
    embeddings, labels = batch(13)
    with torch.no_grad():
        quiet = triplet_loss(embeddings, labels)
    assert quiet.item() == triplet_loss(embeddings.requires_grad_(), labels).item()


@pytest.mark.parametrize("mining", MININGS)
def test_a_broken_row_shows_and_arguments_are_left_as_they_were(mining: str) -> None:
    embeddings, labels = batch(14)
    before = embeddings.clone(), labels.clone()
    triplet_loss(embeddings.requires_grad_(), labels, mining=mining, margin=0.5).backward()
    assert torch.equal(embeddings, before[0])
    assert torch.equal(labels, before[1])
    broken = embeddings.detach().clone()
    broken[3, 0] = math.nan
    assert triplet_loss(broken, labels, mining=mining, margin=0.5).isnan()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"embeddings": torch.ones(0, 2)}, "rows must be at least 1, got 0"),
        ({"labels": torch.zeros(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"margin": 0.0}, "margin must be above 0, got 0.0"),
        ({"mining": "semi_hard"}, "margin must be a number for mining 'semi_hard', got 'soft'"),
        ({"mining": "semihard"}, "mining must be one of batch_all, batch_hard"),
        ({"distance": "cosine"}, "distance must be one of euclidean, squared_euclidean"),
        ({"reduction": "none"}, "reduction must be one of mean, mean_nonzero, sum"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        triplet_loss(**{"embeddings": torch.ones(4, 2), "labels": torch.zeros(4), **arguments})
