"""Find the images most alike to an image, to those of a folder, or to a known one."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.cli.terminal import Counter, finish, print_json, say, tell
from lookalike.errors import UsageError
from lookalike.names import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.inference import Encoder
    from lookalike.neighbors.hits import Hits
    from lookalike.neighbors.index import Index
    from lookalike.neighbors.query import Query


def search(
    collection: Path,
    query: str,
    *,
    k: int = 10,
    where: tuple[str, ...] = (),
    id: bool = False,
    exact: bool = False,
    run: Path | None = None,
    html: Path | None = None,
    json: bool = False,
    verify: bool = True,
    trust_code: bool = False,
) -> None:
    """Search.

    Args:
        collection: folder that `lookalike embed` wrote.
        query: an image file, a folder or other source of images, or the id of an image that is in
            the collection, which is then not found itself.
        k: images to find for each.
        where: only images whose columns hold these values, such as class=cat,class=dog,year=2019.
        id: take the query as an id, though there is a file of that name.
        exact: compare with every image, though the collection has an engine.
        run: a run or model folder whose encoder to use; it must be the one of the collection.
        html: write a page of the found images here.
        json: print one JSON object in place of the tables.
        verify: compare the vectors with their digests first.
        trust_code: let code come from the file or package that the model names.
    """
    say(f"searching {collection}")
    wanted = _conditions(where)
    from lookalike.neighbors.index import Index

    index = Index.open(collection, verify=verify)
    asked: Query | None = None
    if id or (not Path(query).exists() and query in index.collection.ids):
        found = index.search_ids(query, k, where=wanted, exact=exact)
    else:
        asked = _read(index, query, _encoder(collection, run, trust_code))
        found = index.search(asked.vectors, k, where=wanted, exact=exact)
        for one in asked.unreadable:
            say(f"left out, cannot be read: {one}")
    if json:
        print_json(found.to_json())
    else:
        tell(found.lines())
    if html is not None:
        _write_page(index, found, asked, html)
        finish(html, following=f"open {html} in a browser")
    else:
        page = Path(f"{collection.name}.html")
        again = shlex.join(["lookalike", "search", str(collection), query, "--html", str(page)])
        finish(following=again)


def _conditions(where: Sequence[str]) -> dict[str, list[str]]:
    """Return the wanted values by column."""
    wanted: dict[str, list[str]] = {}
    for text in where:
        column, equals, value = text.partition("=")
        if not equals or not column:
            raise UsageError(f"--where wants COLUMN=VALUE with commas between them, got {text!r}")
        wanted.setdefault(column, []).append(value)
    return wanted


def _encoder(collection: Path, run: Path | None, trust_code: bool) -> Encoder:
    from lookalike.inference import load_encoder

    return load_encoder(run or collection, trust_code=trust_code)


def _read(index: Index, query: str, encoder: Encoder) -> Query:
    from lookalike.neighbors.query import read_query
    from lookalike.registry import did_you_mean

    index.collection.require_encoder(encoder.fingerprint(), what="the query's encoder")
    try:
        with Counter("images") as count:
            return read_query(query, encoder, progress=count)
    except UsageError as problem:
        if Path(query).exists():
            raise
        near = did_you_mean(query, index.collection.ids[:20_000])
        raise UsageError(
            f"{shown(query)} is no file, source of images, or id in {index.collection.path}."
            f"{shown(near)}"
        ) from problem


def _write_page(index: Index, found: Hits, asked: Query | None, path: Path) -> None:
    import numpy as np

    from lookalike.data.resident import load_squares
    from lookalike.neighbors.pictures import load_thumbs
    from lookalike.report.search import THUMB_SIDE, write_gallery

    collection = index.collection
    rows = np.unique(found.rows[found.rows >= 0])
    if asked is None:
        own = collection.rows_of(found.queries)
        thumbs = load_thumbs(collection, np.concatenate([rows, own]), THUMB_SIDE)
        pictures = [thumbs.get(row) for row in own.tolist()]
        told = collection.table.take(own).to_pylist()
        classes = [row.get("class") for row in told]
    else:
        thumbs = load_thumbs(collection, rows, THUMB_SIDE)
        squares, _ = load_squares(asked.images, THUMB_SIDE)
        pictures = list(squares.transpose(0, 2, 3, 1))
        known = set(itertools.chain(*found.columns.get("class", ())))  # a folder is no class, else
        names = [*asked.images.class_names, None]  # a label of -1 is the last
        named = [names[label] for label in asked.images.labels]
        classes = [name if name in known else None for name in named]
    unreadable = len(asked.unreadable) if asked else 0
    write_gallery(
        found,
        path,
        of=collection.path.name,
        pictures=pictures,
        thumbs=thumbs,
        classes=classes,
        unreadable=unreadable,
    )
