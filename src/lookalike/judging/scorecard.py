"""How good an encoder is: beside what needs no training, on the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lookalike import _check
from lookalike.data.decode import MAX_PIXELS
from lookalike.data.image_set import ImageSet
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.resident import load_squares
from lookalike.embeddings import Embeddings
from lookalike.evaluation.card import Layer, Measures, Scorecard
from lookalike.evaluation.confidence import wilson_interval
from lookalike.evaluation.knn import accuracy, knn_votes, leave_one_out_votes
from lookalike.evaluation.linear_probe import linear_probe, stratified_part
from lookalike.evaluation.principal import principal_axes
from lookalike.evaluation.protocol import ASKED, Sides, Source, choose_sides
from lookalike.evaluation.retrieval import retrieval
from lookalike.evaluation.spectrum import alpha_req, effective_rank, spread
from lookalike.evaluation.uniformity import alignment, uniformity
from lookalike.inference import Encoder, further
from lookalike.judging.baselines import (
    ENCODER,
    HOG,
    LAYER,
    PCA_PIXELS,
    RAW_PIXELS,
    STARTING,
    UNTRAINED,
    Describe,
    Represent,
    Stages,
    describe_images,
    list_ways,
    pixel_axes,
    principal_pixels,
    project,
)
from lookalike.judging.kept import KeptMeasures, digest_sides, key_of
from lookalike.views.make import make_views
from lookalike.views.plans import SIMCLR, SIMCLR_SMALL, Plan

MOST_VOTERS = 200  # NPID's k, for ImageNet's 1,300 images a class
SMALL_SIDE = 96  # pixels up to which two views are those of small images
ALIGNED = 256  # images whose two views are compared
MOST_CLASSES = 500  # of a confusion matrix worth writing; with more, a linear probe takes minutes,
FEWEST = 5  # and is fitted only on so many images a class on average
HOG_PROBED = 256  # principal components of HOG that a linear classifier is fitted on
PIXELS = (RAW_PIXELS, PCA_PIXELS)
ORDER = (RAW_PIXELS, PCA_PIXELS, HOG, UNTRAINED, STARTING)
UNIFORM = 2048  # images whose uniformity is taken; more hardly move the mean over their pairs


class Verdict(NamedTuple):
    """What neighbours and a linear classifier say about labelled queries.

    measures: the fields of `Measures` that need labels.
    truth: (M,) classes of the labelled queries.
    votes: (M,) classes that their neighbours voted for.
    """

    measures: dict[str, Any]
    truth: npt.NDArray[np.int64]
    votes: npt.NDArray[np.int64]


def score(
    encoder: Encoder,
    source: Source,
    *,
    bank: Source | None = None,
    k: int | None = None,
    temperature: float = 0.1,
    split: str | None = None,
    trained_on: Source | None = None,
    starting: Encoder | None = None,
    views: Plan | None = None,
    stages: Stages | None = None,
    seed: int = 0,
    batch_size: int = 256,
    max_unreadable: float = 0.01,
    max_pixels: int = MAX_PIXELS,
    kept: KeptMeasures | None = None,
    progress: Progress | None = None,
) -> Scorecard:
    """Measure an encoder on some images, beside what needs no training on the same images.

    With labels, a bank of images votes on queries (`choose_sides` says who is who), and a linear
    classifier is fitted on the bank; without, only what needs no labels is measured. The baselines
    are raw pixels, their principal components, oriented gradients with colours, the network
    untrained and, if it started from weights, the network as it was then.

    Args:
        encoder: what is measured; it is not changed, and this is checked.
        source: the images to measure on.
        bank: the images that vote, if not part of `source`.
        k: neighbours that vote (default: a tenth of the bank's images a class, at most 200).
        temperature: > 0, of their votes.
        split: part of `source` to ask about.
        trained_on: the images that the encoder was trained on; they vote if nothing better does.
        starting: the encoder that its training started from, if any; another baseline.
        views: what two views of an image are for `alignment` (default: SimCLR's).
        stages: what pictures are after each layer of the network that trained the encoder; each is
            probed as the encoder is, with the same images and the same k.
        seed: of every draw.
        batch_size: pictures at a time.
        max_unreadable: share of images that may be unreadable; they are left out and counted.
        max_pixels: larger images count as unreadable.
        kept: numbers of baselines that were measured before, on the same images and in the same
            way; what is measured now is kept there too.
        progress: told after each image.

    Raises:
        UsageError: a source, split or bank cannot be.
        DataError: there are no images, or too many cannot be read.
        ValueError: k < 1 or temperature <= 0.
    """
    _check.positive(temperature=temperature)
    _check.at_least(1, k=1 if k is None else k, batch_size=batch_size)
    before = encoder.fingerprint()
    sides = choose_sides(source, bank=bank, split=split, trained_on=trained_on, seed=seed)
    every = list_ways(encoder, starting=starting, seed=seed, batch_size=batch_size)
    classes, per_class = _classes(sides)
    k, reason = choose_k(sides, k)
    probed = classes <= MOST_CLASSES or per_class >= FEWEST
    device = encoder.device if encoder.device.type == "cuda" else torch.device("cpu")
    plan = views or (SIMCLR_SMALL if encoder.size <= SMALL_SIDE else SIMCLR)

    keys = (
        _keys(
            every,
            sides,
            size=encoder.size,
            k=k,
            temperature=temperature,
            probed=probed,
            views=plan,
            seed=seed,
            max_pixels=max_pixels,
            device=device.type,
        )
        if kept is not None
        else {}
    )
    known = _known(kept, keys) if kept is not None else {}
    ways = {way: describe for way, describe in every.items() if way not in known}

    quarantine = Quarantine(len(sides.queries) + len(sides.bank or ()))
    describe = partial(
        describe_images,
        ways=ways,
        stages=stages,
        size=encoder.size,
        max_pixels=max_pixels,
        quarantine=quarantine,
    )
    _, queries = describe(sides.queries, progress=further(progress, 0, quarantine.total))
    voters: dict[str, Embeddings] = {}
    if sides.bank is not None:
        tell = further(progress, len(sides.queries), quarantine.total)
        _, voters = describe(sides.bank, progress=tell)
    quarantine.raise_if_above(max_unreadable)
    if RAW_PIXELS in ways:
        axes = pixel_axes((voters or queries)[RAW_PIXELS], seed=seed)
        ways[PCA_PIXELS] = partial(principal_pixels, axes=axes)
        for side in (queries, voters) if voters else (queries,):
            side[PCA_PIXELS] = project(side[RAW_PIXELS], axes)
    distances = _alignments(sides.queries, ways, encoder.size, plan=plan, seed=seed)

    verdicts: dict[str, Verdict] = {}
    if k is not None:
        judge = partial(_judge, k=k, temperature=temperature, seed=seed, device=device)
        verdicts = {
            way: judge(
                asked,
                voters.get(way),
                probe=probed and way != RAW_PIXELS,
                components=HOG_PROBED if way == HOG else None,
            )
            for way, asked in queries.items()
        }
    if (
        RAW_PIXELS in verdicts and probed
    ):  # a linear classifier of thousands of pixels takes minutes
        of_pixels = verdicts[PCA_PIXELS].measures
        for name in ("linear_top1", "linear_l2"):
            verdicts[RAW_PIXELS].measures[name] = of_pixels[name]
    measures: dict[str, Measures] = {}
    for way in ways:
        vectors = torch.from_numpy(queries[way].vectors).to(device)
        numbers = _label_free(vectors, seed=seed) | {"alignment": distances.get(way)}
        if way in verdicts:
            numbers |= verdicts[way].measures
        measures[way] = Measures(dim=vectors.shape[1], **numbers)
        if kept is not None and way in keys:
            kept.keep(keys[way], measures[way])
    measures |= known
    if encoder.fingerprint() != before:
        raise RuntimeError("the encoder changed while it was measured: its numbers mean nothing")
    return Scorecard(
        source=sides.queries.name,
        protocol=sides.reason
        + ("" if probed else f"; no linear probe: {classes:,} classes of few images each"),
        k=k,
        k_reason=reason,
        temperature=temperature,
        bank_images=len(voters[ENCODER]) if voters else 0,
        query_images=len(queries[ENCODER]),
        unreadable=len(quarantine),
        seed=seed,
        fingerprint=before,
        encoder=measures.pop(ENCODER),
        baselines={way: measures[way] for way in ORDER if way in measures},
        queries=sides.queries,
        layers={
            way.removeprefix(LAYER): Layer(
                dim=queries[way].vectors.shape[1],
                knn_top1=verdict.measures["knn_top1"],
                linear_top1=verdict.measures.get("linear_top1"),
            )
            for way, verdict in verdicts.items()
            if way.startswith(LAYER)
        },
        **_by_class(verdicts.get(ENCODER), sides.queries.class_names),
    )


def _keys(ways: Mapping[str, Describe], sides: Sides, **protocol: Any) -> dict[str, str]:
    """Return under which key the numbers of each baseline are kept."""
    images = digest_sides(sides)
    networks = {
        way: each.network.fingerprint() if isinstance(each, Represent) else None
        for way, each in ways.items()
        if way != ENCODER
    }
    return {
        way: key_of(images, way=way, network=network, **protocol)
        for way, network in {**networks, PCA_PIXELS: None}.items()
    }


def _known(kept: KeptMeasures, keys: Mapping[str, str]) -> dict[str, Measures]:
    """Return the numbers of those baselines that need not be measured again."""
    known = {way: found for way, key in keys.items() if (found := kept.find(key)) is not None}
    if not known.keys() >= {*PIXELS}:  # their numbers are made together
        known = {way: found for way, found in known.items() if way not in PIXELS}
    return known


def _alignments(
    images: ImageSet,
    ways: Mapping[str, Describe],
    size: int,
    *,
    plan: Plan,
    seed: int,
) -> dict[str, float]:
    """Return the alignment of two views of some of the images, by way; none of a one-view plan."""
    if len(plan.views) < 2:
        return {}
    drawn = np.random.default_rng(seed).permutation(len(images))[:ALIGNED]
    squares = torch.from_numpy(load_squares(images.select(np.sort(drawn)), size)[0])
    sizes = torch.full((len(squares), 2), size)
    index = torch.arange(len(squares))
    plan = replace(plan, normalise=False)  # views as pictures, for each way to prepare as its own
    pair = make_views(plan, squares, sizes, index, size=size, seed=seed, epoch=0)[:2]
    first, second = ((view * 255).round().to(torch.uint8) for view in pair)
    return {way: alignment(describe(first), describe(second)) for way, describe in ways.items()}


def _classes(sides: Sides) -> tuple[int, float]:
    """Return the classes that vote, and how many images of each do on average; 0 if nobody can."""
    if not sides.has_labels:
        return 0, 0.0
    voters = sides.queries if sides.bank is None else sides.bank
    labels = voters.labels[voters.labels >= 0]
    classes = len(np.unique(labels))
    return classes, len(labels) / classes


def choose_k(sides: Sides, k: int | None = None) -> tuple[int | None, str]:
    """Return how many neighbours vote, and why so many; None where nobody can.

    Args:
        sides: who votes on whom.
        k: so many, if somebody can.
    """
    _, per_class = _classes(sides)
    if not per_class:
        return None, "nobody can vote"
    if k is not None:
        return k, "as asked"
    reason = f"a tenth of the {per_class:.0f} images a class that vote, at most {MOST_VOTERS}"
    return min(MOST_VOTERS, max(1, round(per_class / 10))), reason


def _judge(
    queries: Embeddings,
    bank: Embeddings | None,
    *,
    k: int,
    temperature: float,
    probe: bool,
    components: int | None,
    seed: int,
    device: torch.device,
) -> Verdict:
    """Ask neighbours, and with `probe` a linear classifier, about labelled queries.

    Where there is no bank, the other queries vote, and the classifier is fitted on some of them. It
    sees the principal components of vectors that are wider than `components`.
    """
    queries = queries.select(np.flatnonzero(queries.labels >= 0))
    if bank is None:
        drawn = stratified_part(queries.labels, share=ASKED, seed=seed)
        train, probed = (queries.select(np.flatnonzero(part)) for part in (~drawn, drawn))
        votes = leave_one_out_votes(queries, k=k, temperature=temperature, device=device)
    else:
        train, probed = bank, queries
        votes = knn_votes(bank, queries, k=k, temperature=temperature, device=device)
    top1 = accuracy(votes.predictions, queries.labels)
    measures: dict[str, Any] = {
        "knn_top1": top1,
        "knn_top1_ci95": wilson_interval(top1, len(queries)),
    }
    if np.bincount(queries.labels).max() > 1:
        searched = retrieval(queries, ks=(1,), average_precision=None, device=device)
        measures |= {
            "recall_at_1": searched.recall_at_k[1],
            "r_precision": searched.r_precision,
            "map_at_r": searched.map_at_r,
        }
    if probe:
        if components is not None and train.vectors.shape[1] > components:
            axes = principal_axes(torch.from_numpy(train.vectors), count=components, seed=seed)
            train, probed = (project(each, axes) for each in (train, probed))
        found = linear_probe(train, probed, seed=seed, device=device)
        measures |= {"linear_top1": found.accuracy, "linear_l2": found.l2}
    return Verdict(measures, queries.labels, votes.predictions)


def _label_free(vectors: Tensor, *, seed: int) -> dict[str, Any]:
    """Return the fields of `Measures` that need vectors alone."""
    alpha = alpha_req(vectors)
    return {
        "rankme": effective_rank(vectors),
        "alpha_req": None if math.isnan(alpha) else alpha,
        "uniformity": uniformity(vectors, seed=seed, limit=UNIFORM) if len(vectors) > 1 else None,
        "spread": spread(vectors),
    }


def _by_class(verdict: Verdict | None, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of `Scorecard` that go class by class."""
    if verdict is None:
        return {}
    truth, votes, count = verdict.truth, verdict.votes, len(names)
    asked = np.bincount(truth, minlength=count).tolist()
    right = np.bincount(truth[truth == votes], minlength=count).tolist()
    recall = tuple(hits / of if of else None for hits, of in zip(right, asked, strict=True))
    fields: dict[str, Any] = {"class_names": names, "per_class_recall": recall}
    if count <= MOST_CLASSES:
        pairs = np.bincount(truth * count + votes, minlength=count**2).reshape(count, count)
        fields["confusion"] = tuple(map(tuple, pairs.tolist()))
    return fields
