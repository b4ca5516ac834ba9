"""Memory: how much is free, and keeping glibc from handing every activation buffer back to the kernel.

By default glibc unmaps large blocks when they are freed, so each layer of a network page-faults its output anew. With
raised thresholds the blocks are used again: the same numbers, up to twice as fast on CPUs. One arena, because blocks
freed into another thread's arena would not be found again.
"""

import ctypes
import os
import platform
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h


@cache
def keep_buffers() -> bool:
    """Set the thresholds of this process, once. Returns whether it took effect (Linux with glibc only)."""
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((M_MMAP_THRESHOLD, 1 << 30), (M_TRIM_THRESHOLD, (1 << 31) - 1), (M_ARENA_MAX, 1))
    results = [mallopt(name, value) for name, value in settings]
    return all(result == 1 for result in results)


def free_memory() -> int:
    """Bytes of main memory that programs can still have; a guess of 2 GiB where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2 << 30
