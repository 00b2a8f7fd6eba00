# %% [markdown]
# # Quick start
#
# A folder of images goes in. Out come an encoder, each image's neighbours, the copies among them,
# and a number that says whether training was worth it. The images are drawings of letters, which
# ship with lookalike; nobody tells the network which letter is which.

# %%
from pathlib import Path

import numpy as np
from PIL import Image

import lookalike
from lookalike.curation.album import open_album

# %% [markdown]
# ## A folder of images
#
# Any folder will do. This one gets PNG files in a folder for each letter, half of the drawings that
# ship with lookalike. A folder `train` is what training takes; `test` has letters of other
# alphabets, to judge by.

# %%
for split in ("train", "test"):
    drawings = lookalike.open_source(f"omniglot/{split}")
    for position in range(0, len(drawings), 2):
        alphabet, letter, drawer = drawings.ids[position].split("/")
        path = Path("letters", split, f"{alphabet}-{letter}", f"{drawer}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawings.read(position)).save(path)


# %%
def strip(*paths: Path) -> Image.Image:
    """Lay drawings side by side."""
    return Image.fromarray(np.hstack([np.asarray(Image.open(path)) for path in paths]))


strip(*sorted(Path("letters/train").rglob("*.png"))[::160])

# %% [markdown]
# ## Train
#
# Only the folder is needed; all else is chosen, and the reasons are printed. Here the network is
# small and the run short, so that it ends in seconds. What is known of the images is said: letters
# have no colours to change, mirrored they are other letters, and a little turned they are the same.

# %%
run = lookalike.train(
    "letters",
    out="runs/letters",
    backbone="small_conv",
    backbone_arguments={"width": 8},
    method_arguments={"temperature": 0.2},
    views_arguments={
        "area": (0.4, 1.0),  # how much of a drawing is seen
        "rotation": 15.0,  # degrees
        "flip": 0.0,
        "jitter": (0.0, 0.0, 0.0, 0.0),
        "grey": 0.0,
    },
    size=32,
    epochs=8,
    batch_size=64,
    evaluate=False,
)

# %% [markdown]
# ## Encode
#
# An encoder takes paths, PIL images and arrays. Its vectors have length 1, so that their products
# are cosines.

# %%
encoder = lookalike.load(run.path)
paths = sorted(Path("letters/test").rglob("*.png"))
vectors = encoder.encode(paths)

assert vectors.shape == (len(paths), encoder.dim)
assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

# %% [markdown]
# ## Search
#
# An index answers with the nearest images. On the left of each strip is what was asked, a letter of
# an alphabet that training has never seen.

# %%
index = lookalike.Index.build(vectors, ids=paths, encoder=encoder.fingerprint())
hits = index.search_ids([str(path) for path in paths[::100]], k=7)
print("\n".join(hits.lines()[:8]))

assert all(asked not in found for asked, found in zip(hits.queries, hits.ids, strict=True))

# %%
strips = [strip(asked, *found) for asked, found in zip(hits.queries, hits.ids, strict=True)]
Image.fromarray(np.vstack(strips))

# %% [markdown]
# ## Find what is there twice
#
# One drawing is copied under another name, and another is saved again, smaller and with the losses
# of JPEG. `find_duplicates` says which images are one, and which of them to keep.

# %%
copied, shrunk = paths[0], paths[500]
again, smaller = copied.with_name("again.png"), shrunk.with_name("smaller.jpg")
again.write_bytes(copied.read_bytes())
Image.open(shrunk).resize((90, 90)).save(smaller, quality=80)

found = lookalike.find_duplicates(open_album(run.path, "letters/test"))
print("\n".join(found.lines()))

# %%
groups = [{found.id_of(member.position) for member in group} for group in found.groups]
for planted in ({copied, again}, {shrunk, smaller}):
    assert {path.relative_to("letters").as_posix() for path in planted} in groups

for path in (again, smaller):
    path.unlink()

# %% [markdown]
# ## Was it worth it?
#
# The encoder stands beside some that cost nothing, among them raw pixels and the same network
# before training. For each drawing the nearest other is looked up, and is right if it shows the
# same letter. The folders' names say so; only this judgement looks at them.

# %%
card = lookalike.evaluate(encoder, "letters/test")
print("\n".join(card.lines()))

# %%
untrained, pixels = card.baselines["untrained"], card.baselines["raw_pixels"]

assert card.encoder.recall_at_1 > pixels.recall_at_1 + 0.03
assert pixels.recall_at_1 > untrained.recall_at_1

# %% [markdown]
# Raw pixels are the number to watch: an encoder that they beat has learnt nothing worth its time.
# HOG is harder to beat on letters, which are all outline; the last line says who is ahead.
# `lookalike report runs/letters` writes a page about the run, with its curves, its views and its
# hardest images. The same call of `lookalike.train` again finds the run finished and returns it.

# %%
assert lookalike.load(run.path).fingerprint() == encoder.fingerprint()
