"""The factors of docs/distillation_losses.md: a published weight times one is the weight of ours.

Each published reduction is written out plainly, in the words of its own code: sums, means and what
is added so as not to divide by 0.
"""

import pytest
import torch
import torch.nn.functional as F

from lookalike.losses.attention_transfer import attention_transfer_loss
from lookalike.losses.correlation_congruence import correlation_congruence_loss
from lookalike.losses.dist import dist_loss
from lookalike.losses.dkd import dkd_loss
from lookalike.losses.embedding_regression import embedding_regression_loss
from lookalike.losses.fitnet import fitnet_loss
from lookalike.losses.kd import kd_loss
from lookalike.losses.logit_mse import logit_mse_loss
from lookalike.losses.nst import nst_loss
from lookalike.losses.similarity_distillation import similarity_distillation_loss
from lookalike.losses.vid import vid_loss

N, C, H, W, K = 6, 5, 4, 3, 8
LABELS = torch.tensor([0, 4, 2, 2, 1, 3])
GENERATOR = torch.Generator().manual_seed(0)
STUDENT, TEACHER = 2 * torch.randn(2, N, C, dtype=torch.float64, generator=GENERATOR)
OURS, THEIRS = torch.randn(2, N, C, H, W, dtype=torch.float64, generator=GENERATOR)
SMALL = torch.randn(N, C, H // 2, W // 3, dtype=torch.float64, generator=GENERATOR)
SCALE = torch.randn(C, dtype=torch.float64, generator=GENERATOR)
ANCHORS = F.normalize(torch.randn(K, C, dtype=torch.float64, generator=GENERATOR), dim=1)
OWN_ANCHORS = F.normalize(torch.randn(K, C + 1, dtype=torch.float64, generator=GENERATOR), dim=1)
WIDER = torch.randn(N, C + 1, dtype=torch.float64, generator=GENERATOR)
UNIT, UNIT_TEACHER = F.normalize(STUDENT, dim=1), F.normalize(TEACHER, dim=1)


def kl_sum(student, teacher, temperature=1.0):
    q, p = ((each / temperature).softmax(1) for each in (student, teacher))
    return (p * (p / q).log()).sum()


def attention(features):
    flat = features.pow(2).mean(1).view(N, -1)
    return flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)


def selectivity(features):
    """Return every channel's vector at norm 1, so that all pairs can be made by broadcasting."""
    flat = features.reshape(N, C, -1)
    return flat / flat.norm(dim=2, keepdim=True).clamp_min(1e-12)


def poly(first, second):
    return (first[:, None] * second[:, :, None]).sum(-1).pow(2).mean()


def binary(logits):
    """Return the probabilities of the true class and of all others, (N, 2)."""
    own = logits.softmax(1).gather(1, LABELS[:, None])
    return torch.cat([own, 1 - own], 1)


def pearson(first, second):
    first, second = (each - each.mean(1, keepdim=True) for each in (first, second))
    return (first * second).sum(1) / (first.norm(dim=1) * second.norm(dim=1) + 1e-8)


def published_dkd(alpha, beta, temperature):
    student, teacher = STUDENT / temperature, TEACHER / temperature
    target = binary(teacher) * (binary(teacher) / binary(student)).log()
    away = 1000.0 * F.one_hot(LABELS, C)
    q, p = (student - away).log_softmax(1), (teacher - away).softmax(1)
    others = F.kl_div(q, p, reduction="sum")
    return temperature**2 * (alpha * target.sum() + beta * others) / N


def published_dist(temperature):
    q, p = ((each / temperature).softmax(1) for each in (STUDENT, TEACHER))
    inter, intra = 1 - pearson(q, p).mean(), 1 - pearson(q.T, p.T).mean()
    return temperature**2 * (inter + intra)


def published_vid():
    variance = torch.log(1 + torch.exp(SCALE)) + 1e-5
    wide = variance.view(1, -1, 1, 1)
    return (0.5 * ((OURS - THEIRS) ** 2 / wide + torch.log(wide))).mean()


def soft_label_mean(student, teacher, temperature):
    """Return what nn.KLDivLoss() does by default, T^2 times: a mean over images and classes."""
    q, p = ((each / temperature).softmax(1) for each in (student, teacher))
    return temperature**2 * (p * (p.log() - q.log())).mean()


def divergences(student, anchors, temperature=0.04):
    """Return the terms of KL between both sides' similarities to anchors, (N, K)."""
    said = (F.normalize(student, dim=1) @ anchors.T / temperature).log_softmax(1)
    wanted = (UNIT_TEACHER @ ANCHORS.T / temperature).log_softmax(1)
    return wanted.exp() * (wanted - said)


def published_seed():
    """Return what SEED's code does: the image itself is the first column of both sides."""
    first = [(side * UNIT_TEACHER).sum(1, keepdim=True) for side in (UNIT, UNIT_TEACHER)]
    said = torch.cat([first[0], UNIT @ ANCHORS.T], 1) / 0.2
    wanted = torch.cat([first[1], UNIT_TEACHER @ ANCHORS.T], 1) / 1e-4
    return -(wanted.softmax(1) * said.log_softmax(1)).sum(1).mean()


def taylor(rows, gamma=0.4):
    """Return the kernel of correlation congruence, to the second order, of all pairs."""
    cosines = 2 * gamma * rows @ rows.T
    return torch.exp(torch.tensor(-2 * gamma)) * (1 + cosines + cosines**2 / 2)


# What ours is given as the variance, so that it is theirs: softplus of the parameter.
LOG_VARIANCE = torch.log(torch.log(1 + torch.exp(SCALE)))
POOLED = F.avg_pool2d(OURS, (2, 3))

FACTORS = {
    "kd, RepDistiller": (16 * kl_sum(STUDENT, TEACHER, 4) / N, 1, kd_loss(STUDENT, TEACHER)),
    "kd, torchdistill without labels": (
        kl_sum(STUDENT, TEACHER, 4) / N,
        1 / 16,
        kd_loss(STUDENT, TEACHER),
    ),
    "kd, KLDivLoss() of TAKD": (
        soft_label_mean(STUDENT, TEACHER, 4),
        1 / C,
        kd_loss(STUDENT, TEACHER),
    ),
    "logit_mse, mse_loss": (
        (STUDENT - TEACHER).pow(2).mean(),
        2 / C,
        logit_mse_loss(STUDENT, TEACHER),
    ),
    "dkd, mdistiller": (published_dkd(1, 8, 4), 1, dkd_loss(STUDENT, TEACHER, LABELS)),
    "dkd, mdistiller on ImageNet": (
        published_dkd(1, 0.5, 1),
        1,
        dkd_loss(STUDENT, TEACHER, LABELS, beta=0.5, temperature=1),
    ),
    "dist, authors": (published_dist(1), 1, dist_loss(STUDENT, TEACHER)),
    "dist, authors on CIFAR-100": (
        published_dist(4),
        1,
        dist_loss(STUDENT, TEACHER, temperature=4),
    ),
    "fitnet, RepDistiller": (
        (OURS - THEIRS).pow(2).mean(),
        2 / (C * H * W),
        fitnet_loss(OURS, THEIRS),
    ),
    "fitnet, torchdistill": ((OURS - THEIRS).pow(2).sum(), 2 * N, fitnet_loss(OURS, THEIRS)),
    "attention_transfer, RepDistiller": (
        (attention(OURS) - attention(THEIRS)).pow(2).mean(),
        1 / (H * W),
        attention_transfer_loss(OURS, THEIRS),
    ),
    "attention_transfer, RepDistiller, pooled": (
        (attention(POOLED) - attention(SMALL)).pow(2).mean(),
        1 / SMALL[0, 0].numel(),
        attention_transfer_loss(OURS, SMALL),
    ),
    "nst, RepDistiller": (
        poly(*[selectivity(OURS)] * 2)
        + poly(*[selectivity(THEIRS)] * 2)
        - 2 * poly(selectivity(OURS), selectivity(THEIRS)),
        1,
        nst_loss(OURS, THEIRS),
    ),
    "embedding_regression, DisCo": (
        F.mse_loss(UNIT, UNIT_TEACHER, reduction="sum"),
        N,
        embedding_regression_loss(STUDENT, TEACHER),
    ),
    "embedding_regression, mse_loss": (
        F.mse_loss(STUDENT, TEACHER),
        1 / C,
        embedding_regression_loss(STUDENT, TEACHER, normalise=False),
    ),
    "embedding_regression, cosine_embedding_loss": (
        F.cosine_embedding_loss(STUDENT, TEACHER, torch.ones(N)),
        1 / 2,
        embedding_regression_loss(STUDENT, TEACHER),
    ),
    "similarity_distillation, CompRess with one queue": (
        divergences(STUDENT, ANCHORS).sum() / N,
        1,
        similarity_distillation_loss(STUDENT, TEACHER, ANCHORS),
    ),
    "similarity_distillation, CompRess with two queues": (
        divergences(WIDER, OWN_ANCHORS).sum() / N,
        1,
        similarity_distillation_loss(WIDER, TEACHER, ANCHORS, OWN_ANCHORS),
    ),
    "similarity_distillation, SEED": (
        published_seed(),
        1,
        similarity_distillation_loss(
            STUDENT,
            TEACHER,
            ANCHORS,
            temperature=0.2,
            teacher_temperature=1e-4,
            pair=True,
            form="cross_entropy",
        ),
    ),
    "similarity_distillation, KLDivLoss()": (
        divergences(STUDENT, ANCHORS).mean(),
        1 / K,
        similarity_distillation_loss(STUDENT, TEACHER, ANCHORS),
    ),
    "correlation_congruence, paper": (
        (taylor(UNIT) - taylor(UNIT_TEACHER)).pow(2).sum() / N**2,
        (N - 1) / N,
        correlation_congruence_loss(STUDENT, TEACHER),
    ),
    "vid, RepDistiller": (published_vid(), 1 / (C * H * W), vid_loss(OURS, THEIRS, LOG_VARIANCE)),
}


@pytest.mark.parametrize("name", FACTORS)
def test_the_factor_makes_ours_the_published_loss(name):
    published, factor, ours = FACTORS[name]
    torch.testing.assert_close(factor * ours, published, rtol=1e-6, atol=1e-12)
    assert abs(published.item()) > 1e-3


def test_no_factor_makes_ours_the_attention_transfer_that_the_paper_prints():
    """A mean of norms is none of a mean of squares: the ratio changes with the features."""
    ratios = []
    for student in (OURS, OURS.roll(1, 0), THEIRS + 0.1 * OURS):
        norms = (attention(student) - attention(THEIRS)).norm(dim=1).mean()
        ratios.append((norms / attention_transfer_loss(student, THEIRS)).item())
    assert max(ratios) > 1.5 * min(ratios)


def test_torchdistills_kd_of_alpha_is_1_less_alpha():
    alpha, temperature = 0.3, 4.0
    hard = F.cross_entropy(STUDENT, LABELS)
    published = alpha * hard + (1 - alpha) * temperature**2 * kl_sum(STUDENT, TEACHER, 4) / N
    ours = alpha * hard + (1 - alpha) * kd_loss(STUDENT, TEACHER, temperature=temperature)
    torch.testing.assert_close(ours, published)


def neighbours_in_the_batch(student):
    """Return what RepDistiller calls correlation: errors of a row times those of the next."""
    errors = (student - UNIT_TEACHER).abs()
    return (errors[:-1] * errors[1:]).sum(1).mean()


def norm_of_correlations(student):
    """Return torchdistill's form, with the kernel: a norm and not its square, over N^2."""
    return torch.dist(taylor(student), taylor(UNIT_TEACHER), 2) / N**2


@pytest.mark.parametrize("published", [neighbours_in_the_batch, norm_of_correlations])
def test_no_factor_makes_ours_the_correlation_congruence_of_the_codes(published):
    near = F.normalize(UNIT_TEACHER + 0.1 * UNIT, dim=1)
    ratios = [
        (published(student) / correlation_congruence_loss(student, UNIT_TEACHER)).item()
        for student in (UNIT, UNIT.roll(1, 0), near)
    ]
    assert max(ratios) > 1.5 * min(ratios)
