"""Memory that stays with the process from one step to the next."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt(3)


def keep_freed_memory() -> None:
    """Let this process keep the memory that tensors free, for the tensors of the next step.

    As it comes, glibc returns every block above 32 MB to the system, and touching fresh pages
    costs a step on a CPU as much as its arithmetic does. Nothing happens where malloc is not
    glibc's. The process holds its peak of memory until it ends, which it needs in every step.
    """
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_MAX, 0)  # blocks of every size come from the heap
        set_option(_TRIM_THRESHOLD, 2**31 - 1)  # whose top stays
        set_option(_TOP_PAD, 64 * 2**20)  # and grows by so many bytes at a time
