"""How the small experiments train, apart from what each is about."""

from types import MappingProxyType
from typing import Any

SMALL = MappingProxyType(
    {
        "backbone": "resnet18",
        "backbone_arguments": {"width": 16, "stem": "strided", "zero_init_residual": False},
        "size": 32,
        "views_arguments": {"area": (0.2, 1.0)},
        "batch_size": 64,
        "epochs": 15,
        "optim_arguments": {"weight_decay": 1e-3},
        "monitor_every": 1000,
    }
)
"""Half a minute of two quiet cores on the built-in photos of hands. No monitor stops a run, for
some arms are there to collapse.

Crop and weight decay were chosen on other people's hands than those that a claim is measured on: a
quarter of the training photos, by photo number. Learning rates were, too, or on training images of
CIFAR-10; that of BYOL is SimCLR's.
"""

DRAWINGS = MappingProxyType(
    {
        "backbone": "small_conv",
        "backbone_arguments": {"width": 16},
        "size": 32,
        "views_arguments": {
            "area": (1.0, 1.0),
            "ratio": (1.0, 1.0),
            "flip": 0.0,
            "rotation": 15.0,
            "scale": (0.85, 1.2),
            "translation": 0.1,
        },
        "batch_size": 64,
        "epochs": 8,
        "monitor_every": 1000,
    }
)
"""A minute of one core on the built-in drawings of letters, judged on other alphabets. Views and
network were chosen on an alphabet held out of those that are trained on (Korean).
"""

TEACHING = MappingProxyType({"size": 32, "batch_size": 64, "epochs": 15, "monitor_every": 1000})
"""What every training has that teaches or is taught: half a minute of one core at most, on the
built-in photos of hands, judged on those of other people. Nothing was tuned."""


def network(width: int) -> dict[str, Any]:
    """Return the settings of four convolutions of a width; the parameters grow with its square."""
    return {"backbone": "small_conv", "backbone_arguments": {"width": width}}


def taught(width: int = 16, **changes: Any) -> dict[str, Any]:
    """Return the settings of a teacher that learns from labels."""
    return {**TEACHING, "method": "supervised", **network(width), **changes}


def student(width: int = 4, **changes: Any) -> dict[str, Any]:
    """Return the settings of a student of such a teacher; `taught_by` says of which."""
    return {"method": "distillation", **network(width), **changes}
