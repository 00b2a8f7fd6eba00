"""A source of images made ready: decoded if it fits in memory, its unreadable files set apart."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.data.order import epoch_order
from lookalike.data.pairs import Pairs, read_pairs
from lookalike.data.patches import CONTEXT, load_patches, resident_patches
from lookalike.data.quarantine import Quarantine, survey
from lookalike.data.resident import Resident, load_resident, load_squares, resident_bytes
from lookalike.data.sources import ImageSet, open_source
from lookalike.durable import write_atomically
from lookalike.errors import DataError, UsageError
from lookalike.methods.base import Method
from lookalike.names import to_cells
from lookalike.runs.facts import Facts
from lookalike.runs.sampling import Sampling
from lookalike.solved.base import Solved
from lookalike.training.batches import ResidentBatches, StreamedBatches, Viewing
from lookalike.training.progress import Progress
from lookalike.views.plans import Plan

MEASURED = 2000
"""Images whose pixels tell the mean and deviation of the channels."""


class Collection:
    """Images that can be read, ready to train on.

    Attributes:
        patches: whether `resident` holds a patch of each image in its place.
        unlabelled: images left out, for they have no label.
        pairs: of the images, that say which are alike; None where no file lists any.

    Args:
        spec: what the user called them.
        source: all of them, readable or not.
        positions: (N,) of those that can be read.
        sizes: (N, 2) their heights and widths.
        resident: their pixels, if they are kept in memory.
        quarantine: those that cannot be read.
        listing: file that these are written to.
        max_pixels: above which an image is refused.
        max_unreadable: share of unreadable images above which training stops.
    """

    def __init__(
        self,
        spec: str | Path,
        source: ImageSet,
        *,
        positions: npt.NDArray[np.int64],
        sizes: npt.NDArray[np.int64],
        resident: Resident | None,
        quarantine: Quarantine,
        listing: Path,
        max_pixels: int,
        max_unreadable: float,
    ) -> None:
        self.spec = spec
        self.source = source
        self.images = source.select(positions)
        self.positions = positions
        self.sizes = sizes
        self.patches = False
        self.unlabelled = 0
        self.pairs: Pairs | None = None
        self._pairs_record: dict[str, str] = {}
        self.resident = resident
        self.quarantine = quarantine
        self._listing = listing
        self.max_pixels = max_pixels
        self.max_unreadable = max_unreadable

    @property
    def facts(self) -> Facts:
        """What the default settings depend on."""
        side = int(np.median(self.sizes.min(axis=1)))
        known = self.images.labels[self.images.labels >= 0]
        counts = np.unique(known, return_counts=True)[1]
        largest = int(counts.max(initial=0))
        return Facts(
            len(self.images),
            side,
            resident=self.resident is not None,
            classes=len(counts),
            largest_class=largest,
            class_names=len(self.images.class_names),
            pairs=self.pairs,
        )

    def read_pairs(self, path: Path) -> None:
        """Learn from a file which images are alike; pairs of an unreadable one are left out.

        Raises:
            DataError: it cannot be read, names images that are not there, or all its pairs are
                alike, or none.
        """
        listed = read_pairs(path, self.source, otherwise="take these pairs out of the file")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self._pairs_record = {"pairs": str(path), "pairs_sha256": digest}
        places = np.full(len(self.source), -1)
        places[self.positions] = np.arange(len(self.positions))
        moved = replace(listed, first=places[listed.first], second=places[listed.second])
        self.pairs = moved.select((moved.first >= 0) & (moved.second >= 0))
        alike, count = int(self.pairs.same.sum()), len(self.pairs)
        if alike in (0, count):
            said = f"{'all' if alike else 'none'} of the {count:,} pairs in {path} are alike"
            wanted = "not, with same 0" if alike else "alike, with same 1"
            raise DataError(f"{said}\n  fix: list some that are {wanted}: it takes both kinds")

    def keep_labelled(self) -> None:
        """Leave out the images without a label.

        Raises:
            DataError: labels name fewer than two classes.
        """
        keep = np.flatnonzero(self.images.labels >= 0)
        classes = self.images.labels[keep]
        if not len(keep) or (classes == classes[0]).all():
            told = "one class only" if len(keep) else "no labels"
            raise DataError(
                f"{self.spec} has {told}, and this training compares classes\n"
                "  fix: one folder a class, or a table with a column of labels; or a method and a "
                "--sampling that need none"
            )
        self.unlabelled = len(self.images) - len(keep)
        if self.unlabelled:
            self.positions, self.sizes = self.positions[keep], self.sizes[keep]
            self.images = self.source.select(self.positions)
            if self.resident is not None:
                pixels, sizes, positions = self.resident
                self.resident = Resident(pixels[keep], sizes[keep], positions[keep])

    def hide_labels(self, share: float, *, seed: int, listing: Path) -> None:
        """Forget all but some labels of each class, and write down which are left.

        Args:
            share: of each class's labels that stay, in (0, 1]; one of each at least.
            seed: of the draw.
            listing: CSV file of the images that keep theirs.

        Raises:
            UsageError: share is out of its range.
        """
        if not 0 < share <= 1:
            raise UsageError(f"--labels must lie in (0, 1], got {share:g}")
        kept = draw_labels(self.images.labels, share=share, seed=seed)
        chosen = set(self.positions[kept].tolist())
        labels = [
            label if position in chosen else -1
            for position, label in enumerate(self.source.labels.tolist())
        ]
        self.source = replace(self.source, labels=np.array(labels, dtype=np.int64))
        self.images = self.source.select(self.positions)
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["id", "class"])
        for row in kept.tolist():
            name = self.images.class_names[self.images.labels[row]]
            table.writerow(to_cells([self.images.ids[row], name]))
        write_atomically(listing, text.getvalue().encode())

    def record(self) -> dict[str, Any]:
        """Return what run.json says of the images; another set of images differs in it."""
        digest = hashlib.sha256()
        for name, label in zip(self.images.ids, self.images.labels.tolist(), strict=True):
            digest.update(f"{name}\0{label}\0".encode())
        digest.update(self.sizes.tobytes())
        return {
            "source": str(self.spec),
            "split": self.source.split,
            "images": len(self.images),
            "unreadable": len(self.quarantine),
            "unlabelled": self.unlabelled,
            "classes": list(self.images.class_names),
            "images_sha256": digest.hexdigest(),
            **self._pairs_record,
        }

    def tell_labels(self, sampling: str, method: type[Method] | type[Solved]) -> str:
        """Return what training makes of the labels or pairs, in a few words."""
        if self.pairs is not None:
            named = len(np.union1d(self.pairs.first, self.pairs.second))
            lost = self.pairs.skipped
            apart = f", {lost:,} pairs of unreadable images left out" if lost else ""
            return f", {named:,} of them in {len(self.pairs):,} pairs to learn from{apart}"
        classes = f"{self.facts.classes:,} classes"
        apart = f", {self.unlabelled:,} without a label left out" if self.unlabelled else ""
        if method.needs_labels:
            return f", of {classes}, which training learns from{apart}"
        if sampling != "shuffled":
            return f", of {classes}, which only the batches are drawn by{apart}"
        known = int((self.images.labels >= 0).sum())
        told = f", {known:,} with labels of {classes}, which training never sees"
        return told if known else ", no labels"

    def steps_an_epoch(self, drawn: Sampling, *, seed: int) -> int:
        """Return the whole batches in an epoch.

        Raises:
            UsageError: these images cannot be laid out so.
        """
        labels, size = self.images.labels, drawn.batch_size
        try:
            laid = drawn.order.lay_out(labels, batch_size=size, seed=seed, epoch=0)
        except ValueError as problem:
            raise UsageError(f"--sampling {drawn.name}: {problem}") from problem
        return len(laid.positions) // size

    def batches(self, viewing: Viewing, *, workers: int) -> ResidentBatches | StreamedBatches:
        """Return batches of views of these images."""
        if self.resident is not None:
            return ResidentBatches(self.resident, self.images.labels, viewing)
        return StreamedBatches(
            self.images,
            viewing,
            workers=workers,
            max_pixels=self.max_pixels,
            quarantine=self.quarantine,
            listing=self._listing,
            max_unreadable=self.max_unreadable,
        )

    def cut_patches(self, size: int, *, seed: int, progress: Progress) -> None:
        """Take one patch of each image in its place, where its gradients are, and hold them.

        Raises:
            DataError: too many images cannot be read any more.
        """
        if self.resident is not None:
            self.resident = resident_patches(self.resident, size, seed=seed)
        else:
            self.resident = load_patches(
                self.source,
                self.positions,
                size,
                seed=seed,
                max_pixels=self.max_pixels,
                progress=_shown(progress, "cutting"),
                quarantine=self.quarantine,
            )
            self.quarantine.write_csv(self._listing)
            self.quarantine.raise_if_above(self.max_unreadable)
            self.sizes = self.sizes[np.isin(self.positions, self.resident.positions)]
            self.positions = self.resident.positions
            self.images = self.source.select(self.positions)
        self.patches = True

    def picture_size(self, size: int) -> int:
        """Return the side at which to look at whole images, once trained on views of a size.

        Where views are of patches, whole images are larger: things then look as large in them as
        they do in the patches.
        """
        if not self.patches:
            return size
        return min(max(self.facts.side, size), CONTEXT * size)

    def shown(
        self, count: int, *, size: int, seed: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Return a few of what views are made of: (n, 3, H, W) pixels and (n, 2) sizes."""
        if self.patches and self.resident is not None:
            drawn = np.sort(epoch_order(len(self.images), seed=seed, epoch=0)[:count])
            return self.resident.pixels[drawn], self.resident.sizes[drawn]
        squares, _ = self.squares(count, size=2 * size, seed=seed)
        return squares, np.full((len(squares), 2), 2 * size)

    def squares(
        self, count: int, *, size: int, seed: int
    ) -> tuple[npt.NDArray[np.uint8], ImageSet]:
        """Return at most `count` images, drawn with a seed, as (n, 3, size, size) squares."""
        drawn = np.sort(epoch_order(len(self.images), seed=seed, epoch=0)[:count])
        images = self.images.select(drawn)
        squares, kept = load_squares(images, size, max_pixels=self.max_pixels)
        return squares, images.select(kept)

    def pixel_statistics(
        self, plan: Plan, *, size: int
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return what a plan takes out of the pixels: mean and deviation, or (0, ...), (1, ...)."""
        if not plan.normalise:
            return (0.0,) * 3, (1.0,) * 3
        squares, _ = self.squares(MEASURED, size=size, seed=0)
        pixels = squares.astype(np.float64) / 255
        mean, std = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
        return tuple(mean.round(4).tolist()), tuple(np.maximum(std, 1e-3).round(4).tolist())


def draw_labels(labels: npt.NDArray[np.int64], *, share: float, seed: int) -> npt.NDArray[np.int64]:
    """Return the rows, rising, of a share of each class, one at least; -1 is no class.

    A smaller share of the same seed is a part of a larger one.
    """
    generator = np.random.default_rng(seed)
    rows = [np.zeros(0, dtype=np.int64)]
    for label in np.unique(labels[labels >= 0]):
        members = generator.permutation(np.flatnonzero(labels == label))
        rows.append(members[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(rows))


def collect(
    source: str | Path,
    *,
    download: bool,
    limit: int | None,
    seed: int,
    resident_bytes_allowed: int,
    max_pixels: int,
    max_unreadable: float,
    listing: Path,
    progress: Progress,
) -> Collection:
    """Open a source, set its unreadable images apart, and decode the others if they fit.

    What is unreadable is written to the file `listing` before anything is said.

    Raises:
        UsageError: there is no such source.
        DataError: no image can be read, or too many cannot.
    """
    images = open_source(source, download=download)
    if limit is not None:
        if limit < 2:
            raise UsageError(f"--limit must be at least 2, got {limit}")
        images = _limited(images, limit, seed=seed)
    quarantine = Quarantine(len(images), images.ignored)
    look = _shown(progress, "reading")
    needed = resident_bytes(images, limit=resident_bytes_allowed, max_pixels=max_pixels)
    resident: Resident | None = None
    if needed <= resident_bytes_allowed:
        resident = load_resident(
            images, max_pixels=max_pixels, progress=look, quarantine=quarantine
        )
        positions, sizes = resident.positions, resident.sizes
    else:
        seen = survey(images, decode_all=False, max_pixels=max_pixels, progress=look)
        for each in seen.unreadable:
            quarantine.add(*each)
        positions, sizes = seen.positions, seen.sizes
    quarantine.write_csv(listing)
    if not len(positions):
        first = next(iter(quarantine))
        raise DataError(
            f"none of the {len(images):,} images of {source} can be read, for example {first}\n"
            f"  fix: lookalike check {source} lists them with reasons"
        )
    quarantine.raise_if_above(max_unreadable)
    return Collection(
        source,
        images,
        positions=positions,
        sizes=sizes,
        resident=resident,
        quarantine=quarantine,
        listing=listing,
        max_pixels=max_pixels,
        max_unreadable=max_unreadable,
    )


def images_trained_on(config: Mapping[str, Any]) -> ImageSet:
    """Return the images that a run was trained on, readable or not, from its resolved settings.

    Raises:
        UsageError: they are no longer there.
        DataError: their source is damaged.
    """
    images = open_source(config["source"], split=config.get("split"))
    return _limited(images, config["images"] + config["unreadable"], seed=config["seed"])


def _limited(images: ImageSet, limit: int, *, seed: int) -> ImageSet:
    """Return all images, or as many as the limit, drawn with the seed."""
    return images.select(np.sort(epoch_order(len(images), seed=seed, epoch=0)[:limit]))


def _shown(progress: Progress, verb: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        progress.show(done, total, {}, noun=f"{verb} image")

    return show
