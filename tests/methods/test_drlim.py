"""DrLIM learns from pairs as a table tells them, or from all pairs of a labelled batch."""

import torch

from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.methods.drlim import DrLIM

SIMILAR = [True, False, False]


def make(**arguments):
    torch.manual_seed(0)
    return DrLIM(build_backbone("small_conv", width=4), **arguments).eval()


def pairs(similar=SIMILAR, views=1):
    generator = torch.Generator().manual_seed(1)
    count = 2 * len(similar)
    pictures = tuple(torch.rand(count, 3, 16, 16, generator=generator) for _ in range(views))
    index = torch.arange(count)
    return Batch(pictures, torch.full((count,), -1), index, torch.tensor(similar))


def springs(method, batch, margin):
    """Equation 4, pair by pair, with the distance of each."""
    energies, distances = [], []
    for view in batch.views:
        for number, similar in enumerate(batch.similar.tolist()):
            a, b = method.embed(view)[2 * number : 2 * number + 2]
            distance = (a - b).norm()
            distances.append(distance)
            energies.append(
                distance**2 / 2 if similar else (margin - distance).clamp_min(0) ** 2 / 2
            )
    return torch.stack(energies).mean(), torch.stack(distances)


def test_rows_side_by_side_are_the_pairs():
    method = make(loss_arguments={"margin": 0.7})
    for batch in (pairs(), pairs(views=2)):
        expected, _ = springs(method, batch, 0.7)
        torch.testing.assert_close(method(batch).loss, expected)


def test_alikeness_need_not_be_transitive():
    """A is like B and B like C, and A is not like C: no labels could say so."""
    method, views = make(), torch.rand(3, 3, 16, 16)
    rows = torch.tensor([0, 1, 1, 2, 0, 2])
    batch = Batch((views[rows],), torch.full((6,), -1), rows, torch.tensor([True, True, False]))
    expected, _ = springs(method, batch, 1.0)
    torch.testing.assert_close(method(batch).loss, expected)


def test_pairs_tell_how_far_they_are_apart():
    method = make()
    batch = pairs()
    _, distances = springs(method, batch, 1.0)
    logs = method(batch).logs
    torch.testing.assert_close(logs["positive_distance"], distances[:1].mean())
    torch.testing.assert_close(logs["negative_distance"], distances[1:].mean())
    norms = torch.stack([each.norm() for each in method.embed(batch.views[0])])
    torch.testing.assert_close(logs["norm"], norms.mean())
    assert not any(value.requires_grad for value in logs.values())


def test_a_batch_of_one_kind_has_no_distance_of_the_other():
    method = make()
    assert method(pairs([True, True])).logs["negative_distance"] == 0
    assert method(pairs([False, False])).logs["positive_distance"] == 0


def test_what_is_said_of_pairs_is_what_labels_are_not():
    """Other labels change nothing where pairs are told; without pairs, they are what counts."""
    method, batch = make(), pairs()
    labelled = batch._replace(labels=torch.arange(6) // 2)
    assert method(batch).loss.equal(method(labelled).loss)
    assert not method(labelled).loss.equal(method(labelled._replace(similar=None)).loss)
