"""How many of the labels that were flipped on purpose does `label-issues` rank first?

    python -m benchmarks.wrong_labels [--home HOME] [--seeds 3] [--json]

Five per cent of the labels of the shared UCF101 clips are exchanged for another label, at random; the verb
ranks the videos. Exits 1 where fewer than 90 % of the flipped ones are in the first 7 % of the collection.
HOME, which is changed, may have the clips' features already: extraction takes minutes.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true")

import argparse
import csv
import json
import math
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vidpipe.cli.display import TerminalProgress
from vidpipe.ports import Ports
from vidpipe.settings import Settings
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.label_issues import label_issues
from vidpipe.wiring import open_home, open_ports

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "ucf101"
FLIPPED, LOOKED_AT, FOUND = 0.05, 0.07, 0.9


def flipped_manifest(folder: Path, seed: int) -> tuple[Path, set[str]]:
    """A manifest with wrong labels, and the paths that have them."""
    with (SHARED / "splits.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    draw = random.Random(seed)
    labels = sorted({row["label"] for row in rows})
    wrong = draw.sample(rows, round(FLIPPED * len(rows)))
    for row in wrong:
        row["label"] = draw.choice([label for label in labels if label != row["label"]])
    file = folder / f"flipped{seed}.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "label", "group"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return file, {row["path"] for row in wrong}


def measure(ports: Ports, folder: Path, seed: int) -> dict[str, Any]:
    """One draw of wrong labels: how many stand in the first lines of the CSV."""
    manifest, wrong = flipped_manifest(folder, seed)
    collection = f"flipped{seed}"
    ingest(ports, collection, SHARED, manifest=manifest)
    extract(ports, collection)
    started = time.perf_counter()
    report = label_issues(ports, folder / f"issues{seed}.csv", collection=collection, overwrite=True)
    seconds = time.perf_counter() - started
    with Path(report.output).open(encoding="utf-8", newline="") as stream:
        paths = [row["path"] for row in csv.DictReader(stream)]
    first = paths[: math.ceil(LOOKED_AT * report.videos)]
    return {
        "seed": seed, "videos": report.videos, "flipped": len(wrong), "listed": len(paths),
        "looked_at": len(first), "found": len(wrong & set(first)) / len(wrong), "seconds": round(seconds, 1),
    }  # fmt: skip


def main() -> int:
    """0, or 1 where too few are found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder) / "home"
        ports = open_ports(open_home(Settings(home=home, workers=1)), TerminalProgress())
        draws = [measure(ports, Path(folder), seed) for seed in range(given.seeds)]
    for draw in draws:
        sys.stderr.write(
            f"seed {draw['seed']}: {draw['found']:.1%} of {draw['flipped']} flipped labels are among the "
            f"first {draw['looked_at']} of {draw['videos']} videos; {draw['seconds']} s\n"
        )
    if given.json:
        sys.stdout.write(json.dumps(draws) + "\n")
    return int(min(draw["found"] for draw in draws) < FOUND)


if __name__ == "__main__":
    sys.exit(main())
