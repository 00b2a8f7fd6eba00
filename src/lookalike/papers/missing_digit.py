"""A digit that the student never sees: Hinton et al. 2015, section 3, on scikit-learn's digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookalike.losses.kd import kd_loss
from lookalike.losses.soft_cross_entropy import soft_cross_entropy_loss
from lookalike.papers.digits import read_digits

MISSING = 3
TRAINED = 1200  # digits of 1,797; the others are asked
STEPS, BATCH = 1200, 128
TEMPERATURE = 8.0  # the paper has 20 for wide hidden layers, and less for narrow ones


def right_of_missing(*, seed: int, soft: bool = True) -> float:
    """Return the share of threes that a student gets right who was shown none.

    A wide network learns from all training digits. A narrower one is shown none of the threes and
    learns its answers on the others; then its bias for three is raised until it answers three on
    as many of all training digits as are threes.

    Args:
        seed: of the halves and the networks.
        soft: learn from the teacher's softened answers; otherwise from the labels alone.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    images, labels = _digits(seed)
    trained, asked = slice(TRAINED), slice(TRAINED, None)
    torch.manual_seed(seed)
    teacher, student = _network(300), _network(60)
    _train(teacher, images[trained], _certain(labels[trained]), soft=False)
    shown = images[trained][labels[trained] != MISSING]
    told = _certain(labels[trained][labels[trained] != MISSING])
    if soft:
        with torch.no_grad():
            told = teacher(shown)
    _train(student, shown, told, soft=soft)
    with torch.no_grad():
        known, said = student(images[trained]), student(images[asked])
    said[:, MISSING] += _missing_bias(known, count=int((labels[trained] == MISSING).sum()))
    threes = labels[asked] == MISSING
    return float((said[threes].argmax(1) == MISSING).double().mean())


def _digits(seed: int) -> tuple[Tensor, Tensor]:
    pixels, labels = read_digits()
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(seed))
    return torch.from_numpy(pixels).float()[order] / 16, torch.from_numpy(labels).long()[order]


def _network(width: int) -> nn.Sequential:
    """Return two hidden layers, as in the paper: (B, 64) -> (B, 10) logits."""
    layers = (nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(width, 10))


def _certain(labels: Tensor) -> Tensor:
    return nn.functional.one_hot(labels, 10).float()


def _train(network: nn.Sequential, images: Tensor, told: Tensor, *, soft: bool) -> None:
    """Let a network learn (N, 10) logits, softened, or probabilities."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(STEPS):
        drawn = torch.randint(len(images), (BATCH,))
        logits = network(images[drawn])
        loss = (
            kd_loss(logits, told[drawn], temperature=TEMPERATURE)
            if soft
            else soft_cross_entropy_loss(logits, told[drawn])
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _missing_bias(logits: Tensor, *, count: int) -> float:
    """Return what must be added to the missing digit's logit so that it wins `count` times."""
    others = torch.cat([logits[:, :MISSING], logits[:, MISSING + 1 :]], dim=1).amax(1)
    needed = (others - logits[:, MISSING]).sort().values  # what makes it win, digit by digit
    return float(needed[count - 1 : count + 1].mean())
