"""Many small computations side by side, one core each, instead of all cores on one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import torch


def count() -> int:
    """Cores that PyTorch would use in this thread."""
    return torch.get_num_threads()


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
