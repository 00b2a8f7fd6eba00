"""The slope is that of the loss pair by pair, and the map finds what tells classes apart."""

import numpy as np
import pytest
import torch

from lookalike.evaluation import mahalanobis
from lookalike.evaluation.mahalanobis import contrastive_slope, fit_mahalanobis


def pair_by_pair(x, y, map_):
    """Both means, pair by pair."""
    similar, dissimilar = [], []
    for i in range(len(x)):
        for j in range(i):
            distance = ((x[i] - x[j]) @ map_).norm()
            if y[i] == y[j]:
                similar.append(distance**2 / 2)
            else:
                dissimilar.append((1 - distance).clamp(min=0) ** 2 / 2)
    return (sum(similar) / len(similar) + sum(dissimilar) / len(dissimilar)) / 2


def weights_of(y):
    alike = int((y[:, None] == y).sum()) - len(y)
    return 1 / alike, 1 / (len(y) * (len(y) - 1) - alike)


@pytest.mark.parametrize("rows", [3, 256])
def test_the_slope_is_that_of_the_loss(rows, monkeypatch):
    monkeypatch.setattr(mahalanobis, "ROWS", rows)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(11, 4, dtype=torch.float64, generator=generator)
    map_ = torch.randn(4, 2, dtype=torch.float64, generator=generator).mul(0.3).requires_grad_()
    y = torch.arange(11) % 3
    expected = pair_by_pair(x, y, map_)
    (expected_slope,) = torch.autograd.grad(expected, map_)
    value, slope = contrastive_slope(x, y, map_.detach(), weights=weights_of(y))
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(slope, expected_slope)


def test_two_points_in_one_place_push_nowhere():
    x = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    map_ = torch.ones(1, 1, dtype=torch.float64)
    value, slope = contrastive_slope(x, torch.tensor([0, 1, 0]), map_, weights=(0.5, 0.25))
    # similar: D = 1; dissimilar: D = 0 and D = 1 = the margin
    assert value == pytest.approx((1 / 2 + (1 / 2 + 0) / 2) / 2)
    assert slope.isfinite().all()
    assert slope.item() == pytest.approx(1 / 2)  # d/dA of A^2 / 4, from the similar pair alone


def sheets(count=60):
    """Two classes that differ in a narrow direction, and vary more in a wide one."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 2
    x = generator.normal(size=(count, 3)) * [10, 1, 0.1]
    x[:, 2] += labels
    return x, labels


def test_the_direction_that_tells_classes_apart_is_found():
    x, labels = sheets()
    matrix = fit_mahalanobis(x, labels, dim=1)
    direction = np.abs(matrix[0]) / np.linalg.norm(matrix)
    assert direction[2] > 0.99
    # Distances are what counts: 1 between classes, little within.
    between = np.abs((x[labels == 1].mean(0) - x[labels == 0].mean(0)) @ matrix.T)
    assert 0.8 < between.item() < 1.2


def test_nothing_near_is_better():
    x, labels = sheets()
    matrix = torch.from_numpy(fit_mahalanobis(x, labels, dim=2)).T
    points, y = torch.from_numpy(x), torch.from_numpy(labels)
    value, slope = contrastive_slope(points, y, matrix, weights=weights_of(y))
    assert slope.norm() < 2e-4  # 1e-5 where distances are about 1, and here they are about 14
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        step = 1e-3 * torch.randn(matrix.shape, generator=generator, dtype=torch.float64)
        assert contrastive_slope(points, y, matrix + step, weights=weights_of(y))[0] > value


def test_a_turned_and_moved_space_is_the_same_space():
    x, labels = sheets()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = x @ turn + 5
    one, other = (each @ fit_mahalanobis(each, labels, dim=2).T for each in (x, moved))
    distances = [np.linalg.norm(each[:, None] - each, axis=2) for each in (one, other)]
    np.testing.assert_allclose(*distances, atol=1e-3)


def test_unknown_labels_take_no_part():
    x, labels = sheets()
    more = np.concatenate([x, 1e6 * np.ones((4, 3))])
    marked = np.concatenate([labels, np.full(4, -1)])
    one, other = fit_mahalanobis(more, marked, dim=1), fit_mahalanobis(x, labels, dim=1)
    np.testing.assert_allclose(one, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dim": 4}, r"dim must be in \[1, 3\], got 4"),
        ({"labels": np.zeros(60, dtype=np.int64)}, "got similar ones only"),
        ({"labels": np.arange(60)}, "got dissimilar ones only"),
        ({"labels": np.zeros(3, dtype=np.int64)}, r"labels must have shape \(60,\)"),
        ({"vectors": np.ones((60, 3))}, "vectors must differ"),
    ],
)
def test_nonsense_is_refused(change, said):
    x, labels = sheets()
    given = {"vectors": x, "labels": labels, "dim": 1} | change
    with pytest.raises(ValueError, match=said):
        fit_mahalanobis(given.pop("vectors"), given.pop("labels"), **given)
