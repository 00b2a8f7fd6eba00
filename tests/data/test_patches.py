"""A patch is where the gradients are; of a flat region there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.data.patches import (
    cut_patch,
    draw_corner,
    load_patches,
    patch_energies,
    resident_patches,
)
from lookalike.data.quarantine import Quarantine
from lookalike.data.resident import load_resident
from lookalike.data.sources import open_source
from lookalike.randomness import uniforms

DRAWS = uniforms(4096, seed=0, epoch=0, index=torch.zeros(1, dtype=torch.int64), stream=0)
DRAWS = DRAWS[0].tolist()


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(9, 12, 4), (5, 5, 5), (7, 6, 1), (8, 30, 8)]
)
def test_energies_are_those_of_a_slow_loop(height, width, size):
    image = noise(height, width)
    energies = patch_energies(image, size)
    assert energies.shape == (height - size + 1, width - size + 1)
    for top in range(height - size + 1):
        for left in range(width - size + 1):
            patch = image[top : top + size, left : left + size].astype(int)
            slow = 0
            for row in range(size):
                for column in range(size):
                    here = patch[row, column]
                    if row + 1 < size:
                        slow += int(((patch[row + 1, column] - here) ** 2).sum())
                    if column + 1 < size:
                        slow += int(((patch[row, column + 1] - here) ** 2).sum())
            assert energies[top, left] == slow


def test_a_single_edge_attracts_all_patches():
    """Left black, right white: every patch holds the edge, and all that do are alike likely."""
    image = np.zeros((8, 40, 3), dtype=np.uint8)
    image[:, 20:] = 255
    energies = patch_energies(image, 8)
    assert np.flatnonzero(energies[0]).tolist() == list(range(13, 20))
    corners = [draw_corner(energies, draw) for draw in DRAWS]
    assert {top for top, _ in corners} == {0}
    counts = np.bincount([left for _, left in corners], minlength=33)
    assert counts[:13].sum() == counts[20:].sum() == 0
    expected = len(DRAWS) / 7
    assert (((counts[13:20] - expected) ** 2) / expected).sum() < 6 + 5 * np.sqrt(12)


def test_flat_regions_are_never_drawn():
    """Noise in one corner: no patch without a part of it, at the ends of the draw neither."""
    image = np.full((40, 40, 3), 90, dtype=np.uint8)
    image[:6, :6] = noise(6, 6)
    energies = patch_energies(image, 8)
    for draw in (*DRAWS, 0.0, 1 - 2**-24):
        top, left = draw_corner(energies, draw)
        assert top <= 5
        assert left <= 5
        assert np.ptp(image[top : top + 8, left : left + 8]) > 0


def test_places_are_as_likely_as_they_have_energy():
    energies = np.array([[1, 0, 3], [2, 4, 0]])
    corners = [draw_corner(energies, draw) for draw in DRAWS]
    counts = np.zeros((2, 3))
    for corner in corners:
        counts[corner] += 1
    expected = energies / 10 * len(DRAWS)
    assert counts[energies == 0].sum() == 0
    some = energies > 0
    assert (((counts - expected) ** 2)[some] / expected[some]).sum() < 3 + 5 * np.sqrt(6)


def test_an_image_without_gradients_gives_its_middle():
    assert draw_corner(patch_energies(np.zeros((9, 20, 3), np.uint8), 5), 0.7) == (2, 7)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((8, 8), (8, 8)),  # not larger: whole
        ((5, 8), (5, 8)),
        ((20, 13), (8, 8)),
        ((5, 20), (5, 5)),  # narrower than a patch
        ((100, 300), (8, 8)),
    ],
)
def test_a_patch_is_square_and_what_is_not_larger_is_whole(shape, expected):
    image = noise(*shape)
    patch = cut_patch(image, 8, 0.3)
    assert patch.shape[:2] == expected
    if shape == expected:
        assert patch is image


def test_a_patch_of_a_large_image_is_a_third_of_its_side():
    """An edge in a large image is found where it is, and the shrunk image has it in its patch."""
    image = np.zeros((240, 480, 3), dtype=np.uint8)
    image[:, 400:] = 255
    patch = cut_patch(image, 8, 0.5)  # of an image shrunk to 24 x 48
    assert patch.shape == (8, 8, 3)
    assert patch[:, 0].max() < 20
    assert patch[:, -1].min() > 235


@pytest.fixture
def folder(tmp_path):
    for number, shape in enumerate([(20, 30), (8, 8), (40, 10), (5, 6), (33, 33)]):
        Image.fromarray(noise(*shape, seed=number)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_patches_depend_on_seed_and_position_alone(folder):
    images = open_source(folder)
    resident = load_resident(images)
    patches = resident_patches(resident, 8, seed=3)
    assert patches.pixels.shape == (5, 3, 8, 8)
    assert patches.sizes.tolist() == [[8, 8], [8, 8], [8, 8], [5, 6], [8, 8]]
    assert patches.positions.tolist() == list(range(5))
    draws = uniforms(1, seed=3, epoch=0, index=torch.arange(5), stream=2**33)[:, 0].tolist()
    for number, draw in enumerate(draws):
        height, width = resident.sizes[number]
        image = resident.pixels[number, :, :height, :width].transpose(1, 2, 0)
        patch, (height, width) = cut_patch(image, 8, draw), patches.sizes[number]
        assert (patches.pixels[number, :, :height, :width] == patch.transpose(2, 0, 1)).all()
        assert not patches.pixels[number, :, height:].any()
    few = resident_patches(
        resident._replace(**{name: getattr(resident, name)[[2, 4]] for name in resident._fields}),
        8,
        seed=3,
    )
    assert (few.pixels == patches.pixels[[2, 4]]).all()
    other = resident_patches(resident, 8, seed=4)
    assert (other.pixels != patches.pixels).any((1, 2, 3)).sum() >= 2


def test_decoded_one_by_one_they_are_the_same(folder):
    images = open_source(folder)
    wanted = resident_patches(load_resident(images), 8, seed=3)
    told = []
    loaded = load_patches(
        images, np.array([0, 2, 4]), 8, seed=3, progress=lambda *done: told.append(done)
    )
    assert (loaded.pixels == wanted.pixels[[0, 2, 4]]).all()
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_cannot_be_read_any_more_is_noted_and_left_out(folder):
    images = open_source(folder)
    (folder / "2.png").write_bytes(b"gone")
    quarantine = Quarantine(len(images))
    loaded = load_patches(images, np.arange(5), 8, seed=0, quarantine=quarantine)
    assert loaded.positions.tolist() == [0, 1, 3, 4]
    assert [each.id for each in quarantine] == ["2.png"]
