"""Add images to vectors that `embed` wrote, remove some, or make their search fast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from lookalike.cli.terminal import Counter, finish, print_json, say, say_left_out, tell

if TYPE_CHECKING:
    from lookalike.neighbors.collection import Collection
    from lookalike.neighbors.index import Index

EXACT_UP_TO: Final = 1_000_000  # images: some 10 ms a query; beyond, an engine is worth its file
HNSW_UP_TO: Final = 10_000_000  # beyond, its links take more memory than most machines have


def index(
    collection: Path,
    *,
    engine: Literal["exact", "hnsw", "ivfpq"] | None = None,
    recall: float = 0.95,
    seed: int = 0,
    add: str | None = None,
    split: str | None = None,
    prefix: str = "",
    max_unreadable: float = 0.01,
    remove: str | None = None,
    compact: Path | None = None,
    json: bool = False,
    trust_code: bool = False,
) -> None:
    """Index.

    Args:
        collection: folder that `lookalike embed` wrote.
        engine: how to search: exact, or with faiss, hnsw (fast) or ivfpq (small); by the number of
            images if nothing else is asked for.
        recall: share of the 10 nearest images that an engine must find, in (0, 1).
        seed: of the images that the recall is measured on.
        add: images of this source that are not there yet, or whose files have changed.
        split: part of that source to take.
        prefix: put this before their ids, such as camera-b/, where other images are called so.
        max_unreadable: share of these images that may be unreadable; they are left out and listed.
        remove: ids with commas between them, or a file with one a line.
        compact: write what is left to this new folder, without the vectors of removed images.
        json: print one JSON object in place of the account.
        trust_code: let code come from the file or package that the model names.
    """
    say(f"opening {collection}")
    from lookalike.neighbors.index import Index

    found, lines = Index.open(collection), []
    if remove is not None:
        before = len(found)
        found.remove(_ids(remove))
        lines.append(f"{before - len(found):,} images removed; their vectors are passed over")
    if add is not None:
        lines += _add(
            found, add, trust_code, split=split, prefix=prefix, max_unreadable=max_unreadable
        )
    if compact is not None:
        found = found.save(compact)
        lines.append(f"{len(found):,} images written to {compact}")
    if engine is not None or not any((remove, add, compact)):
        lines.append(_tune(found, engine, recall, seed))
    now = found.collection
    if json:
        print_json(_told(now))
    else:
        tell([*lines, f"{len(now):,} images can be searched"])
    kept = now.record.engine
    files = [now.path / "collection.json", *([now.path / kept["file"]] if kept else [])]
    finish(*files, following=f"lookalike search {now.path} IMAGE")


def _add(found: Index, source: str, trust_code: bool, **settings: Any) -> list[str]:
    from lookalike.inference import load_encoder
    from lookalike.neighbors.embedding import add_source

    encoder = load_encoder(found.collection.path, trust_code=trust_code)
    before = len(found)
    with Counter("images") as count:
        made = add_source(
            found.collection,
            encoder,
            source,
            **settings,
            progress=count,
        )
    say_left_out(source, made.left_out)
    assert made.collection is not None  # noqa: S101  there are no shards
    found.collection = made.collection
    lines = [f"{len(found) - before:,} images added"]
    if made.known:
        lines[0] += f", {made.known:,} left out that are there already"
    if made.changed:
        lines.append(f"{made.changed:,} embedded again, since their files have changed")
    if made.unreadable:
        lines.append(f"{len(made.unreadable):,} could not be read: unreadable.csv lists them")
    return lines


def _tune(
    found: Index, engine: Literal["exact", "hnsw", "ivfpq"] | None, recall: float, seed: int
) -> str:
    if engine is None:
        size = len(found)
        engine = "exact" if size <= EXACT_UP_TO else "hnsw" if size <= HNSW_UP_TO else "ivfpq"
        say(f"engine: {engine}, for {size:,} images (--engine chooses another)")
    if engine != "exact":
        say("building and tuning; this takes minutes where there are many images")
    made = found.tune(engine, recall=recall, seed=seed)
    return "search is exact: it compares a query with every image" if made is None else made.line()


def _ids(given: str) -> list[str]:
    path = Path(given)
    text = path.read_text(encoding="utf-8").split("\n") if path.is_file() else given.split(",")
    return [name.strip() for name in text if name.strip()]


def _told(now: Collection) -> dict[str, Any]:
    return {
        "collection": now.path,
        "images": len(now),
        "removed": len(now.record.removed),
        "engine": dict(now.record.engine) if now.record.engine else {"kind": "exact"},
    }
