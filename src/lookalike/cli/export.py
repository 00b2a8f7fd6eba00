"""Write an encoder for elsewhere: ONNX, torch.export, safetensors or a folder for timm."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lookalike.cli.terminal import finish, print_json, say, tell

LIBRARY = "formats.export:export"


def export(
    run: Path,
    *,
    to: Literal["onnx", "torch", "safetensors", "huggingface"] = "onnx",
    out: Path | None = None,
    json: bool = False,
    **settings: Any,
) -> None:
    """Export.

    Args:
        run: folder of a run, or the model folder in it.
        to: onnx and torch are one file that takes whole images, without lookalike; safetensors is
            a folder of weights for lookalike; huggingface one that timm loads.
        out: file or folder to write (default: named after the run, here).
        json: print one JSON object in place of the account.
        settings: how to write it, as `formats.export.export` takes it.
    """
    say(f"writing {run} as {to}")
    from lookalike.formats.export import default_name
    from lookalike.formats.export import export as export_encoder

    written = export_encoder(run, out or Path(default_name(run, to)), to=to, **settings)
    if json:
        print_json(written.to_json())
    else:
        tell(written.lines())
    finish(
        written.path,
        written.card,
        following=f"read {written.card}: how to use it, and the licence that is yours to choose",
    )
