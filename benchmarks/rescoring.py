"""Scoring an archive again from stored features: what a promotion costs.

    python -m benchmarks.rescoring [--videos 4000] [--frames 28] [--json]

Synthetic features in real parts, a real ledger, the default model in a real registry. `classify` as it is
run (reading, scoring, writing, publishing) beside its parts, and beside one video after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vidpipe.adapters.models.bundle import Bundle
from vidpipe.cli.display import TerminalProgress
from vidpipe.evaluation.model_card import TrainingRecord
from vidpipe.learning.classifier import build
from vidpipe.learning.cross_fitting import LINEAR_PARTS, PARTS
from vidpipe.learning.inference import predict
from vidpipe.learning.linear import LinearHead
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.features import ExtractedVideo, PartResult, StoredFeatures, VideoFeatures
from vidpipe.records.models import CrossValidation, Scores, VersionId
from vidpipe.records.predictions import Prediction
from vidpipe.settings import load_settings
from vidpipe.steps.classify import classify
from vidpipe.vision.feature_specs import block_sizes
from vidpipe.wiring import open_home, open_ports

LABELS = tuple(f"label {k:03d}" for k in range(101))
VIDEOS_A_PART = 146
SCORED_VIDEOS = 1000


def fill(ports: Ports, videos: int, frames: int) -> None:
    """A collection of so many videos with features of so many frames each."""
    spec, rng = ports.limits.spec, np.random.default_rng(0)
    ids = [f"{n:064x}" for n in range(videos)]
    with ports.ledger.database.session() as session:  # type: ignore[attr-defined]
        run = session.connection.execute
        run("""insert into core.collection by name select 1 as collection_key, 'archive' as name,
               '/' as source, now()::timestamp as created_at""")
        run(f"""insert into core.video by name select i as video_key, printf('%064x', i) as video_id,
                1 as bytes, 'ok' as verdict from range({videos}) t(i)""")
        run(f"""insert into core.collection_video by name select 1 as collection_key, i || '.mp4' as path,
                i as video_key, true as present, now()::timestamp as first_seen_at,
                now()::timestamp as last_seen_at from range({videos}) t(i)""")
    times = np.arange(frames) / 4.0
    for part_ids in _batched(ids, VIDEOS_A_PART):
        with ports.store.new_part(spec, "synthetic") as part:
            outcomes = []
            for video_id in part_ids:
                values = rng.standard_normal((frames, spec.feature_size), np.float32)
                stored = StoredFeatures(video_id, part.name, part.rows, frames)
                outcomes.append(ExtractedVideo(video_id, stored, None, "ok"))
                part.append(VideoFeatures(video_id, times, values))
            result = PartResult(spec, part.commit(), "synthetic", tuple(outcomes))
        ports.ledger.features.put_parts(1, [result])


def _batched(items: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def register(ports: Ports) -> Bundle:
    """The default model, untrained: it costs what a trained one costs."""
    torch.manual_seed(0)
    spec = ports.limits.spec
    lstm = TrainingConfig().architecture(spec.feature_size, len(LABELS), block_sizes(spec))
    heads: dict[str, nn.Module] = {
        name: LinearHead(name, spec.feature_size, len(LABELS)) for name in LINEAR_PARTS
    }
    weights = dict.fromkeys(PARTS, 1 / len(PARTS))  # all parts are computed
    bundle = Bundle(
        LABELS, spec, {"train": [], "val": [], "test": []}, [], build(lstm), lstm,
        heads, weights,
    )  # fmt: skip
    zero = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    nothing = Scores(0, 0.0, 0.0, dict.fromkeys(LABELS, zero))
    record = TrainingRecord(
        "archive", None, "none", "none", {"train": {}, "val": {}, "test": {}}, nothing,
        {"mean_linear": nothing}, {}, weights, CrossValidation(0, 0.0, 0.0, 0.0, 0),
    )  # fmt: skip
    with ports.registry.training_run("untrained", {}) as run:
        run.register(bundle, record)
    ports.registry.set_alias("champion", 1)
    return bundle


def timed(videos: int, work: Callable[[], Any]) -> float:
    """Videos a second."""
    started = time.perf_counter()
    work()
    return round(videos / (time.perf_counter() - started), 1)


def measure(home: Path, videos: int, frames: int) -> dict[str, float]:
    """Videos a second, whole and in parts."""
    ports = open_ports(open_home(load_settings(home)), TerminalProgress())
    fill(ports, videos, frames)
    os.sync()  # else the disk is still busy with it
    bundle = register(ports)
    spec_id = ports.limits.spec.feature_set_id
    stored = ports.ledger.features.stored_features(spec_id, [f"{n:064x}" for n in range(videos)])
    found: dict[str, float] = {}
    found["classify: read, score, write, publish"] = timed(videos, lambda: classify(ports))
    found["read alone"] = timed(videos, lambda: deque(ports.store.read(spec_id, stored), maxlen=0))
    features = [f.values for f in islice(ports.store.read(spec_id, stored), SCORED_VIDEOS)]
    found["score alone"] = timed(len(features), lambda: predict(bundle.lstm, features))
    some = features[:100]
    found["score one after the other"] = timed(len(some), lambda: [predict(bundle.lstm, [f]) for f in some])
    rows = [Prediction(s.video_id, rank, LABELS[rank], 0.5) for s in stored for rank in range(1, 6)]
    found["write alone"] = timed(videos, lambda: _write(ports, rows))
    return found


def _write(ports: Ports, rows: Sequence[Prediction]) -> None:
    """As classify writes, in chunks of 2,000 videos, for another version."""
    rest = iter(rows)
    version = VersionId("video-classifier", 2, "another")
    while chunk := list(islice(rest, 10_000)):
        ports.ledger.predictions.put_predictions(1, version, ports.limits.spec.feature_set_id, chunk)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=int, default=4000)
    parser.add_argument("--frames", type=int, default=28)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vidpipe-rescoring-") as folder:
        found = measure(Path(folder), given.videos, given.frames)
    if given.json:
        print(json.dumps(found))
    else:
        print(f"videos of {given.frames} frames a second, of {given.videos}")
        print("\n".join(f"{value:>10.0f}  {name}" for name, value in found.items()))


if __name__ == "__main__":
    main()
