"""One thing or two: an encoder on pairs of images, beside what needs no training."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import _check
from lookalike.data.decode import MAX_PIXELS
from lookalike.data.image_set import ImageSet
from lookalike.data.pairs import Pairs
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.resident import load_squares
from lookalike.errors import DataError
from lookalike.evaluation.verdict import BASELINES
from lookalike.evaluation.verification import FEWEST_FALSE, Verification, verification
from lookalike.inference import Encoder, squares_in_parts
from lookalike.judging.baselines import ENCODER, list_ways
from lookalike.pairwise.similarity import unit_rows

HARDEST = 8  # pairs of each kind that are shown
THUMB_SIDE = 128
GATHERED = 2**22  # numbers of vectors brought side by side at once


class HardPair(NamedTuple):
    """A pair that the encoder gets wrong, or nearly.

    first: id of an image.
    second: id of the other.
    score: cosine of their vectors.
    """

    first: str
    second: str
    score: float


@dataclass(frozen=True, kw_only=True)
class VerificationCard:
    """How well an encoder tells pairs of one thing from pairs of two, and how that came about.

    Attributes:
        source: name of the images.
        images: images that the pairs are of.
        pairs: pairs that were judged.
        skipped: pairs left out because the source lacks an image of theirs.
        unreadable: images that could not be read.
        unreadable_pairs: pairs left out for that.
        trained_on: of `images`, those that the encoder was trained on, by id; None if not known.
        seed: of every draw.
        fingerprint: sha256 of the encoder.
        ways: verification by the cosines of the `encoder`, of `raw_pixels`, of oriented gradients
            with colours (`hog`), of the `untrained` network and, if the encoder started from
            published weights, of those (`starting`).
        most_alike_different: different pairs that the encoder finds most alike, no image twice.
        least_alike_same: same pairs that it finds least alike, likewise.
        thumbs: (n, 128, 128, 3) pictures of the images in these pairs; not in `to_json`.
        thumb_ids: their ids; likewise.
    """

    source: str
    images: int
    pairs: int
    skipped: int
    unreadable: int
    unreadable_pairs: int
    trained_on: int | None
    seed: int
    fingerprint: str
    ways: Mapping[str, Verification]
    most_alike_different: tuple[HardPair, ...]
    least_alike_same: tuple[HardPair, ...]
    thumbs: npt.NDArray[np.uint8] = field(repr=False)
    thumb_ids: tuple[str, ...] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return one object; what was measured stands under `ways`, by way."""
        hard = {
            name: [pair._asdict() for pair in getattr(self, name)]
            for name in ("most_alike_different", "least_alike_same")
        }
        told = asdict(self) | hard
        return {name: told[name] for name in told if name not in ("thumbs", "thumb_ids")}

    def lines(self) -> list[str]:
        """Return a table for people, and how its numbers came about."""
        heads = [BASELINES[way][0] if way in BASELINES else way for way in self.ways]
        width = max(22, *(len(head) + 2 for head in heads))
        rows = [("", *heads), *_rows(tuple(self.ways.values()))]
        return [
            *(
                first.ljust(24) + "".join(cell.rjust(width) for cell in cells)
                for first, *cells in rows
            ),
            *self._remarks(),
        ]

    def _remarks(self) -> list[str]:
        encoder = self.ways[ENCODER]
        lost = [
            f"{count:,} left out: {why}"
            for count, why in (
                (self.skipped, "images that are not there"),
                (self.unreadable_pairs, "images that cannot be read"),
            )
            if count
        ]
        said = [
            f"{encoder.same_pairs:,} same and {encoder.different_pairs:,} different pairs of "
            f"{self.images:,} images{''.join(f'; {each}' for each in lost)}",
            f"accuracy with its standard error: {encoder.folds}",
        ]
        if encoder.bootstraps:
            said.append(
                f"in brackets: 95 % of {encoder.bootstraps:,} bootstraps over pairs, "
                f"seed {self.seed}"
            )
        if any(point.tar is None for point in encoder.tar_at_far):
            least = FEWEST_FALSE / encoder.different_pairs
            said.append(
                f"a FAR below {least:.2g} would let through fewer than {FEWEST_FALSE} pairs"
            )
        return said


def verify_pairs(
    encoder: Encoder,
    images: ImageSet,
    pairs: Pairs,
    *,
    trained_on: Collection[str] | None = None,
    seed: int = 0,
    bootstraps: int = 1000,
    batch_size: int = 256,
    max_unreadable: float = 0.01,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> VerificationCard:
    """Measure how well cosines of an encoder's vectors tell same from different pairs.

    Each image is decoded once, and so are its vectors made, beside those of the baselines.

    Args:
        encoder: what is measured; it is not changed, and this is checked.
        images: what the pairs are of.
        pairs: the pairs.
        trained_on: ids of the images that the encoder was trained on.
        seed: of folds, where the pairs have none, and of bootstraps.
        bootstraps: draws for the intervals; 0 for none.
        batch_size: pictures at a time.
        max_unreadable: share of images that may be unreadable; pairs of these are left out.
        max_pixels: larger images count as unreadable.
        progress: told after each image.

    Raises:
        DataError: too many images cannot be read, or pairs of one kind alone are left.
        ValueError: a number is out of its range.
    """
    _check.at_least(1, batch_size=batch_size)
    _check.at_least(0, bootstraps=bootstraps)
    before = encoder.fingerprint()
    used, places = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    shown = images.select(used)
    quarantine = Quarantine(len(shown))
    ways = list_ways(encoder, seed=seed, batch_size=batch_size)
    vectors: dict[str, list[Tensor]] = {way: [] for way in ways}
    rows = np.full(len(shown), -1)
    for squares, positions in squares_in_parts(
        shown, encoder.size, max_pixels=max_pixels, quarantine=quarantine, progress=progress
    ):
        rows[positions] = np.arange(len(positions)) + rows.max() + 1
        for way, describe in ways.items():
            vectors[way].append(unit_rows(describe(squares)))
    quarantine.raise_if_above(max_unreadable)
    first, second = rows[places.reshape(2, -1)]
    kept = (first >= 0) & (second >= 0)
    left = pairs.select(kept)
    if left.same.all() or not left.same.any():
        raise DataError(
            f"of the pairs, {left.same.sum():,} same and {(~left.same).sum():,} different ones can "
            "be judged\n  fix: list some of both kinds"
        )
    cosines = {
        way: _cosines(torch.cat(parts), first[kept], second[kept]) for way, parts in vectors.items()
    }
    if encoder.fingerprint() != before:
        raise RuntimeError("the encoder changed while it was measured: its numbers mean nothing")
    hardest = {
        kind: _extremes(sign * cosines[ENCODER], left, of)
        for kind, sign, of in (("different", -1, ~left.same), ("same", 1, left.same))
    }
    told = {
        kind: tuple(
            HardPair(
                images.ids[left.first[pair]],
                images.ids[left.second[pair]],
                float(cosines[ENCODER][pair]),
            )
            for pair in chosen
        )
        for kind, chosen in hardest.items()
    }
    chosen = np.concatenate([hardest["different"], hardest["same"]])
    seen = images.select(np.unique(np.concatenate([left.first[chosen], left.second[chosen]])))
    thumbs, readable = load_squares(seen, THUMB_SIDE, max_pixels=max_pixels)
    return VerificationCard(
        source=images.name,
        images=len(shown),
        pairs=len(left),
        skipped=pairs.skipped,
        unreadable=len(quarantine),
        unreadable_pairs=int((~kept).sum()),
        trained_on=None if trained_on is None else sum(name in trained_on for name in shown.ids),
        seed=seed,
        fingerprint=before,
        ways={
            way: verification(scores, left.same, left.fold, seed=seed, bootstraps=bootstraps)
            for way, scores in cosines.items()
        },
        most_alike_different=told["different"],
        least_alike_same=told["same"],
        thumbs=np.ascontiguousarray(thumbs.transpose(0, 2, 3, 1)),
        thumb_ids=seen.select(readable).ids,
    )


def _cosines(
    vectors: Tensor, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the products of pairs of rows, a part at a time."""
    step = max(1, GATHERED // vectors.shape[1])
    parts = [
        torch.linalg.vecdot(
            vectors[torch.from_numpy(first[start : start + step])],
            vectors[torch.from_numpy(second[start : start + step])],
        )
        for start in range(0, len(first), step)
    ]
    return torch.cat(parts).double().numpy()


def _extremes(
    hardness: npt.NDArray[np.float64], pairs: Pairs, among: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return the places of a few pairs of lowest number, no image twice."""
    found: list[int] = []
    taken: set[int] = set()
    candidates = np.flatnonzero(among)
    for pair in candidates[np.argsort(hardness[candidates], kind="stable")].tolist():
        ends = {int(pairs.first[pair]), int(pairs.second[pair])}
        if not taken & ends:
            found.append(pair)
            taken |= ends
        if len(found) == HARDEST:
            break
    return np.array(found, dtype=np.int64)


def _rows(ways: tuple[Verification, ...]) -> list[tuple[str, ...]]:
    """Return the rows of the table: what is measured, and a cell for each way."""

    def ranged(value: float | None, interval: tuple[float, float] | None) -> str:
        if value is None:
            return "-"
        around = f" ({interval[0]:.3f}-{interval[1]:.3f})" if interval else ""
        return f"{value:.3f}{around}"

    rows = [
        (
            f"accuracy, {len(ways[0].fold_accuracies)} folds",
            *(
                "-" if way.accuracy is None else f"{way.accuracy:.1%} ± {way.accuracy_se:.1%}"
                for way in ways
            ),
        ),
        ("AUC", *(ranged(way.auc, way.auc_ci95) for way in ways)),
        ("equal error rate", *(ranged(way.eer, way.eer_ci95) for way in ways)),
    ]
    for points in zip(*(way.tar_at_far for way in ways), strict=True):
        if points[0].tar is not None:
            cells = (ranged(point.tar, point.tar_ci95) for point in points)
            rows.append((f"TAR at FAR {points[0].far:g}", *cells))
    return rows
