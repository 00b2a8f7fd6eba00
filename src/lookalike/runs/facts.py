"""What is known of the images before training: what its default settings depend on."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.data.pairs import Pairs


@dataclass(frozen=True)
class Facts:
    """What the choices depend on.

    count: images to train on.
    side: median of the images' shorter sides, in pixels.
    resident: whether the images live in memory, decoded.
    classes: that their labels name.
    largest_class: images of the class that has most.
    class_names: classes of the source, above every label; a limit may leave none of some.
    pairs: of the images, that say which are alike; None where none are listed.
    """

    count: int
    side: int
    resident: bool
    classes: int = 0
    largest_class: int = 0
    class_names: int = 0
    pairs: Pairs | None = None

    @property
    def seen(self) -> tuple[int, str]:
        """Images that an epoch shows, and what they are."""
        if self.pairs is None:
            return self.count, f"{self.count:,} images"
        return 2 * len(self.pairs), f"{len(self.pairs):,} pairs"
