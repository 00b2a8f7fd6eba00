"""Several processes on one machine."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """Return what `on_each_process` of each test file gave, by number of processes and by rank."""
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, str(HERE / "processes.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return {
        world: [torch.load(folder / f"{world}-{rank}.pt") for rank in range(world)]
        for world in (2, 3)
    }


@pytest.fixture(params=[2, 3], ids=["2 processes", "3 processes"])
def ranks(request: pytest.FixtureRequest, results: dict[int, list[dict[str, Any]]]) -> list[Any]:
    """Return what `on_each_process` of the test's own file gave, by rank."""
    return [rank[request.path.stem] for rank in results[request.param]]
