"""How fast the CNN runs here: frames a second by batch size, with freed memory kept and given back.

    python -m benchmarks.cnn [--json]

The two allocator settings run in processes of their own, one after the other; compare their ratio, not the
figures of two machines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from typing import Any

BATCHES = (1, 4, 8, 16, 32)
SECONDS = 3.0


def frames_per_second(batch: int, *, keep: bool) -> float:
    """Speed of the eager float32 backbone on random frames."""
    import numpy as np

    from vidpipe import backbones

    if not keep:
        backbones._keep_freed_memory = lambda: None
    backbone = backbones.load_backbone(backbones.default_spec(4.0))
    frames = np.random.default_rng(0).integers(0, 255, (batch, 224, 224, 3), np.uint8)
    for _ in range(3):
        backbone(frames)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        backbone(frames)
        count += batch
    return count / (time.perf_counter() - started)


def measure(*, keep: bool) -> dict[int, float]:
    """All batch sizes in a fresh process: the allocator's setting cannot be taken back."""
    command = [sys.executable, "-m", "benchmarks.cnn", "--child", "keep" if keep else "give back"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return {int(k): v for k, v in json.loads(ended.stdout).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        keep = arguments.child == "keep"
        print(json.dumps({batch: frames_per_second(batch, keep=keep) for batch in BATCHES}))
        return
    kept, given_back = measure(keep=True), measure(keep=False)
    found: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    found["frames_per_second"] = {b: {"kept": kept[b], "given back": given_back[b]} for b in BATCHES}
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"EfficientNet-Lite0, eager float32, {found['machine']}")
    print(f"{'batch':>6} {'kept':>8} {'given back':>11} {'ratio':>6}")
    for batch in BATCHES:
        ratio = kept[batch] / given_back[batch]
        print(f"{batch:>6} {kept[batch]:>8.1f} {given_back[batch]:>11.1f} {ratio:>6.2f}")


if __name__ == "__main__":
    main()
