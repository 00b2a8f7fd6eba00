"""The views of the papers, by name: what each changes about a picture, how often and how far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from lookalike import _check

_RANGES = ("area", "ratio", "scale", "principal", "tone_power", "tone_factor", "blur_sigma")
"""Fields of `View` that are a lowest and a highest number above 0."""


@dataclass(frozen=True, kw_only=True)
class View:
    """How one view of an image is made, in this order; what is left at its default does not happen.

    Attributes:
        area: share of the image's pixels that a crop covers, lowest and highest, in (0, 1]; (1, 1)
            is the largest crop of a ratio allowed, from the middle.
        ratio: width over height of a crop, lowest and highest, drawn log-uniformly.
        interpolation: how the crop is resized, always with antialiasing.
        flip: probability of mirroring left and right.
        translation: how far the picture may be shifted either way, as a share of its side.
        scale: factor by which it grows, lowest and highest, drawn log-uniformly.
        rotation: how far it may be turned either way, in degrees.
        jitter: how far brightness, contrast, saturation (each a factor from 1 - s to 1 + s) and hue
            (a turn from -s to s, at most 0.5) may change; they come in a random order.
        jitter_probability: probability of any of the four.
        principal: factor of the colours along each of their principal axes in the picture, lowest
            and highest, drawn log-uniformly.
        tone: probability of changing saturation and value (HSV), each by a power, a factor and a
            shift of its own.
        tone_power: lowest and highest, drawn log-uniformly.
        tone_factor: lowest and highest, drawn log-uniformly.
        tone_shift: what may be added or taken away.
        hue_shift: how far the hue may turn either way, at most 0.5.
        grey: probability of losing all colour.
        blur: probability of a Gaussian blur.
        blur_sigma: its standard deviation in pixels, lowest and highest.
        blur_kernel: its kernel's side as a share of the picture's.
        solarise: probability of inverting what is bright.
        solarise_threshold: what counts as bright, in [0, 1].

    Raises:
        ValueError: a number is out of its range.
    """

    area: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    flip: float = 0.0
    translation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    jitter_probability: float = 1.0
    principal: tuple[float, float] = (1.0, 1.0)
    tone: float = 0.0
    tone_power: tuple[float, float] = (0.25, 4.0)
    tone_factor: tuple[float, float] = (0.7, 1.4)
    tone_shift: float = 0.1
    hue_shift: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    blur_kernel: float = 0.1
    solarise: float = 0.0
    solarise_threshold: float = 0.5

    def __post_init__(self) -> None:
        for name in _RANGES:
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be (low, high) above 0, got {(low, high)}")
        if self.area[1] > 1:
            raise ValueError(f"area must be at most 1, got {self.area}")
        _check.one_of(("bicubic", "bilinear"), interpolation=self.interpolation)
        if len(self.jitter) != 4 or min(self.jitter) < 0 or self.jitter[3] > 0.5:
            raise ValueError(
                "jitter must be four numbers of at least 0, the last (hue) at most 0.5, "
                f"got {self.jitter}"
            )
        _check.at_least(0, rotation=self.rotation)
        if not 0 <= self.hue_shift <= 0.5:
            raise ValueError(f"hue_shift must be in [0, 0.5], got {self.hue_shift}")
        _check.positive(blur_kernel=self.blur_kernel)
        _check.fraction(
            flip=self.flip,
            translation=self.translation,
            jitter_probability=self.jitter_probability,
            tone=self.tone,
            tone_shift=self.tone_shift,
            grey=self.grey,
            blur=self.blur,
            solarise=self.solarise,
            solarise_threshold=self.solarise_threshold,
        )

    @property
    def warps(self) -> bool:
        """Whether the picture is shifted, scaled or turned."""
        return bool(self.translation or self.rotation) or self.scale != (1.0, 1.0)

    @property
    def tints(self) -> bool:
        """Whether its colours change by more than the jitter."""
        return bool(self.tone or self.hue_shift) or self.principal != (1.0, 1.0)

    @property
    def fixed(self) -> bool:
        """Whether an image looks the same whenever this view is made of it."""
        drawn = (self.translation, self.rotation, self.tone, self.hue_shift, self.blur)
        return (
            self.area[0] == 1
            and not any(drawn)
            and not (self.jitter_probability and any(self.jitter))
            and {self.flip, self.grey, self.solarise} <= {0, 1}
            and all(low == high for low, high in (self.scale, self.principal))
        )


@dataclass(frozen=True)
class Plan:
    """The views that a method compares.

    Attributes:
        name: whose views they are.
        views: one recipe a view.
        normalise: whether the data set's mean and standard deviation are taken out at the end;
            otherwise the encoder sees values in [0, 1].

    Raises:
        ValueError: there is no view.
    """

    name: str
    views: tuple[View, ...]
    normalise: bool

    def __post_init__(self) -> None:
        if not self.views:
            raise ValueError("views must hold at least one View, got none")

    def with_(self, **changes: Any) -> Plan:
        """Return this plan with some fields of `View` changed in all its views.

        Raises:
            ValueError: `View` has no such field, or the value is out of its range.
        """
        for name in changes:
            _check.one_of(View.__dataclass_fields__, field=name)
        return replace(self, views=tuple(replace(view, **changes) for view in self.views))


def _crop(
    smallest: float, *, interpolation: Literal["bicubic", "bilinear"] = "bilinear", **rest: Any
) -> View:
    """Return a view with the crop, flip and greyscale that all these papers share."""
    return View(
        area=(smallest, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation=interpolation,
        flip=0.5,
        grey=0.2,
        **rest,
    )


# What solved encoders call alike: SimCLR's small views with milder crops. There is no paper to
# follow; chosen by kNN on parts of CIFAR-10's training images, see docs/benchmarks.md.
_SOLVED = View(
    area=(0.4, 1.0),
    ratio=(3 / 4, 4 / 3),
    interpolation="bilinear",
    flip=0.5,
    jitter=(0.4, 0.4, 0.4, 0.1),
    grey=0.2,
)
SOLVED = Plan("solved", (_SOLVED, _SOLVED), normalise=False)

IDENTITY = Plan("identity", (View(), View()), normalise=False)
"""The picture as it is (its central square, resized): where a new plan starts."""

# Wu et al. 2018, arXiv:1805.01978. Deviation: their greyscale comes before their jitter.
NPID = Plan("npid", (_crop(0.2, jitter=(0.4, 0.4, 0.4, 0.4)),), normalise=True)

# He et al. 2019, arXiv:1911.05722, section 3.3; Ye et al. 2019, arXiv:1904.03436.
MOCO_V1 = Plan("moco_v1", NPID.views * 2, normalise=True)
ISIF = Plan("isif", NPID.views * 2, normalise=True)

# Chen et al. 2020, arXiv:2002.05709, appendix A: colour strength 1.
_SIMCLR = _crop(
    0.08, interpolation="bicubic", jitter=(0.8, 0.8, 0.8, 0.2), jitter_probability=0.8, blur=0.5
)
SIMCLR = Plan("simclr", (_SIMCLR, _SIMCLR), normalise=False)

# The same, appendix B.9 (CIFAR-10): colour strength 0.5 and no blur.
SIMCLR_SMALL = replace(
    SIMCLR.with_(jitter=(0.4, 0.4, 0.4, 0.1), blur=0.0),
    name="simclr_small",
)

# Chen et al. 2020, arXiv:2003.04297, and Chen & He 2020, arXiv:2011.10566, section 3.
_MOCO_V2 = _crop(0.2, jitter=(0.4, 0.4, 0.4, 0.1), jitter_probability=0.8, blur=0.5)
MOCO_V2 = Plan("moco_v2", (_MOCO_V2, _MOCO_V2), normalise=True)
SIMSIAM = replace(MOCO_V2, name="simsiam")

# MoCo's own CIFAR-10 demonstration; SimSiam, appendix D, its crop taken from the ImageNet recipe.
MOCO_SMALL = replace(MOCO_V2.with_(area=(0.08, 1.0), blur=0.0), name="moco_small")
SIMSIAM_SMALL = replace(MOCO_V2.with_(blur=0.0), name="simsiam_small")

# Grill et al. 2020, arXiv:2006.07733, appendix B, table 6: the two views differ.
_BYOL = _crop(
    0.08, interpolation="bicubic", jitter=(0.4, 0.4, 0.2, 0.1), jitter_probability=0.8, blur=1.0
)
BYOL = Plan("byol", (_BYOL, replace(_BYOL, blur=0.1, solarise=0.2)), normalise=True)

# Chen et al. 2021, arXiv:2104.02057: BYOL's, with the ResNet-50 crop (0.08 for transformers).
MOCO_V3 = replace(BYOL.with_(area=(0.2, 1.0), interpolation="bilinear"), name="moco_v3")

# van den Oord et al. 2018, arXiv:1807.03748, section 3.2: 256 of 300 pixels, mirrored, no colour.
_CPC = View(area=((256 / 300) ** 2,) * 2, interpolation="bilinear", flip=0.5, grey=1.0)
CPC = Plan("cpc", (_CPC,), normalise=True)

# For pictures as small as CIFAR's there is no published recipe; colours as PyTorch Lightning Bolts
# changes them, so that the encoder learns to see colour.
_CPC_SMALL = replace(
    _CPC, area=(0.5, 1.0), jitter=(0.4, 0.4, 0.4, 0.2), jitter_probability=0.8, grey=0.25
)
CPC_SMALL = Plan("cpc_small", (_CPC_SMALL,), normalise=True)

# Dosovitskiy et al. 2014, arXiv:1406.6909, section 3.1: one view, of a patch. How factors, powers
# and shifts are spread over their ranges is ours: factors and powers as often up as down.
EXEMPLAR = Plan(
    "exemplar",
    (
        View(
            translation=0.2,
            scale=(0.7, 1.4),
            rotation=20.0,
            principal=(0.5, 2.0),
            tone=1.0,
            hue_shift=0.1,
        ),
    ),
    normalise=True,
)

# Musgrave et al. 2020, arXiv:2003.08505, section 4: one view, cropped and mirrored.
METRIC = Plan(
    "metric",
    (View(area=(0.16, 1.0), ratio=(3 / 4, 4 / 3), interpolation="bilinear", flip=0.5),),
    normalise=True,
)

# What classification is trained on: ImageNet's crop; CIFAR's shift by up to 4 of 32 pixels.
SUPERVISED = Plan(
    "supervised",
    (View(area=(0.08, 1.0), ratio=(3 / 4, 4 / 3), interpolation="bilinear", flip=0.5),),
    normalise=True,
)
SUPERVISED_SMALL = Plan("supervised_small", (View(translation=4 / 32, flip=0.5),), normalise=True)

PLANS = {
    plan.name: plan
    for plan in (
        SOLVED,
        IDENTITY,
        NPID,
        MOCO_V1,
        ISIF,
        SIMCLR,
        SIMCLR_SMALL,
        MOCO_V2,
        SIMSIAM,
        MOCO_SMALL,
        SIMSIAM_SMALL,
        BYOL,
        MOCO_V3,
        CPC,
        CPC_SMALL,
        EXEMPLAR,
        METRIC,
        SUPERVISED,
        SUPERVISED_SMALL,
    )
}
