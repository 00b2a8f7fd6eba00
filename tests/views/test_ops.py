"""Each change beside torchvision's function, one picture at a time."""

import itertools

import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torch.testing import assert_close
from torchvision.transforms import InterpolationMode

from lookalike.views import ops

ORDERS = torch.tensor(list(itertools.permutations(range(4))))  # (24, 4) place of each change
NEUTRAL = torch.tensor([1.0, 1.0, 1.0, 0.0])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def images(generator):
    """(24, 3, 11, 11) with colour cubes' corners, greys, black and white among the pixels."""
    images = torch.rand(24, 3, 11, 11, generator=generator)
    corners = torch.tensor(list(itertools.product([0.0, 0.5, 1.0], repeat=3)))  # (27, 3)
    images[:, :, :3, :9] = corners.T.reshape(3, 3, 9)
    return images


def one_by_one(change, images, *amounts):
    return torch.stack(
        [
            change(image, *(amount.item() for amount in of_one))
            for image, *of_one in zip(images, *amounts, strict=True)
        ]
    )


# Crop


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(32, 32, 32), (40, 20, 32), (70, 90, 24), (5, 3, 16), (1, 1, 2), (64, 64, 1)],
)
def test_resized_crop_is_torchvisions(interpolation, height, width, size, generator):
    count = 16
    pixels = torch.randint(
        0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8
    )
    ends = torch.rand(count, 4, generator=generator)
    tall = (ends[:, 0] * height).long() + 1
    wide = (ends[:, 1] * width).long() + 1
    top = (ends[:, 2] * (height - tall + 1)).long()
    left = (ends[:, 3] * (width - wide + 1)).long()
    boxes = torch.stack([top, left, tall, wide], dim=1)
    mirrored = torch.arange(count) % 2 == 0

    crops = ops.resized_crop(
        pixels, boxes, size=size, interpolation=interpolation, mirrored=mirrored
    )

    mode = InterpolationMode(interpolation)
    expected = torch.stack(
        [
            tv.resized_crop(image / 255, *box, [size, size], interpolation=mode, antialias=True)
            for image, box in zip(pixels, boxes.tolist(), strict=True)
        ]
    ).clamp(0, 1)
    expected = torch.where(mirrored[:, None, None, None], expected.flip(3), expected)
    assert_close(crops, expected, rtol=0, atol=2e-5)


def test_what_lies_beside_the_image_on_its_canvas_does_not_matter(generator):
    pixels = torch.randint(0, 256, (4, 3, 20, 30), generator=generator, dtype=torch.uint8)
    boxes = torch.tensor([[0, 0, 20, 30], [5, 9, 15, 21], [0, 29, 20, 1], [19, 0, 1, 30]])
    canvas = torch.full((4, 3, 130, 110), 255, dtype=torch.uint8)
    canvas[:, :, :20, :30] = pixels
    small = ops.resized_crop(pixels, boxes, size=16)
    assert_close(ops.resized_crop(canvas, boxes, size=16), small, rtol=0, atol=1e-6)


def test_a_crop_of_everything_at_its_own_size_is_the_picture():
    pixels = torch.arange(2 * 3 * 16 * 16).remainder(256).byte().view(2, 3, 16, 16)
    boxes = torch.tensor([[0, 0, 16, 16]] * 2)
    mirrored = torch.tensor([False, True])
    crops = ops.resized_crop(pixels, boxes, size=16, mirrored=mirrored)
    expected = torch.stack([pixels[0], pixels[1].flip(2)]) / 255
    assert_close(crops, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_resize_weights_share_out_one_inside_the_crop(interpolation):
    start, length = torch.tensor([0, 3, 39]), torch.tensor([40, 30, 1])
    weights = ops.resize_weights(start, length, size=9, extent=40, interpolation=interpolation)
    assert_close(weights.sum(2), torch.ones(3, 9))
    for row, first, last in zip(weights, start, start + length, strict=True):
        assert row[:, :first].count_nonzero() == row[:, last:].count_nonzero() == 0


def test_flip_mirrors_the_chosen(images):
    chosen = torch.arange(24) % 3 == 0
    flipped = ops.flip(images, chosen)
    assert torch.equal(flipped[chosen], images[chosen].flip(3))
    assert torch.equal(flipped[~chosen], images[~chosen])


# Colour


@pytest.mark.parametrize(
    ("change", "torchvisions"),
    [(0, tv.adjust_brightness), (1, tv.adjust_contrast), (2, tv.adjust_saturation)],
)
def test_each_factor_is_torchvisions(change, torchvisions, images, generator):
    factors = NEUTRAL.repeat(24, 1)
    factors[:, change] = 2 * torch.rand(24, generator=generator)
    expected = one_by_one(torchvisions, images, factors[:, change])
    assert_close(ops.colour_jitter(images, factors, ORDERS), expected, rtol=0, atol=1e-6)


def test_hue_is_torchvisions(images):
    turns = torch.linspace(-0.5, 0.5, 24)
    expected = one_by_one(tv.adjust_hue, images, turns)
    assert_close(ops.shift_hue(images, turns), expected, rtol=0, atol=3e-6)


def jittered_by_torchvision(images, factors, order):
    changes = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue)
    jittered = []
    for image, amounts, places in zip(images, factors.tolist(), order.tolist(), strict=True):
        for number in sorted(range(4), key=places.__getitem__):
            image = changes[number](image, amounts[number])  # noqa: PLW2901
        jittered.append(image)
    return torch.stack(jittered)


@pytest.mark.parametrize("channels_apart", [False, True])
def test_jitter_keeps_every_order(images, generator, channels_apart):
    if channels_apart:
        images = images.transpose(0, 1).contiguous().transpose(0, 1)
    factors = 0.4 + 1.2 * torch.rand(24, 4, generator=generator)
    factors[:, 3] = 0.8 * torch.rand(24, generator=generator) - 0.4
    expected = jittered_by_torchvision(images, factors, ORDERS)
    assert_close(ops.colour_jitter(images, factors, ORDERS), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("hue_place", range(4))
def test_jitter_spares_blends_where_all_hues_come_at_one_place(images, generator, hue_place):
    rows = ORDERS[:, 3] == hue_place
    factors = 0.4 + 0.6 * torch.rand(24, 4, generator=generator)
    factors[:, 3] -= 0.7
    one_place = ops.colour_jitter(images[rows], factors[rows], ORDERS[rows], hue_place=hue_place)
    assert torch.equal(one_place, ops.colour_jitter(images, factors, ORDERS)[rows])


def test_greyscale_is_torchvisions_and_has_equal_channels(images):
    chosen = torch.arange(24) % 2 == 0
    grey = ops.greyscale(images, chosen)
    assert_close(grey[chosen], tv.rgb_to_grayscale(images[chosen], num_output_channels=3))
    assert torch.equal(grey[chosen][:, :1].expand(-1, 3, -1, -1), grey[chosen])
    assert torch.equal(grey[~chosen], images[~chosen])


# Sharpness and tone


@pytest.mark.parametrize("kernel", [1, 3, 7, 21])
def test_blur_is_torchvisions(kernel, images, generator):
    sigma = 0.1 + 1.9 * torch.rand(24, generator=generator)
    expected = one_by_one(
        lambda image, own: tv.gaussian_blur(image, [kernel, kernel], [own, own]), images, sigma
    )
    assert_close(ops.gaussian_blur(images, sigma, kernel=kernel), expected, rtol=0, atol=2e-6)


def test_blur_keeps_the_mean_of_what_stands_clear_of_the_border(generator):
    images = torch.zeros(8, 3, 32, 32)
    images[:, :, 6:-6, 6:-6] = torch.rand(8, 3, 20, 20, generator=generator)
    blurred = ops.gaussian_blur(images, torch.linspace(0.1, 2, 8), kernel=7)
    assert_close(blurred.mean((2, 3)), images.mean((2, 3)))


def test_blur_leaves_an_even_picture_even():
    even = torch.full((3, 3, 9, 9), 0.7)
    assert_close(ops.gaussian_blur(even, torch.tensor([0.3, 1.0, 5.0]), kernel=9), even)


@pytest.mark.parametrize(("side", "kernel"), [(9, 4), (9, 19), (9, 0)])
def test_blur_refuses_a_kernel_it_cannot_mirror(side, kernel):
    with pytest.raises(ValueError, match="kernel must be odd"):
        ops.gaussian_blur(torch.zeros(1, 3, side, side), torch.ones(1), kernel=kernel)


def test_solarise_is_torchvisions(images):
    threshold = torch.linspace(0, 1, 24)
    expected = one_by_one(tv.solarize, images, threshold)
    assert_close(ops.solarise(images, threshold), expected, rtol=0, atol=0)


def test_solarising_everything_twice_changes_nothing(images):
    threshold = torch.zeros(24)
    assert_close(ops.solarise(ops.solarise(images, threshold), threshold), images)


# All


@pytest.mark.parametrize(
    "change",
    [
        lambda images: ops.flip(images, torch.zeros(24, dtype=torch.bool)),
        lambda images: ops.colour_jitter(
            images, torch.full((24, 4), 0.4), ORDERS, chosen=torch.zeros(24, dtype=torch.bool)
        ),
        lambda images: ops.greyscale(images, torch.zeros(24, dtype=torch.bool)),
        lambda images: ops.gaussian_blur(images, torch.zeros(24), kernel=5),
        lambda images: ops.solarise(images, torch.full((24,), 2.0)),
    ],
    ids=["flip", "jitter", "grey", "blur", "solarise"],
)
def test_not_at_all_leaves_every_bit(change, images):
    assert torch.equal(change(images), images)


@pytest.mark.parametrize(
    "change",
    [
        lambda images: ops.flip(images, torch.ones(24, dtype=torch.bool)),
        lambda images: ops.colour_jitter(images, torch.full((24, 4), 0.4), ORDERS),
        lambda images: ops.greyscale(images, torch.ones(24, dtype=torch.bool)),
        lambda images: ops.gaussian_blur(images, torch.ones(24), kernel=5),
        lambda images: ops.solarise(images, torch.zeros(24)),
    ],
    ids=["flip", "jitter", "grey", "blur", "solarise"],
)
def test_no_change_writes_to_its_argument(change, images):
    before = images.clone()
    changed = change(images)
    assert torch.equal(images, before)
    assert not torch.equal(changed, before)
    assert 0 <= changed.min() <= changed.max() <= 1


def test_a_batch_of_no_pictures_is_one_again():
    """The last of a set's batches may be empty after what could not be read is left out."""
    pixels, boxes = torch.zeros(0, 3, 12, 12, dtype=torch.uint8), torch.zeros(0, 4).long()
    crops = ops.resized_crop(pixels, boxes, size=8)
    assert crops.shape == (0, 3, 8, 8)
    assert crops.dtype == torch.float32
    assert ops.gaussian_blur(crops, torch.zeros(0), kernel=5).shape == (0, 3, 8, 8)
