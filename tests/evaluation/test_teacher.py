"""What tells a good teacher, against loops, closed forms and other definitions of the same."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, kl_divergence
from torch.nn import functional as F

from lookalike.evaluation.teacher import (
    TeacherMeasures,
    accuracy,
    agreement,
    calibration_error,
    linear_cka,
    mean_divergence,
    mean_entropy,
    measure_teacher,
)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sure(*confidences, classes=2):
    """Return logits whose first class has these probabilities, and the others share the rest."""
    first = torch.tensor(confidences, dtype=torch.float64)[:, None]
    return torch.cat([first, ((1 - first) / (classes - 1)).expand(-1, classes - 1)], 1).log()


def test_accuracy_and_agreement_count():
    student = F.one_hot(torch.tensor([0, 1, 2, 2, 1])).float()
    teacher = F.one_hot(torch.tensor([0, 2, 2, 1, 1])).float()
    labels = torch.tensor([1, 1, 2, 0, 1])
    assert accuracy(student, labels) == pytest.approx(3 / 5)
    assert accuracy(teacher, labels) == pytest.approx(2 / 5)
    assert agreement(student, teacher) == agreement(teacher, student) == pytest.approx(3 / 5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_entropy_and_divergence_are_those_of_torchs_distributions(temperature):
    student, teacher = normal(20, 6), 3 * normal(20, 6, seed=1)
    q, p = (Categorical(logits=z.double() / temperature) for z in (student, teacher))
    want = p.entropy().mean().item()
    assert mean_entropy(teacher, temperature=temperature) == pytest.approx(want)
    want = kl_divergence(p, q).mean().item()
    assert mean_divergence(student, teacher, temperature=temperature) == pytest.approx(want)


def test_entropy_runs_from_0_to_the_logarithm_of_the_classes():
    assert mean_entropy(torch.zeros(3, 7)) == pytest.approx(math.log(7))
    assert mean_entropy(1e4 * torch.eye(7)) == 0
    softened = [mean_entropy(normal(9, 7), temperature=t) for t in (0.1, 1, 4, 100)]
    assert softened == sorted(softened)


def test_calibration_error_is_that_of_a_loop():
    logits = 2 * normal(300, 4)
    labels = torch.randint(4, (300,), generator=torch.Generator().manual_seed(1))
    held = [[] for _ in range(10)]
    for row, label in zip(logits.double().softmax(1).tolist(), labels.tolist(), strict=True):
        place = next(m for m in range(10) if max(row) <= (m + 1) / 10)
        held[place].append((row.index(max(row)) == label, max(row)))
    want = 0.0
    for each in held:
        right, confidence = (sum(column) for column in zip(*each, strict=True)) if each else (0, 0)
        want += abs(right - confidence) / 300
    assert calibration_error(logits, labels, bins=10) == pytest.approx(want)


def test_a_network_as_sure_as_it_is_right_has_no_calibration_error():
    logits = sure(*[0.8] * 10)
    labels = torch.tensor([0] * 8 + [1] * 2)
    assert calibration_error(logits, labels) == pytest.approx(0, abs=1e-12)
    assert calibration_error(logits, 1 - labels) == pytest.approx(0.6)


def test_errors_of_two_signs_cancel_within_a_bin_and_not_across():
    """Wrong at 0.7, right at 0.9: gaps of -0.7 and 0.1. The upper bin of two holds both."""
    logits, labels = sure(0.7, 0.9), torch.tensor([1, 0])
    assert calibration_error(logits, labels, bins=2) == pytest.approx(0.6 / 2)
    assert calibration_error(logits, labels, bins=5) == pytest.approx(0.8 / 2)


def test_a_confidence_on_the_edge_is_of_the_bin_below():
    """At 1/2, which is exact, and 0.4 below it: one bin of two, whose gaps cancel."""
    below = sure(0.4, classes=3)
    logits = torch.cat([torch.tensor([[0.0, 0.0, -1e4]], dtype=torch.float64), below])
    labels = torch.tensor([2, 0])  # gaps of -0.5 and 0.6
    assert calibration_error(logits, labels, bins=2) == pytest.approx(0.1 / 2)


@pytest.mark.parametrize(("first", "second"), [(3, 5), (20, 4), (40, 50), (12, 12)])
def test_cka_is_that_of_its_definition_by_independence(first, second):
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K and L of all rows with all, H centring them."""
    x = normal(12, first).double().numpy() + 3
    y = normal(12, second, seed=1).double().numpy() - 5
    centring = np.eye(12) - 1 / 12
    k, m = x @ x.T, y @ y.T

    def hsic(a, b):
        return np.trace(a @ centring @ b @ centring)

    want = hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))
    assert linear_cka(*map(torch.from_numpy, (x, y))) == pytest.approx(want)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_cka_does_not_see_rotation_scale_and_place(shape):
    x, y = normal(*shape), normal(shape[0], 9, seed=1)
    rotation = torch.linalg.qr(normal(shape[1], shape[1], seed=2).double())[0].float()
    moved = 7 * x @ rotation + 3
    assert linear_cka(moved, y) == pytest.approx(linear_cka(x, y), rel=1e-4)
    assert linear_cka(moved, x) == pytest.approx(1, rel=1e-4)
    assert linear_cka(x, y) == pytest.approx(linear_cka(y, x))
    assert linear_cka(x, y) < 1


def test_cka_of_columns_that_do_not_correlate_is_0():
    signs = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert linear_cka(signs[:, :1], signs[:, 1:]) == 0


def test_cka_of_one_column_each_is_the_squared_correlation():
    x, y = normal(30, 1), normal(30, 1, seed=1)
    want = np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2
    assert linear_cka(x, y) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_cka_of_what_does_not_change_is_not_a_number(shape):
    constant = torch.full(shape, 0.1, dtype=torch.float64)
    assert math.isnan(linear_cka(constant, normal(*shape)))


@pytest.mark.parametrize("with_features", [True, False])
def test_the_measures_are_those_of_the_functions(with_features):
    student, teacher = normal(30, 5), 2 * normal(30, 5, seed=1)
    labels = torch.arange(30) % 5
    features = {}
    if with_features:
        features = {"student_features": normal(30, 4), "teacher_features": normal(30, 9, seed=1)}
    got = measure_teacher(student, teacher, labels, temperature=3.0, bins=7, **features)
    assert got == TeacherMeasures(
        images=30,
        teacher_top1=accuracy(teacher, labels),
        student_top1=accuracy(student, labels),
        agreement=agreement(student, teacher),
        divergence=mean_divergence(student, teacher),
        teacher_entropy=mean_entropy(teacher, temperature=3.0),
        temperature=3.0,
        teacher_calibration_error=calibration_error(teacher, labels, bins=7),
        student_calibration_error=calibration_error(student, labels, bins=7),
        bins=7,
        feature_similarity=linear_cka(*features.values()) if with_features else None,
    )


def test_of_a_teacher_and_itself_nothing_is_apart():
    logits, features = normal(30, 5), normal(30, 8, seed=1)
    got = measure_teacher(
        logits,
        logits,
        logits.argmax(1),
        student_features=features,
        teacher_features=features,
    )
    assert (got.agreement, got.divergence, got.teacher_top1) == (1, 0, 1)
    assert got.feature_similarity == pytest.approx(1)
    assert got.student_calibration_error == got.teacher_calibration_error


def test_half_precision_is_raised():
    logits = (100 * normal(9, 5)).half()
    full = logits.double()
    assert mean_entropy(logits) == mean_entropy(full)
    assert mean_divergence(logits, logits.flip(0)) == mean_divergence(full, full.flip(0))
    assert linear_cka(logits, logits[:, :2]) == linear_cka(full, full[:, :2])


def test_a_table_shows_what_there_is():
    """Features that are all equal are alike to nothing: then the row is left out."""
    logits, labels = torch.eye(4), torch.arange(4)
    features = torch.arange(8.0).view(4, 2)
    known = {"student_features": features, "teacher_features": 3 - 2 * features}
    found = measure_teacher(logits, logits.flip(0), labels, **known)
    assert found.to_json()["feature_similarity"] == pytest.approx(1)
    shown = dict(line.split("  ", 1) for line in found.lines())
    assert shown["top-1"].split() == ["0.0%", "100.0%"]
    assert shown["they agree on"].split() == ["0.0%"]
    for equal in (known | {"teacher_features": torch.ones(4, 2)}, {}):
        bare = measure_teacher(logits, logits.flip(0), labels, **equal)
        assert bare.to_json()["feature_similarity"] is None
        assert len(bare.lines()) == len(found.lines()) - 1


def test_nonsense_is_refused():
    logits, labels = torch.ones(4, 3), torch.zeros(4, dtype=torch.int64)
    refusals = [
        ("labels must have shape", lambda: accuracy(logits, labels[:3])),
        ("must have one shape", lambda: agreement(logits, logits[:, :2])),
        ("rows must be at least 1", lambda: mean_entropy(logits[:0])),
        ("temperature must be above 0", lambda: mean_entropy(logits, temperature=0)),
        ("temperature must be above 0", lambda: mean_divergence(logits, logits, temperature=0)),
        ("bins must be at least 1", lambda: calibration_error(logits, labels, bins=0)),
        ("rows must be at least 2", lambda: linear_cka(logits[:1], logits[:1])),
        ("first and second must have as many rows", lambda: linear_cka(logits, logits[:3])),
        (
            "must come both, or neither",
            lambda: measure_teacher(logits, logits, labels, student_features=logits),
        ),
        (
            "labels must have shape",
            lambda: measure_teacher(
                logits, logits, labels, student_features=logits[:3], teacher_features=logits[:3]
            ),
        ),
    ]
    for message, call in refusals:
        with pytest.raises(ValueError, match=message):
            call()
