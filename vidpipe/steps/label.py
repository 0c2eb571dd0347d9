"""Active learning: write a CSV of videos to label next, and import its labels.

The CSV has an empty column `label`; the filled file is imported. Imported labels are kept beside those of the
manifest, by content hash, with source and time: the next ingest does not undo them, and videos that the file
leaves out stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.evaluation.active_learning import pick
from vidpipe.ports import Ports
from vidpipe.records.features import StoredFeatures
from vidpipe.records.labels import GivenLabel
from vidpipe.records.videos import Floats
from vidpipe.steps.label_kinds import given_as_stored
from vidpipe.steps.lookup import require_collection
from vidpipe.steps.mean_features import mean_features
from vidpipe.steps.runs import Result, recorded

POOL = 5
"""The queue is picked from so many times its length of the most useful videos."""
COLUMNS = (
    "path", "label", "predicted", "score", "runner_up", "margin", "newer_predicted", "collection", "video_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueueResult(Result):
    """Result of `vidpipe label-queue`."""

    output: str
    queued: int
    candidates: int
    """Videos without a label that might have been asked for."""
    disagreeing: int
    """Of the queued ones, those on which a newer version contradicts the serving one."""


@dataclass(frozen=True, slots=True)
class LabelResult(Result):
    """Result of `vidpipe label`."""

    run_id: int
    labelled: int
    """Videos that have another label now."""
    unchanged: int
    blank: int
    unknown: int
    """Paths at which their collection knows no video."""
    changed: int
    """Paths that hold another content than the one that was looked at."""


# -- label-queue ----------------------------------------------------------------------------------------


def label_queue(
    ports: Ports, output: Path, *, collection: str | None = None, limit: int = 50, overwrite: bool = False
) -> QueueResult:
    """Write a CSV of the videos most worth labelling: uncertain ones, spread over feature space.

    Useful is where the two best labels are close, and where a newer version contradicts the serving one;
    of videos that look alike few are asked. What no model has classified yet is picked by looks alone.

    Raises:
        NotFound: No such collection, or nothing in it that has features and no label.
        ConfigurationError: Another file has that name.
    """
    rows = queue(ports, collection, limit)
    if not rows:
        raise NotFound(
            "every video with features has a label already.",
            next_step="vidpipe extract; vidpipe collections shows what is labelled.",
        )
    ports.catalog.write_manifest(output, COLUMNS, [_line(row) for row in rows], overwrite=overwrite)
    disagreeing = sum(row["newer_predicted"] not in (None, row["predicted"]) for row in rows)
    return QueueResult(str(output), len(rows), int(rows[0]["candidates"]), disagreeing)


def queue(ports: Ports, collection: str | None, limit: int) -> list[dict[str, Any]]:
    """Videos most worth labelling, the best first: the named columns, and how many candidates there are.

    Raises:
        NotFound: No such collection.
    """
    require_collection(ports, collection)
    with ports.warehouse.reading() as read:
        asked = {"collection": collection, "most": POOL * limit}
        pool = read("label_candidates", **asked) or read("label_candidates_unseen", **asked)
    picked = pick([row["usefulness"] for row in pool], _means(ports, pool), limit) if pool else []
    return [pool[k] for k in picked]


def _line(row: Mapping[str, Any]) -> list[str]:
    values = {**row, "label": None}
    return [f"{v:.4f}" if isinstance(v := values[name], float) else str(v or "") for name in COLUMNS]


def _means(ports: Ports, pool: Sequence[Mapping[str, Any]]) -> Floats:
    """Mean features (N, D) in the order of the pool; each feature set has columns of its own."""
    of_set: dict[str, list[StoredFeatures]] = defaultdict(list)
    for row in pool:
        stored = StoredFeatures(row["video_id"], row["part"], row["row_offset"], row["n_frames"])
        of_set[row["feature_set_id"]].append(stored)
    where = {row["video_id"]: n for n, row in enumerate(pool)}
    blocks: list[Floats] = []
    for feature_set_id, wanted in of_set.items():
        means = dict(mean_features(ports.store, feature_set_id, wanted))
        block = np.zeros((len(pool), len(next(iter(means.values())))), np.float32)
        for video_id, mean in means.items():
            block[where[video_id]] = mean
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


# -- label -----------------------------------------------------------------------------------------


def label(
    ports: Ports, file: Path, *, collection: str | None = None, source: str | None = None
) -> LabelResult:
    """Import the labels of a CSV for the next training.

    Args:
        ports: The outside world.
        file: With `path` and `label`; `collection` and `video_id` are heeded where they are there.
        collection: That of lines which name none.
        source: Who gave them; default: the file's name.

    Raises:
        NotFound: No such collection.
        ConfigurationError: No collection is named, no path is known, one video gets two labels, or a set of
            labels is none.
        LeaseHeld: Another run is at work.
    """
    given = ports.catalog.read_labels(file)
    by_collection = _by_collection(given, collection, file)
    for name in by_collection:
        require_collection(ports, name)
    by_collection = {
        name: given_as_stored(ports, name, lines, str(file)) for name, lines in by_collection.items()
    }
    with recorded(ports, "label") as run:
        counts = give(ports, by_collection, source or file.name)
        known = sum(counts.values()) - counts["unknown"]
        if counts["unknown"] and not known:
            raise ConfigurationError(
                f"none of the {counts['unknown']} paths of {file} is in {', '.join(by_collection)}.",
                next_step="pass the --collection of these videos; paths are relative to its source.",
            )
        run.videos = counts["labelled"]
        run.detail = {**counts, "source": source or file.name}
        return LabelResult(run_id=run.run_id, blank=sum(line.label is None for line in given), **counts)


def give(ports: Ports, by_collection: Mapping[str, Sequence[GivenLabel]], source: str) -> dict[str, int]:
    """Store filled lines of each collection as labels, for callers that hold the lease.

    Returns:
        How many were `labelled`, `unchanged`, `unknown` and `changed`, as `LabelResult` has them.

    Raises:
        ConfigurationError: One video gets two labels.
    """
    counts = dict.fromkeys(("labelled", "unchanged", "unknown", "changed"), 0)
    for name, lines in by_collection.items():
        found = ports.ledger.sources.labels_at(name, [line.path for line in lines])
        new = dict(_new_labels(lines, found, counts))
        counts["labelled"] += len(new)
        if new:
            ports.ledger.sources.give_labels(name, new, source)
    return counts


def _by_collection(
    given: Sequence[GivenLabel], collection: str | None, file: Path
) -> dict[str, list[GivenLabel]]:
    """The filled lines of each collection."""
    found: dict[str, list[GivenLabel]] = defaultdict(list)
    for line in given:
        name = line.collection or collection
        if line.label is None:
            continue
        if name is None:
            raise ConfigurationError(
                f"{file} names no collection for {line.path}.", next_step="pass --collection NAME."
            )
        found[name].append(line)
    return dict(found)


def _new_labels(
    lines: Sequence[GivenLabel], found: Mapping[str, tuple[str, str | None]], counts: dict[str, int]
) -> Iterator[tuple[str, str]]:
    """Videos whose label changes; unchanged and blank ones are counted."""
    said: dict[str, GivenLabel] = {}
    for line in lines:
        assert line.label is not None
        video_id, before = found.get(line.path, (None, None))
        if video_id is None:
            counts["unknown"] += 1
            continue
        if line.video_id not in (None, video_id):
            counts["changed"] += 1
            continue
        other = said.setdefault(video_id, line)
        if other.label != line.label:
            raise ConfigurationError(
                f"{other.path} and {line.path} hold the same video, but are labelled {other.label!r} and "
                f"{line.label!r}.",
                next_step="keep one of the two.",
            )
        if before == line.label:
            counts["unchanged"] += 1
        elif other is line:
            yield video_id, line.label
