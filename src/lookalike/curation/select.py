"""Which images to label next: those that stand for the most, or leave no other far away."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from lookalike import _check
from lookalike.curation.album import Album, open_album
from lookalike.data.order import epoch_order
from lookalike.durable import write_atomically
from lookalike.embeddings import Embeddings
from lookalike.evaluation.clustering import cluster, scikit_learn
from lookalike.names import to_cells
from lookalike.pairwise.similarity import top_k, unit_rows

By = Literal["k-center", "typicality", "random"]
Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

LISTED = 15
NEAREST = 20  # images of its cluster whose nearness makes an image typical
MOST_CLUSTERS = 500


def k_center(
    vectors: Floats, count: int, *, covered: Floats | None = None
) -> tuple[list[int], list[float]]:
    """Return images that leave none far from them: each is the farthest from those before it.

    The largest distance that is left is at most twice the least that any choice of so many images
    leaves (Gonzalez 1985, doi:10.1016/0304-3975(85)90224-5; for labelling, Sener and Savarese 2018,
    arXiv:1708.00489, algorithm 1). The first, where nothing is covered yet, is the image nearest to
    the mean of all.

    Args:
        vectors: (N, D), any scale.
        count: how many, in [1, N].
        covered: (M, D) vectors of images that are labelled already.

    Returns:
        positions in the order in which they were chosen, of equals the first; and how far each was,
        as it was chosen, from all before it, in [0, 2] (infinite for the first of all).

    Raises:
        ValueError: count is out of its range.
    """
    _require_count(count, len(vectors))
    rows = unit_rows(torch.from_numpy(vectors))
    left = torch.full((len(rows),), torch.inf)
    if covered is not None and len(covered):
        cosines, _ = top_k(rows, unit_rows(torch.from_numpy(covered)), 1)
        left = _distance(cosines[:, 0])
    chosen: list[int] = []
    gains: list[float] = []
    for _ in range(count):
        if bool(left.isposinf().all()):
            place = int((rows @ rows.mean(dim=0)).argmax())
        else:
            place = int(left.argmax())
        chosen.append(place)
        gains.append(float(left[place]))
        left = torch.minimum(left, _distance(rows @ rows[place]))
        left[chosen] = -torch.inf  # not twice, though all that is left may be at distance 0
    return chosen, gains


def typicalities(vectors: Floats, *, neighbours: int = NEAREST) -> Floats:
    """Return how typical each image is: 1 over its mean distance to its nearest neighbours.

    Hacohen, Dekel and Weinshall 2022, arXiv:2202.02794, equation 4, on unit vectors.

    Args:
        vectors: (N, D), any scale.
        neighbours: >= 1; all others if there are fewer.

    Returns:
        (N,) at least 0.5; of a single image 0.
    """
    rows = unit_rows(torch.from_numpy(vectors))
    if len(rows) < 2:
        return np.zeros(len(rows), dtype=np.float32)
    cosines, _ = top_k(rows, rows, min(neighbours, len(rows) - 1), exclude_self=True)
    return (1 / _distance(cosines).mean(dim=1).clamp_min(1e-6)).numpy()


def typical_first(
    vectors: Floats, members: Positions, count: int, *, covered: Sequence[int] = ()
) -> tuple[list[int], list[float]]:
    """Return typical images of different clusters, those of large clusters first.

    The next image is always from the cluster of which the fewest are chosen or covered, of such the
    one that has the most images left; in it, the most typical that is left (arXiv:2202.02794,
    section 3.2).

    Args:
        vectors: (N, D), any scale.
        members: (N,) the cluster of each image, from 0.
        count: how many, in [1, N - covered].
        covered: positions of the images that are labelled already.

    Returns:
        positions in the order in which they were chosen, and how typical each is of its cluster.

    Raises:
        ValueError: count is out of its range, or there are not as many members as vectors.
    """
    _check.labels_of(len(vectors), members=members)
    _require_count(count, len(vectors) - len(covered))
    typical = np.zeros(len(vectors), dtype=np.float32)
    taken: dict[int, int] = {}
    waiting: dict[int, list[int]] = {}
    for number in np.unique(members).tolist():
        inside = np.flatnonzero(members == number)
        typical[inside] = typicalities(vectors[inside])
        new = inside[~np.isin(inside, list(covered))]
        taken[number] = len(inside) - len(new)
        waiting[number] = new[np.argsort(-typical[new], kind="stable")].tolist()
    chosen = []
    for _ in range(count):
        left = [number for number, images in waiting.items() if images]
        number = min(left, key=lambda each: (taken[each], -len(waiting[each]), each))
        chosen.append(waiting[number].pop(0))
        taken[number] += 1
    return chosen, typical[chosen].tolist()


@dataclass(frozen=True, kw_only=True)
class Pick:
    """An image to label.

    Attributes:
        position: in `Selection.album`.
        reason: why this one, in a few words.
    """

    position: int
    reason: str


@dataclass(frozen=True, eq=False)
class Selection:
    """Images to label, the most useful first.

    Attributes:
        album: the images that were chosen from.
        picks: in order.
        by: how they were chosen.
        labelled: how many images counted as labelled already.
        seed: of every draw.
    """

    album: Album
    picks: tuple[Pick, ...]
    by: By
    labelled: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return one object for programs."""
        return {
            "source": self.album.images.name,
            "images": len(self.album),
            "unreadable": self.album.unreadable,
            "by": self.by,
            "labelled": self.labelled,
            "seed": self.seed,
            "fingerprint": self.album.fingerprint,
            "picks": [
                {"id": self.album.images.ids[pick.position], "reason": pick.reason}
                for pick in self.picks
            ],
        }

    def lines(self) -> list[str]:
        """Return a table for people, and how it came about."""
        lines = [
            f"{number:<6}{self.album.images.ids[pick.position]}  {pick.reason}"
            for number, pick in enumerate(self.picks[:LISTED], 1)
        ]
        if len(self.picks) > LISTED:
            lines.append(f"and {len(self.picks) - LISTED:,} more")
        lost = f"; {self.album.unreadable:,} could not be read" * bool(self.album.unreadable)
        known = f"; {self.labelled:,} are labelled already" * bool(self.labelled)
        return [
            *lines,
            "",
            f"{len(self.picks):,} of {len(self.album):,} images, by {self.by}, seed {self.seed}"
            f"{known}{lost}",
        ]


def select_images(
    images: Album | str | Path,
    *,
    count: int = 100,
    by: By = "typicality",
    labelled: Album | None = None,
    seed: int = 0,
) -> Selection:
    """Choose images to label next.

    Where some images of the album have a class and some have none, those with a class count as
    labelled already; and so do those of `labelled`. Neither is chosen.

    Args:
        images: an album, or a collection that `lookalike embed` wrote.
        count: how many, >= 1; all there are, if there are fewer.
        by: typicality: typical images of different clusters, the best for few labels. k-center:
            no image far from all chosen, the best for rare kinds. random: to compare with.
        labelled: images that are labelled already, their vectors by the same encoder.
        seed: of every draw.

    Raises:
        UsageError: the collection cannot be opened.
        LookalikeError: scikit-learn is not installed, which typicality needs.
        ValueError: an option is out of its range.
    """
    _check.at_least(1, count=count)
    _check.one_of(("k-center", "typicality", "random"), by=by)
    album = images if isinstance(images, Album) else open_album(images)
    vectors, known = _known(album, labelled)
    open_ones = np.setdiff1d(np.arange(len(album)), known)
    count = min(count, len(open_ones))
    if not count:
        picks: list[Pick] = []
    elif by == "random":
        order = open_ones[epoch_order(len(open_ones), seed=seed, epoch=0)[:count]]
        picks = [Pick(position=each, reason="drawn at random") for each in order.tolist()]
    elif by == "k-center":
        places, gains = k_center(vectors[open_ones], count, covered=vectors[known])
        picks = [
            Pick(position=int(open_ones[place]), reason=_how_far(gain))
            for place, gain in zip(places, gains, strict=True)
        ]
    else:
        picks = _typical(vectors, known, count, seed)
    return Selection(album, tuple(picks), by, len(known), seed)


def _known(album: Album, labelled: Album | None) -> tuple[Floats, Positions]:
    """Return the vectors of an album, then of what is labelled besides, and where labelled."""
    has_class = album.embeddings.labels >= 0
    known = has_class if not has_class.all() else np.zeros(len(album), dtype=bool)
    if labelled is None:
        return album.embeddings.vectors, np.flatnonzero(known)
    _check.same_width(images=album.embeddings.vectors, labelled=labelled.embeddings.vectors)
    mine, theirs = _places(album), _places(labelled)
    known = known | np.isin(mine, theirs)
    besides = np.flatnonzero(~np.isin(theirs, mine))
    vectors = np.concatenate([album.embeddings.vectors, labelled.embeddings.vectors[besides]])
    added = np.arange(len(album), len(vectors))
    return vectors, np.concatenate([np.flatnonzero(known), added])


def _places(album: Album) -> list[str]:
    """Return where each image is: its path, or its name where it is no file of one folder."""
    root = "" if album.folder is None else str(album.folder)
    return [os.path.normpath(os.path.join(root, name)) for name in album.images.ids]


def _typical(vectors: Floats, known: Positions, count: int, seed: int) -> list[Pick]:
    scikit_learn()
    different = len(np.unique(vectors.round(4), axis=0))  # copies fill no cluster of their own
    clusters = min(count + len(known), MOST_CLUSTERS, different)
    ids, labels = ("",) * len(vectors), np.full(len(vectors), -1)
    members = cluster(
        Embeddings(vectors, ids, labels), method="kmeans", clusters=clusters, seed=seed
    )
    places, values = typical_first(vectors, members, count, covered=known.tolist())
    sizes = np.bincount(members)
    return [
        Pick(
            position=place,
            reason=f"typical ({value:.3g}) of {sizes[members[place]]:,} images that look alike",
        )
        for place, value in zip(places, values, strict=True)
    ]


def _how_far(gain: float) -> str:
    return "the most central" if np.isinf(gain) else f"{gain:.3f} from all chosen before"


def _distance(cosines: torch.Tensor) -> torch.Tensor:
    """Return the distance of unit vectors from their cosine, in [0, 2]."""
    return (2 - 2 * cosines).clamp(0, 4).sqrt()


def _require_count(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise ValueError(f"count must be in [1, {most}], the images to choose from, got {count}")


def write_csv(found: Selection, path: Path) -> None:
    """Write place, id and reason, in the order of the choice."""
    content = io.StringIO(newline="")
    rows = csv.writer(content)
    rows.writerow(("place", "id", "reason"))
    for number, pick in enumerate(found.picks, 1):
        name = found.album.images.ids[pick.position]
        rows.writerow(to_cells((number, name, pick.reason)))
    write_atomically(path, content.getvalue().encode("utf-8", errors="backslashreplace"))
