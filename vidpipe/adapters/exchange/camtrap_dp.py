"""Writer of Camtrap DP, the exchange format of camera traps: deployments, media and observations as CSV.

Source: https://camtrap-dp.tdwg.org/data, version 1.0.2
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import groupby
from mimetypes import guess_type
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from vidpipe.adapters.exchange.camtrap_package import COLUMNS, data_package, written_package
from vidpipe.adapters.exchange.camtrap_terms import folded, observation_type, species
from vidpipe.adapters.exchange.files import write_text
from vidpipe.adapters.exchange.segments import Segment, known_segments, place, predicted_segments
from vidpipe.errors import ConfigurationError
from vidpipe.ports.outcome import NamedQuery

Row = Mapping[str, Any]
Record = dict[str, Any]

DEPLOYMENT = (
    "deploymentid",
    "deployment_id",
    "deployment",
    "camera",
    "cameraid",
    "camera_id",
    "site",
    "location",
)
LATITUDE = ("latitude", "decimallatitude", "lat")
LONGITUDE = ("longitude", "decimallongitude", "lon", "lng", "long")
"""Columns of a manifest: the first that a video has. Without any of `DEPLOYMENT`, its collection is one."""


def camtrap_dp(read: NamedQuery, folder: Path, collection: str | None) -> list[dict[str, Any]]:
    """Write a Camera Trap Data Package: `datapackage.json` and three tables as CSV.

    What a person has written in `datapackage.json` (title, project, contributors, licences, taxonomic) stays;
    taxa name their species by label, the label being its scientific or a vernacular name.

    Raises:
        ConfigurationError: A video without coordinates or recording time; nothing is written.
        StorageFailed: The folder cannot be written.
    """
    videos = read("export_videos", collection=collection)
    known = known_segments(read, collection, videos)
    segments = {**predicted_segments(read, collection, videos), **known}
    _refuse_timeless(videos)
    written = written_package(folder / "datapackage.json")
    taxa = species(written.get("taxonomic"))
    tables = {
        "deployments": _deployments(videos),
        "media": [_medium(video) for video in videos],
        "observations": [
            observation
            for video in videos
            for observation in _observations(video, segments.get(place(video), ()), taxa)
        ],
    }
    package = data_package(written, tables, sorted({v["collection"] for v in videos}))
    texts = {f"{name}.csv": _csv(COLUMNS[name].split(), rows) for name, rows in tables.items()}
    texts["datapackage.json"] = json.dumps(package, indent=2)
    counts = {f"{name}.csv": len(rows) for name, rows in tables.items()}
    return [
        {"file": str(folder / name), **write_text(folder / name, text), "rows": counts.get(name, len(videos))}
        for name, text in texts.items()
    ]


def _csv(columns: Sequence[str], rows: Iterable[Record]) -> str:
    text = StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _refuse_timeless(videos: Sequence[Row]) -> None:
    timeless = [video for video in videos if video["recorded_at"] is None]
    if timeless:
        raise ConfigurationError(
            f"Camtrap DP says when each video was recorded; {len(timeless)} of {len(videos)} have no "
            f"recorded_at, the first is {_media_id(timeless[0])}.",
            next_step="add a column recorded_at to the manifest, or pass ingest --time-from-name PATTERN.",
        )


def _deployments(videos: Sequence[Row]) -> list[Record]:
    ordered = sorted(videos, key=_deployment_id)
    return [_deployment(name, list(group)) for name, group in groupby(ordered, key=_deployment_id)]


def _deployment(name: str, videos: Sequence[Row]) -> Record:
    first, *others = ((v, _degrees(v, LATITUDE, 90), _degrees(v, LONGITUDE, 180)) for v in videos)
    for other in others:
        if other[1:] != first[1:]:
            raise ConfigurationError(
                f"deployment {name!r} lies in one place; {_media_id(first[0])} has {first[1]}, {first[2]}, "
                f"{_media_id(other[0])} has {other[1]}, {other[2]}.",
                next_step="give them a column deploymentID that tells them apart, or equal coordinates.",
            )
    attributes = videos[0]["attributes"] or {}
    return {
        "deploymentID": name,
        "locationName": attributes.get("site") or attributes.get("location"),
        "latitude": first[1],
        "longitude": first[2],
        "deploymentStart": _time(min(v["recorded_at"] for v in videos)),
        "deploymentEnd": _time(max(_end(v, v["duration_s"] or 0.0) for v in videos)),
        "cameraID": attributes.get("camera"),
    }


def _deployment_id(video: Row) -> str:
    _, name = _attribute(video, DEPLOYMENT)
    return name or str(video["collection"])


def _attribute(video: Row, names: Sequence[str]) -> tuple[str, str]:
    """The first of some attributes that a video has: name and value; an empty value where it has none."""
    attributes = video["attributes"] or {}
    return next(((name, attributes[name]) for name in names if attributes.get(name)), (names[0], ""))


def _degrees(video: Row, names: Sequence[str], most: int) -> float:
    name, text = _attribute(video, names)
    try:
        degrees = float(text)
    except ValueError:
        degrees = float("nan")
    if not -most <= degrees <= most:
        raise ConfigurationError(
            f"Camtrap DP says where each camera stands; of {_media_id(video)} the attribute {name} is "
            f"{text!r}, expected degrees from -{most} to {most}.",
            next_step="add columns latitude and longitude to the manifest, and ingest it.",
        )
    return degrees


def _medium(video: Row) -> Record:
    name = PurePosixPath(video["path"]).name
    return {
        "mediaID": _media_id(video),
        "deploymentID": _deployment_id(video),
        "timestamp": _time(video["recorded_at"]),
        "filePath": _file_path(video),
        "filePublic": "false",
        "fileName": name,
        "fileMediatype": _media_type(name),
        "mediaComments": f"sha256:{video['video_id']}",
    }


def _media_id(video: Row) -> str:
    return f"{video['collection']}/{video['path']}"


def _file_path(video: Row) -> str:
    """Path below the collection's source, or an object's address; what the format forbids is encoded."""
    if "://" in video["source"]:
        return f"{video['source']}/{quote(video['path'], errors='surrogateescape')}"
    path = str(video["path"]).replace("..", "%2E%2E")
    return f"%{ord(path[0]):02X}{path[1:]}" if path[0] in "./~" else path


def _media_type(name: str) -> str:
    guessed, _ = guess_type(name)
    if guessed and guessed.startswith(("video/", "image/")):
        return guessed
    return f"video/{PurePosixPath(name).suffix.lstrip('.').lower() or 'unknown'}"


def _observations(video: Row, segments: Sequence[Segment], taxa: Mapping[str, str]) -> list[Record]:
    """One for each segment, or one unclassified for all of a video without."""
    if not segments:
        whole = Segment(0.0, video["duration_s"] or 0.0, "")
        return [{**_observation(video, whole, 1), "observationType": "unclassified"}]
    return [
        {**_observation(video, segment, n), **_classification(video, segment, taxa)}
        for n, segment in enumerate(segments, start=1)
    ]


def _observation(video: Row, segment: Segment, number: int) -> Record:
    start = video["recorded_at"] + timedelta(seconds=segment.start_s)
    return {
        "observationID": f"{_media_id(video)}#{number}",
        "deploymentID": _deployment_id(video),
        "mediaID": _media_id(video),
        "eventID": _media_id(video),
        "eventStart": _time(start),
        "eventEnd": _time(_end(video, segment.end_s)),
        "observationLevel": "media",
    }


def _classification(video: Row, segment: Segment, taxa: Mapping[str, str]) -> Record:
    """Classification by a person or the manifest, else by the model; a novel video is `unknown`."""
    is_machine = segment.score is not None
    novel = is_machine and (video["novelty"] or 0.0) > 1
    kind = "unknown" if novel else observation_type(segment.label)
    row: Record = {
        "observationType": kind,
        "scientificName": taxa.get(folded(segment.label)) if kind == "animal" else None,
        "observationTags": f"label:{segment.label}",
    }
    if not is_machine:
        who = {"classificationMethod": "human", "classifiedBy": video["label_source"]}
        at = video["labelled_at"]
        return {**row, **who, "classificationTimestamp": _time(at) if at else None}
    return {
        **row,
        "classificationMethod": "machine",
        "classifiedBy": f"{video['model_name']} {video['model_version']}",
        "classificationTimestamp": _time(video["predicted_at"]),
        "classificationProbability": segment.score,
    }


def _end(video: Row, seconds: float) -> datetime:
    """A time in the video, rounded up to whole seconds: the format has no parts of one."""
    exact: datetime = video["recorded_at"] + timedelta(seconds=seconds)
    return exact + timedelta(microseconds=-exact.microsecond % 1_000_000)


def _time(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
