"""What goes into a checkpoint comes out of it, to the bit; old ones go, nothing else does."""

import errno
import hashlib
import json
import math
import os
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lookalike import checkpoint
from lookalike.checkpoint import load_checkpoint, save_checkpoint
from lookalike.errors import LookalikeError
from lookalike.training import optim


def same(a: Any, b: Any) -> bool:
    """Whether two states are equal to the bit and of the same types."""
    if isinstance(a, torch.Tensor):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and a.contiguous()
            .flatten()
            .view(torch.uint8)
            .equal(b.contiguous().flatten().view(torch.uint8))
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a.hex() == b.hex()
    return a == b


def round_trip(folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    save_checkpoint(folder, 1, state)
    found = load_checkpoint(folder)
    assert found is not None
    assert found.damaged == ()
    return found.state


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
tensors = st.sampled_from([torch.zeros(()), torch.arange(6).view(2, 3), torch.empty(0, 2)])
keys = st.text() | st.integers() | st.sampled_from(["$tensor", "$dict", "$", "a/b", "__metadata__"])
states = st.recursive(
    plain | tensors,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=12,
)


@given(state=st.dictionaries(keys, states, max_size=3))
def test_any_nesting_comes_back(state: dict[str, Any], tmp_path_factory: Any) -> None:
    assert same(round_trip(tmp_path_factory.mktemp("run"), state), state)


@pytest.mark.parametrize("dtype", checkpoint._DTYPE_NAMES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (5, 3)], ids=str)
def test_every_dtype_and_shape_comes_back(
    tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    noise = torch.randint(0, 2, (*shape, dtype.itemsize), dtype=torch.uint8)
    state = {
        "x": noise.view(dtype).reshape(shape),
        "one byte, to shift what follows": torch.ones(1, dtype=torch.bool),
    }
    assert same(round_trip(tmp_path, state), state)


@pytest.mark.parametrize(
    "values", [[math.inf, -math.inf, math.nan, -0.0], [0.1, 5e-324, 1.7976931348623157e308, 1e22]]
)
def test_tensors_and_numbers_beyond_the_ordinary_come_back(
    tmp_path: Path, values: list[float]
) -> None:
    state = {"numbers": values, "tensor": torch.tensor(values), "large": 2**70, "text": "\ud800é"}
    assert same(round_trip(tmp_path, state), state)


def test_tensors_that_share_memory_or_have_strides_come_back(tmp_path: Path) -> None:
    whole = torch.randn(4, 6)
    state = {
        "whole": whole,
        "again": whole,
        "part": whole[1:3, ::2],
        "turned": whole.T,
        "spread": torch.ones(1, 3).expand(4, 3),
        "images": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "parameter": nn.Parameter(whole),
    }
    assert same(round_trip(tmp_path, state), {**state, "parameter": whole})


def test_names_that_collide_stay_apart(tmp_path: Path) -> None:
    state = {"a": {"b": torch.zeros(1), 0: torch.ones(1), "0": torch.ones(2)}, "a/b": torch.ones(3)}
    assert same(round_trip(tmp_path, state), state)


def test_subclasses_come_back_as_the_plain_type(tmp_path: Path) -> None:
    state = {"ordered": OrderedDict(b=1, a=2), "numpy": np.float64(0.1), "size": torch.Size([2])}
    assert same(
        round_trip(tmp_path, state), {"ordered": {"b": 1, "a": 2}, "numpy": 0.1, "size": (2,)}
    )


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": {"b": [0, np.zeros(2)]}}, "state/a/b/1 must be .* got ndarray"),
        ({"a": {1.5: 0}}, r"state/a must have string or integer keys, got \[1.5\]"),
        ({"a": torch.zeros(2, dtype=torch.complex128)}, "state/a must be dense"),
        ({"a": torch.zeros(2).to_sparse()}, "state/a must be dense"),
        ({"\ud800": torch.zeros(2)}, "surrogates not allowed"),
    ],
)
def test_refuses_what_it_cannot_keep(tmp_path: Path, state: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        save_checkpoint(tmp_path, 1, state)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [optim.sgd, optim.lars, optim.adamw])
def test_training_that_was_saved_goes_on_to_the_bit(tmp_path: Path, make: Any) -> None:
    def start(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2))
        return module, make(module, lr=0.1)

    def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            module(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()

    module, optimizer = start(seed=0)
    train(module, optimizer, 3)
    state = {
        "method": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }
    save_checkpoint(tmp_path, 3, state)
    train(module, optimizer, 3)

    again, its_optimizer = start(seed=1)
    found = load_checkpoint(tmp_path)
    assert found is not None
    again.load_state_dict(found.state["method"])
    its_optimizer.load_state_dict(found.state["optimizer"])
    torch.set_rng_state(found.state["random"])
    train(again, its_optimizer, 3)
    assert same(dict(again.state_dict()), dict(module.state_dict()))
    assert same(its_optimizer.state_dict(), optimizer.state_dict())


def test_the_files_are_what_other_programs_expect(tmp_path: Path) -> None:
    weights = {"b": torch.randn(3).bfloat16(), "a": torch.arange(5, dtype=torch.uint8)}
    path = save_checkpoint(tmp_path, 12, {"weights": weights, "epoch": 1.5})
    assert path == tmp_path / "step-000000012"
    assert (tmp_path / "LATEST").read_text() == "step-000000012\n"
    assert sorted(file.name for file in path.iterdir()) == [
        "MANIFEST.sha256",
        "state.json",
        "tensors.safetensors",
    ]
    loaded = safetensors.torch.load_file(path / "tensors.safetensors")
    assert same(loaded, {name: weights[name.rpartition("/")[2]] for name in loaded})
    record = json.loads((path / "state.json").read_text())
    assert (record["step"], record["state"]["epoch"]) == (12, 1.5)
    for line in (path / "MANIFEST.sha256").read_text().splitlines():
        digest, name = line.split("  ")
        assert digest == hashlib.sha256((path / name).read_bytes()).hexdigest()
    subprocess.run(["sha256sum", "--check", "--strict", "MANIFEST.sha256"], cwd=path, check=True)


def test_loads_the_newest_and_keeps_as_many_as_asked(tmp_path: Path) -> None:
    for step in (5, 10, 999_999_999, 1_000_000_000, 1_000_000_001):
        save_checkpoint(tmp_path, step, {"step": step}, keep=3)
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.state) == (1_000_000_001, {"step": 1_000_000_001})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "LATEST",
        "step-1000000000",
        "step-1000000001",
        "step-999999999",
    ]


def test_a_step_saved_again_does_not_touch_the_first(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path, 7, {"try": 1})
    second = save_checkpoint(tmp_path, 7, {"try": 2})
    assert first != second
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert (found.path, found.state) == (second, {"try": 2})
    assert sorted(tmp_path.glob("step-*")) == [first, second]


def test_the_new_one_stays_even_if_others_are_of_later_steps(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 20, {})
    new = save_checkpoint(tmp_path, 12, {}, keep=1)
    assert list(tmp_path.glob("step-*")) == [new]


def test_removes_leftovers_of_its_own_only(tmp_path: Path) -> None:
    for name in (".unfinished-step-000000001", ".hidden", "step-1", "notes", "step-000000002.bak"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / ".LATEST.123.tmp").touch()
    save_checkpoint(tmp_path, 3, {}, keep=1)
    assert {path.name for path in tmp_path.iterdir()} == {
        "LATEST",
        "step-000000003",
        ".hidden",
        "step-1",
        "notes",
        "step-000000002.bak",
    }


def test_none_where_none_was_saved(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    assert load_checkpoint(tmp_path / "missing") is None


def test_tensors_go_to_the_device(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"x": [torch.ones(2)]})
    found = load_checkpoint(tmp_path, device="meta")
    assert found is not None
    assert found.state["x"][0].device.type == "meta"


@pytest.mark.parametrize("option", [{"step": -1}, {"keep": 0}])
def test_refuses_numbers_that_cannot_be(tmp_path: Path, option: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        save_checkpoint(tmp_path, **{"step": 1, "state": {}, **option})


def test_a_full_disk_is_seen_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        checkpoint.shutil, "disk_usage", lambda _: checkpoint.shutil._ntuple_diskusage(9, 9, 2**20)
    )
    with pytest.raises(
        LookalikeError, match=r"no space left .* 4\.0 MB and 1\.0 MB are free"
    ) as told:
        save_checkpoint(tmp_path, 1, {"x": torch.zeros(1_000_000)})
    assert "\n  fix: " in str(told.value)
    assert not list(tmp_path.iterdir())


def test_another_error_of_the_disk_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as told:
        save_checkpoint(tmp_path / "file", 1, {})
    assert told.value.errno in (errno.EEXIST, errno.ENOTDIR)


def test_every_file_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync, rename, replace = os.fsync, os.rename, os.replace

    def watched_sync(descriptor: int) -> None:
        events.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        sync(descriptor)

    def watched_rename(source: Path, target: Path) -> None:
        events.append(f"name {Path(target).name}")
        rename(source, target)

    def watched_replace(source: Path, target: Path) -> None:
        events.append(f"name {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "rename", watched_rename)
    monkeypatch.setattr(os, "replace", watched_replace)
    save_checkpoint(tmp_path, 1, {"x": torch.ones(1)})
    assert events == [
        "sync tensors.safetensors",
        "sync state.json",
        "sync MANIFEST.sha256",
        "sync .unfinished-step-000000001",
        "name step-000000001",
        f"sync {tmp_path.name}",
        f"sync .LATEST.{os.getpid()}.tmp",
        "name LATEST",
        f"sync {tmp_path.name}",
    ]
