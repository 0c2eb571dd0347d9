"""Many small computations side by side, one core each, instead of all cores on one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch


def count() -> int:
    """Cores that PyTorch would use in this thread."""
    return torch.get_num_threads()


@cache
def have_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16 (AVX512-BF16 or AMX), not only converts from it."""
    signs = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, sign, bool)() for sign in signs)


@contextmanager
def one_each(workers: int) -> Iterator[Executor]:
    """Threads of which each keeps to one core; PyTorch's setting is as before afterwards."""
    before = torch.get_num_threads()
    try:
        # The setting holds for the thread that makes it, and as the default of threads that come later.
        with ThreadPoolExecutor(workers, "core", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)
