"""Planted duplicates among real images: how many are found, and how many that are found are right.

    python benchmarks/duplicates.py FOLDER --images 5000 --copies 1000
    python benchmarks/duplicates.py FOLDER --run RUN --page review

Of the images, some get a copy, a quarter of each kind: re-encoded as JPEG of quality 30 to 80,
resized to between half and 1.5 times, cropped by 5 % of each side, or 0.7 to 1.3 times as bright;
all are JPEG files beside the originals. `find_duplicates` sees this folder and no more. Its groups
are judged by which original an image comes from. A pair of two originals counts as wrong, though
real images hold duplicates of their own: such pairs are listed, and are to be looked at.

Without --run the encoder is an untrained network: the weakest that there is.
"""

import argparse
import io
import itertools
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from machine import processor
from PIL import Image, ImageEnhance

from lookalike import open_source
from lookalike.backbones.build import build_backbone
from lookalike.curation.album import embed_album
from lookalike.curation.duplicates import Duplicates, find_duplicates
from lookalike.data.decode import decode
from lookalike.inference import Encoder, load_encoder
from lookalike.report.duplicates import write_review

KINDS = ("re-encoded", "resized", "cropped 5 %", "brightness")


def copy_of(image: np.ndarray, kind: str, random: np.random.Generator) -> bytes:
    """Return an altered copy as a JPEG file; written apart from what the library calibrates by."""
    picture, quality = Image.fromarray(image), 90
    width, height = picture.size
    if kind == "re-encoded":
        quality = int(random.integers(30, 81))
    elif kind == "resized":
        scale = random.uniform(0.5, 1.5)
        picture = picture.resize((round(width * scale), round(height * scale)))
    elif kind == "cropped 5 %":
        left, top = (
            random.integers(0, round(0.05 * width) + 1),
            random.integers(0, round(0.05 * height) + 1),
        )
        box = (left, top, left + round(0.95 * width), top + round(0.95 * height))
        picture = picture.crop(box)
    else:
        picture = ImageEnhance.Brightness(picture).enhance(random.uniform(0.7, 1.3))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def plant(source: str, folder: Path, count: int, copies: int, seed: int) -> dict[str, tuple]:
    """Write originals and copies; return the original's number and the kind of each file."""
    images, random = open_source(source), np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(images))[:count])
    copied = set(random.permutation(len(chosen))[:copies].tolist())
    origins: dict[str, tuple] = {}
    for number, position in enumerate(chosen.tolist()):
        raw = images.read(position)
        if isinstance(raw, np.ndarray):
            file = io.BytesIO()
            Image.fromarray(raw).save(file, "PNG")
            raw = file.getvalue()
        names = [f"{number:05d}.png", f"{number:05d}-copy.jpg"]
        (folder / names[0]).write_bytes(raw)  # read by its content, whatever its name ends in
        origins[names[0]] = (number, None)
        if number in copied:
            kind = KINDS[len(origins) % len(KINDS)]
            (folder / names[1]).write_bytes(copy_of(decode(raw), kind, random))
            origins[names[1]] = (number, kind)
    return origins


def judge(found: Duplicates, origins: dict[str, tuple]) -> None:
    groups = [[found.id_of(each.position) for each in group] for group in found.groups]
    pairs = [pair for group in groups for pair in itertools.combinations(group, 2)]
    right = [pair for pair in pairs if origins[pair[0]][0] == origins[pair[1]][0]]
    together = {name for pair in right for name in pair}
    planted = {name: kind for name, (_, kind) in origins.items() if kind}
    print("| planted | copies | found |\n|---|---|---|")
    for kind in KINDS:
        names = [name for name, each in planted.items() if each == kind]
        print(f"| {kind} | {len(names):,} | {np.mean([n in together for n in names]):.1%} |")
    everything = np.mean([name in together for name in planted])
    print(f"| all | {len(planted):,} | {everything:.1%} |\n")
    own = sorted(
        {tuple(sorted((origins[a][0], origins[b][0]))) for a, b in set(pairs) - set(right)}
    )
    print(
        f"pairs found: {len(pairs):,}, planted {len(right):,}: precision {len(right)}/{len(pairs)}"
        f" = {len(right) / max(1, len(pairs)):.2%} if no other pair is a true duplicate"
    )
    chains = [group for group in groups if len({origins[name][0] for name in group}) > 1]
    print(f"groups with more than one original: {len(chains):,} of {len(groups):,}")
    for one, other in own:
        print(f"  {one:05d} and {other:05d}")
    print(found.matches.threshold.reason)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--run")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--copies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    if given.run:
        encoder = load_encoder(given.run, device="cpu")
    else:
        encoder = Encoder(build_backbone("small_conv"), size=32, name="small_conv")
    print(
        f"{processor()}; torch {version('torch')}, {given.threads} thread(s); {given.source}, "
        f"encoder {given.run or 'untrained'}"
    )
    with tempfile.TemporaryDirectory() as place:
        origins = plant(given.source, Path(place), given.images, given.copies, given.seed)
        album = embed_album(encoder, open_source(place))
        began = time.perf_counter()
        found = find_duplicates(album)
        took = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{len(album):,} images; find_duplicates took {took:.0f} s, memory at most "
            f"{peak:,.0f} MB\n"
        )
        judge(found, origins)
        if given.page:
            given.page.mkdir(parents=True, exist_ok=True)
            write_review(found, given.page / "duplicates.html")


if __name__ == "__main__":
    main()
