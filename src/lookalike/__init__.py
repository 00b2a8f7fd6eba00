"""Learn which images look alike, and put it to use.

The public names are imported on first use, so that `import lookalike` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lookalike.backbones.base import Backbone as Backbone
    from lookalike.curation.duplicates import find_duplicates as find_duplicates
    from lookalike.data.sources import open_source as open_source
    from lookalike.embeddings import Embeddings as Embeddings
    from lookalike.errors import LookalikeError as LookalikeError
    from lookalike.formats.export import export as export
    from lookalike.inference import Encoder as Encoder
    from lookalike.inference import load_encoder as load  # noqa: F401
    from lookalike.judging.scorecard import score as evaluate  # noqa: F401
    from lookalike.methods.base import Batch as Batch
    from lookalike.methods.base import Method as Method
    from lookalike.methods.base import Step as Step
    from lookalike.neighbors.index import Index as Index
    from lookalike.runs.distilled import distill as distill
    from lookalike.runs.job import train as train
    from lookalike.views.plans import Plan as Plan
    from lookalike.views.plans import View as View

__version__ = "0.1.0"

_HOMES: Final = {
    "Backbone": "backbones.base:Backbone",
    "Batch": "methods.base:Batch",
    "Embeddings": "embeddings:Embeddings",
    "Encoder": "inference:Encoder",
    "Index": "neighbors.index:Index",
    "LookalikeError": "errors:LookalikeError",
    "Method": "methods.base:Method",
    "Plan": "views.plans:Plan",
    "Step": "methods.base:Step",
    "View": "views.plans:View",
    "distill": "runs.distilled:distill",
    "evaluate": "judging.scorecard:score",
    "export": "formats.export:export",
    "find_duplicates": "curation.duplicates:find_duplicates",
    "load": "inference:load_encoder",
    "open_source": "data.sources:open_source",
    "train": "runs.job:train",
}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604  names, all of them


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
