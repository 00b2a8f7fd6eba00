"""An album: images beside their vectors, of a collection or of a source embedded now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from lookalike import _check
from lookalike.data.decode import MAX_PIXELS, Raw
from lookalike.data.folders import FileReader
from lookalike.data.image_set import ImageSet
from lookalike.data.order import epoch_order
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.sources import open_source
from lookalike.embeddings import Embeddings
from lookalike.errors import DataError, UsageError
from lookalike.inference import Encoder, load_encoder, squares_in_parts
from lookalike.neighbors.collection import RECORD, Collection, open_collection
from lookalike.pairwise.similarity import unit_rows


@dataclass(frozen=True, eq=False)
class Album:
    """Images beside their vectors.

    Attributes:
        images: N images that could be read.
        embeddings: their vectors, in the same order, each of length 1 (or 0); no numbers wide where
            there is no encoder.
        unreadable: images left out because they could not be read.
        fingerprint: sha256 of the encoder; None where nobody said.
        folder: what the ids are paths in; None where the images are no files of one folder.
        max_pixels: larger images count as unreadable.
    """

    images: ImageSet
    embeddings: Embeddings
    unreadable: int = 0
    fingerprint: str | None = None
    folder: Path | None = None
    max_pixels: int = MAX_PIXELS

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def select(self, positions: Sequence[int] | npt.NDArray[np.integer]) -> Album:
        """Return the images at these positions, in this order."""
        images, embeddings = self.images.select(positions), self.embeddings.select(positions)
        return replace(self, images=images, embeddings=embeddings)

    def class_of(self, position: int) -> str | None:
        """Return the name of an image's class, if it is known."""
        label = int(self.embeddings.labels[position])
        return self.embeddings.class_names[label] if label >= 0 else None


def open_album(
    place: str | Path,
    source: str | Path | None = None,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    max_unreadable: float = 0.01,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Album:
    """Return a collection's images with their vectors, or those of a source, embedded by a run.

    Args:
        place: a collection, as `lookalike embed` writes it; or a run, with a source.
        source: the images, where place is a run.
        split: part of the source to take.
        limit: images at most, drawn at random.
        seed: of the draw.
        max_unreadable: share of a source's images that may be unreadable; they are left out.
        trust_code: whether a run's backbone may come from a file or package that it names.
        progress: told after each image that is embedded.

    Raises:
        UsageError: place is neither, or the source or split cannot be.
        DataError: images of the collection are gone, or cannot be read.
    """
    if source is None:
        if not is_collection(place):
            raise UsageError(
                f"{place} is no collection, so a SOURCE must say which images are meant\n"
                f"  fix: add one, or write a collection with lookalike embed {place} SOURCE"
            )
        if split is not None:
            raise UsageError(f"{place} is a collection, which has no split {split!r}")
        return _thin(album_of(open_collection(place)), limit, seed)
    encoder = load_encoder(place, trust_code=trust_code)
    return embed_album(
        encoder,
        open_source(source, split=split),
        limit=limit,
        seed=seed,
        max_unreadable=max_unreadable,
        progress=progress,
    )


def plain_album(
    source: str | Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Album:
    """Return the images of a source without vectors; none of them is read yet.

    Args:
        source: the images.
        split: part of the source to take.
        limit: images at most, drawn at random.
        seed: of the draw.

    Raises:
        UsageError: the source or split cannot be.
        DataError: there are no images.
    """
    images = open_source(source, split=split)
    images = images.select(_drawn(len(images), limit, seed))
    none = np.zeros((len(images), 0), dtype=np.float32)
    return Album(
        images,
        Embeddings(none, images.ids, images.labels, images.class_names),
        folder=folder_of(images),
    )


def is_collection(place: str | Path) -> bool:
    """Return whether `lookalike embed` wrote this folder."""
    return (Path(place) / RECORD).is_file()


def embed_album(
    encoder: Encoder,
    images: ImageSet,
    *,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 256,
    max_unreadable: float = 0.01,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Album:
    """Return images with their vectors.

    Args:
        encoder: what makes the vectors.
        images: the images.
        limit: images at most, drawn at random.
        seed: of the draw.
        batch_size: pictures at a time.
        max_unreadable: share of images that may be unreadable; they are left out and counted.
        max_pixels: larger images count as unreadable.
        progress: told after each image.

    Raises:
        DataError: no image can be read, or too many cannot.
        ValueError: a number is out of its range.
    """
    _check.at_least(1, batch_size=batch_size)
    images = images.select(_drawn(len(images), limit, seed))
    quarantine = Quarantine(len(images) + len(images.unlisted))
    for folder in images.unlisted:
        quarantine.add(*folder)
    vectors, rows = [], [np.zeros(0, dtype=np.int64)]
    for squares, positions in squares_in_parts(
        images, encoder.size, max_pixels=max_pixels, quarantine=quarantine, progress=progress
    ):
        vectors.append(encoder.represent(squares, batch_size=batch_size))
        rows.append(positions)
    quarantine.raise_if_above(max_unreadable)
    kept = images.select(np.concatenate(rows))
    if not len(kept):
        raise DataError(f"none of the {len(images):,} images of {images.name} can be read")
    unit = unit_rows(torch.cat(vectors)).numpy()
    return Album(
        kept,
        Embeddings(unit, kept.ids, kept.labels, kept.class_names),
        len(quarantine),
        encoder.fingerprint(),
        folder_of(images),
        max_pixels,
    )


def album_of(collection: Collection) -> Album:
    """Return a collection's images with their vectors; the images are looked up in its sources.

    Raises:
        UsageError: nobody said where its images are, or that place is gone.
        DataError: images are not there any more.
    """
    parts, sets, places = collection.record.parts, [], {}
    for number, part in enumerate(parts):
        if part.source is None:
            raise UsageError(f"{collection.path} does not say where its images are")
        sets.append(open_source(part.source, split=part.split))
        names = enumerate(sets[-1].ids)
        places[number] = {f"{part.prefix}{name}": place for place, name in names}
    part_of = np.repeat(np.arange(len(parts)), [part.rows for part in parts])
    keys = np.zeros(len(collection.present), dtype=np.int64)
    starts = np.cumsum([0, *(len(images) for images in sets)])
    gone = []
    for at, row in enumerate(collection.present.tolist()):
        number, name = int(part_of[row]), collection.ids[row]
        place = places[number].get(name)
        if place is None:
            gone.append(name)
        else:
            keys[at] = starts[number] + place
    if gone:
        raise DataError(
            f"{len(gone):,} images of {collection.path} are not where they were, for example "
            f"{gone[0]}\n  fix: put them back, or take them out of the collection"
        )
    embeddings = collection.embeddings()
    folders = {folder_of(images) for images in sets}
    images = ImageSet(
        name=collection.path.resolve().name,
        ids=embeddings.ids,
        labels=embeddings.labels,
        class_names=embeddings.class_names,
        reader=_Shelves(tuple(sets), tuple(starts.tolist())),
        keys=keys,
    )
    prefixed = any(part.prefix for part in parts)
    folder = folders.pop() if len(folders) == 1 and not prefixed else None
    unreadable = sum(part.unreadable for part in parts)
    return Album(images, embeddings, unreadable, collection.record.encoder, folder)


def folder_of(images: ImageSet) -> Path | None:
    """Return the folder that the ids of a set are paths in; None where they are no files."""
    root = getattr(images.reader, "root", None)
    return None if root is None else Path(root)


@dataclass(frozen=True)
class _Shelves:
    """Reads the images of several sets, numbered one set after the other."""

    sets: tuple[ImageSet, ...]
    starts: tuple[int, ...]

    def read(self, key: int, limit: int | None = None) -> Raw:
        images, position = self.find(key)
        return images.read(position, limit)

    def find(self, key: int) -> tuple[ImageSet, int]:
        """Return the set that an image is of, and its position there."""
        shelf = int(np.searchsorted(self.starts, key, side="right")) - 1
        return self.sets[shelf], key - self.starts[shelf]


def without_links(album: Album) -> Album:
    """Return an album without what leads to a file that is in it by another name already.

    Links, symbolic or hard, and paths named twice are no copies: of each file the first by name
    stays that is no symbolic link.
    """
    found: dict[tuple[int, int], int] = {}
    kept = []
    ways = [_way(album.images, position) for position in range(len(album))]
    for position in sorted(range(len(album)), key=lambda position: ways[position][1]):
        file = ways[position][0]
        if file is None or file not in found:
            kept.append(position)
            if file is not None:
                found[file] = position
    return album if len(kept) == len(album) else album.select(sorted(kept))


def _way(images: ImageSet, position: int) -> tuple[tuple[int, int] | None, bool]:
    """Return which file an image is, None if it is none, and whether a link leads to it."""
    key, reader = int(images.keys[position]), images.reader
    if isinstance(reader, _Shelves):
        return _way(*reader.find(key))
    if isinstance(reader, FileReader):
        return reader.identify(key), reader.is_link(key)
    return None, False


def _drawn(count: int, limit: int | None, seed: int) -> npt.NDArray[np.int64]:
    """Return the positions to take, rising: all, or so many drawn at random."""
    _check.at_least(1, limit=1 if limit is None else limit)
    return np.sort(epoch_order(count, seed=seed, epoch=0)[:limit])


def _thin(album: Album, limit: int | None, seed: int) -> Album:
    return album.select(_drawn(len(album), limit, seed))
