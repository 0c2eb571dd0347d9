"""Reader of Label Studio's exports: JSON, JSON-MIN and CSV, choices and timeline labels."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from vidpipe.adapters.sources.annotations import agreed, of_format, other_format, read_json
from vidpipe.adapters.sources.csv_files import read_table
from vidpipe.errors import ConfigurationError
from vidpipe.records.labels import LabelledSpan, ListedVideo


@of_format("Label Studio's export")
def label_studio(file: Path, fps: float | None = None) -> list[ListedVideo]:
    """Read Label Studio's exports: JSON, JSON-MIN or CSV, of choices or of timeline labels.

    A ground truth goes before all other annotations; of several annotators more than half have to agree.
    Skipped annotations do not count; a task without one is listed without a label. Timeline labels are given
    in frames, so that they need `fps`.

    Source: https://labelstud.io/guide/export.html and https://labelstud.io/tags/timelinelabels

    Raises:
        ConfigurationError: Another format, no video in a task, or frames without `fps`.
    """
    if file.suffix.lower() in (".csv", ".tsv"):
        return [agreed(path, answers) for path, answers in _by_video(_studio_csv(file)).items()]
    tasks = read_json(file, "Label Studio's JSON export")
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise other_format(file, "a list of tasks", "Label Studio's JSON export")
    if any("annotations" not in task for task in tasks):
        return [agreed(path, answers) for path, answers in _by_video(_studio_min(file, tasks)).items()]
    return [_studio_task(file, task, fps) for task in tasks]


def _studio_task(file: Path, task: Mapping[str, Any], fps: float | None) -> ListedVideo:
    path = _video_of(task.get("data"), file, task.get("id"))
    made = [a for a in task["annotations"] if isinstance(a, dict) and not a.get("was_cancelled")]
    counted = [a for a in made if a.get("ground_truth")] or made
    spans = tuple(span for a in counted for span in _timeline(file, a, fps))
    if spans:
        return ListedVideo(path, spans=spans)
    return agreed(path, [_choices(annotation) for annotation in counted])


def _choices(annotation: Mapping[str, Any]) -> list[str]:
    """Chosen labels of one annotation."""
    results = [r for r in annotation.get("result") or [] if isinstance(r, dict)]
    return [str(choice) for r in results for choice in (r.get("value") or {}).get("choices") or []]


def _timeline(file: Path, annotation: Mapping[str, Any], fps: float | None) -> Iterator[LabelledSpan]:
    for result in annotation.get("result") or []:
        value = (result.get("value") or {}) if isinstance(result, dict) else {}
        labels = value.get("timelinelabels") or []
        for part in value.get("ranges") or [] if labels else []:
            if fps is None:
                raise ConfigurationError(
                    f"{file} has timeline labels, which count frames: the rate is needed.",
                    next_step="pass --fps, the frame rate that the label configuration names.",
                )
            start, end = float(part["start"]), float(part["end"])  # frames from 1, the last one included
            yield from (LabelledSpan(max(0.0, start - 1) / fps, end / fps, str(label)) for label in labels)


def _studio_min(file: Path, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Rows of JSON-MIN: the task's data, and the answers under the names of the configuration."""
    for row in rows:
        path = _video_of(row, file, row.get("id"))
        named = row.get("choice", row.get("choices", row.get("label")))
        yield path, _cell_labels(named)


def _studio_csv(file: Path) -> Iterator[tuple[str, list[str]]]:
    table = read_table(file, (), separator="\t" if file.suffix.lower() == ".tsv" else ",")
    column = next((name for name in ("choice", "choices", "label") if name in table.columns), None)
    if column is None:
        raise other_format(file, f"columns {', '.join(table.columns)}", "a column choice, choices or label")
    for line in table.lines:
        yield _video_of(line.cells, file, line.number), _cell_labels(line.cells[column])


def _cell_labels(cell: Any) -> list[str]:
    """Labels of one cell: a text, or several as Label Studio writes them, `{"choices": ["a", "b"]}`."""
    if isinstance(cell, str) and cell.startswith("{"):
        try:
            cell = json.loads(cell)
        except ValueError:
            return [cell]
    if isinstance(cell, dict):
        cell = cell.get("choices")
    return [str(label) for label in cell if label] if isinstance(cell, list) else [str(cell)] if cell else []


def _video_of(data: Any, file: Path, task: Any) -> str:
    """Path of a task's video: the first value of its data with a video's address."""
    values = [v for v in data.values() if isinstance(v, str)] if isinstance(data, Mapping) else []
    named = data if isinstance(data, Mapping) else {}
    wanted = [named[n] for n in ("video", "video_url", "url") if isinstance(named.get(n), str)]
    for value in [*wanted, *values]:
        if PurePosixPath(studio_path(value)).suffix:
            return studio_path(value)
    raise ConfigurationError(
        f"{file} task {task}: no value of its data is the address of a video.",
        next_step="export the project of the videos, with its task data.",
    )


def studio_path(address: str) -> str:
    """Path that an address of Label Studio means: the upload's random prefix is taken off.

    `/data/upload/1/0a1b2c3d-clip.mp4` is `clip.mp4`, `/data/local-files/?d=day1/clip.mp4` is `day1/clip.mp4`.
    """
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d") if parts.path.rstrip("/").endswith("/data/local-files") else None
    if local:
        return local[0].lstrip("/")
    name = PurePosixPath(unquote(parts.path)).name if parts.scheme or parts.path.startswith("/") else address
    if "/data/upload/" in parts.path:
        return re.sub(r"^[0-9a-f]{8}-", "", name)
    return name


def _by_video(rows: Iterable[tuple[str, list[str]]]) -> dict[str, list[list[str]]]:
    """Answers of each video, one an annotator."""
    found: dict[str, list[list[str]]] = defaultdict(list)
    for path, labels in rows:
        found[path].append(labels)
    return found
