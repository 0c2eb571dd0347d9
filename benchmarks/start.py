"""What one waits for before anything happens: a verb's start, and a video's probe.

    python -m benchmarks.start [--source DIR] [--videos 250] [--times 9] [--json]

`vidpipe --help`, and `vidpipe status` on a home that knows the videos and has a model: seconds of a whole
process. The probe as `ingest` calls it, beside bare ffprobe with the same options on the same files, as
many at once: milliseconds a video. Of each the best and the median, of times that take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.extraction import _default_videos
from benchmarks.rescoring import register
from vidpipe.adapters.media.binaries import find_tools
from vidpipe.adapters.media.commands import probe_command
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.cli.display import TerminalProgress
from vidpipe.settings import load_settings
from vidpipe.steps.ingest import ingest
from vidpipe.wiring import open_home, open_ports

ROOT = Path(__file__).resolve().parent.parent
TOOLS = find_tools()
Figures = dict[str, dict[str, float]]


def in_turns(works: Mapping[str, Callable[[], object]], times: int, scale: float) -> Figures:
    """The best and the median of each work's times, each once before for the caches."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(times + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if turn:
                took[name].append(scale * (time.perf_counter() - started))
    return {
        name: {"best": round(min(one), 3), "median": round(statistics.median(one), 3)}
        for name, one in took.items()
    }


def make_home(home: Path, source: Path) -> None:
    """A home as it is after a first ingest, with a model."""
    ports = open_ports(open_home(load_settings(home)), TerminalProgress())
    ingest(ports, "clips", source)
    register(ports)


def vidpipe(*arguments: str) -> None:
    command = [sys.executable, "-m", "vidpipe", *arguments]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def bare(file: Path) -> None:
    """ffprobe alone: its start, and its reading."""
    command = probe_command(TOOLS.ffprobe, file)
    subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)


def all_of(files: Sequence[Path], probe: Callable[[Path], object], max_workers: int) -> None:
    with ThreadPoolExecutor(max_workers) as pool:
        list(pool.map(probe, files))


def measure(files: Sequence[Path], source: Path, folder: Path, times: int) -> dict[str, Figures]:
    home = folder / "home"
    make_home(home, source)
    starts: dict[str, Callable[[], object]] = {
        "python": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "vidpipe --help": partial(vidpipe, "--help"),
        "vidpipe status": partial(vidpipe, "status", "--home", str(home)),
    }
    probe, max_workers = VideoFiles(TOOLS).probe, max(2, os.cpu_count() or 2)
    probes = {
        "bare ffprobe, one after the other": partial(all_of, files, bare, 1),
        "probe, one after the other": partial(all_of, files, probe, 1),
        f"bare ffprobe, {max_workers} at once": partial(all_of, files, bare, max_workers),
        f"probe, {max_workers} at once": partial(all_of, files, probe, max_workers),
    }
    return {
        "seconds": in_turns(starts, times, 1),
        "ms a video": in_turns(probes, max(3, times // 3), 1000 / len(files)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", type=Path, help="a folder of videos")
    parser.add_argument("--videos", type=int, default=250)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vidpipe-start-") as name:
        source = given.source or _default_videos(Path(name))
        files = sorted(f for f in source.rglob("*") if f.suffix in (".mp4", ".avi", ".mkv", ".mov"))
        files = files[:: max(1, len(files) // given.videos)][: given.videos]
        found = measure(files, source, Path(name), given.times)
    if given.json:
        print(json.dumps({"videos": len(files), **found}))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, {len(files)} videos")
    for unit, figures in found.items():
        print(f"\n    best  median  {unit}")
        print("\n".join(f"{f['best']:>8.2f}{f['median']:>8.2f}  {what}" for what, f in figures.items()))


if __name__ == "__main__":
    main()
