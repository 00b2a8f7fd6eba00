"""The images of a source in groups that look alike, beside what raw pixels would have grouped."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from lookalike import _check
from lookalike.data.decode import MAX_PIXELS
from lookalike.data.image_set import ImageSet
from lookalike.data.order import epoch_order
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.sources import open_source
from lookalike.durable import write_atomically
from lookalike.embeddings import Embeddings
from lookalike.errors import UsageError
from lookalike.evaluation.clustering import (
    Agreement,
    Method,
    check_options,
    cluster,
    compare_with_labels,
    scikit_learn,
)
from lookalike.evaluation.verdict import BASELINES
from lookalike.inference import Encoder
from lookalike.judging.baselines import ENCODER, describe_images, list_ways
from lookalike.names import to_cells
from lookalike.pairwise.similarity import unit_rows

LISTED = 20  # clusters in the table for people; all are in the file
NO_CLUSTER = "in none"
_NAMES = {"kmeans": "k-means", "agglomerative": "agglomeration", "hdbscan": "HDBSCAN"}

SCORES = {
    "ami": "AMI",
    "nmi": "NMI, arithmetic",
    "ari": "ARI",
    "pairwise_f": "pairwise F",
    "bcubed_f": "B-cubed F",
}
"""Fields of `Agreement` as a table calls them, the fairest first."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """One cluster.

    Attributes:
        number: from 1, the largest first.
        positions: its images in `Clusters.images`, from the nearest to its centre to the farthest.
        class_name: the commonest class of its images, if any is known.
        share: how many of its images with a known class are of that one.
    """

    number: int
    positions: tuple[int, ...]
    class_name: str | None
    share: float | None


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """What one way to turn pictures into vectors was grouped into.

    Attributes:
        clusters: how many.
        unclustered: images in none.
        agreement: with the labels; None where none is known.
    """

    clusters: int
    unclustered: int
    agreement: Agreement | None


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Images in clusters, and how they came about.

    Attributes:
        images: those that could be read.
        members: (N,) the cluster of each image, from 0, the largest first; -1 is none.
        distances: (N,) cosine distance to the centre of its cluster, in [0, 2]; nan if in none.
        groupings: how the encoder groups, then, where labels are known, each baseline.
        method: how they were found.
        reason: why so, in a sentence.
        unreadable: images left out because they could not be read.
        seed: of every draw.
        fingerprint: sha256 of the encoder.
    """

    images: ImageSet
    members: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]
    groupings: Mapping[str, Grouping]
    method: Method
    reason: str
    unreadable: int
    seed: int
    fingerprint: str

    @property
    def groups(self) -> list[Group]:
        """Every cluster, the largest first."""
        order = np.lexsort((self.distances, self.members))
        order = order[self.members[order] >= 0]
        starts = np.flatnonzero(np.diff(self.members[order])) + 1
        parts = np.split(order, starts) if len(order) else []
        return [self._group(number, positions) for number, positions in enumerate(parts, 1)]

    @property
    def unclustered(self) -> tuple[int, ...]:
        """Positions of the images in no cluster."""
        return tuple(np.flatnonzero(self.members < 0).tolist())

    def class_of(self, position: int) -> str | None:
        """Return the name of an image's class, if it is known."""
        label = int(self.images.labels[position])
        return self.images.class_names[label] if label >= 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return one object; each cluster's medoid is the image nearest to its centre."""
        return {
            "source": self.images.name,
            "split": self.images.split,
            "images": len(self.images),
            "unreadable": self.unreadable,
            "method": self.method,
            "reason": self.reason,
            "seed": self.seed,
            "fingerprint": self.fingerprint,
            "groupings": {way: asdict(each) for way, each in self.groupings.items()},
            "clusters": [
                {
                    "number": each.number,
                    "images": len(each.positions),
                    "medoid": self.images.ids[each.positions[0]],
                    "class": each.class_name,
                    "share": each.share,
                }
                for each in self.groups
            ],
        }

    def lines(self) -> list[str]:
        """Return tables for people, and how the clusters came about."""
        groups = self.groups
        lines = ["cluster".ljust(10) + "images".rjust(8) + "   most typical, mostly"]
        for each in groups[:LISTED]:
            mostly = "" if each.share is None else f"   {each.class_name} {each.share:.0%}"
            typical = self.images.ids[each.positions[0]]
            lines.append(f"{each.number:<10}{len(each.positions):>8,}   {typical}{mostly}")
        if rest := groups[LISTED:]:
            images = sum(len(each.positions) for each in rest)
            lines.append(f"{f'{len(rest):,} more':<10}{images:>8,}")
        if alone := len(self.unclustered):
            lines.append(f"{NO_CLUSTER:<10}{alone:>8,}")
        lost = f", {self.unreadable:,} could not be read" if self.unreadable else ""
        how = f"{self.reason}; {len(self.images):,} images{lost}"
        return [*lines, *self._scores(), how]

    def _scores(self) -> list[str]:
        """Return the table of scores by way; nothing where no label is known."""
        if any(each.agreement is None for each in self.groupings.values()):
            return []
        heads = [BASELINES[way][0] if way in BASELINES else way for way in self.groupings]
        width = max(map(len, heads)) + 2
        rows = {
            title: [f"{getattr(each.agreement, name):.3f}" for each in self.groupings.values()]
            for name, title in SCORES.items()
        }
        rows["clusters"] = [f"{each.clusters:,}" for each in self.groupings.values()]
        rows[NO_CLUSTER] = [f"{each.unclustered:,}" for each in self.groupings.values()]
        return [
            "",
            " " * 18 + "".join(head.rjust(width) for head in heads),
            *(
                title.ljust(18) + "".join(cell.rjust(width) for cell in cells)
                for title, cells in rows.items()
            ),
            "",
        ]

    def _group(self, number: int, positions: npt.NDArray[np.int64]) -> Group:
        labels = self.images.labels[positions]
        counts = np.bincount(labels[labels >= 0])
        common = int(counts.argmax()) if len(counts) else None
        return Group(
            number=number,
            positions=tuple(positions.tolist()),
            class_name=None if common is None else self.images.class_names[common],
            share=None if common is None else float(counts[common] / counts.sum()),
        )


def find_clusters(
    encoder: Encoder,
    source: str | Path | ImageSet,
    *,
    method: Method | None = None,
    clusters: int | None = None,
    distance: float | None = None,
    smallest: int = 5,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 256,
    max_unreadable: float = 0.01,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Clusters:
    """Group the images of a source; where labels are known, baselines are grouped as well.

    Args:
        encoder: what makes the vectors.
        source: the images.
        method: kmeans, agglomerative or hdbscan (default: kmeans where the number of clusters is
            given or labels tell it, agglomerative where a distance is, else hdbscan).
        clusters: how many (default: as many as there are classes, where labels are known).
        distance: cosine distance, in (0, 2], up to which agglomerative joins clusters.
        smallest: images that make a cluster, >= 2; for hdbscan.
        split: part of the source to take.
        limit: images at most, drawn at random.
        seed: of every draw.
        batch_size: pictures at a time.
        max_unreadable: share of images that may be unreadable; they are left out and counted.
        max_pixels: larger images count as unreadable.
        progress: told after each image.

    Raises:
        UsageError: the source or split cannot be, or nothing says how many clusters to find.
        DataError: there are no images, or too many cannot be read.
        LookalikeError: scikit-learn is not installed.
        ValueError: an option is out of its range, or not one of the method's.
    """
    _check.at_least(1, limit=1 if limit is None else limit, batch_size=batch_size)
    if isinstance(source, ImageSet) and split is not None:
        raise UsageError(f"split {split!r} needs a source by name or path, not opened images")
    images = source if isinstance(source, ImageSet) else open_source(source, split=split)
    if limit is not None and limit < len(images):
        images = images.select(np.sort(epoch_order(len(images), seed=seed, epoch=0)[:limit]))
    method, clusters, reason = _choose(method, clusters, distance, images.labels)
    check_options(len(images), method, clusters, distance, smallest)  # before the images are read
    scikit_learn()
    quarantine = Quarantine(len(images))
    labelled = bool((images.labels >= 0).any())
    ways = list_ways(encoder, seed=seed, batch_size=batch_size)
    kept, vectors = describe_images(
        images,
        ways=ways if labelled else {ENCODER: ways[ENCODER]},
        size=encoder.size,
        max_pixels=max_pixels,
        quarantine=quarantine,
        progress=progress,
    )
    quarantine.raise_if_above(max_unreadable)
    found = vectors[ENCODER]
    group = partial(cluster, method=method, smallest=smallest, seed=seed)
    members = {ENCODER: group(found, clusters=clusters, distance=distance)}
    # a distance means another thing to other vectors: they are cut into as many clusters
    count = len(np.unique(members[ENCODER])) if distance is not None else clusters
    members |= {way: group(each, clusters=count) for way, each in vectors.items() if way != ENCODER}
    return Clusters(
        images=kept,
        members=members[ENCODER],
        distances=_distances(found, members[ENCODER]),
        groupings={way: _grouping(each, found.labels) for way, each in members.items()},
        method=method,
        reason=reason,
        unreadable=len(quarantine),
        seed=seed,
        fingerprint=encoder.fingerprint(),
    )


def _choose(
    method: Method | None,
    clusters: int | None,
    distance: float | None,
    labels: npt.NDArray[np.int64],
) -> tuple[Method, int | None, str]:
    """Return the method, how many clusters it is to find, and why, in a sentence."""
    classes = len(np.unique(labels[labels >= 0]))
    if clusters is not None:
        chosen = method or "kmeans"
        return chosen, clusters, f"{_NAMES[chosen]} into {clusters:,} clusters, as asked"
    if distance is not None:
        chosen = method or "agglomerative"
        return chosen, None, f"{_NAMES[chosen]} up to a cosine distance of {distance:g}, as asked"
    if method == "hdbscan" or (method is None and not classes):
        why = "as asked" if method else "since nothing says how many clusters there are"
        return "hdbscan", None, f"{_NAMES['hdbscan']}, {why}"
    if not classes:
        raise UsageError(
            f"{method} has to know how many clusters, and no image has a label to tell it\n"
            "  fix: --clusters N, or --method hdbscan, which finds out"
        )
    chosen = method or "kmeans"
    return chosen, classes, f"{_NAMES[chosen]} into {classes:,} clusters, one a class of the labels"


def _distances(embeddings: Embeddings, members: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the cosine distance of each image to the mean of its cluster's unit vectors.

    The nearest to it is also the medoid, the image of the least total distance to the others.
    """
    rows = unit_rows(torch.from_numpy(embeddings.vectors)).double()
    inside = torch.from_numpy(members >= 0)
    which = torch.from_numpy(members)[inside]
    sums = torch.zeros(int(members.max(initial=-1)) + 1, rows.shape[1], dtype=rows.dtype)
    centres = unit_rows(sums.index_add_(0, which, rows[inside]))
    distances = torch.full((len(rows),), torch.nan, dtype=rows.dtype)
    distances[inside] = (1 - (rows[inside] * centres[which]).sum(dim=1)).clamp(0, 2)
    return distances.float().numpy()


def _grouping(members: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> Grouping:
    return Grouping(
        clusters=int(members.max(initial=-1)) + 1,
        unclustered=int((members < 0).sum()),
        agreement=compare_with_labels(members, labels) if (labels >= 0).any() else None,
    )


def write_csv(found: Clusters, path: Path) -> None:
    """Write path, cluster, distance to its centre and label of each image, the largest first.

    Cluster and distance are empty for an image in none, the label where it is not known.
    """
    content = io.StringIO(newline="")
    rows = csv.writer(content)
    rows.writerow(("path", "cluster", "distance", "label"))
    for group in found.groups:
        for position in group.positions:
            distance = f"{found.distances[position]:.6f}"
            label = found.class_of(position) or ""
            rows.writerow(to_cells((found.images.ids[position], group.number, distance, label)))
    for position in found.unclustered:
        label = found.class_of(position) or ""
        rows.writerow(to_cells((found.images.ids[position], "", "", label)))
    write_atomically(path, content.getvalue().encode("utf-8", errors="backslashreplace"))


def copy_folders(found: Clusters, folder: Path) -> None:
    """Copy each image into a folder of its cluster's number; nothing is moved.

    Names begin with the image's place in its cluster, the most typical first. Those in no cluster
    go to the folder `none`.

    Raises:
        UsageError: the folder is there already and not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty\n  fix: remove it, or name another --out")
    for group in found.groups:
        _copy(found.images, group.positions, folder / f"{group.number:03d}")
    if found.unclustered:
        _copy(found.images, found.unclustered, folder / "none")


def _copy(images: ImageSet, positions: tuple[int, ...], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digits = len(str(len(positions)))
    for place, position in enumerate(positions, 1):
        content = images.read(position)
        name = re.sub(r"[^\w.-]", "_", images.ids[position].rpartition("/")[2])[-100:]
        path = folder / f"{place:0{digits}d}-{name}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.fromarray(content).save(path.with_name(f"{path.name}.png"))
