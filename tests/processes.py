"""Runs `on_each_process` of the tests of a folder in worlds of 2 and 3: processes.py TESTS OUT.

What it returns is saved as OUT/WORLD-RANK.pt, by the name of the test file.
"""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

WORLDS = (2, 3)


def run(rank: int, world: int, functions: dict[str, Callable[[], Any]], folder: Path) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder / f'meeting-{world}'}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    results = {name: function() for name, function in functions.items()}
    torch.save(results, folder / f"{world}-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    functions = {}
    for file in sorted(Path(sys.argv[1]).glob("test_*.py")):
        if "def on_each_process(" in file.read_text():
            functions[file.stem] = runpy.run_path(str(file))["on_each_process"]
    for world in WORLDS:  # forked, so that all is imported once
        arguments = (world, functions, Path(sys.argv[2]))
        start_processes(run, arguments, nprocs=world, start_method="fork")
