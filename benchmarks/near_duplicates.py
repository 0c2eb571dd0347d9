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
list, are left out of both. Standard errors are over groups of clips. Weights and threshold are of
other clips (`benchmarks.near_duplicate_weights`); that 128 neighbours are aligned, not 64, was chosen here.
HOME may have been used before.
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
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from vidpipe.adapters.media.binaries import find_tools
from vidpipe.cli.display import TerminalProgress
from vidpipe.learning.near_duplicates import LISTED, SURE
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
    ("HorseRace_g11", "HorseRace_g18"),
    ("PlayingViolin_g02", "PlayingViolin_g02"), ("Surfing_g16", "Surfing_g16"),
    ("Archery_g19", "Archery_g19"),
)  # fmt: skip
"""Groups of UCF101 that show the same seconds of film, by eye."""
RECALL, PRECISION = 0.985, 0.985
"""What was measured, less a little."""


def make_copies(folder: Path, clips: Sequence[Path]) -> None:
    """Write all kinds of copies of some clips, each kind in a folder of its own."""
    tools = find_tools()
    for clip in clips:
        length = _seconds(tools.ffprobe, clip)
        outputs: list[str] = []
        for kind, (suffix, arguments) in KINDS.items():
            output = (folder / kind / clip.name).with_suffix(suffix)
            output.parent.mkdir(parents=True, exist_ok=True)
            outputs += [a.format(start=0.2 * length, length=0.6 * length) for a in arguments]
            outputs += ["-threads", "1", str(output)]
        opened = ("-fflags", "+genpts", "-i", str(clip))  # AVI has no times, and Matroska wants some
        subprocess.run([tools.ffmpeg, "-v", "error", "-y", *opened, *outputs], check=True)


def _seconds(ffprobe: str, file: Path) -> float:
    asked = [ffprobe, "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(file)]
    return float(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def drawn(clips: int) -> list[str]:
    """Paths of the clips that are measured on."""
    with (SHARED / "splits.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    random.Random(0).shuffle(rows)
    return [row["path"] for row in rows[:clips]]


def fill(ports: Ports, folder: Path, clips: Sequence[Path], copied: Sequence[Path]) -> None:
    """Take clips, and all kinds of copies of some, into a home: collections `originals` and `copies`."""
    originals, copies = folder / "originals", folder / "copies"
    originals.mkdir()
    for clip in clips:
        (originals / clip.name).symlink_to(clip)
    make_copies(copies, copied)
    for name, source in (("originals", originals), ("copies", copies)):
        ingest(ports, name, source, replace_source=True)
    extract(ports)


def measure(ports: Ports, home: Path, folder: Path, clips: int) -> dict[str, Any]:
    """Recall by kind of copy, and precision."""
    paths = [SHARED / path for path in drawn(clips)]
    fill(ports, folder, paths, paths)
    asked = "select path, other_path from near_duplicates where similarity >= ?"
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
        listed, sure = (con.execute(asked, [least]).fetchall() for least in (LISTED, SURE))
    stems = [path.stem for path in paths]
    return judged(listed, stems) | {"sure": judged(sure, stems)}


def judged(pairs: Sequence[tuple[str, str]], stems: Sequence[str]) -> dict[str, Any]:
    """Figures of pairs of paths: KIND/CLIP.SUFFIX for a copy, CLIP.SUFFIX for an original."""
    found, right, wrong = set[tuple[str, str]](), Counter[str](), Counter[tuple[str, ...]]()
    for pair in pairs:
        kinds = [Path(p).parent.name for p in pair]
        clips = sorted(Path(p).stem for p in pair)
        if clips[0] == clips[1]:
            right[clips[0]] += 1
            found |= {(kind, clips[0]) for kind in kinds if kind and "" in kinds}
        elif not is_same_footage(*clips):
            wrong[tuple(clips)] += 1
    of_clip = Counter(stem for _, stem in found)
    of_kind = {kind: sum((kind, stem) in found for stem in stems) / len(stems) for kind in KINDS}
    recall, recall_se = _share({s: of_clip[s] for s in stems}, dict.fromkeys(stems, len(KINDS)))
    listed = Counter(right)
    for both, n in wrong.items():
        listed[both[0]] += n
    precision, precision_se = _share(right, listed)
    return {
        "clips": len(stems), "recall": recall, "recall_se": recall_se, "recall_by_kind": of_kind,
        "precision": precision, "precision_se": precision_se, "pairs": len(pairs),
        "wrong": {" and ".join(clips): n for clips, n in wrong.most_common(10)},
    }  # fmt: skip


def _share(good: Mapping[str, int], of: Mapping[str, int]) -> tuple[float, float]:
    """A share of counts by clip, and its standard error by a jackknife over groups, each of one film."""
    groups = defaultdict[str, list[str]](list)
    for stem in of:
        groups[stem.rsplit("_", 1)[0]].append(stem)
    top, below = sum(good.get(s, 0) for s in of), sum(of.values())
    without = [
        (top - sum(good.get(s, 0) for s in some)) / max(1, below - sum(of[s] for s in some))
        for some in groups.values()
    ]
    centre, n = sum(without) / max(1, len(without)), len(without)
    variance = (n - 1) / max(1, n) * sum((share - centre) ** 2 for share in without)
    return top / max(1, below), variance**0.5


def is_same_footage(one: str, other: str) -> bool:
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
