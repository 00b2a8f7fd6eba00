"""An encoder's numbers beside its baselines': a flat object for scripts, a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lookalike.data.image_set import ImageSet
from lookalike.evaluation.verdict import BASELINES, tell_verdict


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What one way to turn pictures into vectors scores; None where it could not be measured.

    Attributes:
        dim: width of a vector.
        knn_top1: share of queries that the weighted neighbours classify right.
        knn_top1_ci95: its 95 % interval (Wilson), low and high.
        linear_top1: share that a linear classifier does; of raw pixels it sees their principal
            components, of oriented gradients the first 256.
        linear_l2: the penalty it chose.
        recall_at_1: share of queries whose nearest other query is of their class.
        r_precision: share of a query's R nearest that are of its class, which has R others.
        map_at_r: the same, weighted so that those of its class should also come first.
        rankme: effective rank of the queries, in [1, dim].
        alpha_req: decay of their spectrum; near 1 is good.
        uniformity: in [-8, 0]; lower is more even.
        alignment: mean squared distance of two views, in [0, 4]; lower is closer.
        spread: 1 healthy, 0 collapsed.
    """

    dim: int
    knn_top1: float | None = None
    knn_top1_ci95: tuple[float, float] | None = None
    linear_top1: float | None = None
    linear_l2: float | None = None
    recall_at_1: float | None = None
    r_precision: float | None = None
    map_at_r: float | None = None
    rankme: float | None = None
    alpha_req: float | None = None
    uniformity: float | None = None
    alignment: float | None = None
    spread: float | None = None


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What the vectors after one layer of the network score.

    Attributes:
        dim: width of a vector.
        knn_top1: share of queries that the weighted neighbours classify right.
        linear_top1: share that a linear classifier does; None where it was not fitted.
    """

    dim: int
    knn_top1: float
    linear_top1: float | None


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """An encoder's numbers, and how they came about.

    Attributes:
        source: name of the images.
        protocol: which images voted, which were asked, and why.
        k: neighbours that vote; None if nobody can.
        k_reason: why so many.
        temperature: of their votes.
        bank_images: images that vote; 0 where the other queries do.
        query_images: images asked about and measured.
        unreadable: images left out because they could not be read.
        seed: of every draw.
        fingerprint: sha256 of the encoder.
        encoder: its measures.
        baselines: those of `raw_pixels`, of their principal components (`pca_pixels`), of oriented
            gradients with colours (`hog`), of the `untrained` network and, if the encoder started
            from weights, of the network as it was then (`starting`).
        queries: the images asked about; not in `to_json`.
        layers: scores after each layer of the network that trained the encoder, from the backbone
            to the end of its head, by name; empty unless they were asked for.
        class_names: the C classes that the numbers below go by.
        per_class_recall: C shares of queries classified right; None for a class without queries.
        confusion: (C, C) queries by true class and by the neighbours' vote; None without votes, or
            with too many classes to be worth writing.
    """

    source: str
    protocol: str
    k: int | None
    k_reason: str
    temperature: float
    bank_images: int
    query_images: int
    unreadable: int
    seed: int
    fingerprint: str
    encoder: Measures
    baselines: Mapping[str, Measures]
    queries: ImageSet = field(repr=False)
    layers: Mapping[str, Layer] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    per_class_recall: tuple[float | None, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return one flat object: the encoder's measures by name, a baseline's after its own.

        Only `layers`, if there are any, is an object of objects.
        """
        flat = asdict(self.encoder)
        for baseline, measures in self.baselines.items():
            flat |= {f"{baseline}_{name}": value for name, value in asdict(measures).items()}
        inner = {"encoder", "baselines", "queries", "layers"}
        flat |= {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in inner
        }
        layers = {name: asdict(layer) for name, layer in self.layers.items()}
        return flat | {"layers": layers} if layers else flat

    def lines(self) -> list[str]:
        """Return a table for people, how its numbers came about, and what they come to."""
        columns = {"encoder": self.encoder, **self.baselines}
        heads = {name: BASELINES[name][0] for name in self.baselines}
        widths = [12, *(max(12, len(head) + 2) for head in heads.values())]
        lines = [_row("", ["encoder", *heads.values()], widths)]
        for name, (title, show) in ROWS.items():
            values = [getattr(measures, name) for measures in columns.values()]
            if any(value is not None for value in values):
                cells = ["-" if value is None else show.format(value) for value in values]
                lines.append(_row(title, cells, widths))
        if self.k is not None and self.encoder.knn_top1_ci95 is not None:
            low, high = self.encoder.knn_top1_ci95
            lines += [
                f"kNN: k = {self.k} ({self.k_reason}), T = {self.temperature:g}; the encoder's "
                f"95 % interval is {low:.1%} to {high:.1%}"
            ]
        if self.layers:
            lines += [
                _row("after each layer", ["linear", "kNN", "width"], [12] * 3),
                *(
                    _row(
                        f"  {name}",
                        [_share(layer.linear_top1), f"{layer.knn_top1:.1%}", f"{layer.dim}"],
                        [12] * 3,
                    )
                    for name, layer in self.layers.items()
                ),
            ]
        voting = f", {self.bank_images:,} vote" if self.bank_images else ""
        lost = f", {self.unreadable:,} could not be read" if self.unreadable else ""
        said = [self.protocol, f"{self.query_images:,} images asked{voting}{lost}"]
        return [*lines, *said, *filter(None, [self.verdict])]

    @property
    def verdict(self) -> str:
        """What was gained or lost beside the best baseline, and what to do next, in sentences."""
        return tell_verdict(self.to_json())


def _row(title: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return title.ljust(24) + "".join(padded)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


ROWS = {
    "knn_top1": ("kNN top-1", "{:.1%}"),
    "linear_top1": ("linear probe top-1", "{:.1%}"),
    "recall_at_1": ("recall at 1", "{:.1%}"),
    "r_precision": ("R-precision", "{:.1%}"),
    "map_at_r": ("MAP@R", "{:.1%}"),
    "dim": ("width", "{}"),
    "rankme": ("effective rank (RankMe)", "{:.1f}"),
    "alpha_req": ("spectrum decay (alpha)", "{:.2f}"),
    "uniformity": ("uniformity, 0 to -8", "{:.2f}"),
    "alignment": ("alignment, 0 to 4", "{:.2f}"),
    "spread": ("spread, 1 is healthy", "{:.2f}"),
}
"""Fields of `Measures` as a table calls them, and how it shows them."""
