"""Count and measure the images of a source, and list what is unreadable and why."""

from __future__ import annotations

from typing import Any

from lookalike.cli.terminal import Counter, entry, finish, print_json, say

_SHOWN = 10  # files listed of each kind unless all are asked for


def check(
    source: str,
    *,
    split: str | None = None,
    show_skipped: bool = False,
    download: bool = False,
    json: bool = False,
) -> None:
    """Check.

    Args:
        source: images: a folder, archive, .npz, table or known name such as hands.
        split: the part to look at, if the source has parts.
        show_skipped: list everything that is left out, not the first ten.
        download: fetch a known set that is not here yet.
        json: print one JSON object in place of the account.
    """
    say(f"reading {source}")
    from lookalike.data.quarantine import survey
    from lookalike.data.sources import open_source

    images = open_source(source, split=split, download=download)
    with Counter("images") as count:
        found = survey(images, progress=count)
    if json:
        print_json(found.to_json())
    else:
        for name, text in found.facts().items():
            print("\n".join(entry(name, text, column=14)))
        _list(found.unreadable, "unreadable", all_of_them=show_skipped)
        _list(images.ignored, "not an image by its name", all_of_them=show_skipped)
    finish(following=f"lookalike views {source} --method simclr")


def _list(left_out: Any, why: str, *, all_of_them: bool) -> None:
    shown = left_out if all_of_them else left_out[:_SHOWN]
    if shown:
        print(f"\n{why}")
    for each in shown:
        print(f"  {each}")
    if len(shown) < len(left_out):
        print(f"  and {len(left_out) - len(shown):,} more: --show-skipped")
