"""CPU threads for PyTorch: one thread per core for many small computations, and glibc's malloc thresholds."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Source: mallopt(3), /usr/include/malloc.h."""


def count() -> int:
    """Number of threads (cores) that PyTorch computes with when called from this thread."""
    return torch.get_num_threads()


@cache
def have_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16 (AVX512-BF16 or AMX), not only converts from it."""
    signs = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, sign, bool)() for sign in signs)


@contextmanager
def one_each(workers: int) -> Iterator[Executor]:
    """Thread pool in which each thread runs PyTorch on one core; its thread count is restored afterwards."""
    before = torch.get_num_threads()
    try:
        # The setting holds for the thread that makes it, and as the default of threads that come later.
        with ThreadPoolExecutor(workers, "core", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Context manager that limits PyTorch to one thread, so that sums have the same bits on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def keep_freed_memory() -> None:
    """Let glibc reuse the buffers of activations instead of giving them back to the kernel.

    Each forward pass otherwise maps, zeroes and unmaps some hundred megabytes: measured, 37 against
    81 frames/s at batch 32, 68 against 111 at batch 8; an epoch of training on 466 videos takes 2.1 s and
    1.3 s. One arena for all threads: each would keep its own. Elsewhere than on glibc this does nothing.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
