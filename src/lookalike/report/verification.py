"""Verification on a page: the table, ROC and DET, the scores, and the pairs that are hardest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import lookalike
from lookalike.durable import write_atomically
from lookalike.evaluation.verdict import BASELINES
from lookalike.report.charts import number, percent
from lookalike.report.headline import Bar
from lookalike.report.pictures import Sheet, thumbnail_sheet
from lookalike.report.template import encoded, render
from lookalike.report.verification_charts import (
    Panel,
    det_chart,
    histogram_chart,
    roc_chart,
    share,
)

NAMES = {"encoder": "this encoder"} | {key: name for key, (name, _) in BASELINES.items()}
THUMB_SETTINGS = ((128, 90), (96, 88), (64, 84))  # side, JPEG quality: the first that fits


@dataclass(frozen=True)
class Face:
    """An image on the page.

    Args:
        name: its id.
        column: its place on the sheet of thumbnails; none where it is not there.
        row: likewise.
    """

    name: str
    column: int | None
    row: int | None


@dataclass(frozen=True)
class HardPair:
    """Two images and the cosine of their vectors, in words."""

    first: Face
    second: Face
    cosine: str


@dataclass(frozen=True)
class Verified:
    """What a page shows of verification.json.

    Args:
        sentence: what was asked, in one line.
        accuracy: the encoder's, in words.
        error: its standard error and where from, in words.
        verdict: what the comparison says.
        warning: that some images were trained on; empty if none were.
        bars: accuracies, the encoder's first.
        ways: (kind, name) of the columns, in order.
        rows: of the table: title and a (value, interval) for each way, in words.
        notes: how it was measured, in sentences.
        roc: TAR over FAR.
        det: one error over the other.
        scores: histogram.
        folds: (number, accuracy, threshold) of each, in words.
        fingerprint: of the encoder.
    """

    sentence: str
    accuracy: str
    error: str
    verdict: str
    warning: str
    bars: tuple[Bar, ...]
    ways: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    notes: tuple[str, ...]
    roc: Panel
    det: Panel
    scores: Panel
    folds: tuple[tuple[int, str, str], ...]
    fingerprint: str

    @property
    def charts(self) -> dict[str, Any]:
        """What the script says of each chart."""
        return {chart.name: chart.points for chart in (self.roc, self.det, self.scores)}


def understand(record: Mapping[str, Any]) -> Verified:
    """Return what a page shows of the object in verification.json.

    Raises:
        ValueError: something is missing or not what it should be.
    """
    try:
        return _understand(record)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as problem:
        raise ValueError(f"it is no verification: {problem!r}") from problem


def _understand(record: Mapping[str, Any]) -> Verified:
    ways = {kind: record["ways"][kind] for kind in NAMES if kind in record["ways"]}
    encoder = ways["encoder"]
    rocs = {kind: way["roc"] for kind, way in ways.items()}
    kinds = encoder["same_pairs"], encoder["different_pairs"]
    bars = tuple(
        _bar("encoder" if kind == "encoder" else "baseline", NAMES[kind], way)
        for kind, way in ways.items()
        if way["accuracy"] is not None
    )
    known = encoder["accuracy"] is not None
    return Verified(
        sentence=(
            f"{record['pairs']:,} pairs of {record['images']:,} images of {record['source']}, "
            f"listed in {record['list']}: {kinds[0]:,} same, {kinds[1]:,} different."
        ),
        accuracy=percent(encoder["accuracy"]) if known else "",
        error=(
            f"± {percent(encoder['accuracy_se'])} standard error over "
            f"{len(encoder['fold_accuracies'])} folds"
            if known
            else ""
        ),
        verdict=_verdict(ways) if known else "",
        warning=_warning(record),
        bars=(*bars, Bar("chance", "one answer for all", max(kinds) / sum(kinds))) if bars else (),
        ways=tuple((kind, NAMES[kind]) for kind in ways),
        rows=tuple(_rows(list(ways.values()))),
        notes=tuple(_notes(record, encoder)),
        roc=roc_chart(rocs, different=kinds[1], latest=_accepted(encoder)),
        det=det_chart(rocs, pairs=min(kinds), eer=encoder["eer"]),
        scores=histogram_chart(
            encoder["histogram"], threshold=encoder["eer_threshold"], eer=encoder["eer"]
        ),
        folds=tuple(
            (fold, percent(accuracy), number(threshold))
            for fold, (accuracy, threshold) in enumerate(
                zip(encoder["fold_accuracies"], encoder["fold_thresholds"], strict=True), start=1
            )
        ),
        fingerprint=str(record["fingerprint"]),
    )


def write_page(
    record: Mapping[str, Any],
    path: Path,
    *,
    thumbs: npt.NDArray[np.uint8],
    thumb_ids: Sequence[str],
) -> Path:
    """Write verification as one HTML file that loads nothing; return its path.

    Args:
        record: the object in verification.json.
        path: the file.
        thumbs: (N, side, side, 3) pictures of the images of the hardest pairs.
        thumb_ids: their ids.

    Raises:
        ValueError: the record is no verification.
        LookalikeError: no space is left.
    """
    sheet = thumbnail_sheet(thumbs, settings=THUMB_SETTINGS) if len(thumbs) else None
    verified = understand(record)
    hard: dict[str, Any] = {
        name: [_hard_pair(pair, sheet, thumb_ids) for pair in record[name]]
        for name in ("most_alike_different", "least_alike_same")
    }
    page = render(
        "verification.html",
        verified=verified,
        source=record["source"],
        sheet=sheet,
        version=lookalike.__version__,
        data={"charts": verified.charts, "gallery": None},
        **hard,
    )
    write_atomically(path, encoded(page))
    return path


def _hard_pair(pair: Mapping[str, Any], sheet: Sheet | None, ids: Sequence[str]) -> HardPair:
    def face(name: str) -> Face:
        if sheet is None or name not in ids:
            return Face(name, None, None)
        row, column = divmod(list(ids).index(name), sheet.columns)
        return Face(name, column, row)

    return HardPair(face(pair["first"]), face(pair["second"]), f"{pair['score']:.3f}")


def _bar(kind: str, name: str, way: Mapping[str, Any]) -> Bar:
    value, reach = way["accuracy"], way["accuracy_se"]
    return Bar(kind, name, value, max(0.0, value - reach), min(1.0, value + reach))


def _verdict(ways: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what the encoder's accuracy is worth beside the best of the others."""
    ours = ways["encoder"]
    others = {kind: way for kind, way in ways.items() if kind != "encoder"}
    if not others:
        return ""
    kind = max(others, key=lambda other: others[other]["accuracy"])
    best = others[kind]
    gained = ours["accuracy"] - best["accuracy"]
    points = f"{100 * abs(gained):.1f} points"
    against = f"the best baseline, {BASELINES[kind][1]} ({percent(best['accuracy'])})"
    if gained <= 0:
        return f"Training has not paid off: {points} below {against}."
    if gained < 2 * (ours["accuracy_se"] + best["accuracy_se"]):
        return f"{points} above {against}, within two standard errors: too close to be sure."
    return f"{points} above {against}."


def _accepted(way: Mapping[str, Any]) -> str:
    """Return the ROC in one number: TAR at a FAR of 1 %, or 10 %, or the area where neither is."""
    known = [point for point in way["tar_at_far"][:2] if point["tar"] is not None]
    if not known:
        return f"area {way['auc']:.3f}"
    point = known[-1]
    return f"{percent(point['tar'])} of same pairs accepted at a FAR of {share(point['far'])}"


def _warning(record: Mapping[str, Any]) -> str:
    count = record["trained_on"]
    if not count:
        return ""
    return (
        f"{count:,} of the {record['images']:,} images in these pairs were trained on, so the "
        "numbers say little of people or things not seen before."
    )


def _rows(
    ways: Sequence[Mapping[str, Any]],
) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    def cell(value: float, interval: Sequence[float] | None) -> tuple[str, str]:
        between = f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}" if interval else ""
        return percent(value), between

    def thousandths(interval: Sequence[float] | None) -> str:
        return f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else ""

    rows = []
    if all(way["accuracy"] is not None for way in ways):
        cells = tuple(
            (percent(way["accuracy"]), f"± {100 * way['accuracy_se']:.1f}") for way in ways
        )
        rows.append(("Accuracy", cells))
    areas = tuple((f"{way['auc']:.3f}", thousandths(way["auc_ci95"])) for way in ways)
    rows.append(("Area under the ROC", areas))
    rows.append(("Equal error rate", tuple(cell(way["eer"], way["eer_ci95"]) for way in ways)))
    for points in zip(*(way["tar_at_far"] for way in ways), strict=True):
        if all(point["tar"] is not None for point in points):
            cells = tuple(cell(point["tar"], point["tar_ci95"]) for point in points)
            rows.append((f"TAR at FAR {share(points[0]['far'])}", cells))
    return rows


def _notes(record: Mapping[str, Any], encoder: Mapping[str, Any]) -> list[str]:
    notes = [
        f"Accuracy: each fold is judged at the threshold that the others chose; {encoder['folds']}."
    ]
    if encoder["bootstraps"]:
        notes.append(
            f"Intervals hold 95\u00a0% of {encoder['bootstraps']:,} bootstraps over pairs (seed "
            f"{record['seed']}); pairs that share a person make them a little too narrow."
        )
    if any(point["tar"] is None for point in encoder["tar_at_far"]):
        notes.append(
            f"A FAR below {share(10 / encoder['different_pairs'])} would let through fewer than 10 "
            f"of the {encoder['different_pairs']:,} different pairs, too few to tell."
        )
    for count, why in (
        (record["skipped"], "the source lacks an image of theirs"),
        (record["unreadable_pairs"], "an image of theirs cannot be read"),
    ):
        if count:
            notes.append(f"{count:,} pairs were left out: {why}.")
    return notes
