"""What proved identity costs: comparing a file's stamps around every read, against extracting the video.

    python -m benchmarks.identity [--json]

A video's way from listing to rows has three such blocks: around hash, probe and decode. Their seconds are
those of calls on real files, the extraction's those of the demo's clips, one worker, one thread.
Exits 1 above 1 %.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true")

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from vidpipe.adapters.media.binaries import find_tools
from vidpipe.adapters.sources.identity import sha256_of, unchanged
from vidpipe.cli.display import TerminalProgress
from vidpipe.demo.clips import make_collection
from vidpipe.records.videos import LocalFile
from vidpipe.settings import Settings
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.wiring import open_home, open_ports

BLOCKS = 3
"""Around hash, probe and decode."""
CALLS = 2000
MOST = 0.01


def check_s(file: Path) -> float:
    """Seconds of one block around a read of a file that stayed as it was: the median of five rounds."""
    found = file.stat()
    stamp = LocalFile(
        file, found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns, sha256_of(file)
    )
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(CALLS // 5):
            with unchanged(stamp):
                pass
        rounds.append((time.perf_counter() - started) / (CALLS // 5))
    return median(rounds)


def extraction_s(root: Path) -> tuple[float, int, Path]:
    """Seconds of ingest and extraction of the demo's clips, how many they are, and one of them."""
    clips = make_collection(root / "clips", find_tools().ffmpeg, takes=3)
    ports = open_ports(open_home(Settings(home=root / "home", workers=1)), TerminalProgress())
    started = time.perf_counter()
    ingest(ports, "clips", clips.labelled)
    report = extract(ports)
    return time.perf_counter() - started, report.videos, min(clips.labelled.rglob("*.mp4"))


def measure() -> dict[str, Any]:
    """Both, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        seconds, videos, clip = extraction_s(Path(name))
        once_s = check_s(clip)
    share = BLOCKS * once_s / (seconds / videos)
    return {
        "microseconds a check": round(once_s * 1e6, 1),
        "milliseconds a video, ingested and extracted": round(seconds / videos * 1e3, 1),
        "share of checks": round(share, 5),
    }


def main() -> int:
    """Measure, print; 1 when checks cost more than 1 % of extraction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    found = measure()
    print(
        json.dumps(found)
        if parser.parse_args().json
        else "\n".join(f"{v:>10}  {n}" for n, v in found.items())
    )
    return int(found["share of checks"] > MOST)


if __name__ == "__main__":
    sys.exit(main())
