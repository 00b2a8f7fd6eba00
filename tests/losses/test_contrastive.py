"""DrLIM's loss against its equation pair by pair, and the springs that it describes."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from lookalike.losses.contrastive import batch_contrastive_loss, contrastive_loss
from lookalike.pairwise import distances


def batch(seed: int, rows: int = 10, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(rows, 4, dtype=torch.float64, generator=generator)
    return embeddings, torch.randint(classes, (rows,), generator=generator)


def energy(a: Tensor, b: Tensor, similar: bool, margin: float) -> Tensor:
    distance = torch.dist(a, b)
    return distance**2 / 2 if similar else (margin - distance).clamp_min(0) ** 2 / 2


def slow(embeddings: Tensor, labels: Tensor, margin: float, balanced: bool) -> Tensor:
    energies: dict[bool, list[Tensor]] = {True: [], False: []}
    for i in range(len(labels)):
        for j in range(i):
            similar = bool(labels[i] == labels[j])
            energies[similar].append(energy(embeddings[i], embeddings[j], similar, margin))
    if not balanced:
        return torch.stack(energies[True] + energies[False]).mean()
    return sum(torch.stack(each).mean() for each in energies.values() if each) / 2


@pytest.mark.parametrize("margin", [0.5, 2.0])
def test_equation_4_and_its_gradient(margin: float) -> None:
    a, b = (batch(seed)[0].requires_grad_() for seed in (0, 1))
    similar = torch.arange(10) % 2 == 0
    got = contrastive_loss(a, b / 2, similar, margin=margin)
    each = [energy(a[i], b[i] / 2, bool(similar[i]), margin) for i in range(10)]
    torch.testing.assert_close(got, torch.stack(each).mean())
    assert gradcheck(lambda x, y: contrastive_loss(x, y, similar, margin=margin), (a, b))
    assert torch.equal(got, contrastive_loss(b / 2, a, similar, margin=margin))


@pytest.mark.parametrize("apart", [0.5, 1.0, 1.5])
def test_closed_forms_at_a_distance(apart: float) -> None:
    a, b = torch.zeros(1, 2), torch.tensor([[0.0, apart]])
    for similar, force, want in (
        (True, apart, apart**2 / 2),
        (False, -max(0.0, 1 - apart), max(0.0, 1 - apart) ** 2 / 2),
    ):
        b.grad = None
        loss = contrastive_loss(a, b.requires_grad_(), torch.tensor([similar]))
        loss.backward()
        assert loss.item() == pytest.approx(want)
        torch.testing.assert_close(b.grad, torch.tensor([[0.0, force]]))


def test_three_springs_settle_at_a_third_of_the_margin() -> None:
    """A is similar to B and to C, B and C are not: on a line, the energy margin^2 / 6."""
    margin = 1.5
    line = torch.tensor([[0.0], [-margin / 3], [margin / 3]], dtype=torch.float64)
    line.requires_grad_()
    first, second = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
    similar = torch.tensor([True, True, False])
    loss = 3 * contrastive_loss(line[first], line[second], similar, margin=margin)
    loss.backward()
    assert loss.item() == pytest.approx(margin**2 / 6)
    assert line.grad.abs().max() < 1e-12


def test_two_alike_and_a_stranger_reach_zero() -> None:
    settled = torch.tensor([[0.0], [0.0], [1.0]])
    assert batch_contrastive_loss(settled, torch.tensor([0, 0, 1])).item() == 0


@pytest.mark.parametrize("tile", [30, 2**18], ids=["tiles", "one tile"])
@pytest.mark.parametrize("balanced", [False, True])
def test_a_batch_is_all_its_pairs_once(
    balanced: bool, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "CPU_TILE", tile)
    for seed in range(3):
        embeddings, labels = batch(seed)
        embeddings.requires_grad_()
        got = batch_contrastive_loss(embeddings, labels, margin=2.5, balanced=balanced)
        want = slow(embeddings, labels, 2.5, balanced)
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(
            *(torch.autograd.grad(value, embeddings)[0] for value in (got, want))
        )


def test_a_batch_is_its_pairs_given_one_by_one() -> None:
    embeddings, labels = batch(4)
    i, j = torch.combinations(torch.arange(10)).T
    pairs = contrastive_loss(embeddings[i], embeddings[j], labels[i] == labels[j], margin=2.0)
    torch.testing.assert_close(batch_contrastive_loss(embeddings, labels, margin=2.0), pairs)


@pytest.mark.parametrize("balanced", [False, True])
def test_order_rotation_translation_and_scale(balanced: bool) -> None:
    embeddings, labels = batch(5)
    loss = batch_contrastive_loss(embeddings, labels, margin=2.0, balanced=balanced)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(embeddings[:4])[0]
    options = {"margin": 2.0, "balanced": balanced}
    for same in (
        batch_contrastive_loss(embeddings[order], labels[order], **options),
        batch_contrastive_loss(embeddings @ rotation + 5, labels, **options),
        batch_contrastive_loss(3 * embeddings, labels, margin=6.0, balanced=balanced) / 9,
    ):
        torch.testing.assert_close(same, loss)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    torch.testing.assert_close(
        batch_contrastive_loss(3 * embeddings, labels, normalise=True, **options),
        batch_contrastive_loss(unit, labels, **options),
    )


@pytest.mark.parametrize("balanced", [False, True])
def test_edges(balanced: bool) -> None:
    """One row has no pair; equal rows of other labels cost margin^2 / 2 and cannot part."""
    alone = torch.ones(1, 3, requires_grad=True)
    loss = batch_contrastive_loss(alone, torch.zeros(1), balanced=balanced)
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, alone)[0].any()
    equal = torch.zeros(4, 3, requires_grad=True)
    loss = batch_contrastive_loss(equal, torch.arange(4), margin=3.0, balanced=balanced)
    assert loss.item() == pytest.approx(4.5 / (2 if balanced else 1))
    assert not torch.autograd.grad(loss, equal)[0].any()
    one_class = batch_contrastive_loss(torch.eye(3), torch.zeros(3), balanced=balanced)
    assert one_class.item() == pytest.approx(1 / (2 if balanced else 1))  # d^2 / 2 = 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype: torch.dtype) -> None:
    embeddings, labels = batch(6)
    half = (50 * embeddings).to(dtype).requires_grad_()
    other, similar = half.roll(1), labels == labels.roll(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = batch_contrastive_loss(half, labels), contrastive_loss(half, other, similar)
    full = half.detach().float()
    wants = batch_contrastive_loss(full, labels), contrastive_loss(full, full.roll(1), similar)
    for got, want in zip(losses, wants, strict=True):
        assert got.dtype == torch.float32
        assert got.item() == want.item()
        assert torch.autograd.grad(got, half)[0].isfinite().all()


def test_torch_compile_sees_one_graph_and_arguments_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "CPU_TILE", 50)  # two tiles
    embeddings, labels = batch(7)
    before = embeddings.clone(), labels.clone()
    embeddings.requires_grad_()

    def both(rows: Tensor) -> Tensor:
        pairs = contrastive_loss(rows, rows.roll(1), labels == labels.roll(1))
        return pairs + batch_contrastive_loss(rows, labels, margin=2.0, balanced=True)

    compiled = torch.compile(both, fullgraph=True, backend="aot_eager")
    got, want = compiled(embeddings), both(embeddings)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, embeddings)[0] for value in (got, want))
    )
    assert torch.equal(embeddings, before[0])
    assert torch.equal(labels, before[1])


def test_wrong_arguments_are_named() -> None:
    rows, labels = batch(8)
    with pytest.raises(ValueError, match="a and b must have one shape"):
        contrastive_loss(rows, rows[1:], labels == 0)
    with pytest.raises(ValueError, match=r"similar must have shape \(10,\), got \(9,\)"):
        contrastive_loss(rows, rows, labels[1:] == 0)
    with pytest.raises(ValueError, match="pairs must be at least 1, got 0"):
        contrastive_loss(rows[:0], rows[:0], labels[:0] == 0)
    with pytest.raises(ValueError, match="margin must be above 0, got 0"):
        contrastive_loss(rows, rows, labels == 0, margin=0)
    with pytest.raises(ValueError, match="margin must be above 0, got -1"):
        batch_contrastive_loss(rows, labels, margin=-1)
    with pytest.raises(ValueError, match="labels must have shape"):
        batch_contrastive_loss(rows, labels[1:])
