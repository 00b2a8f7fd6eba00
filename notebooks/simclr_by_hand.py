# %% [markdown]
# # SimCLR by hand
#
# Chen et al., *A Simple Framework for Contrastive Learning of Visual Representations*, 2020,
# arXiv:2002.05709: each step of its algorithm 1 beside the line that takes it, the loss written
# down as in the paper and held to `nt_xent_loss`, and a training loop of your own in ten lines.

# %%
import math

import torch
from torch.nn import functional as F

import lookalike
from lookalike import Batch
from lookalike.backbones.build import build_backbone
from lookalike.data.resident import load_resident
from lookalike.evaluation.knn import leave_one_out_accuracy
from lookalike.losses.nt_xent import nt_xent_loss
from lookalike.methods.simclr import SimCLR
from lookalike.views.make import make_views
from lookalike.views.picture import views_picture
from lookalike.views.plans import SIMCLR_SMALL

# %% [markdown]
# ## Images
#
# Every second drawing of the letters that ship with lookalike, decoded once and kept in memory.

# %%
images = lookalike.open_source("omniglot/train")
images = images.select(range(0, len(images), 2))
pixels, sizes, index = map(torch.from_numpy, load_resident(images))

assert pixels.shape == (len(images), 3, 105, 105)  # uint8

# %% [markdown]
# ## Two views of each
#
# `t, t' ~ T`: two random changes of one image. All of a view's randomness comes from the seed, the
# epoch, the image's number and the view's, so the same call makes the same views. Letters have no
# colours to change, and mirrored they are other letters.

# %%
plan = SIMCLR_SMALL.with_(area=(0.4, 1.0), flip=0.0, jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0)


def views_of(rows: torch.Tensor, epoch: int) -> tuple[torch.Tensor, ...]:
    """Return two views of some images, each (B, 3, 32, 32)."""
    drawn = pixels[rows], sizes[rows], index[rows]
    return make_views(plan, *drawn, size=32, seed=0, epoch=epoch)


few = torch.arange(6) * 200
first, second = views_of(few, epoch=0)

assert torch.equal(first, views_of(few, epoch=0)[0])
assert not torch.equal(first, second)
assert not torch.equal(first, views_of(few, epoch=1)[0])

# %%
views_picture(plan, pixels[few], sizes[few], index[few], size=32, seed=0)

# %% [markdown]
# ## The loss, as the paper has it
#
# With 2N projections `z`, of which rows i and i + N show one image, the similarity is the cosine,
#
#     s(i, k) = zᵢ · zₖ / (‖zᵢ‖ ‖zₖ‖)
#
# and equation 1 is the loss of a positive pair (i, j):
#
#     ℓ(i, j) = − log ( exp(s(i, j) / τ) / Σ over k ≠ i of exp(s(i, k) / τ) )


# %%
def pair_loss(z: torch.Tensor, i: int, j: int, tau: float) -> torch.Tensor:
    """Return equation 1."""
    s = F.cosine_similarity(z[i : i + 1], z) / tau  # (2N,)
    others = [k for k in range(len(z)) if k != i]
    return -torch.log(s[j].exp() / s[others].exp().sum())


# %% [markdown]
# Algorithm 1 takes the mean over all pairs, both ways: `L = 1 / 2N · Σ ℓ(k, k + N) + ℓ(k + N, k)`.
# The library's function gives the same number and the same gradient, and never holds the matrix of
# all pairs.

# %%
torch.manual_seed(0)
z1, z2 = torch.randn(2, 8, 16, dtype=torch.float64).requires_grad_().unbind()
z, n, tau = torch.cat([z1, z2]), 8, 0.2
pairs = [pair_loss(z, k, k + n, tau) + pair_loss(z, k + n, k, tau) for k in range(n)]
by_hand = sum(pairs) / (2 * n)
ours = nt_xent_loss(z1, z2, temperature=tau)

torch.testing.assert_close(ours, by_hand)
for one, other in zip(
    torch.autograd.grad(ours, (z1, z2), retain_graph=True),
    torch.autograd.grad(by_hand, (z1, z2)),
    strict=True,
):
    torch.testing.assert_close(one, other)

# %% [markdown]
# Two values to know it by. Where all projections are equal, every other view is as good a guess,
# and the loss is log(2N − 1). Where each pair is one point and the pairs are at right angles, it is
# log(1 + (2N − 2) exp(−1/τ)): small, and smaller for a lower temperature.

# %%
alike, apart = torch.ones(n, 16), torch.eye(n, 16)

assert math.isclose(nt_xent_loss(alike, alike, temperature=tau), math.log(2 * n - 1), rel_tol=1e-5)
assert math.isclose(
    nt_xent_loss(apart, apart, temperature=tau),
    math.log(1 + (2 * n - 2) * math.exp(-1 / tau)),
    rel_tol=1e-5,
)

# %% [markdown]
# ## Train
#
# `h = f(view)` is the backbone, what is kept; `z = g(h)` the projector, what the loss sees.
# `SimCLR` is both with the loss. The loop is yours.

# %%
torch.manual_seed(0)
method = SimCLR(build_backbone("small_conv", width=8), temperature=tau)
optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
losses = []

for epoch in range(8):
    for rows in torch.randperm(len(pixels)).split(64)[:-1]:  # all batches of one size
        labels = torch.full_like(rows, -1)  # nobody needs them
        step = method(Batch(views_of(rows, epoch), labels, index[rows]))
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
        losses.append(step.loss.item())

# %% [markdown]
# A blind guess among the batch's other 127 views costs log 127. What was learnt tells views apart
# much better than that.

# %%
chance = math.log(2 * 64 - 1)
print(f"a blind guess {chance:.2f}, first loss {losses[0]:.2f}, last {losses[-1]:.2f}")

assert sum(losses[-8:]) / 8 < chance - 2

# %% [markdown]
# ## What does it know?
#
# Each letter of other alphabets asks for the drawing nearest to it. Nothing was told of letters,
# and yet its neighbour is now far more often the same letter than in the same network untrained.

# %%
asked = lookalike.open_source("omniglot/test")


def accuracy(backbone: lookalike.Backbone) -> float:
    """Return the share of drawings whose nearest other shows the same letter."""
    encoder = lookalike.Encoder(backbone.eval(), size=32, name="small_conv", arguments={"width": 8})
    return leave_one_out_accuracy(encoder.embed(asked), k=1)


torch.manual_seed(0)
before, after = accuracy(build_backbone("small_conv", width=8)), accuracy(method.backbone)
print(f"the nearest is the same letter: untrained {before:.1%}, trained {after:.1%}")

assert after > before + 0.1

# %% [markdown]
# [A loop of your own](../docs/own-loop.md) does the same with BYOL, whose slow copy wants one line
# more; [the paper's page](../docs/papers/simclr.md) has its claims.
