"""What a dictionary is made of: whitened patches, and directions that they gather around."""

import pytest
import torch

from lookalike.backbones.patch_dictionary import EPS
from lookalike.errors import DataError, UsageError
from lookalike.solved.base import Solution
from lookalike.solved.patch_dictionary import (
    PatchDictionary,
    normalise_patches,
    spherical_kmeans,
    zca_matrix,
)

SMALL = {"filters": 6, "patches": (4, 3), "patch_count": 2000}


def test_whitened_patches_have_no_covariance_left():
    rows = torch.randn(4000, 6, dtype=torch.float64) @ torch.randn(6, 6, dtype=torch.float64)
    rows = rows - rows.mean(dim=0)
    covariance = rows.T @ rows / len(rows)
    white = rows @ zca_matrix(covariance, 1e-12).double()
    assert torch.allclose(white.T @ white / len(rows), torch.eye(6).double(), atol=1e-4)


def test_of_all_whitenings_it_is_the_symmetric_one():
    factor = torch.randn(5, 5)
    matrix = zca_matrix(factor @ factor.T, 0.1)
    assert torch.allclose(matrix, matrix.T, atol=1e-5)


def test_a_patch_is_less_its_mean_and_over_its_deviation():
    patches = torch.rand(7, 12)
    expected = (patches - patches.mean(1, keepdim=True)) / (
        patches.var(1, unbiased=False, keepdim=True) + EPS
    ).sqrt()
    assert torch.allclose(normalise_patches(patches), expected, atol=1e-6)


def test_kmeans_finds_the_directions_that_rows_were_made_from_up_to_their_sign():
    truth = torch.linalg.qr(torch.randn(8, 3, generator=torch.Generator().manual_seed(3)))[0].T
    draw = torch.Generator().manual_seed(1)
    which = torch.randint(3, (600,), generator=draw)
    sign = torch.randint(2, (600, 1), generator=draw) * 2 - 1
    rows = sign * truth[which] + 0.05 * torch.randn(600, 8, generator=draw)
    found = spherical_kmeans(rows, 3, rounds=20, generator=torch.Generator().manual_seed(5))
    assert (truth @ found.T).abs().max(dim=1).values.min() > 0.99
    assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)


def test_a_round_of_kmeans_never_gathers_less():
    rows = torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    gathered = []
    for rounds in range(1, 8):
        generator = torch.Generator().manual_seed(2)
        found = spherical_kmeans(rows, 12, rounds=rounds, generator=generator)
        gathered.append(float((rows @ found.T).abs().max(dim=1).values.sum()))
    assert gathered == sorted(gathered)


def test_the_same_seed_gives_the_same_bits_and_another_another(few):
    first, again = (PatchDictionary(**SMALL).solve(few).backbone for _ in range(2))
    few.kept, few.seed = {}, 1
    other = PatchDictionary(**SMALL).solve(few).backbone
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
        assert not torch.equal(tensor, other.state_dict()[name])


def test_a_part_that_is_solved_is_not_solved_again(few):
    PatchDictionary(**SMALL).solve(few)
    few.asked.clear()
    PatchDictionary(**SMALL).solve(few)
    assert few.asked == []


def test_pictures_that_are_all_grey_give_a_finite_dictionary(few):
    few.pictures = torch.full_like(few.pictures, 0.5)
    network = PatchDictionary(**SMALL).solve(few).backbone
    assert torch.isfinite(network(few.pictures[:2])).all()


def test_pictures_smaller_than_a_patch_are_refused_with_the_size_that_would_do(few):
    few.pictures, few.size = few.pictures[..., :6, :6], 6
    with pytest.raises(DataError, match="--size 10"):
        PatchDictionary().solve(few)


def test_an_encoder_to_start_from_is_refused(few):
    found = PatchDictionary(**SMALL).solve(few)
    with pytest.raises(UsageError, match="--from"):
        PatchDictionary(**SMALL).solve(few, Solution(*found))


@pytest.mark.parametrize("arguments", [{"patch_count": 0}, {"rounds": 0}, {"zca": 0.0}])
def test_what_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        PatchDictionary(**arguments)
