"""Turn the images of a source into vectors to search; goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli.terminal import (
    Counter,
    finish,
    print_json,
    say,
    say_left_out,
    speed,
    tell,
)

if TYPE_CHECKING:
    from lookalike.neighbors.embedding import Embedded

LIBRARY = "neighbors.embedding:embed_source"


def embed(
    run: Path,
    source: str,
    *,
    out: Path,
    json: bool = False,
    trust_code: bool = False,
    **settings: Any,
) -> None:
    """Embed.

    Args:
        run: folder of a run, or the model folder in it.
        source: images: a folder, archive, .npz, table or known name such as hands/test.
        out: folder to write the vectors to; the same command again goes on there.
        json: print one JSON object in place of the account.
        trust_code: let code come from the file or package that the model or run names.
        settings: how to embed, as `neighbors.embedding.embed_source` takes it.
    """
    say(f"embedding {source} with {run}")
    from lookalike.inference import load_encoder
    from lookalike.neighbors.embedding import embed_source

    encoder = load_encoder(run, trust_code=trust_code)
    with Counter("images") as count:
        made = embed_source(encoder, source, out=out, progress=count, **settings)
    say_left_out(source, made.left_out)
    if json:
        print_json(_told(made))
    else:
        tell(_lines(made))
    if made.collection is None:
        joins = f"lookalike embed {run} {source} --out {out}  (joins the parts of all shards)"
        finish(out / "parts", following=joins)
        return
    names = ("vectors.npy", "images.parquet", "unreadable.csv", "collection.json")
    finish(*(out / name for name in names), following=f"lookalike search {out} IMAGE")


def _told(made: Embedded) -> dict[str, Any]:
    spent, collection = made.spent, made.collection
    return {
        "collection": made.path,
        "vectors": None if collection is None else len(collection),
        "dim": None if collection is None else collection.record.dim,
        "dtype": None if collection is None else collection.record.dtype,
        "precision": None if collection is None else collection.record.precision,
        "fingerprint": None if collection is None else collection.record.encoder,
        "unreadable": len(made.unreadable),
        "missing_parts": made.missing,
        "embedded_now": spent.images,
        "seconds": spent.seconds,
        "seconds_waiting_for_images": spent.waiting,
    }


def _lines(made: Embedded) -> list[str]:
    """Return what there is now, and what it took."""
    spent, lines = made.spent, []
    if made.collection is None:
        parts = f"{made.missing:,} part{'s' * (made.missing != 1)}"
        lines.append(f"this shard is there; {parts} of others still to come")
    else:
        vectors, record = made.collection.vectors, made.collection.record
        lines.append(
            f"{len(vectors):,} vectors x {record.dim:,} {record.dtype} "
            f"({vectors.nbytes / 1e6:,.1f} MB)"
        )
    if made.unreadable:
        listed = made.path / "unreadable.csv"
        lines.append(f"{len(made.unreadable):,} images could not be read: {listed} lists them")
    if made.changed:
        lines.append(f"{made.changed:,} embedded again, since their files have changed")
    if not spent.images:
        return [*lines, "nothing was left to embed"]
    share = spent.waiting / max(spent.seconds, 1e-9)
    limit = "reading and decoding images" if share > 0.5 else "the network"
    lines.append(
        f"{spent.images:,} images in {spent.seconds:,.1f} s, {speed(spent.images, spent.seconds)}; "
        f"{limit} took most of it (waited for images {share:.0%} of the time)"
    )
    return lines
