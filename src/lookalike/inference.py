"""Images in, representations out: a trained backbone and how its pictures are prepared."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from lookalike import _check, registry
from lookalike.backbones.allowance import Allowance
from lookalike.backbones.base import Backbone
from lookalike.backbones.build import architecture, build_backbone
from lookalike.data.decode import MAX_PIXELS
from lookalike.data.given import Picture, as_list, read_square
from lookalike.data.image_set import ImageSet
from lookalike.data.quarantine import Progress, Quarantine
from lookalike.data.resident import load_squares
from lookalike.data.threads import map_in_order
from lookalike.durable import write_atomically
from lookalike.embeddings import Embeddings
from lookalike.errors import LookalikeError, UsageError
from lookalike.pairwise.similarity import unit_rows
from lookalike.views.make import normalise

FORMAT = "lookalike encoder"
VERSION = 1
CHUNK = 512  # images decoded before their vectors are computed: bounds the memory they take


class Encoder:
    """A backbone and the preparation it was trained for.

    A picture is the largest centred square of an image, resized to `size` (bicubic, antialiased),
    in [0, 1], less `mean`, over `std`.

    Args:
        backbone: what turns pictures into representations; used, not copied.
        size: side of a picture in pixels.
        mean: (3,) taken out of the channels; 0 leaves them in [0, 1].
        std: (3,) that the channels are divided by, > 0.
        name: the backbone's name, for `build_backbone`.
        arguments: its arguments, likewise.
        precision: of matrix products; vectors in bfloat16 keep a cosine of about 0.999 to those
            in float32.

    Raises:
        ValueError: a number is out of its range, or not one a channel.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: int,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        name: str,
        arguments: Mapping[str, Any] | None = None,
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        _check.at_least(1, size=size)
        _check.one_of(("float32", "bfloat16"), precision=precision)
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(
                f"mean and std must be three numbers, std above 0, got {mean} and {std}"
            )
        self.backbone = backbone
        self.compiled: Callable[[Tensor], Tensor] | None = None  # the backbone, where it is
        self.size = size
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        self.name = name
        self.arguments = dict(arguments or {})
        self.precision = precision

    def __repr__(self) -> str:
        return f"Encoder({self.name}, {self.dim} wide, of {self.size} x {self.size} pixels)"

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.backbone.dim

    @property
    def device(self) -> torch.device:
        """Where the backbone lies."""
        return next(self.backbone.parameters()).device

    def encode(
        self, images: Picture | Sequence[Picture] | npt.NDArray[np.uint8], *, batch_size: int = 256
    ) -> npt.NDArray[np.float32]:
        """Return the vectors of some images: (N, dim) float32, each of length 1 (or 0, if it is 0).

        JPEG files far larger than `size` are decoded at a fraction of their scale, which moves
        their vectors a little against those of the same images opened before.

        Args:
            images: paths, PIL images, uint8 arrays (H, W) or (H, W, 3), or a mixture; or one of
                them; or one uint8 array (N, H, W, 3).
            batch_size: images at a time.

        Raises:
            UsageError: there is no such file, or an item is no image at all.
            DataError: a file or image cannot be read; the message names it.
        """
        _check.at_least(1, batch_size=batch_size)
        read = partial(read_square, size=self.size)
        squares = map_in_order(read, list(enumerate(as_list(images))))
        parts = [torch.zeros(0, self.dim)]
        while batch := list(islice(squares, batch_size)):  # threads read on meanwhile
            pictures = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
            parts.append(self.represent(pictures, batch_size=batch_size))
        return unit_rows(torch.cat(parts)).numpy()

    def fit(self, images: object = None, labels: object = None) -> Encoder:
        """Return itself, for there is nothing to fit: scikit-learn asks this of every step."""
        return self

    transform = encode

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of a step that turns images into vectors."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags  # noqa: PLC0415

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(two_d_array=False, three_d_array=True),
            requires_fit=False,
        )

    def embed(
        self, images: ImageSet, *, batch_size: int = 256, progress: Progress | None = None
    ) -> Embeddings:
        """Return the vectors of an image set, each of length 1; unreadable images are left out.

        Args:
            images: what to embed.
            batch_size: images at a time.
            progress: told after each image.
        """
        vectors, rows = [torch.zeros(0, self.dim)], [np.zeros(0, dtype=np.int64)]
        for squares, positions in squares_in_parts(images, self.size, progress=progress):
            vectors.append(self.represent(squares, batch_size=batch_size))
            rows.append(positions)
        kept = images.select(np.concatenate(rows))
        unit = unit_rows(torch.cat(vectors)).numpy()
        return Embeddings(unit, kept.ids, kept.labels, kept.class_names)

    def represent(self, squares: Tensor, *, batch_size: int = 256) -> Tensor:
        """Return the representations of pictures: (N, dim) float32 on the CPU, not normalised.

        Nothing moves: the backbone computes in evaluation mode and is left in the mode it was in.

        Args:
            squares: (N, 3, size, size) uint8 pictures.
            batch_size: pictures at a time.

        Raises:
            ValueError: the pictures have another shape or type.
        """
        if squares.shape[1:] != (3, self.size, self.size) or squares.dtype != torch.uint8:
            raise ValueError(
                f"squares must be uint8 (N, 3, {self.size}, {self.size}), "
                f"got {squares.dtype} {tuple(squares.shape)}"
            )
        parts = [torch.zeros(0, self.dim)]
        low = self.precision == "bfloat16"
        with torch.inference_mode(), evaluating(self.backbone):
            for batch in torch.split(squares, batch_size) if len(squares) else ():
                pictures = normalise(batch.to(self.device), self.mean, self.std)
                pictures = pictures.contiguous(memory_format=torch.channels_last)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
                    vectors = (self.compiled or self.backbone)(pictures)
                parts.append(vectors.float().cpu())
        return torch.cat(parts)

    def restarted(self, *, seed: int, pretrained: bool = False) -> Encoder:
        """Return the encoder as it was before training, on the same device.

        Args:
            seed: of the random weights.
            pretrained: whether with the published weights that it started from, if it did.

        Raises:
            UsageError: its backbone cannot be built by name, or those weights are not to be had.
        """
        arguments = dict(self.arguments) if pretrained else architecture(self.arguments)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            backbone = build_backbone(self.name, **arguments).to(self.device)
        again = copy.copy(self)
        again.backbone, again.arguments, again.compiled = backbone, arguments, None
        return again

    def fingerprint(self) -> str:
        """Return the sha256, in hexadecimal, of the weights and the preparation."""
        digest = hashlib.sha256(_json(self.preparation()))
        for name, tensor in sorted(self.backbone.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(content.numpy().data)
        return digest.hexdigest()

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors`, `preprocessor.json` and `config.json`, the last one last.

        Raises:
            LookalikeError: no space is left.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {
            name: tensor.detach().cpu().contiguous().clone()
            for name, tensor in self.backbone.state_dict().items()
        }
        config = {
            "format": FORMAT,
            "version": VERSION,
            "lookalike": version("lookalike"),
            "backbone": self.name,
            "backbone_arguments": self.arguments,
            "dim": self.dim,
            "fingerprint": self.fingerprint(),
        }
        write_atomically(folder / "model.safetensors", safetensors.torch.save(weights))
        write_atomically(folder / "preprocessor.json", _json(self.preparation()))
        write_atomically(folder / "config.json", _json(config))

    def preparation(self) -> dict[str, Any]:
        """Return how pictures are made of images, as `preprocessor.json` has it."""
        return {
            "size": self.size,
            "crop": "largest centred square",
            "interpolation": "bicubic, antialiased",
            "divisor": 255,
            "mean": self.mean,
            "std": self.std,
        }


def require_no_run(place: str | Path, missing: str) -> None:
    """Refuse a run, or a model folder, where images are wanted.

    Args:
        place: what was given for images.
        missing: what a run needs besides, to follow "so" in a sentence.

    Raises:
        UsageError: it is one.
    """
    folder = Path(place)
    if any((each / "preprocessor.json").is_file() for each in (folder, folder / "model")):
        raise UsageError(f"{place} is a run, so {missing}")


def load_encoder(
    path: str | Path,
    *,
    device: torch.device | str | None = None,
    trust_code: bool = False,
) -> Encoder:
    """Return the encoder of a run.

    Args:
        path: a run folder, or the `model` folder in it.
        device: where to put it; a GPU if there is one, unless given.
        trust_code: whether a backbone may come from a file or package that the model names. Its
            code is then run, so say it only of models you know.

    Raises:
        UsageError: there is no model, it is damaged, or it needs code that is not trusted.
    """
    folder = Path(path) / "model" if (Path(path) / "model").is_dir() else Path(path)
    config, preparation = (_read(folder, name) for name in ("config.json", "preprocessor.json"))
    try:
        if config["format"] != FORMAT or config["version"] > VERSION:
            raise UsageError(
                f"{folder} holds {config['format']!r} version {config['version']}, and this "
                f"lookalike reads {FORMAT!r} up to version {VERSION}\n  fix: update lookalike"
            )
        name, arguments = config["backbone"], dict(config["backbone_arguments"])
        built = architecture(arguments)  # the weights are here: nothing outside is opened
        kept = {"pretrained": arguments["pretrained"]} if "pretrained" in arguments else {}
        shapes = _shapes(folder / "model.safetensors")
        with registry.read_from(folder, trust_code=trust_code), Allowance(shapes.values()):
            backbone = build_backbone(name, **built)
        encoder = Encoder(
            backbone,
            size=preparation["size"],
            mean=preparation["mean"],
            std=preparation["std"],
            name=name,
            arguments={**built, **kept},
        )
        _load_weights(encoder.backbone, folder / "model.safetensors")
    except LookalikeError:
        raise
    except Exception as problem:  # an argument may be anything, and its network stumble anywhere
        raise UsageError(f"{folder} is not a model that can be read: {problem!r:.200}") from problem
    if encoder.fingerprint() != config.get("fingerprint"):
        raise UsageError(f"{folder} is damaged: its weights are not those that were saved")
    encoder.backbone.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
    return encoder


def fast_precision(device: torch.device) -> tuple[Literal["float32", "bfloat16"], str]:
    """Return the precision of matrix products that a device is fast at, and why, in a few words."""
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bfloat16", "this GPU has it") if able else ("float32", "this GPU lacks bfloat16")
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return ("bfloat16", "this CPU has AMX") if amx else ("float32", "this CPU lacks AMX")


def squares_in_parts(
    images: ImageSet,
    size: int,
    *,
    max_pixels: int = MAX_PIXELS,
    quarantine: Quarantine | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Tensor, npt.NDArray[np.int64]]]:
    """Yield the pictures of an image set, a few hundred at a time.

    Args:
        images: the set.
        size: side of a picture in pixels.
        max_pixels: larger images count as unreadable.
        quarantine: takes note of what cannot be read; that is left out.
        progress: told after each image.

    Yields:
        (n, 3, size, size) uint8 pictures and the (n,) positions of their images in the set.
    """
    for start in range(0, len(images), CHUNK):
        part = np.arange(start, min(start + CHUNK, len(images)))
        squares, readable = load_squares(
            images.select(part),
            size,
            max_pixels=max_pixels,
            quarantine=quarantine,
            progress=further(progress, start, len(images)),
        )
        yield torch.from_numpy(squares), part[readable]


def further(progress: Progress | None, start: int, total: int) -> Progress | None:
    """Return what tells of a part that begins after `start` of `total` images."""
    return None if progress is None else lambda done, _: progress(start + done, total)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module and its parts in evaluation mode; leave each part in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_bytes())
    except FileNotFoundError as problem:
        raise UsageError(
            f"{folder} is no model: it has no {name}\n"
            "  fix: name a run folder that has finished, or the model folder in it"
        ) from problem
    except (ValueError, OSError) as problem:
        raise UsageError(f"{folder / name} cannot be read: {problem}") from problem
    if not isinstance(content, dict):
        raise UsageError(f"{folder / name} cannot be read: it is no JSON object")
    return content


def _load_weights(backbone: Backbone, path: Path) -> None:
    """Copy saved weights into a backbone that they fit.

    Raises:
        UsageError: there are none, the file is damaged, or names and shapes are not the backbone's.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}
    got = _shapes(path)
    for name in sorted(wanted.keys() | got.keys()):
        if wanted.get(name) != got.get(name):
            raise UsageError(
                f"{path} does not fit its config.json: {name} should have shape "
                f"{wanted.get(name, 'none')}, and has {got.get(name, 'none')}"
            )
    backbone.load_state_dict(safetensors.torch.load_file(path))


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of saved weights by name, from the file's header.

    Raises:
        UsageError: there are none, or the file is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as problem:
        raise UsageError(f"{path} cannot be read: {problem}") from problem
