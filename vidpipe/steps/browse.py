"""Queries of the browse page: a collection's videos by filters, page by page, one video, the label queue.

All of it is read from the published snapshot, with the labels that wait laid over it. A page is found by
keyset: the next one begins behind the last row of this one, however many come before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports
from vidpipe.records.label_sets import names_in
from vidpipe.steps.label import queue
from vidpipe.steps.label_kinds import is_multi_label
from vidpipe.steps.similar import similar

PAGE = 60
"""Videos of one page."""
CHOICES = {
    "sort": ("path", "unsure", "sure", "novel", "newest", "oldest", "longest"),
    "state": ("all", "labelled", "unlabelled", "contradicted", "doubtful", "waiting"),
    "novelty": ("all", "known", "novel"),
    "duplicate": ("all", "copies", "single", "near"),
}
"""What a filter may say; the first is the default."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters and sort order of a collection's videos; None and `all` let everything through."""

    collection: str
    text: str | None = None
    """Part of the path, in any case."""
    label: str | None = None
    """The known label, else the predicted one; of several, any that is known, else over its threshold."""
    state: str = "all"
    """contradicted: the known label is not the predicted one, or the known set not that over the thresholds;
    doubtful: `label-issues` names it."""
    min_score: float | None = None
    """Of the best label; where there may be several and `label` is given, of that one."""
    max_score: float | None = None
    novelty: str = "all"
    """novel: unlike all that the version was trained on."""
    since: datetime | None = None
    until: datetime | None = None
    """Of the recording, else of the arrival, UTC; `until` is exclusive."""
    verdict: str | None = None
    duplicate: str = "all"
    """copies: the same bytes lie at several paths; near: another video is probably a near-duplicate."""
    sort: str = "path"
    """unsure, sure: by the score; where there may be several labels, by the score nearest to one half, or
    that of `label`."""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Filters:
        """Filters from the text of an address; what is blank is left out.

        Raises:
            ConfigurationError: No collection, an unknown name, or a value that is none of its kind.
        """
        given = {name: value for name, value in asked.items() if value != ""}
        known = {field.name for field in fields(cls)}
        if "collection" not in given or given.keys() - known:
            raise ConfigurationError(f"filters are {', '.join(sorted(known))}; got {', '.join(given)}.")
        for name, choices in CHOICES.items():
            if given.get(name, choices[0]) not in choices:
                raise ConfigurationError(f"{name} is one of {', '.join(choices)}; got {given[name]!r}.")
        return cls(**{name: _parsed(name, value) for name, value in given.items()})


def _parsed(name: str, value: str) -> Any:
    try:
        if name.endswith("_score"):
            return float(value)
        return datetime.fromisoformat(value) if name in ("since", "until") else value
    except ValueError:
        expected = "a number" if name.endswith("_score") else "a time as 2026-11-29T17:00"
        raise ConfigurationError(f"{name} is {expected}; got {value!r}.") from None


def collections(ports: Ports) -> list[dict[str, Any]]:
    """Collections, with how many of their videos are present, classified and labelled."""
    with ports.warehouse.reading() as read:
        return read("browse_collections")


def facets(ports: Ports, collection: str) -> dict[str, Any]:
    """Labels and verdicts of a collection with their numbers of videos."""
    with ports.warehouse.reading() as read:
        labels = read("browse_labels", collection=collection)
        verdicts = read("browse_verdicts", collection=collection)
    texts = {w.label for w in ports.waiting_labels.all() if w.collection == collection}
    several = is_multi_label(ports, collection)
    waiting = {name for text in texts for name in (names_in(text) if several else (text,))}
    new = sorted(waiting - {row["label"] for row in labels})
    return {
        "labels": [*labels, *({"label": label, "known": 0, "predicted": 0} for label in new)],
        "verdicts": verdicts,
        "multi_label": several,
    }


def page(ports: Ports, filters: Filters, after: str | None = None, most: int = PAGE) -> dict[str, Any]:
    """One page: `videos`, how many are `matching` in all, and `next`, which asks for the page after it.

    Raises:
        ConfigurationError: `after` is not what a page gave as `next`.
    """
    after_value, after_path = _behind(after)
    waiting = [w for w in ports.waiting_labels.all() if w.collection == filters.collection]
    with ports.warehouse.reading() as read:
        rows = read(
            "browse_page", **asdict(filters), after_value=after_value, after_path=after_path, most=most + 1,
            waiting_ids=[w.video_id for w in waiting], waiting_labels=[w.label for w in waiting],
        )  # fmt: skip
    more, shown = len(rows) > most, rows[:most]
    last = [shown[-1]["sort_value"], shown[-1]["path"]] if more else None
    matching = rows[0]["matching"] if rows else 0
    for row in shown:
        del row["sort_value"], row["matching"]
    return {"videos": shown, "matching": matching, "next": json.dumps(last) if last else None}


def _behind(after: str | None) -> tuple[float, str | None]:
    if not after:
        return 0.0, None
    try:
        value, path = json.loads(after)
        return float(value), str(path)
    except (ValueError, TypeError):
        raise ConfigurationError(f"after is what the page before gave as next; got {after[:80]!r}.") from None


def video(ports: Ports, video_id: str, collection: str | None) -> dict[str, Any]:
    """Facts of one video, its best labels, and the segments of a long one.

    Raises:
        NotFound: It is in no such collection, or not present.
    """
    with ports.warehouse.reading() as read:
        rows = read("browse_video", video_id=video_id, collection=collection)
        if not rows:
            raise NotFound(f"no video {video_id[:12]} is present in {collection or 'any collection'}.")
        found = rows[0]
        found["scores"] = read("browse_scores", video_id=video_id, collection=found["collection"])
        found["timeline"] = read("browse_timeline", video_id=video_id, collection=found["collection"])
    waits = {w.of: w.label for w in ports.waiting_labels.all()}
    label = waits.get((found["collection"], video_id))
    return found | {"known_label": label or found["known_label"], "is_waiting": label is not None}


def similar_to(
    ports: Ports, video_id: str, collection: str | None, limit: int
) -> Sequence[Mapping[str, Any]]:
    """The videos that look most like one; none where it has no vector yet."""
    try:
        return similar(ports, video_id, collection=collection, limit=limit).rows
    except NotFound:
        return []


def next_to_label(ports: Ports, collection: str, limit: int) -> list[dict[str, Any]]:
    """Videos most worth a label, without those whose label waits.

    Raises:
        NotFound: No such collection.
    """
    waiting = {w.video_id for w in ports.waiting_labels.all()}
    columns = ("path", "collection", "video_id", "predicted", "score", "runner_up", "candidates")
    asked = queue(ports, collection, limit + len(waiting))
    rows = [row for row in asked if row["video_id"] not in waiting][:limit]
    return [{name: row[name] for name in columns} for row in rows]
