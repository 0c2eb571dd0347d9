"""Shot boundaries that the benchmark made itself: how many are found, and how many that are found are there?

    python -m benchmarks.shots [--videos 12] [--pieces 12] [--seed 0] [--json]

Pieces of one to two seconds of the shared UCF101 clips, each of another recording, are joined by hard cuts
and encoded. The detector of `ingest --windows shots` stands beside PySceneDetect's content and adaptive ones,
as they come. A border is found where one is detected within two frames; a cut that a clip itself has counts
against all alike. Exits 1 where F1 is below 0.95, or below PySceneDetect's.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1")

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vidpipe.settings import Settings
from vidpipe.vision.shots import HEIGHT_PX, WIDTH_PX, shot_starts
from vidpipe.wiring import open_videos

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "ucf101"
FPS, NEAR_S = 25, 2.5 / 25
"""Two frames, and half of one for rounding."""
WANTED_F1 = 0.95

Detector = Callable[[Path], list[float]]


def recordings() -> dict[str, list[Path]]:
    """Clips by the recording that they are cut from: v_LABEL_gNN_cNN.avi."""
    found: dict[str, list[Path]] = {}
    for file in sorted(SHARED.rglob("v_*")):
        found.setdefault(file.stem.rsplit("_", 1)[0], []).append(file)
    return found


def joined(ffmpeg: str, file: Path, pieces: Sequence[tuple[Path, int]]) -> list[float]:
    """Join pieces of so many frames into a video; returns the times of the cuts in seconds."""
    inputs = [part for clip, _ in pieces for part in ("-i", str(clip))]
    trimmed = ";".join(
        f"[{n}:v]fps={FPS},scale=320:240,setsar=1,trim=end_frame={frames},setpts=PTS-STARTPTS[p{n}]"
        for n, (_, frames) in enumerate(pieces)
    )
    names = "".join(f"[p{n}]" for n in range(len(pieces)))
    graph = f"{trimmed};{names}concat=n={len(pieces)}:v=1:a=0"
    encoded = ["-c:v", "mpeg4", "-q:v", "4", "-r", str(FPS), str(file)]
    command = [ffmpeg, "-v", "error", "-y", *inputs, "-filter_complex", graph, *encoded]
    subprocess.run(command, check=True)
    return [sum(frames for _, frames in pieces[: n + 1]) / FPS for n in range(len(pieces) - 1)]


def matched(truth: Sequence[float], found: Sequence[float]) -> int:
    """How many borders were found: each detected one stands for one of the truth."""
    left, hits = list(found), 0
    for border in truth:
        near = [f for f in left if abs(f - border) <= NEAR_S]
        if near:
            left.remove(min(near, key=lambda f: abs(f - border)))
            hits += 1
    return hits


def pyscenedetect(name: str) -> Detector:
    """Detector of PySceneDetect, with its own defaults."""
    import scenedetect

    def detect(file: Path) -> list[float]:
        scenes = scenedetect.detect(str(file), getattr(scenedetect, name)())
        return [start.seconds for start, _ in scenes[1:]]

    return detect


def transnet() -> Detector:
    """The detector that is used for windows."""
    videos = open_videos(Settings())

    def detect(file: Path) -> list[float]:
        return shot_starts(videos.every_frame(file, (WIDTH_PX, HEIGHT_PX), None))[1:]

    return detect


def measure(detect: Detector, cases: Sequence[tuple[Path, list[float]]]) -> dict[str, float]:
    """Precision, recall and F1 over all videos."""
    started = time.process_time()
    found = [(truth, detect(file)) for file, truth in cases]
    seconds = time.process_time() - started
    hits = sum(matched(truth, borders) for truth, borders in found)
    said, there = sum(len(borders) for _, borders in found), sum(len(truth) for truth, _ in found)
    precision, recall = hits / max(said, 1), hits / there
    f1 = 2 * hits / max(said + there, 1)
    scores = {"precision": precision, "recall": recall, "f1": f1}
    return {**{name: round(value, 4) for name, value in scores.items()}, "cpu_seconds": round(seconds, 1)}


def main() -> int:
    """0, or 1 where too few are found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--pieces", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    draw, clips = random.Random(given.seed), recordings()
    ffmpeg = open_videos(Settings()).tools.ffmpeg
    with tempfile.TemporaryDirectory() as folder:
        cases = []
        for number in range(given.videos):
            names = draw.sample(sorted(clips), given.pieces)
            pieces = [(draw.choice(clips[name]), draw.randint(FPS, 2 * FPS)) for name in names]
            file = Path(folder) / f"{number}.avi"
            cases.append((file, joined(ffmpeg, file, pieces)))
        found = {"transnetv2": measure(transnet(), cases)}
        for name in ("ContentDetector", "AdaptiveDetector"):
            found[name] = measure(pyscenedetect(name), cases)
    cuts = sum(len(truth) for _, truth in cases)
    if given.json:
        print(json.dumps({"cuts": cuts, **found}))
    else:
        print(f"{cuts} cuts in {given.videos} videos")
        for name, scores in found.items():
            print(f"{name:17} " + "  ".join(f"{key} {value}" for key, value in scores.items()))
    ours = found["transnetv2"]["f1"]
    best = max(scores["f1"] for scores in found.values())
    return 0 if ours >= WANTED_F1 and ours == best else 1


if __name__ == "__main__":
    sys.exit(main())
