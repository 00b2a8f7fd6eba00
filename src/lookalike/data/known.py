"""Sets that have a name: two small ones that ship with the package, and larger ones to download.

Nothing is downloaded unless that is asked for, and then size and terms are said first. What was
downloaded lies in `$LOOKALIKE_DATA`, or in `~/.cache/lookalike`, as plain arrays or tables.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lookalike.data.archives import list_zip
from lookalike.data.arrays import ArrayReader, read_arrays
from lookalike.data.decode import Pixels
from lookalike.data.image_set import ImageSet, choose_split
from lookalike.data.split_files import SplitFiles
from lookalike.data.tables import read_table
from lookalike.errors import UsageError

_FILES = Path(__file__).parent / "files"

_RESEARCH = "no formal licence; published for research, with a request to cite"


class KnownSet(NamedTuple):
    """What one should know of a set before using or downloading it.

    title: what it shows.
    images: how many, over all splits.
    splits: their names, the default first; none if it comes as one.
    megabytes: size of the download; 0 for what ships with the package.
    terms: under which it may be used.
    page: where it comes from.
    """

    title: str
    images: int
    splits: tuple[str, ...]
    megabytes: int
    terms: str
    page: str


KNOWN = {
    "hands": KnownSet(
        "Sign Language Digits: photos of hands, 64 x 64",
        2_062,
        ("train", "test"),
        0,
        "Apache-2.0, Arda Mavi 2017",
        "https://github.com/ardamavi/Sign-Language-Digits-Dataset",
    ),
    "omniglot": KnownSet(
        "Omniglot: handwritten characters of 8 alphabets, 105 x 105; other alphabets in test",
        4_840,
        ("train", "test"),
        0,
        "MIT, Brenden Lake 2015",
        "https://github.com/brendenlake/omniglot",
    ),
    "cifar10": KnownSet(
        "CIFAR-10: photos of 10 kinds of things, 32 x 32",
        60_000,
        ("train", "test"),
        170,
        _RESEARCH,
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "cifar100": KnownSet(
        "CIFAR-100: photos of 100 kinds of things, 32 x 32",
        60_000,
        ("train", "test"),
        169,
        _RESEARCH,
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "mnist": KnownSet(
        "MNIST: handwritten digits, 28 x 28",
        70_000,
        ("train", "test"),
        12,
        "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    "fashion-mnist": KnownSet(
        "Fashion-MNIST: photos of clothes in grey, 28 x 28",
        70_000,
        ("train", "test"),
        31,
        "MIT, Zalando SE 2017",
        "https://github.com/zalandoresearch/fashion-mnist",
    ),
    "stl10": KnownSet(
        "STL-10: photos of 10 kinds of things, and 100,000 without labels, 96 x 96",
        113_000,
        ("train", "test", "unlabeled"),
        2_640,
        f"{_RESEARCH}; the images are ImageNet's",
        "https://cs.stanford.edu/~acoates/stl10/",
    ),
    "svhn": KnownSet(
        "SVHN: house numbers in street views, 32 x 32",
        99_289,
        ("train", "test"),
        246,
        "for non-commercial use only",
        "http://ufldl.stanford.edu/housenumbers/",
    ),
    "flowers102": KnownSet(
        "Oxford 102 Category Flowers: photos",
        8_189,
        ("train", "val", "test"),
        345,
        f"{_RESEARCH}; images collected from the web",
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    ),
    "food101": KnownSet(
        "Food-101: photos of 101 dishes",
        101_000,
        ("train", "test"),
        4_996,
        f"{_RESEARCH}; the images are Foodspotting's users'",
        "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
    ),
    "oxford-pets": KnownSet(
        "Oxford-IIIT Pet: photos of 37 breeds of cats and dogs",
        7_349,
        ("train", "test"),
        811,
        "CC BY-SA 4.0",
        "https://www.robots.ox.ac.uk/~vgg/data/pets/",
    ),
    "eurosat": KnownSet(
        "EuroSAT: satellite images of 10 kinds of land, 64 x 64",
        27_000,
        (),
        94,
        "MIT, Patrick Helber 2017",
        "https://github.com/phelber/eurosat",
    ),
}

_TABLES = frozenset(["flowers102", "food101", "oxford-pets", "eurosat"])
"""The sets whose images stay the files they are; the others become arrays."""


def _print_aside(message: str) -> None:
    print(message, file=sys.stderr)


@dataclass(frozen=True)
class KnownSource:
    """A set of `KNOWN`, as a source of images.

    Args:
        name: of the set.
        download: whether to fetch the set if it is not there yet.
        root: the folder that holds a folder for each set; None for the usual place.
        announce: is told size and terms before a download begins.
    """

    name: str
    download: bool = False
    root: Path | None = None
    announce: Callable[[str], None] = _print_aside

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, the default first."""
        return KNOWN[self.name].splits

    def open(self, split: str | None) -> ImageSet:
        """Return one split, the first by default.

        Raises:
            UsageError: there is no such split; or the set is not there, and may not be fetched.
            LookalikeError: the download failed.
        """
        split = choose_split(split, self.splits(), where=self.name)
        if self.name == "hands":
            tree = replace(list_zip(_FILES / "hands.zip"), where="hands", ignored=())
            return tree.open(split)
        if self.name == "omniglot":
            return _omniglot(split)
        read = read_table if self.name in _TABLES else read_arrays
        files = self._fetched_files()
        return SplitFiles(where=self.name, name=self.name, files=files, read=read).open(split)

    def _fetched_files(self) -> dict[str, Path]:
        """Return the file of each split, or of the whole set under the name ""."""
        default = Path.home() / ".cache" / "lookalike"
        folder = (self.root or Path(os.environ.get("LOOKALIKE_DATA") or default)) / self.name
        suffix = "csv" if self.name in _TABLES else "npz"
        files = {split: folder / f"{split or 'all'}.{suffix}" for split in self.splits() or ("",)}
        if not all(path.is_file() for path in files.values()):
            self._fetch(folder, files)
        return files

    def _fetch(self, folder: Path, files: dict[str, Path]) -> None:
        title, images, _, megabytes, terms, page = KNOWN[self.name]
        facts = f"{images:,} images, {megabytes:,} MB to download; terms: {terms}; see {page}"
        if not self.download:
            raise UsageError(
                f"{self.name} is not in {folder} ({facts})\n"
                "fix: add --download, or let LOOKALIKE_DATA name the folder that holds it"
            )
        self.announce(f"{title}\n{facts}")
        from lookalike.data.downloads import fetch  # noqa: PLC0415  torchvision takes seconds

        fetch(self.name, folder, files)


def _omniglot(split: str | None) -> ImageSet:
    with np.load(_FILES / "omniglot.npz", allow_pickle=False) as table:
        labels = table["labels"].astype(np.int64)
        drawers = table["drawer"]
        unseen = table["class_is_test"][labels]
        class_names = tuple(
            f"{alphabet}/{character}"
            for alphabet, character in zip(table["alphabet"], table["character"], strict=True)
        )
    keys = np.flatnonzero(unseen if split == "test" else ~unseen)
    return ImageSet(
        name="omniglot",
        ids=tuple(f"{class_names[labels[key]]}/{drawers[key]:02d}" for key in keys),
        labels=labels[keys],
        class_names=class_names,
        reader=ArrayReader(_omniglot_drawings),
        keys=keys,
        split=split,
    )


def _omniglot_drawings() -> Pixels:
    """Return all drawings, (N, 105, 105), black ink on white."""
    with np.load(_FILES / "omniglot.npz", allow_pickle=False) as table:
        ink = np.unpackbits(table["packed"], axis=1)[:, : 105 * 105]
    return 255 * (1 - ink.reshape(-1, 105, 105))
