"""Writer of FiftyOne's temporal detection datasets: known and predicted labels of videos, in segments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidpipe.adapters.exchange.files import write_text
from vidpipe.adapters.exchange.segments import Place, Segment, known_segments, place, predicted_segments
from vidpipe.errors import ConfigurationError
from vidpipe.ports.outcome import NamedQuery

Row = Mapping[str, Any]


def fiftyone(read: NamedQuery, folder: Path, collection: str | None) -> list[dict[str, Any]]:
    """Write `data.json`, where each video lies, `labels.json`, what is known, and `predictions.json`.

    Of the type FiftyOneTemporalDetectionDataset; the files of the videos stay where they are.

    Source: https://docs.voxel51.com/user_guide/import_datasets.html#fiftyonetemporaldetectiondataset

    Raises:
        ConfigurationError: A collection of a bucket: FiftyOne opens files.
        StorageFailed: The folder cannot be written.
    """
    videos = {place(row): row for row in read("export_videos", collection=collection)}
    files = {_key(row): _file(row) for row in videos.values()}
    known = known_segments(read, collection, videos.values())
    predicted = predicted_segments(read, collection, videos.values())
    contents = {
        "data.json": (files, len(files)),
        "labels.json": (_labels(videos, known), len(known)),
        "predictions.json": (_labels(videos, predicted), len(predicted)),
    }
    return [
        {"file": str(folder / name), **write_text(folder / name, json.dumps(what)), "rows": rows}
        for name, (what, rows) in contents.items()
    ]


def _key(row: Row) -> str:
    """No dot in its last part: FiftyOne takes an extension off the keys of `data.json`."""
    return f"{row['collection']}/{row['video_id']}"


def _file(row: Row) -> str:
    if "://" in row["source"]:
        raise ConfigurationError(
            f"FiftyOne opens files, and the videos of {row['collection']} are objects of {row['source']}.",
            next_step="pass --collection NAME of a collection in a folder.",
        )
    return str(Path(row["source"]) / row["path"])


def _labels(videos: Mapping[Place, Row], found: Mapping[Place, list[Segment]]) -> dict[str, Any]:
    there = {at: segments for at, segments in found.items() if at in videos}
    return {
        "classes": sorted({s.label for segments in there.values() for s in segments}),
        "labels": {
            _key(videos[at]): [_detection(s, videos[at]) for s in segments] for at, segments in there.items()
        },
    }


def _detection(segment: Segment, row: Row) -> dict[str, Any]:
    """A label with the frames that it holds for, counted from 1; the importer would else open each file."""
    detection: dict[str, Any] = {"label": segment.label}
    if row["source_fps"] and row["duration_s"]:
        frames = max(1, round(row["source_fps"] * row["duration_s"]))
        ends = (segment.start_s, min(segment.end_s, row["duration_s"]))
        detection["support"] = [1 + round(end / row["duration_s"] * (frames - 1)) for end in ends]
    else:
        detection["timestamps"] = [segment.start_s, segment.end_s]
    if segment.score is None:
        return {**detection, "attributes": {"source": row["label_source"]}}
    version = {"model": row["model_name"], "version": row["model_version"], "novelty": row["novelty"]}
    return {**detection, "confidence": segment.score, "attributes": version}
