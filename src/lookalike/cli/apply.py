"""Move the images that duplicates found to be spare; or move them all back."""

from __future__ import annotations

from pathlib import Path

from lookalike.cli.terminal import finish, print_json, say, tell
from lookalike.errors import UsageError


def apply(
    folder: Path,
    *,
    move_to: Path | None = None,
    table: Path | None = None,
    undo: bool = False,
    json: bool = False,
) -> None:
    """Apply.

    Args:
        folder: what lookalike duplicates wrote; what its duplicates.csv says to keep stays.
        move_to: folder to move the others to, outside of the images' own.
        table: go by this file instead: its duplicates.csv with other marks, as lookalike serve
            --duplicates saves it.
        undo: move everything back that was moved from this folder's list.
        json: print one JSON object in place of a sentence.
    """
    from lookalike.curation.moves import UNDO, apply_moves, plan_moves, read_folder, undo_moves
    from lookalike.curation.table import TABLE, require_part_of
    from lookalike.data.image_set import Unreadable

    journal = folder / UNDO
    if undo == (move_to is not None):
        raise UsageError(
            f"say what to do with the images of {folder}\n"
            "  fix: --move-to FOLDER, or --undo to move them back"
        )
    if undo and table is not None:
        raise UsageError(f"--undo goes by {journal}: leave --table out")
    if move_to is None:
        back = undo_moves(journal)
        print_json({"moved_back": back}) if json else tell([f"{back:,} images are back"])
        finish(following=f"lookalike apply {folder} --move-to FOLDER")
        return
    images = read_folder(folder)
    if table is not None:
        require_part_of(table, folder / TABLE)
    say(f"moving spare images of {images} to {move_to}")
    planned = plan_moves(table or folder / TABLE, images, move_to, journal)
    moved, skipped = apply_moves(planned.moves, journal), planned.skipped
    if json:
        told = [each._asdict() for each in skipped]
        print_json({"moved": moved, "to": str(move_to), "skipped": told})
    else:
        lines = [f"{moved:,} images moved to {move_to}; nothing is deleted"]
        if skipped:
            lines.append(f"{len(skipped):,} stay where they are:")
            lines.extend(f"  {Unreadable(*each)}" for each in skipped)
        tell(lines)
    written = [journal] if journal.exists() else []
    finish(*written, following=f"lookalike apply {folder} --undo   takes it back")
