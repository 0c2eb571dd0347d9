"""Does novelty tell videos unlike the training from those like it?

    python -m benchmarks.novelty [--home HOME] [--json]

others   trained on folds of one of the shared sets; known are its held-out groups, unknown all other sets
label    within UCF101 and ut_interaction, trained without one label: known are held-out groups of the others,
         unknown the videos of that label; means over the labels, with standard errors
rejects  share of held-out known videos, by group, that are called unknown
training share of a version's own training videos that are called unknown

Figures are areas under the ROC curve. Exits 1 below 0.95, or below 0.80 for UCF101's labels, or above 7 % of
rejects of either kind. HOME, which is changed, may have the sets' features already.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true")

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from vidpipe.cli.display import TerminalProgress
from vidpipe.learning.novelty import fit_novelty
from vidpipe.ports import Ports
from vidpipe.records.models import LabelledVideo
from vidpipe.records.videos import Floats
from vidpipe.settings import Settings
from vidpipe.splits import group_folds
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.mean_features import mean_features
from vidpipe.vision.feature_specs import block_sizes
from vidpipe.wiring import open_home, open_ports

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {"clips": "ucf101", **{n: f"sets/{n}" for n in ("ut_interaction", "drone_ir", "car_crash")}}
WITHIN = ("clips", "ut_interaction")
SEED = 0
OTHERS, LABEL, MOST_REJECTS = 0.95, 0.80, 0.07


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """One set: labelled videos and their mean features (N, D)."""

    videos: Sequence[LabelledVideo]
    means: Floats

    def of(self, which: npt.NDArray[np.bool_]) -> Known:
        """Some of the videos."""
        return Known([v for v, chosen in zip(self.videos, which, strict=True) if chosen], self.means[which])

    def without(self, label: str) -> npt.NDArray[np.bool_]:
        """Which videos have another label."""
        return np.array([v.label != label for v in self.videos])


def load(ports: Ports, name: str) -> Known:
    """A set, ingested and extracted where it is not yet."""
    spec = ports.limits.spec
    if ports.ledger.sources.collection(name) is None:
        folder = SHARED / SETS[name]
        ingest(ports, name, folder, manifest=folder / "splits.csv")
        extract(ports, name)
    labelled = ports.ledger.features.labelled_videos(name, spec.feature_set_id)
    videos = list({v.video_id: v for v in labelled}.values())
    means = dict(mean_features(ports.store, spec.feature_set_id, [v.stored for v in videos]))
    return Known(videos, np.stack([means[v.video_id] for v in videos]))


def held_out(known: Known, blocks: Sequence[int], unknown: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Novelty of held-out known videos and of the unknown ones, fold by fold."""
    folds = group_folds(known.videos, SEED)
    for fold in np.unique(folds):
        train = known.of(folds != fold)
        labels = sorted({v.label for v in train.videos})
        targets = np.array([labels.index(v.label) for v in train.videos])
        model = fit_novelty(train.means, targets, group_folds(train.videos, SEED), blocks)
        assert model is not None
        yield model.novelty(known.means[folds == fold]), model.novelty(unknown)


def training_rejects(known: Known, blocks: Sequence[int]) -> float:
    """Share of the training videos that the model fitted on them calls unknown."""
    labels = sorted({v.label for v in known.videos})
    targets = np.array([labels.index(v.label) for v in known.videos])
    model = fit_novelty(known.means, targets, group_folds(known.videos, SEED), blocks)
    assert model is not None
    return float((model.novelty(known.means) > 1).mean())


def area(pairs: Sequence[tuple[Floats, Floats]]) -> float:
    """Mean over folds of the area under the ROC curve, unknown against known."""
    return float(
        np.mean([roc_auc_score(np.r_[np.zeros(len(a)), np.ones(len(b))], np.r_[a, b]) for a, b in pairs])
    )


def measure(sets: Mapping[str, Known], blocks: Sequence[int]) -> dict[str, Any]:
    """All figures."""
    others, rejects, training, labels = {}, {}, {}, {}
    for name, known in sets.items():
        rest = np.concatenate([other.means for n, other in sets.items() if n != name])
        pairs = list(held_out(known, blocks, rest))
        others[name] = round(area(pairs), 3)
        rejects[name] = round(float(np.mean(np.concatenate([a for a, _ in pairs]) > 1)), 3)
        training[name] = round(training_rejects(known, blocks), 3)
    for name in WITHIN:
        known = sets[name]
        areas = []
        for label in sorted({v.label for v in known.videos}):
            kept = known.without(label)
            areas.append(area(list(held_out(known.of(kept), blocks, known.means[~kept]))))
        error = float(np.std(areas, ddof=1) / np.sqrt(len(areas)))
        labels[name] = {"mean": round(float(np.mean(areas)), 3), "standard_error": round(error, 3)}
    return {"others": others, "label": labels, "rejects": rejects, "training": training}


def main() -> int:
    """0, or 1 where a figure is worse than it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder) / "home"
        ports = open_ports(open_home(Settings(home=home, workers=1)), TerminalProgress())
        found = measure({name: load(ports, name) for name in SETS}, block_sizes(ports.limits.spec))
    sys.stderr.write("\n".join(f"{kind:<8} {figures}" for kind, figures in found.items()) + "\n")
    if given.json:
        sys.stdout.write(json.dumps(found) + "\n")
    badly = min(found["others"].values()) < OTHERS or found["label"]["clips"]["mean"] < LABEL
    rejects = max(*found["rejects"].values(), *found["training"].values())
    return int(badly or rejects > MOST_REJECTS)


if __name__ == "__main__":
    sys.exit(main())
