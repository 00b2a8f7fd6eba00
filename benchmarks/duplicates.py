"""Planted copies among real images: what share of each kind is found, and how often that is right.

    python benchmarks/duplicates.py FOLDER --images 5000 --each 100
    python benchmarks/duplicates.py FOLDER --run RUN --page review
    python benchmarks/duplicates.py FOLDER --beside PYTHON

Of the images, some get a copy of one of the kinds below; all copies are JPEG files beside the
originals. `find_duplicates` sees this folder and no more. Its groups are judged by which original
an image comes from. A pair of two originals counts as wrong, though real images hold duplicates of
their own: such pairs are listed, and are to be looked at.

--run lets the encoder of a run look as well. --beside names a Python with imagededup, whose
perceptual hash looks at the same folder.
"""

import argparse
import io
import itertools
import json
import resource
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from machine import processor
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from lookalike import open_source
from lookalike.curation.album import embed_album, plain_album
from lookalike.curation.duplicates import Duplicates, find_duplicates
from lookalike.curation.looks import look_at
from lookalike.data.decode import decode
from lookalike.inference import load_encoder
from lookalike.report.duplicates import write_review

Copy = tuple[Image.Image, int]
BARS = {"cropped to half": 0.8, "all": 0.0, "tilted": 0.0, "recoloured": 0.0, "barred": 0.0}
BAR, PRECISION = 0.95, 0.99
HASHES = """
import json, sys, time
from imagededup.methods import PHash
began = time.perf_counter()
found = PHash(verbose=False).find_duplicates(image_dir=sys.argv[1])
print(json.dumps([found, time.perf_counter() - began]))
"""


def cropped(picture: Image.Image, area: float, random: np.random.Generator) -> Image.Image:
    """Return a part of this share of the area, of the same proportions, from anywhere."""
    width, height = picture.size
    wide, high = round(width * area**0.5), round(height * area**0.5)
    left, top = int(random.integers(width - wide + 1)), int(random.integers(height - high + 1))
    return picture.crop((left, top, left + wide, top + high))


def stamped(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return it with a line of text across."""
    copy = picture.copy()
    width, height = copy.size
    font = ImageFont.load_default(0.11 * height)
    where = (0.04 * width, random.uniform(0.05, 0.8) * height)
    ImageDraw.Draw(copy).text(where, "photo.example", fill=(250, 240, 60), font=font)
    return copy


def tinted(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return it in sepia, or with its hues turned by a little."""
    if random.integers(2):
        return ImageOps.colorize(picture.convert("L"), (30, 15, 0), (255, 240, 200))
    hue, saturation, value = picture.convert("HSV").split()
    turn = int(random.integers(-25, 26))
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def copy_of(picture: Image.Image, kind: str, random: np.random.Generator) -> bytes:
    """Return an altered copy as a JPEG file; written apart from what the library measures by."""
    width, height = picture.size
    scale = random.uniform(0.5, 1.5)
    turn = 90 * int(random.integers(1, 4))
    border = round(random.uniform(0.04, 0.12) * width)
    bar = round(random.uniform(0.06, 0.25) * height)
    makers = {
        "re-encoded": lambda: picture,
        "resized": lambda: picture.resize((round(width * scale), round(height * scale))),
        "cropped 5 %": lambda: cropped(picture, 0.9, random),
        "brightness": lambda: ImageEnhance.Brightness(picture).enhance(random.uniform(0.7, 1.3)),
        "mirrored": lambda: ImageOps.mirror(picture),
        "turned": lambda: picture.rotate(turn, expand=True),
        "framed": lambda: ImageOps.expand(picture, border, (240, 235, 225)),
        "stamped": lambda: stamped(picture, random),
        "cropped to half": lambda: cropped(picture, random.uniform(0.5, 0.75), random),
        "tilted": lambda: picture.rotate(random.uniform(-5, 5), Image.Resampling.BICUBIC),
        "recoloured": lambda: tinted(picture, random),
        "barred": lambda: ImageOps.expand(picture, (0, bar), (0, 0, 0)),
    }
    file = io.BytesIO()
    quality = int(random.integers(30, 81)) if kind == "re-encoded" else 90
    makers[kind]().save(file, "JPEG", quality=quality)
    return file.getvalue()


KINDS = (
    *("re-encoded", "resized", "cropped 5 %", "brightness", "mirrored", "turned", "framed"),
    *("stamped", "cropped to half", "tilted", "recoloured", "barred"),
)


def plant(source: str, folder: Path, count: int, each: int, seed: int) -> dict[str, tuple]:
    """Write originals and copies; return the original's number and the kind of each file."""
    images, random = open_source(source), np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(images))[:count])
    if len(chosen) < max(count, each * len(KINDS)):
        raise SystemExit(f"{source} has {len(images):,} images: too few")
    copied = random.permutation(len(chosen))[: each * len(KINDS)].tolist()
    kinds = {number: KINDS[place % len(KINDS)] for place, number in enumerate(copied)}
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
        if kind := kinds.get(number):
            (folder / names[1]).write_bytes(copy_of(Image.fromarray(decode(raw)), kind, random))
            origins[names[1]] = (number, kind)
    return origins


def pairs_of(found: Duplicates) -> set[tuple[str, str]]:
    groups = [sorted(found.id_of(each.position) for each in group) for group in found.groups]
    return {pair for group in groups for pair in itertools.combinations(group, 2)}


def judge(pairs: set[tuple[str, str]], origins: dict[str, tuple]) -> None:
    right = {pair for pair in pairs if origins[pair[0]][0] == origins[pair[1]][0]}
    together = {name for pair in right for name in pair}
    print("| planted | copies | found | bar |\n|---|---|---|---|")
    planted = {name: kind for name, (_, kind) in origins.items() if kind}
    for kind in (*KINDS, "all"):
        names = [name for name, each in planted.items() if kind in {each, "all"}]
        if names:
            share, bar = np.mean([name in together for name in names]), BARS.get(kind, BAR)
            told = f"{bar:.2f} {'reached' if share >= bar else 'MISSED'}" if bar else ""
            print(f"| {kind} | {len(names):,} | {share:.1%} | {told} |")
    share = len(right) / max(1, len(pairs))
    print(
        f"\npairs found: {len(pairs):,}, planted {len(right):,}: precision {share:.2%} if no other "
        f"pair is a true duplicate; bar {PRECISION}"
    )
    for one, other in sorted(pairs - right):
        print(f"  {one} and {other}")


def beside(python: str, place: str, origins: dict[str, tuple]) -> None:
    """Let imagededup look at the same folder."""
    done = subprocess.run([python, "-c", HASHES, place], capture_output=True, text=True, check=True)
    found, took = json.loads(done.stdout.splitlines()[-1])
    pairs = {tuple(sorted((one, other))) for one, near in found.items() for other in near}
    print(f"\nimagededup, PHash as it comes: {took:.0f} s")
    judge(pairs, origins)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--run")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--beside")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    print(
        f"{processor()}; torch {version('torch')}, {given.threads} thread(s); {given.source}, "
        f"encoder {given.run or 'none'}"
    )
    with tempfile.TemporaryDirectory() as place:
        origins = plant(given.source, Path(place), given.images, given.each, given.seed)
        began = time.perf_counter()
        look_at(open_source(place))
        reading = time.perf_counter() - began
        album = plain_album(place)
        if given.run:
            album = embed_album(load_encoder(given.run, device="cpu"), open_source(place))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.perf_counter()
        found = find_duplicates(album)
        took = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{len(album):,} images; reading them takes {reading:.1f} s, find_duplicates, which "
            f"reads them, took {took:.1f} s; memory {before:,.0f} MB, then at most {peak:,.0f} MB\n"
        )
        judge(pairs_of(found), origins)
        print("\n".join(found.matches.threshold.lines()))
        if given.page:
            given.page.mkdir(parents=True, exist_ok=True)
            write_review(found, given.page / "duplicates.html")
        if given.beside:
            beside(given.beside, place, origins)


if __name__ == "__main__":
    main()
