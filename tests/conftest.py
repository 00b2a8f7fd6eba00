"""What holds for every test, and several processes on one machine for those that ask for them."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

settings.register_profile("lookalike", deadline=None)  # a busy machine is no failure
settings.load_profile("lookalike")

Results = dict[int, list[dict[str, Any]]]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what commands cache out of the home of whoever runs the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Results]:
    """Return what `on_each_process` of each test in a folder gave, by processes and by rank."""

    @functools.cache
    def of(tests: Path) -> Results:
        out = tmp_path_factory.mktemp("processes")
        command = [sys.executable, str(Path(__file__).with_name("processes.py")), tests, out]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        return {
            world: [torch.load(out / f"{world}-{rank}.pt") for rank in range(world)]
            for world in (2, 3)
        }

    return of


@pytest.fixture(params=[2, 3], ids=["2 processes", "3 processes"])
def ranks(request: pytest.FixtureRequest, results: Callable[[Path], Results]) -> list[Any]:
    """Return what `on_each_process` of the test's own file gave, by rank."""
    return [rank[request.path.stem] for rank in results(request.path.parent)[request.param]]
