import math

import pytest
import torch
import torchvision.transforms.v2 as v2
import torchvision.transforms.v2.functional as tv
from torch.testing import assert_close

from lookalike.views.make import _draw_look, crop_boxes, finish_views, make_views, normalise
from lookalike.views.plans import (
    BYOL,
    EXEMPLAR,
    IDENTITY,
    MOCO_V2,
    SIMCLR,
    SIMCLR_SMALL,
    Plan,
    View,
)

CROP = SIMCLR.views[0]
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def boxes_of(view, height, width, *, count=1, **draw):
    draw = {"seed": 0, "epoch": 0, "index": torch.arange(count), "number": 0} | draw
    return crop_boxes(view, torch.tensor([[height, width]]).repeat(count, 1), **draw)


@pytest.fixture
def images():
    """(12, 3, 24, 20) uint8."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (12, 3, 24, 20), generator=generator, dtype=torch.uint8)


def batch_of(images):
    """The images' sizes and index."""
    return torch.tensor([images.shape[-2:]]).repeat(len(images), 1), torch.arange(len(images)) + 7


def views_of(plan, images, *, seed=0, epoch=0, size=16):
    sizes, index = batch_of(images)
    return make_views(
        plan, images, sizes, index, size=size, seed=seed, epoch=epoch, mean=MEAN, std=STD
    )


# Crops


@pytest.mark.parametrize(("height", "width"), [(300, 300), (480, 640), (640, 480), (97, 130)])
def test_crops_keep_to_their_area_and_ratio(height, width):
    """ssl.md's A2, over 10,000 draws; a side is rounded to a pixel."""
    top, left, tall, wide = boxes_of(CROP, height, width, count=10_000).unbind(1)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + tall <= height).all()
    assert (left + wide <= width).all()
    area = height * width
    assert ((tall - 0.5) * (wide - 0.5) <= area).all()
    assert ((tall + 0.5) * (wide + 0.5) >= 0.08 * area).all()
    assert ((wide - 0.5) / (tall + 0.5) <= 4 / 3).all()
    assert ((wide + 0.5) / (tall - 0.5) >= 3 / 4).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (2, 3), (3, 200), (7, 5)])
def test_crops_of_tiny_and_thin_images_stay_inside(height, width):
    top, left, tall, wide = boxes_of(CROP, height, width, count=1_000).unbind(1)
    assert (torch.stack([top, left]) >= 0).all()
    assert (torch.stack([tall, wide]) >= 1).all()
    assert (top + tall <= height).all()
    assert (left + wide <= width).all()


@pytest.mark.parametrize("ratio", [(1.0, 1.0), (3 / 4, 4 / 3)])
@pytest.mark.parametrize(("height", "width"), [(10, 100), (100, 10), (41, 97), (99, 40), (1, 7)])
def test_the_last_resort_is_torchvisions(height, width, ratio):
    """Nearly the whole area of a thin image fits no allowed ratio, so nothing is left to chance."""
    area = (0.999, 1.0)
    own = boxes_of(View(area=area, ratio=ratio), height, width)
    torchvisions = v2.RandomResizedCrop(1, scale=area, ratio=ratio)
    expected = torchvisions.make_params([torch.zeros(3, height, width)])
    assert own.tolist() == [[expected[side] for side in ("top", "left", "height", "width")]]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (60, 100)])
def test_crops_are_spread_as_torchvisions(height, width):
    own = boxes_of(CROP, height, width, count=20_000).double()
    torchvisions = v2.RandomResizedCrop(1)
    picture = [torch.zeros(3, height, width)]
    torch.manual_seed(0)
    drawn = [torchvisions.make_params(picture) for _ in range(2_000)]
    expected = torch.tensor(
        [[box[side] for side in ("top", "left", "height", "width")] for box in drawn],
        dtype=torch.float64,
    )
    tolerance = 5 * expected.std(0) / math.sqrt(2_000)
    assert ((own.mean(0) - expected.mean(0)).abs() < tolerance).all()
    assert_close(own.std(0), expected.std(0), rtol=0.1, atol=0)


# Draws


def test_a_view_depends_on_seed_epoch_index_and_number_alone(images):
    plan = BYOL
    sizes, index = batch_of(images)
    together = views_of(plan, images)
    rows = torch.tensor([8, 2, 5])
    apart = make_views(
        plan, images[rows], sizes[rows], index[rows], size=16, seed=0, epoch=0, mean=MEAN, std=STD
    )
    for view, few in zip(together, apart, strict=True):
        assert_close(few, view[rows], rtol=0, atol=1e-6)
    draw = {"seed": 0, "epoch": 0, "number": 1}
    whole = _draw_look(plan.views[1], sizes, index=index, **draw)
    for part, of_few in zip(
        whole, _draw_look(plan.views[1], sizes[rows], index=index[rows], **draw), strict=True
    ):
        assert torch.equal(of_few, part[rows])


def test_the_same_seed_makes_the_same_views_and_another_others(images):
    first, again = views_of(SIMCLR_SMALL, images), views_of(SIMCLR_SMALL, images)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    for other in ({"seed": 1}, {"epoch": 1}):
        assert all_differ(first[0], views_of(SIMCLR_SMALL, images, **other)[0])


def test_views_of_an_image_differ_and_so_do_those_of_its_copies(images):
    copies = images[:1].expand(12, -1, -1, -1)
    one, other = views_of(SIMCLR_SMALL, copies)
    assert all_differ(one, other)
    assert len(one.flatten(1).unique(dim=0)) == 12


def all_differ(one, other):
    return (one != other).flatten(1).any(1).all()


def test_chances_are_as_the_plan_says():
    view, count = BYOL.views[1], 40_000
    look = _draw_look(view, None, seed=0, epoch=0, index=torch.arange(count), number=0)
    for share, chance in (
        (look.mirrored, view.flip),
        (look.jittered, view.jitter_probability),
        (look.grey, view.grey),
        (look.sigma > 0, view.blur),
        (look.threshold <= 1, view.solarise),
    ):
        deviation = math.sqrt(chance * (1 - chance) / count)
        assert abs(share.double().mean() - chance) < 5 * deviation
    assert look.sigma[look.sigma > 0].min() >= view.blur_sigma[0]
    assert look.sigma.max() <= view.blur_sigma[1]
    assert torch.equal(look.order.sort(1).values, torch.arange(4).expand(count, 4))
    orders = torch.bincount(look.order @ torch.tensor([64, 16, 4, 1]))
    orders = orders[orders > 0]
    chi_square = ((orders - count / 24).square() / (count / 24)).sum()
    assert len(orders) == 24
    assert chi_square < 23 + 5 * math.sqrt(2 * 23)


def test_jitter_is_drawn_evenly_from_its_range():
    view = View(jitter=(0.4, 0.8, 1.5, 0.2))
    look = _draw_look(view, None, seed=0, epoch=0, index=torch.arange(40_000), number=0)
    ranges = [(0.6, 1.4), (0.2, 1.8), (0.0, 2.5), (-0.2, 0.2)]
    for factor, (low, high) in zip(look.factors.unbind(1), ranges, strict=True):
        assert_close(factor.min().item(), low, rtol=0, atol=1e-3)
        assert_close(factor.max().item(), high, rtol=0, atol=1e-3)
        deviation = (high - low) / math.sqrt(12)
        assert abs(factor.mean() - (low + high) / 2) < 5 * deviation / math.sqrt(40_000)


def test_warps_and_tints_are_drawn_evenly_from_their_ranges():
    """Factors and powers are spread evenly in their logarithms."""
    (view,) = EXEMPLAR.views
    look = _draw_look(view, None, seed=0, epoch=0, index=torch.arange(40_000), number=0)
    turn = math.radians(20)
    logs = lambda low, high: (math.log(low), math.log(high))  # noqa: E731
    ranges = [(-0.2, 0.2)] * 2 + [logs(0.7, 1.4), (-turn, turn)]
    ranges += [logs(0.5, 2)] * 3 + [logs(0.25, 4)] * 2 + [logs(0.7, 1.4)] * 2
    ranges += [(-0.1, 0.1)] * 3
    drawn = torch.cat([look.warp, look.tint], dim=1)
    drawn[:, [2, *range(4, 11)]] = drawn[:, [2, *range(4, 11)]].log()
    assert drawn.shape == (40_000, len(ranges))
    for amount, (low, high) in zip(drawn.double().unbind(1), ranges, strict=True):
        assert_close(amount.min().item(), low, rtol=0, atol=2e-3)
        assert_close(amount.max().item(), high, rtol=0, atol=2e-3)
        deviation = (high - low) / math.sqrt(12)
        assert abs(amount.mean() - (low + high) / 2) < 5 * deviation / math.sqrt(40_000)
    assert (torch.corrcoef(drawn.T) - torch.eye(14)).abs().max() < 0.03


def test_a_tone_that_is_rarely_changed_is_neutral_else():
    view = View(tone=0.25, tone_shift=0.1)
    look = _draw_look(view, None, seed=0, epoch=0, index=torch.arange(10_000), number=0)
    neutral = (look.tint[:, 3:9] == torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])).all(1)
    assert abs(neutral.double().mean() - 0.75) < 5 * math.sqrt(0.25 * 0.75 / 10_000)


def test_later_changes_leave_the_draws_of_the_earlier_alone(images):
    """A plan with warps and tints crops, flips and jitters as one without."""
    plain = SIMCLR_SMALL.views[0]
    more = SIMCLR_SMALL.with_(translation=0.2, tone=1.0).views[0]
    sizes, index = batch_of(images)
    draw = {"seed": 5, "epoch": 2, "index": index, "number": 1}
    one, other = _draw_look(plain, sizes, **draw), _draw_look(more, sizes, **draw)
    for name, part in one._asdict().items():
        if name not in {"warp", "tint"}:
            assert torch.equal(part, getattr(other, name))
    assert one.warp.shape == one.tint.shape == (12, 0)  # nothing is drawn that is not used


# Views


def by_torchvision(plan, images, *, size, seed, epoch, kernel):
    """The plan's views, one picture and one function at a time, in the documented order."""
    sizes, index = batch_of(images)
    changes = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue)
    for number, view in enumerate(plan.views):
        draw = {"seed": seed, "epoch": epoch, "index": index, "number": number}
        look = _draw_look(view, sizes, **draw)
        mode = tv.InterpolationMode(view.interpolation)
        pictures = []
        for row, box in enumerate(look.box.tolist()):
            picture = tv.resized_crop(
                images[row] / 255, *box, [size, size], interpolation=mode, antialias=True
            ).clamp(0, 1)
            if look.mirrored[row]:
                picture = tv.horizontal_flip(picture)
            if look.jittered[row]:
                places, factors = look.order[row].tolist(), look.factors[row].tolist()
                for change in sorted(range(4), key=places.__getitem__):
                    picture = changes[change](picture, factors[change])
            if look.grey[row]:
                picture = tv.rgb_to_grayscale(picture, num_output_channels=3)
            if look.sigma[row] > 0:
                picture = tv.gaussian_blur(picture, [kernel, kernel], [look.sigma[row].item()] * 2)
            if look.threshold[row] <= 1:
                picture = tv.solarize(picture, look.threshold[row].item())
            if plan.normalise:
                picture = tv.normalize(picture, MEAN, STD)
            pictures.append(picture)
        yield torch.stack(pictures)


@pytest.mark.parametrize("plan", [SIMCLR, MOCO_V2, BYOL], ids=lambda plan: plan.name)
def test_views_are_torchvisions_on_the_same_draws(plan, images):
    made = views_of(plan, images, size=32, seed=3, epoch=5)
    expected = by_torchvision(plan, images, size=32, seed=3, epoch=5, kernel=3)
    for view, wanted in zip(made, expected, strict=True):
        difference = (view - wanted).abs()
        # A pixel within rounding of the threshold may fall on either side of it.
        assert (difference < 1e-4).double().mean() > 0.999
        assert difference.median() < 1e-6


def test_the_blur_spans_a_tenth_of_the_picture(images):
    plan = IDENTITY.with_(blur=1.0)
    (made, _), (wanted, _) = (
        views_of(plan, images[:2], size=110),
        by_torchvision(plan, images[:2], size=110, seed=0, epoch=0, kernel=11),
    )
    assert_close(made, wanted, rtol=0, atol=1e-5)


def test_the_identity_is_the_picture(images):
    square = images[:, :, :20]
    for view in views_of(IDENTITY, square, size=20):
        assert_close(view, square / 255, rtol=0, atol=1e-6)


@pytest.mark.parametrize("plan", [SIMCLR, BYOL], ids=lambda plan: plan.name)
def test_strength_zero_is_the_identity(plan, images):
    square = images[:, :, :20]
    none = plan.with_(
        area=(1.0, 1.0),
        flip=0.0,
        jitter=(0.0, 0.0, 0.0, 0.0),
        grey=0.0,
        blur=0.0,
        solarise=0.0,
    )
    wanted = normalise(square, MEAN, STD) if plan.normalise else square / 255
    for view in views_of(none, square, size=20):
        assert_close(view, wanted, rtol=0, atol=1e-5)


OFF = {
    "translation": 0.0,
    "scale": (1.0, 1.0),
    "rotation": 0.0,
    "principal": (1.0, 1.0),
    "tone": 0.0,
    "hue_shift": 0.0,
}


@pytest.mark.parametrize("plan", [IDENTITY, SIMCLR_SMALL], ids=lambda plan: plan.name)
def test_an_exemplar_with_all_switched_off_is_the_other_plan_to_the_bit(plan, images):
    switched = plan.with_(**EXEMPLAR.views[0].__dict__ | plan.views[0].__dict__ | OFF)
    for view, wanted in zip(views_of(switched, images), views_of(plan, images), strict=True):
        assert torch.equal(view, wanted)


def test_an_exemplar_of_strength_zero_is_the_picture(images):
    """Every change is made, by nothing: the ranges are empty but for a hair."""
    hair = (1.0, 1 + 1e-7)
    none = EXEMPLAR.with_(
        translation=1e-9,
        scale=hair,
        rotation=1e-7,
        principal=hair,
        tone_power=hair,
        tone_factor=hair,
        tone_shift=0.0,
        hue_shift=1e-9,
    )
    assert none.views[0].warps
    assert none.views[0].tints
    square = images[:, :, :20]
    (view,) = views_of(none, square, size=20)
    assert_close(view, normalise(square, MEAN, STD), rtol=0, atol=1e-4)


@pytest.mark.parametrize("field", OFF)
def test_each_of_an_exemplars_changes_can_be_switched_off(field, images):
    """Alone it changes every picture, and switched off none."""
    alone = IDENTITY.with_(**{**OFF, field: getattr(EXEMPLAR.views[0], field)})
    changed, plain = views_of(alone, images)[0], views_of(IDENTITY, images)[0]
    assert all_differ(changed, plain)
    (whole,), (without,) = (
        views_of(EXEMPLAR, images),
        views_of(EXEMPLAR.with_(**{field: OFF[field]}), images),
    )
    assert all_differ(whole, without)
    assert torch.equal(views_of(alone.with_(**{field: OFF[field]}), images)[0], plain)


def test_an_exemplars_copies_differ_and_depend_on_the_draw_alone(images):
    copies = images[:1].expand(12, -1, -1, -1)
    (one,) = views_of(EXEMPLAR, copies)
    assert len(one.flatten(1).unique(dim=0)) == 12
    assert torch.equal(one, views_of(EXEMPLAR, copies)[0])
    assert all_differ(one, views_of(EXEMPLAR, copies, epoch=1)[0])
    sizes, index = batch_of(copies)
    rows = torch.tensor([7, 1])
    (few,) = make_views(
        EXEMPLAR,
        copies[rows],
        sizes[rows],
        index[rows],
        size=16,
        seed=0,
        epoch=0,
        mean=MEAN,
        std=STD,
    )
    assert_close(few, one[rows], rtol=0, atol=1e-4)


def test_an_exemplar_without_branches_is_the_same(images):
    compiled = torch.compile(views_of, backend="aot_eager", fullgraph=True)
    (view,), (wanted,) = compiled(EXEMPLAR, images), views_of(EXEMPLAR, images)
    assert_close(view, wanted, rtol=0, atol=1e-3)


@pytest.mark.parametrize("plan", [SIMCLR_SMALL, BYOL.with_(solarise=0.0)], ids=["simclr", "byol"])
def test_crops_made_elsewhere_are_finished_alike(plan, images):
    """Rounding a crop to 8 bits moves a pixel by at most 1/510, which jitter may enlarge."""
    _, index = batch_of(images)
    crops_only = IDENTITY.with_(area=(0.08, 1.0), ratio=(3 / 4, 4 / 3))
    crops = torch.stack(views_of(crops_only, images), dim=1)
    finished = finish_views(
        plan, (crops * 255).round().byte(), index, seed=0, epoch=0, mean=MEAN, std=STD
    )
    for view, wanted in zip(finished, views_of(plan, images), strict=True):
        assert (view - wanted).abs().mean() < 0.01
        assert (view - wanted).abs().max() < 0.2


def test_a_graph_without_branches_makes_the_same_views(images):
    """What a GPU runs, compiled in one graph that serves all epochs."""
    plan = Plan("everything", BYOL.views[1:], normalise=True)
    compiled = torch.compile(views_of, backend="aot_eager", fullgraph=True)
    for epoch in range(2):
        (view,), (wanted,) = (
            compiled(plan, images, epoch=epoch),
            views_of(plan, images, epoch=epoch),
        )
        assert ((view - wanted).abs() < 1e-4).double().mean() > 0.999


def test_autocast_does_not_coarsen_views(images):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        views = views_of(SIMCLR, images)
    for view, wanted in zip(views, views_of(SIMCLR, images), strict=True):
        assert torch.equal(view, wanted)


def test_an_empty_batch_makes_empty_views():
    views = views_of(SIMCLR, torch.zeros(0, 3, 8, 8, dtype=torch.uint8))
    assert [view.shape for view in views] == [(0, 3, 16, 16)] * 2


def test_normalise_is_torchvisions(images):
    expected = tv.normalize(images / 255, MEAN, STD)
    assert_close(normalise(images, MEAN, STD), expected)
    assert_close(normalise(images / 255, torch.tensor(MEAN), torch.tensor(STD)), expected)


# Refusals


def test_refuses_images_that_are_not_uint8(images):
    with pytest.raises(ValueError, match="images must be"):
        views_of(SIMCLR, images / 255)


def test_refuses_sizes_of_other_images(images):
    with pytest.raises(ValueError, match=r"sizes must be \(12, 2\)"):
        make_views(SIMCLR, images, torch.ones(11, 2), torch.arange(12), size=16, seed=0, epoch=0)


def test_refuses_to_normalise_by_nothing(images):
    with pytest.raises(ValueError, match="byol normalises"):
        make_views(BYOL, images, *batch_of(images), size=16, seed=0, epoch=0)


def test_refuses_crops_of_another_number_of_views(images):
    crops = torch.zeros(12, 3, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(ValueError, match="crops must be"):
        finish_views(SIMCLR, crops, torch.arange(12), seed=0, epoch=0)
