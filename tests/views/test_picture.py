import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.views.make import make_views
from lookalike.views.picture import views_picture
from lookalike.views.plans import BYOL, IDENTITY, SIMCLR_SMALL


@pytest.fixture
def batch():
    """Three images on a canvas of 40 x 64, of different sizes; what is beside them is green."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([[40, 64], [40, 20], [32, 32]])
    images = torch.zeros(3, 3, 40, 64, dtype=torch.uint8)
    images[:, 1] = 255
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        image[:, :height, :width] = torch.randint(
            0, 256, (3, height, width), generator=generator, dtype=torch.uint8
        )
    return images, sizes, torch.tensor([4, 9, 2])


def holds(sheet, tile):
    """Whether a picture lies somewhere inside a larger one, pixel for pixel."""
    sheet, tile = np.asarray(sheet), np.asarray(tile)
    height, width = tile.shape[:2]
    corners = np.argwhere((sheet == tile[0, 0]).all(2))
    return any(
        np.array_equal(sheet[top : top + height, left : left + width], tile)
        for top, left in corners
    )


def test_shows_each_draw_of_each_view_as_training_sees_it(batch):
    sheet = views_picture(SIMCLR_SMALL, *batch, size=32, seed=5, count=2)
    for epoch in range(2):
        for view in make_views(SIMCLR_SMALL, *batch, size=32, seed=5, epoch=epoch):
            for pixels in (view * 255).round().byte():
                tile = Image.fromarray(pixels.permute(1, 2, 0).numpy())
                assert holds(sheet, tile.resize((96, 96), Image.Resampling.NEAREST))


def test_shows_originals_without_their_canvas(batch):
    images, sizes, index = batch
    sheet = views_picture(IDENTITY, images, sizes, index, size=32, seed=0, count=1)
    original = Image.fromarray(images[2, :, :32, :32].permute(1, 2, 0).numpy())
    assert holds(sheet, original.resize((96, 96), Image.Resampling.NEAREST))
    assert not (np.asarray(sheet) == (0, 255, 0)).all(2).any()


def test_is_the_same_every_time_and_wider_for_more_epochs(batch):
    pictures = [views_picture(BYOL, *batch, size=48, seed=0, count=count) for count in (2, 2, 3)]
    assert pictures[0].tobytes() == pictures[1].tobytes()
    assert pictures[0].width < pictures[2].width


@pytest.mark.parametrize("size", [8, 100, 224])
def test_tiles_are_neither_tiny_nor_huge(batch, size):
    sheet = views_picture(BYOL, *batch, size=size, seed=0, count=4)
    columns, rows = 9, 3
    assert 96 * columns < sheet.width < 200 * columns
    assert 96 * rows < sheet.height < 160 * rows + 300
