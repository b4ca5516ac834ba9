"""Memory: how much the machine has, and keeping glibc from handing every activation buffer back to the kernel."""

import ctypes
import os
import platform
import sys
from functools import cache
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h


@cache
def keep_buffers() -> bool:
    """Tune this process's allocator for networks on a CPU, once. Commands and their workers do that, the library never.

    By default glibc unmaps large blocks when they are freed, so each layer of a network page-faults its output anew.
    With raised thresholds the blocks are used again: the same numbers, up to twice as fast. One arena, because blocks
    freed into another thread's arena would not be found again.

    Returns:
        Whether it took effect (Linux with glibc only).
    """
    if (glibc := _glibc()) is None:
        return False
    mallopt = glibc.mallopt
    settings = ((M_MMAP_THRESHOLD, 1 << 30), (M_TRIM_THRESHOLD, (1 << 31) - 1), (M_ARENA_MAX, 1))
    results = [mallopt(name, value) for name, value in settings]
    return all(result == 1 for result in results)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library where it is glibc."""
    return ctypes.CDLL(None) if sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc" else None


def give_back_freed() -> None:
    """Give the system back what was freed, also between blocks that are in use. It sets nothing; glibc only."""
    if (glibc := _glibc()) is not None:
        glibc.malloc_trim(0)


@cache
def total_memory() -> int:
    """Bytes of main memory that this process may have: the machine's, or its container's limit; 4 GiB where nobody tells.

    Not what happens to be free: results would depend on it.
    """
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        machine = _windows_memory() or 4 << 30
    return min([machine, *_container_limits()])


def free_memory() -> int | None:
    """Bytes that programs may still take, as Linux tells; None where nobody does. For people: nothing may depend on it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _container_limits() -> list[int]:
    """Limits of the control group, of either version, where there are any."""
    limits = []
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii")))
        except (OSError, ValueError):  # absent, or "max"
            continue
    return limits


def _windows_memory() -> int:
    windll = getattr(ctypes, "windll", None)
    kilobytes = ctypes.c_ulonglong(0)
    if windll is None or not windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return 0
    return kilobytes.value << 10
