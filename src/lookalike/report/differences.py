"""Several runs beside one another in tables: what was set otherwise, and what came out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lookalike.evaluation.verdict import BASELINES
from lookalike.report.charts import number, percent
from lookalike.report.reading import RunRecord, is_number
from lookalike.report.verification_charts import share

ABSENT = "—"

Records = Mapping[str, RunRecord]  # by the letter that stands for each


class Cell(NamedTuple):
    """A value in words, and its 95 % interval; either may be empty."""

    value: str
    interval: str = ""


class Row(NamedTuple):
    """One measure of all runs.

    title: what was measured.
    cells: what came out, a run each.
    meaning: how to read it.
    """

    title: str
    cells: tuple[Cell, ...]
    meaning: str


MEASURES = (
    ("kNN accuracy", "knn_top1", percent, "share of images that their neighbours name right"),
    *(
        (f"kNN of {name}", f"{key}_knn_top1", percent, "a baseline, on the same images")
        for key, (_, name) in BASELINES.items()
    ),
    ("Linear accuracy", "linear_top1", percent, "of a linear classifier on the vectors"),
    ("Recall at 1", "recall_at_1", percent, "share of images whose nearest is of their class"),
    ("MAP@R", "map_at_r", percent, "100\u00a0% when all of a class come before any other"),
    ("Effective rank", "rankme", number, "directions in use; more is richer"),
    ("Spectrum decay", "alpha_req", number, "alpha; near 1 is good, higher nears collapse"),
    ("Alignment", "alignment", number, "0 to 4; low when views of an image agree"),
    ("Uniformity", "uniformity", number, "0 to \u22128; low when images spread evenly"),
)  # title, key in evaluation.json, how it is written, how to read it
PROTOCOL = {
    "source": "images of",
    "query_images": "images asked",
    "bank_images": "images that vote",
    "k": "k",
    "temperature": "temperature",
}  # what must be the same for two accuracies to be compared


def differing(settings: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Return (name, value of each run) of those settings that are not the same in all runs.

    Args:
        settings: of each run, by dotted name, in words.
    """
    names = dict.fromkeys(name for each in settings for name in each)
    rows = [(name, [each.get(name, ABSENT) for each in settings]) for name in names]
    rows.sort(key=lambda row: row[0].startswith("views.views"))  # there are many; they come last
    return [(name, list(map(_short, values))) for name, values in rows if len(set(values)) > 1]


def _short(text: str) -> str:
    """Return a text with numbers of many decimals cut to five digits."""
    return re.sub(r"\d+\.\d{6,}(?:e-?\d+)?", lambda found: f"{float(found[0]):.5g}", text)


def measures(records: Records) -> list[Row]:
    """Return what was measured of the runs, those measures that any of them has."""
    rows = []
    for title, key, say, meaning in MEASURES:
        found = [record.evaluation or {} for record in records.values()]
        if any(is_number(each.get(key)) for each in found):
            cells = tuple(_cell(each.get(key), each.get(f"{key}_ci95"), say) for each in found)
            rows.append(Row(title, cells, meaning))
    pairs = [_encoder_on_pairs(record) for record in records.values()]
    if any(is_number(each.get("eer")) for each in pairs):
        cells = tuple(_cell(each.get("eer"), each.get("eer_ci95"), share) for each in pairs)
        rows.append(Row("Equal error rate", cells, "of pairs, the same or not; lower is better"))
    return rows


def weigh_measures(records: Records) -> list[str]:
    """Return in sentences which run is best, or why that cannot be said."""
    said = [
        f"{letter} has no evaluation: lookalike evaluate RUN --data SOURCE adds one."
        for letter, record in records.items()
        if not record.evaluation
    ]
    measured = {letter: each.evaluation for letter, each in records.items() if each.evaluation}
    if len(measured) < 2:
        return said
    ways: dict[tuple[str, ...], list[str]] = {}
    for letter, evaluation in measured.items():
        way = tuple(str(evaluation.get(key, ABSENT)) for key in PROTOCOL)
        ways.setdefault(way, []).append(letter)
    if len(ways) > 1:
        told = "; ".join(
            f"{' and '.join(letters)}: {_way(way, ways)}" for way, letters in ways.items()
        )
        return [
            *said,
            f"Their accuracies cannot be compared, for they were not measured alike ({told}). "
            "Compare each with its own baselines.",
        ]
    accuracies = {
        letter: evaluation
        for letter, evaluation in measured.items()
        if is_number(evaluation.get("knn_top1"))
    }
    return said + ([_best(accuracies)] if len(accuracies) > 1 else [])


def _way(way: Sequence[str], ways: Mapping[tuple[str, ...], object]) -> str:
    """Return what sets a way to measure apart from the others."""
    apart = [len(set(values)) > 1 for values in zip(*ways, strict=True)]
    told = zip(PROTOCOL.values(), way, apart, strict=True)
    return ", ".join(f"{name} {value}" for name, value, differs in told if differs)


def _best(accuracies: Mapping[str, Mapping[str, Any]]) -> str:
    ranked = sorted(accuracies, key=lambda letter: -accuracies[letter]["knn_top1"])
    first, second = ranked[:2]
    ahead = accuracies[first]["knn_top1"] - accuracies[second]["knn_top1"]
    if ahead == 0:
        return f"{first} and {second} name the same share of images right."
    lead = f"{first} is {100 * ahead:.1f} points of kNN accuracy above {second}"
    low, high = (accuracies[letter].get("knn_top1_ci95") for letter in (first, second))
    if isinstance(low, list) and isinstance(high, list) and low[0] <= high[1]:
        return f"{lead}, but their intervals overlap: too close to be sure."
    return f"{lead}. It is one run of each: another seed may say otherwise."


def _cell(value: object, interval: object, say: Any) -> Cell:
    if not is_number(value):
        return Cell(ABSENT)
    if isinstance(interval, list) and len(interval) == 2 and all(map(is_number, interval)):
        return Cell(say(value), f"{say(interval[0])} to {say(interval[1])}")
    return Cell(say(value))


def _encoder_on_pairs(record: RunRecord) -> Mapping[str, Any]:
    ways = (record.verification or {}).get("ways")
    encoder = ways.get("encoder") if isinstance(ways, Mapping) else None
    return encoder if isinstance(encoder, Mapping) else {}
