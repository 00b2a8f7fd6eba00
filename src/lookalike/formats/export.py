"""An encoder leaves the house: written in a format for elsewhere, checked, with a model card."""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from lookalike import _check
from lookalike.data.decode import Pixels
from lookalike.data.sources import open_source
from lookalike.durable import write_atomically
from lookalike.errors import DataError, LookalikeError, UsageError
from lookalike.formats.agreement import LEAST_COSINE, Agreement, Compute, compare, draw_pictures
from lookalike.formats.card import model_card
from lookalike.formats.place import drafted, refuse_existing, size_of
from lookalike.formats.program import settled
from lookalike.inference import Encoder, load_encoder
from lookalike.runs.readable import images_trained_on
from lookalike.training.run_folder import Run

Target = Literal["onnx", "torch", "safetensors", "huggingface"]
TARGETS: tuple[Target, ...] = ("onnx", "torch", "safetensors", "huggingface")
BUILT_IN = "hands/test"
CARD = "README.md"  # in a folder; beside a file, its name and .md


class Format(Protocol):
    """What each format's module has.

    SUFFIX: of what is written; of folders, what their names usually end in.
    FILES: names in a folder, where that is what is written.
    """

    SUFFIX: str
    FILES: frozenset[str]

    def write(self, encoder: Encoder, path: Path) -> None:
        """Write a settled encoder."""

    def read(self, path: Path) -> Compute:
        """Return what was written, ready to compute, as it will be used elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was written.

    Attributes:
        path: the file or folder.
        card: the model card, in or beside it.
        to: the format.
        bytes: how large it is, less the card.
        fingerprint: sha256 of the encoder.
        agreement: how near it is to the original.
    """

    path: Path
    card: Path
    to: Target
    bytes: int
    fingerprint: str
    agreement: Agreement

    def to_json(self) -> dict[str, Any]:
        """Return one flat object."""
        flat = asdict(self) | {"path": str(self.path), "card": str(self.card)}
        del flat["agreement"]
        return flat | {
            "checked_on": self.agreement.images,
            "checked_images": self.agreement.pictures,
            "least_cosine": self.agreement.cosine,
        }

    def lines(self) -> list[str]:
        """Return what was written, and how it was checked, for people."""
        return [
            f"{self.path}  {self.bytes / 1e6:.1f} MB  {self.to}",
            f"checked against the original on {self.agreement}",
        ]


def export(
    encoder: Encoder | str | Path,
    path: str | Path,
    *,
    to: Target = "onnx",
    check_on: str | None = None,
    overwrite: bool = False,
    trust_code: bool = False,
) -> Export:
    """Write an encoder for elsewhere, with a model card, unless it disagrees with the original.

    What was written is read back and asked about real images, alone and in batches. Only if every
    cosine to what `Encoder.encode` says is at least 0.9999 does it take its name.

    Args:
        encoder: an encoder, a run folder, or the model folder in it.
        path: file to write, for onnx and torch; folder, for the others.
        to: onnx and torch are one file that takes whole images, without lookalike; safetensors is
            a folder of weights for `lookalike.load`; huggingface one that timm loads.
        check_on: images to check with (default: those of the run, or else hands that come along).
        overwrite: replace what an earlier export wrote there.
        trust_code: let code come from the file or package that the model names.

    Returns:
        What was written and how it was checked.

    Raises:
        UsageError: there is no encoder, something is there already, or the format cannot hold it.
        DataError: no image to check with can be read.
        LookalikeError: it does not agree, a package is missing, or no space is left; nothing is
            left behind.
        ValueError: there is no such format.
    """
    _check.one_of(TARGETS, to=to)
    form = _format(to)
    path = Path(path)
    card = path / CARD if form.FILES else path.with_name(f"{path.name}.md")
    refuse_existing(path, card, form.FILES, overwrite=overwrite)
    run = None
    if not isinstance(encoder, Encoder):
        run = Run(encoder) if (Path(encoder) / "run.json").is_file() else None
        encoder = load_encoder(encoder, device="cpu", trust_code=trust_code)
    source, pictures = _pictures(run, check_on)
    still = settled(encoder)
    with drafted(path) as draft:
        form.write(still, draft)
        agreement = Agreement(source, len(pictures), compare(still, form.read(draft), pictures))
        if not agreement.holds:
            raise LookalikeError(
                f"what was written as {to} does not agree with the original, so it was removed "
                f"({agreement}, want {LEAST_COSINE})\n  fix: --to another format, and report this"
            )
        size = size_of(draft)
        text = model_card(encoder, to=to, name=path.name, agreement=agreement, run=run).encode()
        if form.FILES:
            write_atomically(draft / CARD, text)
    if not form.FILES:
        write_atomically(card, text)
    return Export(
        path=path,
        card=card,
        to=to,
        bytes=size,
        fingerprint=encoder.fingerprint(),
        agreement=agreement,
    )


def default_name(run: Path, to: Target) -> str:
    """Return a name for what is written of a run: runs/photos, or its model, is photos.onnx."""
    _check.one_of(TARGETS, to=to)
    folder = run.resolve()
    name = folder.parent.name if folder.name == "model" else folder.name
    return name + _format(to).SUFFIX


def _format(to: Target) -> Format:
    """Return the module of a format; each needs packages of its own, so only one is imported."""
    return cast("Format", importlib.import_module(f"lookalike.formats.{to}"))


def _pictures(run: Run | None, check_on: str | None) -> tuple[str, list[Pixels]]:
    """Return real images to check with, and whose they are."""
    if check_on is not None:
        images = open_source(check_on)
        if pictures := draw_pictures(images):
            return images.name, pictures
        raise DataError(f"no image of {check_on} can be read\n  fix: check with other images")
    try:
        images = images_trained_on(run.config) if run else open_source(BUILT_IN)
        pictures = draw_pictures(images)
    except (UsageError, DataError, KeyError):  # gone, or never known
        pictures = []
    if not pictures:
        images = open_source(BUILT_IN)
        pictures = draw_pictures(images)
    return images.name, pictures
