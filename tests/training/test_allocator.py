"""Freed memory comes back to the next step without fresh pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS_OF_FIVE_STEPS = """
import resource
import sys
import torch
from lookalike.training.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def step():
    torch.ones(16 * 2**20).add(1)  # two blocks of 64 MB

for _ in range(10):  # the heap grows to what a step needs
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    command = [sys.executable, "-c", FAULTS_OF_FIVE_STEPS, how]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_kept_memory_needs_no_fresh_pages():
    pages = 5 * 2 * 64 * 2**20 // 4096
    assert page_faults("return") > pages // 2
    assert page_faults("keep") < pages // 100
