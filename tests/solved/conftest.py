"""Pictures in memory, as solved encoders read them."""

import pytest
import torch

from lookalike.solved.base import Block


class Few:
    """A few pictures, shared by some processes that are asked in turn.

    Views of a picture are itself and noise.
    """

    def __init__(self, pictures, labels=None, pairs=None, *, rank=0, world=1, block=8, noise=0.05):
        self.pictures, self.pairs = pictures, pairs
        self.labels = torch.full((len(pictures),), -1) if labels is None else labels
        self.count, self.size = len(pictures), pictures.shape[-1]
        self.classes = int(self.labels.max()) + 1
        self.seed, self.device = 0, torch.device("cpu")
        self.rank, self.world, self.block, self.noise = rank, world, block, noise
        self.kept, self.asked = {}, []

    def blocks(self, title, *, most=None, only=None, plan=None):
        self.asked.append(title)
        drawn = torch.arange(self.count) if only is None else only
        drawn = drawn[:most]
        for number, index in enumerate(drawn.split(self.block)):
            if number % self.world != self.rank:
                continue
            place = torch.arange(number * self.block, number * self.block + len(index))
            pictures, views = self.pictures[index], ()
            if plan is not None:
                noise = torch.Generator().manual_seed(number)
                views = tuple(
                    pictures + self.noise * torch.randn(pictures.shape, generator=noise)
                    for _ in plan.views
                )
            yield Block(pictures, index, place, self.labels[index], views)

    def total(self, tensor):
        return tensor.clone()

    def part(self, name, solve):
        if name not in self.kept:
            self.kept[name] = solve()
        return self.kept[name]


@pytest.fixture
def few():
    """Return 40 pictures of 4 kinds of stripes, with labels."""
    generator = torch.Generator().manual_seed(0)
    steps = torch.arange(16.0)
    kinds = torch.stack(
        [torch.sin(steps[None, :] * 0.6 * k + steps[:, None] * k) for k in range(4)]
    )
    labels = torch.arange(40) % 4
    noise = torch.rand(40, 3, 16, 16, generator=generator)
    return Few((0.5 + 0.3 * kinds[labels, None] + 0.3 * (noise - 0.5)).clamp(0, 1), labels)
