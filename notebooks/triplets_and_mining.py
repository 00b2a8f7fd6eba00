# %% [markdown]
# # Triplets and mining
#
# A triplet is an anchor, a positive of its class and a negative of another, and the triplet loss
# wants the positive nearer by a margin. Most triplets obey soon and teach nothing, so papers
# choose: FaceNet (Schroff et al. 2015, arXiv:1503.03832) takes the semi-hard ones, Hermans et al.
# (2017, arXiv:1703.07737) the hardest of a batch. Here both choices are made by hand, on a batch
# small enough to list every triplet, and held to `triplet_loss`, which never lists any.

# %%
from itertools import product

import numpy as np
import torch
from PIL import Image

import lookalike
from lookalike import Batch
from lookalike.backbones.build import build_backbone
from lookalike.data.resident import load_squares
from lookalike.data.samplers import class_order
from lookalike.evaluation.pixels import raw_pixels
from lookalike.evaluation.retrieval import retrieval
from lookalike.losses.triplet import triplet_loss
from lookalike.methods.metric import Metric
from lookalike.pairwise.distances import centred
from lookalike.pairwise.triplets import triplet_sums

# %% [markdown]
# ## A batch
#
# Six letters, four drawings of each: a batch of P classes with K images, as metric learning draws
# it. For a start the embedding of a drawing is its pixels.

# %%
images = lookalike.open_source("omniglot/train")
squares = torch.from_numpy(load_squares(images, 32)[0])  # (N, 3, 32, 32) uint8


def batches(classes: int, epoch: int) -> torch.Tensor:
    """Return the rows of an epoch's batches, (batches, classes * 4)."""
    drawn = class_order(images.labels, per_class=4, classes_per_batch=classes, seed=0, epoch=epoch)
    return torch.from_numpy(drawn).view(-1, classes * 4)


rows = batches(6, epoch=0)[0]
labels = torch.from_numpy(images.labels)[rows]
embeddings = torch.nn.functional.normalize(raw_pixels(squares[rows]).double())

assert labels.unique(return_counts=True)[1].tolist() == [4] * 6

# %%
drawings = [np.asarray(images.read(row)) for row in rows]
Image.fromarray(np.vstack([np.hstack(drawings[start : start + 4]) for start in range(0, 24, 4)]))

# %% [markdown]
# ## Every triplet, by hand
#
# N anchors, K − 1 positives of each, N − K negatives: 24 · 3 · 20. A batch of 1,024 would have
# three million, which is why the library counts them without a list.

# %%
d = torch.cdist(embeddings, embeddings)  # Euclidean distances
same = labels[:, None] == labels
every = [
    (a, p, n)
    for a, p, n in product(range(24), repeat=3)
    if a != p and same[a, p] and not same[a, n]
]

assert len(every) == 24 * 3 * 20

# %% [markdown]
# *Batch All* takes each of them, *Batch Hard* an anchor's farthest positive with its nearest
# negative, *semi-hard* for each anchor and positive the nearest of the negatives that are farther
# than the positive, if it is so by less than the margin.

# %%
margin = 0.2
anchors = range(24)
positives = [(a, p) for a, p in product(anchors, repeat=2) if a != p and same[a, p]]
negatives = {a: [n for n in anchors if not same[a, n]] for a in anchors}


def window(a: int, p: int) -> list[int]:
    """Return the negatives that are semi-hard to an anchor and a positive."""
    return [n for n in negatives[a] if d[a, p] < d[a, n] < d[a, p] + margin]


by_hand = {
    "batch_all": every,
    "batch_hard": [
        (
            a,
            max((p for b, p in positives if b == a), key=lambda p: d[a, p]),
            min(negatives[a], key=lambda n: d[a, n]),
        )
        for a in anchors
    ],
    "semi_hard": [
        (a, p, min(window(a, p), key=lambda n: d[a, n])) for a, p in positives if window(a, p)
    ],
}

# %% [markdown]
# The library's sum, how many triplets there are, and how many of them are active, which is above 0:
# all three are those of the lists.

# %%
print(f"{'':12}{'triplets':>10}{'active':>10}{'loss':>10}")
for mining, triplets in by_hand.items():
    terms = torch.stack([(margin + d[a, p] - d[a, n]).relu() for a, p, n in triplets])
    loss = triplet_loss(embeddings, labels, mining=mining, margin=margin)
    _, active, count = triplet_sums(
        centred(embeddings, labels, normalise=False),
        labels,
        mining=mining,
        margin=margin,
        squared=False,
    )
    print(f"{mining:12}{count:10}{active:10}{loss:10.4f}")
    torch.testing.assert_close(loss, terms.mean())
    assert (count, active) == (len(triplets), (terms > 0).sum())

# %% [markdown]
# ## What they look like
#
# Each column is a triplet: the anchor, its positive, its negative. Above, the hardest of six
# anchors; below, semi-hard ones, in which the positive is nearer already, though not by the margin.


# %%
def picture(triplets: list[tuple[int, int, int]]) -> np.ndarray:
    """Lay triplets side by side, each from top to bottom."""
    return np.hstack([np.vstack([drawings[row] for row in triplet]) for triplet in triplets])


gap = np.full((20, 6 * 105), 128, np.uint8)
hard, semi = by_hand["batch_hard"][::4], by_hand["semi_hard"]
semi = semi[:: len(semi) // 6][:6]
Image.fromarray(np.vstack([picture(hard), gap, picture(semi)]))

# %%
for (a, hardest, nearest), (b, p, n) in product(by_hand["batch_hard"], by_hand["semi_hard"]):
    assert d[b, p] < d[b, n]
    assert a != b or (d[a, hardest] >= d[b, p] and d[a, nearest] <= d[b, n])

# %% [markdown]
# ## Which of them to learn from
#
# FaceNet warns of the hardest from the start: where nothing is known yet, they pull all embeddings
# into one point, at which every triplet is active and costs just the margin. Two small networks,
# one rule each, FaceNet's squared distances on the sphere:


# %%
def active_share(method: Metric, rows: torch.Tensor) -> float:
    """Return the share of a batch's triplets that are above 0."""
    with torch.no_grad():
        embedded = centred(method.embed(squares[rows] / 255), normalise=True)
    _, active, count = triplet_sums(
        embedded,
        torch.from_numpy(images.labels)[rows],
        mining="batch_all",
        margin=margin,
        squared=True,
    )
    return float(active / count)


def recall(method: Metric) -> float:
    """Return the share of drawings, of other alphabets, whose nearest is the same letter."""
    network, name, arguments = method.encoder("small_conv", {"width": 8})
    encoder = lookalike.Encoder(network, size=32, name=name, arguments=arguments)
    embedded = encoder.embed(lookalike.open_source("omniglot/test"))
    return retrieval(embedded, ks=(1,), average_precision=None).recall_at_k[1]


def train(mining: str, epochs: int = 3) -> tuple[float, float, float]:
    """Return the last loss, the share of active triplets, and recall at 1."""
    torch.manual_seed(0)
    loss = {"mining": mining, "margin": margin, "distance": "squared_euclidean", "normalise": True}
    method = Metric(build_backbone("small_conv", width=8), loss="triplet", loss_arguments=loss)
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-3)
    for epoch in range(epochs):
        for rows in batches(16, epoch):
            labels = torch.from_numpy(images.labels)[rows]
            step = method(Batch((squares[rows] / 255,), labels, rows))
            optimizer.zero_grad()
            step.loss.backward()
            optimizer.step()
    return step.loss.item(), active_share(method, batches(16, epoch=0)[0]), recall(method)


# %%
learnt = {mining: train(mining) for mining in ("semi_hard", "batch_hard")}
print(f"{'':12}{'last loss':>10}{'active':>10}{'recall at 1':>14}")
for mining, (loss, active, found) in learnt.items():
    print(f"{mining:12}{loss:10.3f}{active:10.1%}{found:14.1%}")

# %%
assert abs(learnt["batch_hard"][0] - margin) < 0.1 * margin  # stuck at the margin
assert learnt["batch_hard"][1] > 0.95
assert learnt["semi_hard"][1] < 0.5
assert learnt["semi_hard"][2] > learnt["batch_hard"][2] + 0.1

# %% [markdown]
# Both were judged on letters of other alphabets, none of which was trained on. Batch Hard does not
# always end like this: a soft margin, a lower rate and more steps help, and then it is a strong
# rule; [Learn from labels](../docs/metric.md) lists the traps. On the command line it is `lookalike
# train omniglot --method facenet`, or `--method metric --loss triplet --loss.mining batch_hard`.
