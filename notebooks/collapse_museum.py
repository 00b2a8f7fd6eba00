# %% [markdown]
# # A museum of collapses
#
# SimSiam brings two views of an image together and pushes nothing apart. What keeps it from giving
# every image the same vector? Chen & He, *Exploring Simple Siamese Representation Learning*, 2020,
# arXiv:2011.10566, take away one part at a time. So does this page, in seconds.

# %%
import torch

import lookalike
from lookalike import Batch
from lookalike.backbones.build import build_backbone
from lookalike.data.resident import load_resident
from lookalike.evaluation.spectrum import spread
from lookalike.methods.simsiam import SimSiam
from lookalike.report.standing import sparkline
from lookalike.training.monitors import COLLAPSED_SPREAD
from lookalike.views.make import make_views
from lookalike.views.plans import SIMSIAM_SMALL

# %%
images = lookalike.open_source("hands/train")
images = images.select(range(0, len(images), 3))
pixels, sizes, index = map(torch.from_numpy, load_resident(images))
mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

# %% [markdown]
# ## What to watch
#
# The loss is no sign of health: its lowest value, −1, is that of a network that says one thing of
# all images. The monitors of a run therefore watch the *spread*: bring the projections to length 1,
# and take the standard deviation of each channel, times √D. It is 1 where vectors fill the sphere,
# and 0 where they are one.

# %%
anywhere, nowhere = torch.randn(1000, 64), torch.ones(1000, 64)

assert 0.95 < spread(anywhere) < 1.05
assert spread(nowhere) < 1e-6


# %% [markdown]
# ## One room for each
#
# The loop is the same for all of them. Every tenth step it looks at fixed views of fixed images.
#
# The heads have batch normalisation inside, and not at the end of the projector, where the paper
# has one more: it cannot forbid a collapse, but it blows up what is left of a spread, and a visitor
# would have to wait longer.


# %%
def views_of(rows: torch.Tensor, epoch: int) -> tuple[torch.Tensor, ...]:
    """Return two views of some images, each (B, 3, 32, 32)."""
    drawn = pixels[rows], sizes[rows], index[rows]
    return make_views(SIMSIAM_SMALL, *drawn, size=32, seed=0, epoch=epoch, mean=mean, std=std)


watched, _ = views_of(torch.arange(256), epoch=0)


def look(method: SimSiam) -> float:
    """Return the spread of the projections of what is watched."""
    method.eval()
    with torch.no_grad():
        found = spread(method.embed(watched))
    method.train()
    return found


def visit(steps: int = 80, **parts: bool) -> tuple[list[float], float]:
    """Train a SimSiam; return its spreads and its last loss."""
    torch.manual_seed(0)
    method = SimSiam(build_backbone("small_conv", width=8), layers=2, batch_norm="hidden", **parts)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.12, momentum=0.9, weight_decay=5e-4)
    spreads = []
    for number in range(1, steps + 1):
        rows = torch.randperm(len(pixels))[:64]
        step = method(Batch(views_of(rows, number), torch.full_like(rows, -1), index[rows]))
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
        if number % 10 == 0:
            spreads.append(look(method))
    return spreads, step.loss.item()


# %% [markdown]
# ## The exhibits
#
# *SimSiam*: a predictor guesses the other view's projection, which is a constant to the gradient.
# *No stop-gradient*: the target may move towards the guess. *No predictor*: the projections
# themselves are compared.

# %%
exhibits = {
    "SimSiam": visit(),
    "no stop-gradient": visit(stop_gradient=False),
    "no predictor": visit(predict=False),
}
for name, (spreads, loss) in exhibits.items():
    print(f"{name:18}{sparkline(spreads, 16)}  spread {spreads[-1]:.3f}, loss {loss:.3f}")

# %% [markdown]
# The two that collapsed have the better loss, near its minimum. Their spread is a small part of the
# healthy one, and falls on.

# %%
healthy, healthy_loss = exhibits.pop("SimSiam")

assert healthy[-1] > 0.4
assert healthy_loss > -0.9
for spreads, loss in exhibits.values():
    assert spreads[-1] < 0.15
    assert spreads[-1] < spreads[0]
    assert loss < -0.98

# %% [markdown]
# ## Why the predictor as well?
#
# Without it the stopped loss, D(z₁, stop z₂) / 2 + D(z₂, stop z₁) / 2, has half the gradient of the
# loss that was not stopped. Taking half as long a step leads to the same place.

# %%
z1, z2 = torch.randn(2, 8, 64).requires_grad_().unbind()


def d(p: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Return the paper's D: minus the mean cosine of matching rows."""
    return -torch.nn.functional.cosine_similarity(p, z).mean()


stopped = torch.autograd.grad(d(z1, z2.detach()) / 2 + d(z2, z1.detach()) / 2, (z1, z2))
whole = torch.autograd.grad(d(z1, z2), (z1, z2))

assert all(torch.allclose(half, all_ / 2) for half, all_ in zip(stopped, whole, strict=True))

# %% [markdown]
# ## In a run of yours
#
# `lookalike train` reads the spread and the effective rank as it goes, and stops a run whose spread
# stays below the bar. [The page of SimSiam](../docs/papers/simsiam.md) has the claims at full
# length, with three seeds.

# %%
print(f"a run is stopped when its spread stays below {COLLAPSED_SPREAD}, and its rank is below 2")
