"""Argument checks that read metadata only, so they never wait for a device."""

from collections.abc import Collection
from typing import Any

Tensor = Any  # anything with .ndim and .shape: this floor imports neither torch nor numpy


def matrix(**tensors: Tensor) -> None:
    """Raise ValueError unless every tensor is a matrix, (rows, width)."""
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            raise ValueError(
                f"{name} must be a matrix (rows, width), got shape {tuple(tensor.shape)}"
            )


def same_matrix(**tensors: Tensor) -> None:
    """Raise ValueError unless all tensors are matrices of one shape."""
    matrix(**tensors)
    same_shape(**tensors)


def same_shape(**tensors: Tensor) -> None:
    """Raise ValueError unless all tensors have one shape."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{' and '.join(shapes)} must have one shape, got {shapes}")


def feature_maps(*, one_size: bool, **maps: Tensor) -> None:
    """Raise ValueError unless all are maps of as many images and, with one_size, of one size."""
    shapes = {name: tuple(each.shape) for name, each in maps.items()}
    names = " and ".join(shapes)
    if any(len(shape) != 4 for shape in shapes.values()):
        raise ValueError(f"{names} must be maps (rows, channels, height, width), got {shapes}")
    if len({shape[0] for shape in shapes.values()}) > 1:
        raise ValueError(f"{names} must have as many rows, got {shapes}")
    if one_size and len({shape[2:] for shape in shapes.values()}) > 1:
        raise ValueError(f"{names} must have one height and width, got {shapes}")


def same_width(**tensors: Tensor) -> None:
    """Raise ValueError unless all tensors are matrices of one width."""
    matrix(**tensors)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len({shape[1] for shape in shapes.values()}) > 1:
        raise ValueError(f"{' and '.join(shapes)} must have one width, got {shapes}")


def same_rows(**tensors: Tensor) -> None:
    """Raise ValueError unless all tensors have rows, and the same number of them."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if () in shapes.values() or len({shape[0] for shape in shapes.values()}) > 1:
        raise ValueError(f"{' and '.join(shapes)} must have one number of rows, got {shapes}")


def labels_of(rows: int, **labels: Tensor) -> None:
    """Raise ValueError unless every label tensor is (rows,)."""
    for name, label in labels.items():
        if tuple(label.shape) != (rows,):
            raise ValueError(f"{name} must have shape ({rows},), got {tuple(label.shape)}")


def positive(**numbers: float) -> None:
    """Raise ValueError unless every number is above 0."""
    for name, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{name} must be above 0, got {number}")


def at_least(minimum: float, **numbers: float) -> None:
    """Raise ValueError unless every number is at least the minimum."""
    for name, number in numbers.items():
        if not number >= minimum:
            raise ValueError(f"{name} must be at least {minimum}, got {number}")


def fraction(**numbers: float) -> None:
    """Raise ValueError unless every number is in [0, 1]."""
    for name, number in numbers.items():
        if not 0 <= number <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {number}")


def one_of(options: Collection[str], **choices: str) -> None:
    """Raise ValueError unless every choice is one of the options."""
    for name, choice in choices.items():
        if choice not in options:
            raise ValueError(f"{name} must be one of {', '.join(sorted(options))}, got {choice!r}")
