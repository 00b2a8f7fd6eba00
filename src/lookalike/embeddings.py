"""Embeddings: the one value that training, evaluation and search share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Embeddings:
    """One vector an image, with what is known of the image.

    Args:
        vectors: (N, D) float32; not normalised unless its maker says so.
        ids: N names, one an image: its path inside its source.
        labels: (N,) int64, positions in `class_names`; -1 where unknown.
        class_names: names of the classes that the labels number.

    Raises:
        ValueError: the parts do not have N rows each, or vectors are not a float32 matrix.
    """

    vectors: npt.NDArray[np.float32]
    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rows = len(self.vectors)
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float32:
            raise ValueError(
                f"vectors must be a float32 matrix, got {self.vectors.dtype} {self.vectors.shape}"
            )
        if len(self.ids) != rows or self.labels.shape != (rows,):
            raise ValueError(
                f"{rows} vectors need as many ids and labels, "
                f"got {len(self.ids)} and {self.labels.shape}"
            )

    def __repr__(self) -> str:
        return f"Embeddings({len(self):,} images, {self.vectors.shape[1]} wide)"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.vectors)

    def select(self, positions: Sequence[int] | npt.NDArray[np.integer]) -> Embeddings:
        """Return the rows at these positions, in this order."""
        rows = np.asarray(positions, dtype=np.int64)
        ids = tuple(self.ids[row] for row in rows)
        return Embeddings(self.vectors[rows], ids, self.labels[rows], self.class_names)

    def save(self, path: str | Path) -> None:
        """Write an uncompressed `.npz` without pickled objects."""
        with open(path, "wb") as file:
            np.savez(
                file,
                vectors=self.vectors,
                ids=np.array(self.ids, dtype=np.str_),
                labels=self.labels,
                class_names=np.array(self.class_names, dtype=np.str_),
            )

    @classmethod
    def load(cls, path: str | Path) -> Embeddings:
        """Read what `save` wrote; nothing is unpickled.

        Raises:
            ValueError: the file is no embeddings file.
        """
        try:
            with np.load(path, allow_pickle=False) as table:
                return cls(
                    np.asarray(table["vectors"], dtype=np.float32),
                    tuple(table["ids"].tolist()),
                    np.asarray(table["labels"], dtype=np.int64),
                    tuple(table["class_names"].tolist()),
                )
        except (KeyError, ValueError, OSError) as problem:
            raise ValueError(f"{path} is no embeddings file: {problem}") from problem
