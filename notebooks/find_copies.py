# %% [markdown]
# # Find copies
#
# A folder of photos has some of them twice: the same file under another name, a smaller version,
# one that was compressed hard, made lighter, cut at the edges. They are found, looked at, moved out
# of the way, and moved back.

# %%
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

import lookalike
from lookalike.curation.album import open_album
from lookalike.curation.duplicates import write_csv
from lookalike.curation.moves import apply_moves, plan_moves, undo_moves
from lookalike.report.duplicates import write_review

# %% [markdown]
# ## A folder with copies in it
#
# Two hundred photos of hands, and five copies, one of each kind.

# %%
photos = Path("photos")
photos.mkdir()
shipped = lookalike.open_source("hands/train")
for number, position in enumerate(range(0, 1400, 7)):
    (photos / f"{number:03}.jpg").write_bytes(shipped.read(position))


def altered(number: int) -> Image.Image:
    """Open a photo to make a copy of."""
    return Image.open(photos / f"{number:03}.jpg")


(photos / "020-same.jpg").write_bytes((photos / "020.jpg").read_bytes())
altered(60).resize((48, 48)).save(photos / "060-small.jpg", quality=90)
altered(100).save(photos / "100-coarse.jpg", quality=40)
ImageEnhance.Brightness(altered(140)).enhance(1.15).save(photos / "140-light.jpg", quality=90)
altered(180).crop((2, 2, 62, 62)).save(photos / "180-cut.jpg", quality=90)

# %% [markdown]
# ## Find them
#
# An encoder says which images may be copies, and so do small grey pictures; that is why an encoder
# of two seconds will do. Each candidate is then laid on the other and compared in detail. How well
# two must agree is told by the images themselves: altered copies of them say what copies score, and
# mirrored ones what chance does.

# %%
run = lookalike.train(
    "photos",
    out="runs/photos",
    backbone="small_conv",
    backbone_arguments={"width": 4},
    size=32,
    epochs=2,
    batch_size=32,
    evaluate=False,
    quiet=True,
)
found = lookalike.find_duplicates(open_album(run.path, photos))
print("\n".join(found.lines()))

# %% [markdown]
# ## Look at them
#
# Each group begins with the image to keep: the largest; of these the sharpest; of these the least
# compressed. Every two images of a group agree, so a series from one picture to another is no
# group.

# %%
groups = [[found.id_of(member.position) for member in group] for group in found.groups]
planted = sorted(path.name for path in photos.glob("*-*.jpg"))

assert len(planted) == 5
assert len(groups) == len(planted)
for group in groups:
    assert len(group) == 2
    assert group[0][:3] == group[1][:3]  # a copy and what it is a copy of

# %%
pairs = [[np.asarray(Image.open(photos / name).resize((96, 96))) for name in g] for g in groups]
Image.fromarray(np.hstack([np.vstack(pair) for pair in pairs]))

# %% [markdown]
# `duplicates.html` is the page to look through: the groups, and the pairs nearest to the threshold.
# `duplicates.csv` is the list that is acted on. What to keep can be changed in it, in any editor.

# %%
write_review(found, Path("duplicates.html"))
write_csv(found, Path("duplicates.csv"))
print(Path("duplicates.csv").read_text())

# %% [markdown]
# ## Move them, and back
#
# Nothing is ever deleted. Each move is written to `undo.csv` before it is made, so all of them can
# be taken back, whenever they were cut short.

# %%
before = {path.name: path.read_bytes() for path in photos.iterdir()}
spare, undo = Path("spare"), Path("undo.csv")
plan = plan_moves(Path("duplicates.csv"), photos, spare, undo)
moved = apply_moves(plan.moves, undo)
print(f"{moved} moved, {len(list(photos.iterdir()))} left")

assert moved == len(planted) == len(list(spare.iterdir()))
assert len(list(photos.iterdir())) == 200
assert not lookalike.find_duplicates(open_album(run.path, photos)).groups

# %%
back = undo_moves(undo)

assert back == moved
assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
assert not undo.exists()

# %% [markdown]
# On the command line it is `lookalike duplicates runs/photos photos/ --out dups`, then `lookalike
# apply dups --move-to spare/`, and `lookalike apply dups --undo`. [Search, duplicates and what to
# label next](../docs/collections.md) has the rest.
