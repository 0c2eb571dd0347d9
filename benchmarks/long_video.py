"""One long 1080p video on one core and on two, and that its features are the same bits.

    python -m benchmarks.long_video [--minutes 3] [--codec h264|hevc|av1] [--json]

A recording of 6 Mbit/s with B-frames and a key frame every two seconds, made by ffmpeg, goes through the
engine as `vidpipe extract` sends a video that has a shard of its own: decoded, embedded, written. On one
core (`sched_setaffinity`), on two with one decoder thread, and on two with four; in turns, in processes of
their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

CODECS = {
    "h264": ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3"),
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
    "av1": ("-c:v", "libsvtav1", "-preset", "11", "-svtav1-params", "progress=0"),
}
NOISY = "noise=alls=12:allf=t"
"""As a sensor's: without it, drawn pictures cost a decoder next to nothing."""
LAYOUTS = {"one core": (1, 1), "two cores, one decoder thread": (2, 1), "two cores": (2, 4)}
"""Cores, and threads of the decoder."""


def recording(file: Path, minutes: float, codec: str) -> Path:
    """1080p at 30 frames/s; half a minute is drawn, and repeated without encoding it anew."""
    from vidpipe.adapters.media.binaries import find_tools

    run = [find_tools().ffmpeg, "-nostdin", "-loglevel", "error", "-y"]
    part = file.with_name(f"part-{file.name}")
    drawn = f"testsrc2=size=1920x1080:rate=30:duration=30,{NOISY}"
    encoding = (*CODECS[codec], "-b:v", "6M", "-g", "60", "-pix_fmt", "yuv420p")
    subprocess.run([*run, "-f", "lavfi", "-i", drawn, *encoding, str(part)], check=True)
    again = max(0, round(2 * minutes) - 1)
    subprocess.run([*run, "-stream_loop", str(again), "-i", str(part), "-c", "copy", str(file)], check=True)
    return file


def extract_once(file: Path, cores: int, threads: int) -> dict[str, Any]:
    """Seconds, frames and a hash of the features of one video on so many cores; in a process of its own."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from vidpipe.adapters.features.store import FeatureStore
    from vidpipe.adapters.media.binaries import find_tools
    from vidpipe.adapters.media.video_files import VideoFiles
    from vidpipe.records.videos import PendingVideo
    from vidpipe.vision.backbones import load_backbone
    from vidpipe.vision.extraction import extract
    from vidpipe.vision.feature_specs import default_spec

    spec, videos = default_spec(4.0), VideoFiles(find_tools())
    backbone = load_backbone(spec)
    with tempfile.TemporaryDirectory() as folder, FeatureStore(Path(folder)).new_part(spec, "b") as part:
        started = time.perf_counter()
        (outcome,) = extract(
            [PendingVideo("0" * 64, file, None, None)], embed=backbone, sink=part, workers=cores,
            decode=lambda v: videos.decode(
                file, 4.0, [spec.view], 60.0, spec.flow, threads=threads, pixels=1920 * 1080
            ),
        )  # fmt: skip
        name = str(part.commit())
        seconds = time.perf_counter() - started
        assert outcome.stored
        stored = outcome.stored.__class__(outcome.video_id, name, 0, outcome.stored.n_frames)
        (features,) = FeatureStore(Path(folder)).read(spec.feature_set_id, [stored])
        bits = hashlib.sha256(features.values.tobytes() + features.times_s.tobytes()).hexdigest()
        return {"seconds": seconds, "frames": len(features.values), "bits": bits}


def measured(file: Path, rounds: int) -> dict[str, Any]:
    """Medians over the rounds, the layouts in turns, and the ratios to one core."""
    command = [sys.executable, "-m", "benchmarks.long_video", "--work", str(file)]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in LAYOUTS}
    for _ in range(rounds):
        for name, layout in LAYOUTS.items():
            ended = subprocess.run([*command, *map(str, layout)], check=True, stdout=subprocess.PIPE)
            runs[name].append(json.loads(ended.stdout))
    seconds = {name: median(run["seconds"] for run in some) for name, some in runs.items()}
    every = [run for some in runs.values() for run in some]
    return {
        "frames": every[0]["frames"],
        "same_bits": len({run["bits"] for run in every}) == 1,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "of one core": {name: round(value / seconds["one core"], 3) for name, value in seconds.items()},
    }


def main() -> int:
    """Print the figures; exit 1 if the bits differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--codec", choices=CODECS, default="h264")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", nargs=3, metavar=("FILE", "CORES", "THREADS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        print(json.dumps(extract_once(Path(asked.work[0]), int(asked.work[1]), int(asked.work[2]))))
        return 0
    with tempfile.TemporaryDirectory(prefix="vidpipe-long-") as folder:
        found = measured(recording(Path(folder) / "long.mp4", asked.minutes, asked.codec), asked.rounds)
    if asked.json:
        print(json.dumps(found))
    else:
        for name, value in found["seconds"].items():
            print(f"{name:32} {value:8.2f} s  {found['of one core'][name]:.3f}")
        print(f"{found['frames']} frames sampled; the same bits: {found['same_bits']}")
    return 0 if found["same_bits"] else 1


if __name__ == "__main__":
    sys.exit(main())
