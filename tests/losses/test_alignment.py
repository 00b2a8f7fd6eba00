import pytest
import torch
from torch.nn import functional as F

from lookalike.losses.alignment import alignment_loss


def two(count=6, width=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, count, width, generator=generator, dtype=torch.float64).unbind(0)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_identical_orthogonal_and_opposite(power):
    """D1: 0, sqrt(2) ** power, 2 ** power."""
    eye = torch.eye(4, dtype=torch.float64)
    for other, distance in ((eye, 0), (eye.roll(1, 0), 2**0.5), (-eye, 2)):
        assert float(alignment_loss(eye, other, power=power)) == pytest.approx(distance**power)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_it_is_the_mean_distance(power):
    z1, z2 = two()
    rows = zip(F.normalize(z1, dim=1), F.normalize(z2, dim=1), strict=True)
    want = sum(torch.dist(a, b) ** power for a, b in rows) / 6
    torch.testing.assert_close(alignment_loss(z1, z2, power=power), want)


def test_at_power_two_it_is_two_less_two_cosines():
    z1, z2 = two()
    cosine = F.cosine_similarity(z1, z2).mean()
    torch.testing.assert_close(alignment_loss(z1, z2), 2 - 2 * cosine)


def test_gradients():
    assert torch.autograd.gradcheck(alignment_loss, tuple(z.requires_grad_() for z in two()))


def test_nonsense_is_refused():
    z1, z2 = two()
    with pytest.raises(ValueError, match="power"):
        alignment_loss(z1, z2, power=0)
    with pytest.raises(ValueError, match="rows"):
        alignment_loss(z1[:0], z2[:0])
