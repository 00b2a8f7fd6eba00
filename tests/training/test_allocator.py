"""Freed memory comes back to the next step without fresh pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

FEWEST_FAULTS_OF_A_STEP = """
import resource
import sys
import torch
from lookalike.training.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 * 2**20).add(1)  # two blocks of 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(min(faults() for _ in range(20)))
"""


def fewest_page_faults(how: str) -> int:
    command = [sys.executable, "-c", FEWEST_FAULTS_OF_A_STEP, how]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_kept_memory_needs_no_fresh_pages():
    returned, kept = fewest_page_faults("return"), fewest_page_faults("keep")
    assert returned > 0
    assert kept < returned / 10
