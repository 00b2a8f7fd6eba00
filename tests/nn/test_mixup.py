"""Mixtures of images: each with the one from the other end, in shares that fill [0, 1]."""

import torch

from lookalike.nn.mixup import mix


def test_images_and_targets_are_mixed_alike():
    images = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 2, 2)
    wanted = torch.stack([torch.arange(5.0), 4 - torch.arange(5.0)], 1)
    mixed, targets = mix(images, wanted, torch.arange(5))
    torch.testing.assert_close(mixed[:, 0, 0, 0], targets[:, 0])
    torch.testing.assert_close(targets.sum(1), torch.full((5,), 4.0))
    shares = (mixed[:, 0, 0, 0] - torch.arange(5.0)) / (4 - 2 * torch.arange(5.0))
    others = torch.tensor([0, 1, 3, 4])  # the third of five is its own partner
    assert ((shares[others] >= 0) & (shares[others] < 1)).all()


def test_shares_are_uniform_over_batches():
    generator = torch.Generator().manual_seed(0)
    images, wanted = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), torch.zeros(2, 1)
    shares = [
        mix(images, wanted, torch.randint(50_000, (2,), generator=generator))[0][0].item()
        for _ in range(2000)
    ]
    edges = torch.histc(torch.tensor(shares), bins=10, min=0, max=1) / 2000
    assert (edges - 0.1).abs().max() < 0.03  # four deviations of a count of 200


def test_the_same_images_are_mixed_in_the_same_way():
    images, wanted = torch.rand(4, 3, 2, 2), torch.rand(4, 2)
    first, second = (mix(images, wanted, torch.tensor([3, 1, 8, 5])) for _ in range(2))
    assert first[0].equal(second[0])
    assert not first[0].equal(mix(images, wanted, torch.tensor([3, 1, 8, 6]))[0])
