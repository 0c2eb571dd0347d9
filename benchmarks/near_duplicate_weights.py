"""Weights of the regression that tells near-duplicates, fitted on copies of clips that are not measured on.

    python -m benchmarks.near_duplicate_weights [--home HOME] [--json]

The six kinds of copies of `benchmarks.near_duplicates`, of 150 clips of UCF101 that are not drawn there and
of 32 each of ut_interaction, drone_ir and car_crash, beside all other clips of the four: every pair that an
extraction aligns, but for pairs of the same footage, is one of copies or not. L2 penalty of 1, terms scaled.
The intercept makes a similarity of 0.5 the threshold at which 99 of 100 pairs are right among clips of UCF101
that are copied, with scores out of fold: each of the six labels and three sets is scored by a fit on the
other eight. HOME may have been used before.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true")

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from benchmarks.near_duplicates import SHARED, drawn, fill, is_same_footage
from vidpipe.cli.display import TerminalProgress
from vidpipe.learning.near_duplicates import Frames, align
from vidpipe.ports import Ports
from vidpipe.settings import Settings
from vidpipe.steps.near_duplicates import Vectors
from vidpipe.vision.feature_specs import block_sizes
from vidpipe.wiring import open_home, open_ports

SETS = ("ut_interaction", "drone_ir", "car_crash")
COPIED, COPIED_OF_SET = 150, 32
MEASURED, ALL = 200, 731
"""Clips that are drawn by `benchmarks.near_duplicates`, and all of UCF101."""
BLOCK = 512
GOAL = 0.99


@dataclass(frozen=True, slots=True)
class Pair:
    """Terms of a pair of videos, whether it is one of copies, and what it is of."""

    terms: tuple[float, ...]
    is_copy: bool
    part: str
    """A label of UCF101, or another set."""
    clips: tuple[str, str]


def clips() -> tuple[list[Path], list[Path]]:
    """Clips to fit on, none of which `benchmarks.near_duplicates` measures, and those of them to copy."""
    others = [SHARED / path for path in drawn(ALL)[MEASURED:]]
    chosen = others[:COPIED]
    draw = random.Random(1)
    for name in SETS:
        files = sorted((SHARED.parent / "sets" / name).glob("*/*.*"))
        draw.shuffle(files)
        others += files
        chosen += files[:COPIED_OF_SET]
    return others, chosen


def pairs_of(ports: Ports, home: Path) -> list[Pair]:
    """All pairs that an extraction would align, with what is known of them."""
    spec, blocks = ports.limits.spec, block_sizes(ports.limits.spec)
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
        asked = "select video_id, min(path) from collection_videos group by video_id"
        clip_of = {video_id: Path(path).stem for video_id, path in con.execute(asked).fetchall()}
    ids, vectors, _ = ports.ledger.near_duplicates.vectors(spec.feature_set_id)
    stored = ports.ledger.features.stored_features(spec.feature_set_id, ids)
    frames = {v.video_id: Frames.of(v.values, blocks) for v in ports.store.read(spec.feature_set_id, stored)}
    known, found = Vectors(ids, vectors, [False] * len(ids)), list[Pair]()
    parts = {file.stem: _part(file) for file in clips()[0]}
    for start in range(0, len(ids), BLOCK):
        for other, mine in known.candidates(ids[start : start + BLOCK]).items():
            for video_id in mine:
                one, two = clip_of[other], clip_of[video_id]
                is_judged = one == two or not is_same_footage(one, two)
                if is_judged and (aligned := align(frames[other], frames[video_id])):
                    found.append(Pair(aligned.terms, one == two, parts[one], (one, two)))
    return found


def _part(file: Path) -> str:
    """The label of a clip of UCF101, or the set of another."""
    of_set = [name for name in SETS if name in file.parts]
    return of_set[0] if of_set else file.stem.split("_")[1]


def fitted(pairs: Sequence[Pair]) -> tuple[npt.NDArray[np.float64], float]:
    """Weights and intercept."""
    terms, copies = np.array([p.terms for p in pairs]), np.array([p.is_copy for p in pairs])
    centre, scale = terms.mean(0), terms.std(0)
    found = LogisticRegression(C=1.0, max_iter=3000).fit((terms - centre) / scale, copies)
    weights = found.coef_[0] / scale
    return weights, float(found.intercept_[0] - weights @ centre)


def out_of_fold(pairs: Sequence[Pair]) -> npt.NDArray[np.float64]:
    """Log odds of each pair by a fit on all parts but its own."""
    odds = np.zeros(len(pairs))
    for part in {p.part for p in pairs}:
        weights, intercept = fitted([p for p in pairs if p.part != part])
        mine = [i for i, p in enumerate(pairs) if p.part == part]
        odds[mine] = np.array([pairs[i].terms for i in mine]) @ weights + intercept
    return odds


def threshold(pairs: Sequence[Pair], odds: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Log odds from which on `GOAL` of the pairs of copied clips are copies, and the share of these found."""
    copied = {p.clips[0] for p in pairs if p.is_copy and p.part not in SETS}
    mine = np.array([set(p.clips) <= copied for p in pairs])
    order = np.argsort(-odds[mine])
    copies = np.array([p.is_copy for p in pairs])[mine][order]
    right = copies.cumsum() / np.arange(1, len(copies) + 1)
    last = int(np.flatnonzero(right >= GOAL)[-1])
    return float(odds[mine][order][last]), float(copies[: last + 1].sum() / copies.sum())


def fit(ports: Ports, home: Path) -> dict[str, Any]:
    """What is written into `vidpipe.learning.near_duplicates`, and what it was fitted on."""
    pairs = pairs_of(ports, home)
    odds = out_of_fold(pairs)
    least, share = threshold(pairs, odds)
    weights, intercept = fitted(pairs)
    copies = np.array([p.is_copy for p in pairs])
    return {
        "copies": int(copies.sum()), "others": int((~copies).sum()),
        "weights": [round(float(w), 2) for w in weights],
        "intercept": round(intercept - least, 2), "threshold": round(float(1 / (1 + np.exp(-least))), 3),
        "recall_out_of_fold": round(share, 4),
        "log_loss_out_of_fold": round(float(np.logaddexp(0, np.where(copies, -odds, odds)).mean()), 4),
    }  # fmt: skip


def main() -> int:
    """0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder) / "home"
        ports = open_ports(open_home(Settings(home=home, workers=1)), TerminalProgress())
        fill(ports, Path(folder), *clips())
        found = fit(ports, home)
    sys.stderr.write("\n".join(f"{name:<20} {figure}" for name, figure in found.items()) + "\n")
    if given.json:
        sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
