"""Lifted structure against its equations pair by pair, and closed forms of equal rows."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from lookalike.losses.lifted_structure import lifted_structure_loss
from lookalike.pairwise import distances

FORMS = ["pairs", "generalised"]


def batch(seed: int, rows: int = 10, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(rows, 4, dtype=torch.float64, generator=generator)
    return embeddings, torch.randint(classes, (rows,), generator=generator)


def slow(embeddings: Tensor, labels: Tensor, margin: float, form: str) -> Tensor:
    """Both equations, with no logarithm of a sum but of the exponentials themselves."""
    count = range(len(labels))
    d = {
        (i, j): torch.dist(embeddings[i], embeddings[j])
        for i in count
        for j in count
        if not torch.equal(embeddings[i], embeddings[j])
    }
    same = {(i, j): bool(labels[i] == labels[j]) for i in count for j in count}
    terms = []
    for i in count:
        repel = [torch.exp(margin - d[i, n]) for n in count if not same[i, n]]
        positives = [j for j in count if same[i, j] and j != i]
        if not repel or not positives:
            continue
        if form == "generalised":
            attract = torch.log(sum(torch.exp(d[i, p]) for p in positives))
            terms.append((attract + torch.log(sum(repel))).clamp_min(0))
            continue
        for j in positives:
            if i < j:
                others = [torch.exp(margin - d[j, n]) for n in count if not same[j, n]]
                terms.append((torch.log(sum(repel + others)) + d[i, j]).clamp_min(0) ** 2 / 2)
    return torch.stack(terms).mean()


@pytest.mark.parametrize("tile", [30, 2**18], ids=["tiles", "one tile"])
@pytest.mark.parametrize("margin", [0.2, 1.0])
@pytest.mark.parametrize("form", FORMS)
def test_value_and_gradient_are_those_of_the_equations(
    form: str, margin: float, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "CPU_TILE", tile)
    for seed in range(3):
        embeddings, labels = batch(seed)
        embeddings.requires_grad_()
        got = lifted_structure_loss(embeddings, labels, margin=margin, form=form)
        want = slow(embeddings, labels, margin, form)
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(
            *(torch.autograd.grad(value, embeddings)[0] for value in (got, want))
        )


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_finite_differences(form: str) -> None:
    embeddings, labels = batch(3, rows=7)
    embeddings.requires_grad_()
    assert gradcheck(
        lambda x: lifted_structure_loss(x, labels, form=form, normalise=True), embeddings
    )


def test_collapse_in_closed_form() -> None:
    """P = 3 classes of K = 4 equal rows: 8 negatives a row, each of exp(margin)."""
    alike, labels = torch.full((12, 3), 0.7), torch.arange(12) % 3
    pairs = lifted_structure_loss(alike, labels, margin=0.5)
    assert pairs.item() == pytest.approx((0.5 + math.log(16)) ** 2 / 2)
    every = lifted_structure_loss(alike, labels, margin=0.5, form="generalised")
    assert every.item() == pytest.approx(math.log(3) + 0.5 + math.log(8))


@pytest.mark.parametrize("form", FORMS)
def test_classes_far_apart_cost_nothing(form: str) -> None:
    rows = torch.tensor([[0.0], [0.5], [90.0], [90.5]])
    assert lifted_structure_loss(rows, torch.tensor([0, 0, 1, 1]), form=form).item() == 0


@pytest.mark.parametrize("form", FORMS)
def test_order_rotation_and_translation(form: str) -> None:
    embeddings, labels = batch(4)
    loss = lifted_structure_loss(embeddings, labels, form=form)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(embeddings[:4])[0]
    moved = lifted_structure_loss(embeddings @ rotation - 5, labels, form=form)
    torch.testing.assert_close(moved, loss)
    mixed = lifted_structure_loss(embeddings[order], labels[order], form=form)
    torch.testing.assert_close(mixed, loss)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    torch.testing.assert_close(
        lifted_structure_loss(3 * embeddings, labels, form=form, normalise=True),
        lifted_structure_loss(unit, labels, form=form),
    )


@pytest.mark.parametrize("tile", [6, 2**18], ids=["tiles", "one tile"])
@pytest.mark.parametrize("form", FORMS)
def test_without_positives_or_negatives_it_is_0(
    form: str, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "CPU_TILE", tile)
    for rows, labels in ((6, torch.zeros(6)), (6, torch.arange(6)), (1, torch.zeros(1))):
        embeddings = batch(5, rows)[0].requires_grad_()
        loss = lifted_structure_loss(embeddings, labels, form=form)
        assert loss.item() == 0
        assert torch.equal(torch.autograd.grad(loss, embeddings)[0], torch.zeros(rows, 4).double())


@pytest.mark.parametrize("form", FORMS)
def test_anchors_without_a_positive_do_not_count(form: str) -> None:
    """A row that is its class's only one repels the others, but has no term of its own."""
    embeddings, labels = batch(6)
    labels[0] = 99
    got = lifted_structure_loss(embeddings, labels, form=form)
    torch.testing.assert_close(got, slow(embeddings, labels, 1.0, form))


@pytest.mark.parametrize("form", FORMS)
def test_equal_rows_have_a_finite_gradient(form: str) -> None:
    embeddings, labels = batch(7)
    embeddings[1], embeddings[2], embeddings[3] = embeddings[0], 0, 0
    loss = lifted_structure_loss(embeddings.requires_grad_(), labels, form=form, normalise=True)
    assert torch.autograd.grad(loss, embeddings)[0].isfinite().all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised_and_large_rows_do_not_overflow(
    dtype: torch.dtype, form: str
) -> None:
    embeddings, labels = batch(8)
    half = (100 * embeddings).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = lifted_structure_loss(half, labels, form=form)
    want = lifted_structure_loss(half.detach().float(), labels, form=form)
    assert got.dtype == torch.float32
    assert got.isfinite()
    assert got.item() == want.item()
    assert torch.autograd.grad(got, half)[0].isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_torch_compile_sees_one_graph_and_arguments_stay(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "CPU_TILE", 50)  # two tiles
    embeddings, labels = batch(9)
    before = embeddings.clone(), labels.clone()
    embeddings.requires_grad_()
    compiled = torch.compile(lifted_structure_loss, fullgraph=True, backend="aot_eager")
    got, want = (each(embeddings, labels, form=form) for each in (compiled, lifted_structure_loss))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, embeddings)[0] for value in (got, want))
    )
    assert torch.equal(embeddings, before[0])
    assert torch.equal(labels, before[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embeddings": torch.ones(4)}, "embeddings must be a matrix"),
        ({"labels": torch.zeros(3)}, r"labels must have shape \(4,\), got \(3,\)"),
        ({"margin": -1.0}, "margin must be at least 0, got -1.0"),
        ({"form": "song"}, "form must be one of generalised, pairs"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lifted_structure_loss(
            **{"embeddings": torch.ones(4, 2), "labels": torch.zeros(4), **arguments}
        )
