"""A network that teaches: it is asked, never trained, and part of no checkpoint."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Teacher(nn.Module):
    """A frozen network in evaluation mode, whatever the mode of what it stands in.

    It has no parameters, buffers or children that anybody sees: optimizers, state_dict,
    DistributedDataParallel and conversions of batch normalisation pass it over. It moves with
    `.to`.

    Args:
        network: (B, 3, H, W) images -> (B, D) answers; used, not copied, and frozen.
        size: side of the pictures that it was trained on.
        name: what to call it.
    """

    def __init__(self, network: nn.Module, *, size: int, name: str = "the teacher") -> None:
        super().__init__()
        self._network = (network.eval().requires_grad_(False),)  # a tuple: no child
        self._known: Tensor | None = None
        self._gaps = False
        self.size = size
        self.name = name

    @property
    def network(self) -> nn.Module:
        """The network itself."""
        return self._network[0]

    @torch.no_grad()
    def width(self) -> int:
        """Return D, how many numbers it says of an image."""
        first = next(self.network.parameters(), torch.zeros(()))
        picture = torch.zeros(1, 3, self.size, self.size, device=first.device, dtype=first.dtype)
        return int(self(picture).shape[1])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.network._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def remember(self, answers: Tensor) -> None:
        """Answer by heart from now on, where it is told which images it is asked about.

        Args:
            answers: (N, D), row i of what the network says of image i; NaN where that is not known.
        """
        self._known, self._gaps = answers, bool(answers[:, 0].isnan().any())

    @torch.no_grad()
    def forward(self, images: Tensor, index: Tensor | None = None) -> Tensor:
        """Return (B, D), what the network says of images, without gradient.

        Args:
            images: (B, 3, H, W).
            index: (B,) int64 positions of the images in their data set, where these are views as
                the plan makes them; None: they are changed, and only the network can tell.
        """
        if index is None or self._known is None:
            answers: Tensor = self.network(images)
            return answers
        known = self._known[index.to(self._known.device)].to(images.device)
        return torch.where(known.isnan(), self.network(images), known) if self._gaps else known


def count_classes(teachers: Sequence[Teacher], class_count: int | None) -> int:
    """Return the number of classes that all teachers, and the labels, tell apart.

    Args:
        teachers: whose answers are one number a class.
        class_count: what the labels count to; None where that is not known.

    Raises:
        ValueError: they do not agree, or nobody says how many.
    """
    if not teachers:  # loaded, not trained
        if class_count is None:
            raise ValueError("class_count must be given where there is no teacher, got none")
        return class_count
    counts = {teacher.name: teacher.width() for teacher in teachers}
    first = counts[teachers[0].name]
    if len(set(counts.values())) > 1:
        raise ValueError(f"teachers must tell the same classes apart, got {counts}")
    if class_count is not None and class_count != first:
        raise ValueError(
            f"class_count must be {first}, what {teachers[0].name} tells apart, got {class_count}"
        )
    return first


def mean_answer(answers: Sequence[Tensor], temperature: float) -> Tensor:
    """Return logits whose softened probabilities are the mean of those of several logits.

    Args:
        answers: each (B, C); a single one comes back as it is.
        temperature: > 0, that they are softened by.
    """
    if len(answers) == 1:
        return answers[0]
    softened = torch.stack([logits / temperature for logits in answers]).log_softmax(2)
    return temperature * softened.logsumexp(0)
