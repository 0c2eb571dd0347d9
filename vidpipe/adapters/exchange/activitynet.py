"""Writer of ActivityNet's JSON: known segments as its database, predicted ones as its results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from vidpipe import __version__
from vidpipe.adapters.exchange.files import write_text
from vidpipe.adapters.exchange.segments import Place, Segment, known_segments, place, predicted_segments
from vidpipe.ports.outcome import NamedQuery

SUBSETS = {"train": "training", "val": "validation", "test": "testing"}


def activitynet(read: NamedQuery, folder: Path, collection: str | None) -> list[dict[str, Any]]:
    """Write `database.json`, videos with their known segments, and `results.json`, those that were predicted.

    Source: http://activity-net.org/download.html, "Database format", and the submission format of
    http://activity-net.org/challenges/2016/evaluation.html

    Raises:
        StorageFailed: The folder cannot be written.
    """
    videos = read("export_videos", collection=collection)
    keys = _keys([place(video) for video in videos])
    known = known_segments(read, collection, videos)
    predicted = predicted_segments(read, collection, videos)
    database = {keys[place(v)]: _video(v, known.get(place(v), ())) for v in videos}
    results = {keys[at]: [_result(s) for s in segments] for at, segments in predicted.items() if at in keys}
    version = f"vidpipe {__version__}"
    contents: dict[str, dict[str, Any]] = {
        "database.json": {"version": version, "taxonomy": _taxonomy(database), "database": database},
        "results.json": {"version": version, "results": results, "external_data": {"used": False}},
    }
    rows = {"database.json": len(database), "results.json": len(results)}
    return [
        {"file": str(folder / name), **write_text(folder / name, json.dumps(what)), "rows": rows[name]}
        for name, what in contents.items()
    ]


def _keys(places: Sequence[Place]) -> dict[Place, str]:
    """Key of each video: its file's name without extension; with folders, or whole, where two share it."""
    spellings = [
        {at: PurePosixPath(at[1]).stem for at in places},
        {at: str(PurePosixPath(at[1]).with_suffix("")) for at in places},
        {at: f"{at[0]}/{at[1]}" for at in places},
    ]
    counts = [Counter(spelling.values()) for spelling in spellings]
    return {
        at: next(
            (s[at] for s, count in zip(spellings, counts, strict=True) if count[s[at]] == 1),
            spellings[-1][at],
        )
        for at in places
    }


def _video(row: Mapping[str, Any], known: Sequence[Segment]) -> dict[str, Any]:
    splits = row["splits"] or {}
    split = splits.get("split") or (next(iter(splits.values())) if len(splits) == 1 else None)
    return {
        "subset": SUBSETS.get(split or "", ""),
        "duration": row["duration_s"] or 0.0,
        "resolution": f"{row['display_width_px'] or 0}x{row['display_height_px'] or 0}",
        "url": (row["attributes"] or {}).get("url") or "",
        "annotations": [{"label": s.label, "segment": [s.start_s, s.end_s]} for s in known],
    }


def _result(segment: Segment) -> dict[str, Any]:
    return {"label": segment.label, "score": segment.score, "segment": [segment.start_s, segment.end_s]}


def _taxonomy(database: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All labels under one root, since ours know no order."""
    labels = sorted({a["label"] for video in database.values() for a in video["annotations"]})
    root = {"nodeId": 0, "nodeName": "Root", "parentId": None, "parentName": None}
    leaf = {"parentId": 0, "parentName": "Root"}
    return [root, *({"nodeId": n, "nodeName": label, **leaf} for n, label in enumerate(labels, start=1))]
