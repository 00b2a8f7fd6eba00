# %% [markdown]
# # Distil and export
#
# A large encoder teaches a small one where images lie, the small one is written as an ONNX file,
# and onnxruntime, which knows nothing of lookalike or PyTorch, finds the same neighbours with it.

# %%
import io

import numpy as np
import onnxruntime
from PIL import Image

import lookalike
from lookalike.runs.distilled import compare

# %% [markdown]
# ## A teacher
#
# It learns from photos of hands and the digits that they show, in seconds; `metric` with SupCon
# brings photos of one digit together.

# %%
teacher = lookalike.train(
    "hands",
    out="runs/teacher",
    method="metric",
    loss="supcon",
    loss_arguments={"temperature": 0.1},
    backbone="small_conv",
    backbone_arguments={"width": 8},
    size=32,
    epochs=6,
    batch_size=40,
    evaluate=False,
    quiet=True,
)

# %% [markdown]
# ## A student
#
# Half as wide, with a quarter of the weights. Student and teacher see the same view of a photo, and
# the student learns where the teacher puts it and which others lie near. No label is needed.

# %%
run, comparison = lookalike.distill(
    teacher.path,
    student="small_conv",
    student_arguments={"width": 4},
    out="runs/student",
    size=32,
    epochs=6,
    batch_size=40,
    quiet=True,
)
print("\n".join(comparison.lines()))

# %% [markdown]
# Both are judged on hands of people that neither has seen. The student names nearly as many digits
# by its neighbours as its teacher does, and agrees with it on the ten nearest more often than
# before it was taught.

# %%
student = lookalike.load(run.path)
before = compare(lookalike.load(teacher.path), student.restarted(seed=0), "hands/test")
print(f"the ten nearest in common: untaught {before.overlap:.1%}, taught {comparison.overlap:.1%}")

assert comparison.student.parameters < comparison.teacher.parameters / 2
assert comparison.kept > 0.8
assert comparison.student.knn_top1 > before.student.knn_top1 + 0.1
assert comparison.overlap > 1.5 * before.overlap

# %% [markdown]
# ## Export
#
# What is written is read back and asked about real images before it takes its name: at least 0.9999
# is the cosine to what the encoder says. All preparation is in the file, which takes whole images.

# %%
written = lookalike.export(run.path, "student.onnx")
print("\n".join(written.lines()))

assert written.agreement.cosine >= 0.9999

# %% [markdown]
# ## Elsewhere
#
# In a program of yours only these lines remain: uint8 images in, RGB, (batch, height, width, 3),
# and vectors of length 1 out.

# %%
images = lookalike.open_source("hands/test").select(range(0, 516, 3))
photos = [Image.open(io.BytesIO(images.read(position))) for position in range(len(images))]
pixels = np.stack([np.asarray(photo.convert("RGB")) for photo in photos])

session = onnxruntime.InferenceSession("student.onnx", providers=["CPUExecutionProvider"])
(vectors,) = session.run(["vectors"], {"images": pixels})

assert vectors.shape == (len(images), student.dim)
assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

# %% [markdown]
# ## The same neighbours?
#
# Each photo's nearest others, by the file and by the encoder. Two that are equally near but for the
# rounding may change places, so the cosines are compared, not the names.

# %%
ours = student.encode(photos)
assert (vectors * ours).sum(1).min() > 0.9999


def nearest(rows: np.ndarray) -> np.ndarray:
    """Return the nearest other of each row."""
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1)
    return cosines.argmax(1)


there, here = nearest(vectors), nearest(ours)
cosine_there, cosine_here = ((ours * ours[found]).sum(1) for found in (there, here))
print(f"the same nearest image for {(there == here).mean():.1%} of {len(images)}")

assert np.allclose(cosine_there, cosine_here, atol=1e-3)
assert (there == here).mean() > 0.95

# %% [markdown]
# Below each photo stands the nearest that onnxruntime found.

# %%
shown = slice(0, 170, 17)
Image.fromarray(np.vstack([np.hstack(list(pixels[shown])), np.hstack(list(pixels[there[shown]]))]))

# %% [markdown]
# [Export](../docs/export.md) has the other formats; [distillation](../docs/distillation.md) the
# other ways to learn from a teacher. An index of the teacher's can be asked by its student only
# where both have vectors of one width.
