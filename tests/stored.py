"""Collections whose features are made up instead of decoded: what tests of vectors and labels share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from vidpipe.ports import Ports
from vidpipe.records.features import DecodeReport, ExtractedVideo, PartResult, StoredFeatures, VideoFeatures
from vidpipe.records.videos import Collection, Floats, MediaFacts, ProbedVideo, SourceFile

FACTS = MediaFacts("mov,mp4", "h264", 320, 240, 0, 25.0, False, 2.0, 50)


def content_id(name: str) -> str:
    """The id of the video of that name."""
    return hashlib.sha256(name.encode()).hexdigest()


def put_collection(
    ports: Ports, name: str, videos: Mapping[str, Floats], labels: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None, splits: Mapping[str, str] | None = None,
    *, multi_label: bool = False,
) -> None:  # fmt: skip
    """A collection of listed videos with stored features (T, D), by path, in one part."""
    labels, groups = labels or {}, groups or {}
    split_of = {path: {"split": split} for path, split in (splits or {}).items()}
    ports.ledger.sources.put_collection(Collection(name, f"/videos/{name}", multi_label=multi_label))
    files = [
        SourceFile(p, 1, 1, 1, label=labels.get(p), group=groups.get(p), splits=split_of.get(p, {}))
        for p in videos
    ]
    ids = {path: content_id(path) for path in videos}
    probed = [ProbedVideo(ids[path], 1, FACTS, None) for path in videos]
    ports.ledger.sources.put_videos(name, [(f, ids[f.path]) for f in files], probed, [])
    ports.ledger.sources.put_listing(name, files)
    spec, done = ports.limits.spec, []
    with ports.store.new_part(spec, "test") as part:
        for path, values in videos.items():
            T = len(values)
            stored = StoredFeatures(ids[path], part.name, part.rows, T)
            done.append(ExtractedVideo(ids[path], stored, DecodeReport(T, 0, ""), "ok"))
            part.append(VideoFeatures(ids[path], np.arange(T) / 4, values))
        name_of_part = part.commit()
    ports.ledger.features.put_parts(1, [PartResult(spec, name_of_part, "test", done)])
    ports.warehouse.publish()


def clouds(labels: Mapping[str, str], size: int, *, apart: float = 1.0) -> dict[str, Floats]:
    """Features (4, D) by path: videos of one label lie about one centre."""
    draw = np.random.default_rng(0)
    centres = {label: draw.normal(size=size) * apart for label in sorted(set(labels.values()))}
    return {p: (centres[k] + draw.normal(size=(4, size))).astype(np.float32) for p, k in labels.items()}


def exported(video: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `export_videos` of a collection, and by a version, with one label a video."""
    known, predicted = video["known_label"], video["predicted"]
    named = {"known_labels": [known] if known else None, "labels": None, "scores": None}
    held = {"labels": [predicted], "scores": [video["score"]]} if predicted else {}
    return {**named, **held, **video}
