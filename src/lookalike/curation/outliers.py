"""Images far from all others, and labels that the images around them speak against."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lookalike import _check
from lookalike.curation.album import Album, open_album
from lookalike.durable import write_atomically
from lookalike.errors import DataError
from lookalike.evaluation.knn import leave_one_out_votes
from lookalike.names import to_cell
from lookalike.pairwise.similarity import top_k, unit_rows

LISTED = 15
TOGETHER = 1024  # images whose neighbours' vectors are held at once
TINY = 1e-10  # keeps the density of exact copies finite
Floats = npt.NDArray[np.float32]


def outlier_factors(
    vectors: npt.NDArray[np.float32], *, neighbours: int = 10
) -> tuple[Floats, Floats]:
    """Return the distance of each image to its k-th neighbour, and its local outlier factor.

    The factor is how much denser it is around an image's neighbours than around itself (Breunig,
    Kriegel, Ng and Sander 2000, "LOF: identifying density-based local outliers", definitions 3 to
    7): about 1 inside a class, dense or thin, also a small one of more than k images; and well
    above for what lies off any class. Distances are those of unit vectors, in [0, 2].

    Args:
        vectors: (N, D), any scale.
        neighbours: k, in [1, N - 1]; of images at equal distance k are taken.

    Returns:
        (N,) and (N,), >= 0.

    Raises:
        ValueError: neighbours is out of its range.
    """
    rows = unit_rows(torch.from_numpy(vectors))
    _, near = top_k(rows, rows, neighbours, exclude_self=True)
    # not from the cosines: their rounding is as large as the distances of near copies
    parts = [
        torch.linalg.vector_norm(rows[block, None] - rows[near[block]], dim=2).double()
        for block in torch.split(torch.arange(len(rows)), TOGETHER)
    ]
    distances = torch.cat(parts)  # (N, k)
    reach = distances.amax(dim=1)
    reachable = torch.maximum(distances, reach[near])
    density = 1 / (reachable.mean(dim=1) + TINY)
    factors = density[near].mean(dim=1) / density
    return reach.float().numpy(), factors.float().numpy()


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A label that the images around speak against.

    Attributes:
        position: of the image in `Outliers.album`.
        label: the class it is labelled as.
        voted: the class that its neighbours vote for.
        share: of the votes, in (0, 1].
        own: share of the votes for its label, in [0, 1).
    """

    position: int
    label: str
    voted: str
    share: float
    own: float


@dataclass(frozen=True, eq=False)
class Outliers:
    """Which images of a set are unlike the others, and which labels are doubtful.

    Attributes:
        album: the images.
        distances: (N,) to the k-th neighbour, in [0, 2].
        factors: (N,) local outlier factors.
        order: all positions, those with the highest factors first.
        outside: how many of these are outliers.
        doubts: doubtful labels, the surest first.
        agreeing: share of the labelled images whose neighbours vote for their label; None where
            fewer than two are labelled.
        above: the factor from which on an image counts as an outlier.
        confidence: the share of votes from which on a label is doubtful.
        neighbours: k.
    """

    album: Album
    distances: Floats
    factors: Floats
    order: tuple[int, ...]
    outside: int
    doubts: tuple[Doubt, ...]
    agreeing: float | None
    above: float
    confidence: float
    neighbours: int

    def to_json(self) -> dict[str, Any]:
        """Return one object for programs."""
        ids = self.album.images.ids
        return {
            "source": self.album.images.name,
            "images": len(self.album),
            "unreadable": self.album.unreadable,
            "neighbours": self.neighbours,
            "above": self.above,
            "confidence": self.confidence,
            "agreeing": self.agreeing,
            "fingerprint": self.album.fingerprint,
            "outliers": [
                {
                    "id": ids[position],
                    "factor": round(float(self.factors[position]), 6),
                    "distance": round(float(self.distances[position]), 6),
                }
                for position in self.order[: self.outside]
            ],
            "doubtful_labels": [
                {
                    "id": ids[doubt.position],
                    "label": doubt.label,
                    "voted": doubt.voted,
                    "share": round(doubt.share, 6),
                    "own": round(doubt.own, 6),
                }
                for doubt in self.doubts
            ],
        }

    def lines(self) -> list[str]:
        """Return tables for people, and how they came about."""
        ids, lines = self.album.images.ids, ["factor  distance  image"]
        for position in self.order[:LISTED]:
            numbers = f"{self.factors[position]:<8.2f}{self.distances[position]:<10.3f}"
            lines.append(numbers + ids[position])
        if self.outside > LISTED:
            lines.append(f"and {self.outside - LISTED:,} more outliers")
        if self.doubts:
            lines += ["", "votes   doubtful label"]
        for doubt in self.doubts[:LISTED]:
            lines.append(
                f"{doubt.share:<8.0%}{ids[doubt.position]}  {doubt.label}, and its neighbours say "
                f"{doubt.voted}"
            )
        if len(self.doubts) > LISTED:
            lines.append(f"and {len(self.doubts) - LISTED:,} more")
        lost = f"; {self.album.unreadable:,} could not be read" * bool(self.album.unreadable)
        lines += [
            "",
            f"{self.outside:,} of {len(self.album):,} images are outliers: it is {self.above:g} "
            f"times as sparse around them as around their {self.neighbours} nearest neighbours, or "
            f"more{lost}",
        ]
        if self.agreeing is not None:
            lines.append(
                f"{len(self.doubts):,} labels are doubtful: at least {self.confidence:.0%} of the "
                f"votes are for one other class; neighbours agree with {self.agreeing:.1%} of the "
                "labels"
            )
        return lines


def find_outliers(
    images: Album | str | Path,
    *,
    neighbours: int = 10,
    above: float = 1.5,
    confidence: float = 0.9,
) -> Outliers:
    """Find images that are unlike all others, and labels that their neighbours speak against.

    Args:
        images: an album, or a collection that `lookalike embed` wrote.
        neighbours: images that an image is compared with, >= 1; classes smaller than that look
            like outliers. Of fewer images, all others.
        above: local outlier factor from which on an image is one, > 0.
        confidence: share of the neighbours' votes for one other class from which on a label is
            doubtful, in [0, 1].

    Raises:
        UsageError: the collection cannot be opened.
        DataError: there are fewer than two images.
        ValueError: an option is out of its range.
    """
    _check.at_least(1, neighbours=neighbours)
    _check.positive(above=above)
    _check.fraction(confidence=confidence)
    album = images if isinstance(images, Album) else open_album(images)
    if len(album) < 2:
        raise DataError(f"{album.images.name} holds one image, and an outlier needs others")
    neighbours = min(neighbours, len(album) - 1)
    distances, factors = outlier_factors(album.embeddings.vectors, neighbours=neighbours)
    order = np.argsort(-factors, kind="stable")
    doubts, agreeing = _doubts(album, neighbours, confidence)
    return Outliers(
        album=album,
        distances=distances,
        factors=factors,
        order=tuple(order.tolist()),
        outside=int((factors >= above).sum()),
        doubts=tuple(doubts),
        agreeing=agreeing,
        above=above,
        confidence=confidence,
        neighbours=neighbours,
    )


def _doubts(album: Album, k: int, confidence: float) -> tuple[list[Doubt], float | None]:
    """Return the doubtful labels, and which share of all labels the votes agree with."""
    labels, names = album.embeddings.labels, album.embeddings.class_names
    labelled = np.flatnonzero(labels >= 0)
    if len(labelled) < 2:
        return [], None
    votes = leave_one_out_votes(album.embeddings, k=k)
    own = labels[labelled]
    agreeing = float((votes.predictions == own).mean())
    mine = votes.shares[np.arange(len(own)), np.searchsorted(votes.classes, own)]
    most = votes.shares.max(axis=1)
    doubtful = np.flatnonzero((votes.predictions != own) & (most >= confidence))
    doubts = [
        Doubt(
            position=int(labelled[row]),
            label=names[own[row]],
            voted=names[votes.predictions[row]],
            share=float(most[row]),
            own=float(mine[row]),
        )
        for row in doubtful[np.argsort(-most[doubtful], kind="stable")]
    ]
    return doubts, agreeing


def write_csv(found: Outliers, path: Path) -> None:
    """Write id, factor, distance, outlier, label, voted and share, a row an image.

    The highest factor comes first. Voted and share are empty where the label is not doubtful.
    """
    doubts = {doubt.position: doubt for doubt in found.doubts}
    outside = set(found.order[: found.outside])
    content = io.StringIO(newline="")
    rows = csv.writer(content)
    rows.writerow(("id", "factor", "distance", "outlier", "label", "voted", "share"))
    for position in found.order:
        doubt = doubts.get(position)
        rows.writerow(
            (
                to_cell(found.album.images.ids[position]),
                f"{found.factors[position]:.6f}",
                f"{found.distances[position]:.6f}",
                "yes" if position in outside else "no",
                to_cell(found.album.class_of(position) or ""),
                to_cell(doubt.voted if doubt else ""),
                f"{doubt.share:.6f}" if doubt else "",
            )
        )
    write_atomically(path, content.getvalue().encode("utf-8", errors="backslashreplace"))
