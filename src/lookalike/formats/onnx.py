"""One ONNX file that takes whole images, with the weights and the preparation in it. onnx.ai."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lookalike.durable import write_atomically
from lookalike.errors import LookalikeError
from lookalike.formats.agreement import Compute
from lookalike.formats.program import AXES, INPUT, OUTPUT, facts, trace
from lookalike.inference import Encoder

SUFFIX = ".onnx"
FILES: frozenset[str] = frozenset()
MOST_BYTES = 2_000_000_000  # of weights: protobuf ends at 2 GiB


def write(encoder: Encoder, path: Path) -> None:
    """Write a settled encoder as one file.

    Raises:
        LookalikeError: what that needs is not installed, the encoder is too large for one file or
            cannot be a graph, or no space is left.
    """
    onnx, _ = _libraries()
    weights = sum(tensor.nbytes for tensor in encoder.backbone.state_dict().values())
    if weights > MOST_BYTES:
        raise LookalikeError(
            f"one ONNX file holds at most {MOST_BYTES / 1e9:g} GB of weights, and these are "
            f"{weights / 1e9:.1f}\n  fix: --to torch"
        )
    program = torch.onnx.export(
        trace(encoder), dynamo=True, verbose=False, input_names=[INPUT], output_names=[OUTPUT]
    )
    assert program is not None  # noqa: S101  for the type checker: it is one with dynamo
    model: Any = program.model_proto
    _tidy(model.graph)
    onnx.helper.set_model_props(model, facts(encoder))
    onnx.checker.check_model(model)
    write_atomically(path, model.SerializeToString())


def read(path: Path) -> Compute:
    """Return the encoder of a file, as onnxruntime computes it on a CPU."""
    _, runtime = _libraries()
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # of errors alone
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def _tidy(graph: Any) -> None:
    """Call the open axes by their names, and drop what the exporter notes for its authors."""
    for value in (*graph.input, *graph.output):
        shape = value.type.tensor_type.shape.dim
        for axis, name in zip(shape, AXES, strict=False):
            if axis.dim_param:
                axis.dim_param = name
        del value.metadata_props[:]
    for part in (*graph.node, *graph.initializer):
        del part.metadata_props[:]
    del graph.value_info[:]


def _libraries() -> tuple[Any, Any]:
    try:
        import onnx  # noqa: PLC0415  an optional extra
        import onnxruntime  # noqa: PLC0415
        import onnxscript  # noqa: F401, PLC0415  torch's exporter needs it
    except ImportError as problem:
        raise LookalikeError(
            f"ONNX files need {problem.name}, which is not installed\n"
            "  fix: pip install 'lookalike[export]'"
        ) from problem
    return onnx, onnxruntime
