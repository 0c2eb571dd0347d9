"""Are copies of videos found, and nothing else? Six kinds of copies of 200 clips, made here by ffmpeg.

    python -m benchmarks.near_duplicates [--home HOME] [--clips 200] [--json]

bitrate    encoded again at 60 kbit/s, half or less of the clips' own
resize     176 x 144 instead of 320 x 240
crop       the middle 90 % each way
trim       the middle 60 % of its time
container  Matroska, nothing encoded again
rate       15 frames/s instead of 25 or 30, and brighter

Recall: of the copies, how many stand in `near_duplicates` with their original. Precision: of the pairs there,
how many are of one clip. Pairs of clips that are copies of one another within UCF101, found by eye in this
list, are left out of both. The detector's weights were fitted on copies of 40 other clips of UCF101, on the
clips that are not drawn here and on the other shared sets; not on these 200. HOME may have been used before.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true")

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from vidpipe.adapters.media.binaries import find_tools
from vidpipe.cli.display import TerminalProgress
from vidpipe.ports import Ports
from vidpipe.settings import Settings
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.wiring import open_home, open_ports

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "ucf101"
ENCODED = ("-an", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
KINDS = {
    "bitrate": (".mp4", (*ENCODED, "-b:v", "60k")),
    "resize": (".mp4", ("-vf", "scale=176:144", *ENCODED, "-crf", "23")),
    "crop": (".mp4", ("-vf", "crop=iw*0.9:ih*0.9", *ENCODED, "-crf", "23")),
    "trim": (".mp4", ("-ss", "{start:.3f}", "-t", "{length:.3f}", *ENCODED, "-crf", "23")),
    "container": (".mkv", ("-an", "-c", "copy")),
    "rate": (".mp4", ("-vf", "fps=15,lutyuv=y=val*1.1+8", *ENCODED, "-crf", "23")),
}
"""Kind of copy: suffix, and ffmpeg's arguments."""
SAME_FOOTAGE = (
    ("BasketballDunk_g01", "BasketballDunk_g10"), ("BasketballDunk_g01", "BasketballDunk_g11"),
    ("BasketballDunk_g25", "BasketballDunk_g25"), ("HorseRace_g04", "HorseRace_g23"),
    ("PlayingViolin_g02", "PlayingViolin_g02"), ("Surfing_g16", "Surfing_g16"),
    ("Archery_g19", "Archery_g19"),
)  # fmt: skip
"""Groups of UCF101 that show the same seconds of film, by eye."""
RECALL, PRECISION = 0.97, 0.97
"""What was measured, less a little."""


def make_copies(folder: Path, paths: Sequence[str]) -> None:
    """Write all kinds of copies of some clips, each kind in a folder of its own."""
    tools = find_tools()
    for path in paths:
        length = _seconds(tools.ffprobe, SHARED / path)
        outputs: list[str] = []
        for kind, (suffix, arguments) in KINDS.items():
            output = (folder / kind / Path(path).name).with_suffix(suffix)
            output.parent.mkdir(parents=True, exist_ok=True)
            outputs += [a.format(start=0.2 * length, length=0.6 * length) for a in arguments]
            outputs += ["-threads", "1", str(output)]
        subprocess.run([tools.ffmpeg, "-v", "error", "-y", "-i", str(SHARED / path), *outputs], check=True)


def _seconds(ffprobe: str, file: Path) -> float:
    asked = [ffprobe, "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(file)]
    return float(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def drawn(clips: int) -> list[str]:
    """Paths of the clips that are measured on."""
    with (SHARED / "splits.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    random.Random(0).shuffle(rows)
    return [row["path"] for row in rows[:clips]]


def measure(ports: Ports, home: Path, folder: Path, clips: int) -> dict[str, Any]:
    """Recall by kind of copy, and precision."""
    paths = drawn(clips)
    originals, copies = folder / "originals", folder / "copies"
    originals.mkdir()
    for path in paths:
        (originals / Path(path).name).symlink_to(SHARED / path)
    make_copies(copies, paths)
    for name, source in (("originals", originals), ("copies", copies)):
        ingest(ports, name, source, replace_source=True)
    extract(ports)
    asked = "select path, other_path from near_duplicates"
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
        shown = con.execute(asked).fetchall()
    return judged(shown, [Path(p).stem for p in paths])


def judged(pairs: Sequence[tuple[str, str]], stems: Sequence[str]) -> dict[str, Any]:
    """Figures of pairs of paths: KIND/CLIP.SUFFIX for a copy, CLIP.SUFFIX for an original."""
    found, right, wrong = set[tuple[str, str]](), 0, Counter[tuple[str, ...]]()
    for pair in pairs:
        kinds = [Path(p).parent.name for p in pair]
        clips = sorted(Path(p).stem for p in pair)
        if clips[0] == clips[1]:
            right += 1
            found |= {(kind, clips[0]) for kind in kinds if kind and "" in kinds}
        elif not _is_same_footage(*clips):
            wrong[tuple(clips)] += 1
    of_kind = {kind: sum((kind, stem) in found for stem in stems) / len(stems) for kind in KINDS}
    return {
        "clips": len(stems), "recall": len(found) / (len(stems) * len(KINDS)), "recall_by_kind": of_kind,
        "precision": right / max(1, right + sum(wrong.values())), "pairs": len(pairs),
        "wrong": {" and ".join(clips): n for clips, n in wrong.most_common(10)},
    }  # fmt: skip


def _is_same_footage(one: str, other: str) -> bool:
    return any((a in one and b in other) or (b in one and a in other) for a, b in SAME_FOOTAGE)


def main() -> int:
    """0, or 1 where a figure is worse than it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder) / "home"
        ports = open_ports(open_home(Settings(home=home, workers=1)), TerminalProgress())
        found = measure(ports, home, Path(folder), given.clips)
    sys.stderr.write("\n".join(f"{name:<14} {figure}" for name, figure in found.items()) + "\n")
    if given.json:
        sys.stdout.write(json.dumps(found) + "\n")
    return int(found["recall"] < RECALL or found["precision"] < PRECISION)


if __name__ == "__main__":
    sys.exit(main())
