"""Labels given while browsing: each waits in a file until the lease is free, and can be taken back.

They are written as `vidpipe label` writes those of a CSV, many at once, since each writing publishes.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports
from vidpipe.records.labels import GivenLabel, WaitingLabel
from vidpipe.steps.label import give
from vidpipe.steps.label_kinds import given_as_stored
from vidpipe.steps.runs import recorded

log = logging.getLogger(__name__)

MOST_CHARACTERS = 200
"""Of a label: more is a slip of whoever pastes."""


def checked_label(text: str) -> str:
    """A label as it is stored.

    Raises:
        ConfigurationError: Empty, too long, or with control characters.
    """
    label = text.strip()
    if not label or len(label) > MOST_CHARACTERS or not label.isprintable():
        raise ConfigurationError(
            f"{label[:40]!r} is no label: expected 1 to {MOST_CHARACTERS} printable characters."
        )
    return label


def wait_with(
    ports: Ports, collection: str, video_id: str, label: str, source: str
) -> tuple[WaitingLabel, WaitingLabel | None] | None:
    """Let a label of a present video wait; returns it, and the one that waited until now.

    None, and nothing waits anew, where the video has that label already.

    Raises:
        NotFound: No such video is present in the collection.
        ConfigurationError: It is no set of labels, where the collection has several a video.
        StorageFailed: The disk is full or read-only.
    """
    with ports.warehouse.reading() as read:
        rows = read("browse_video", collection=collection, video_id=video_id)
    if not rows:
        raise NotFound(f"no video {video_id[:12]} is present in {collection}.")
    (line,) = given_as_stored(ports, collection, [GivenLabel(rows[0]["path"], label)], "")
    label = line.label or label
    given = WaitingLabel(collection, rows[0]["path"], label, video_id, source, _now())
    waits = next((w.label for w in ports.waiting_labels.all() if w.of == given.of), None)
    if label == (waits or rows[0]["known_label"]):
        return None
    return given, ports.waiting_labels.put(given)


def write_waiting(ports: Ports) -> int:
    """Write all labels that wait into the ledger, and publish them; returns how many there were.

    Killed between the two stores, the next call writes them again, which changes nothing.

    Raises:
        LeaseHeld: Another run is at work; they go on waiting.
        TransientError: The ledger is busy; they go on waiting.
    """
    waiting = ports.waiting_labels.all()
    if not waiting:
        return 0
    of_source: dict[str, dict[str, list[GivenLabel]]] = defaultdict(lambda: defaultdict(list))
    for label in waiting:
        line = GivenLabel(label.path, label.label, label.collection, label.video_id)
        of_source[label.source][label.collection].append(line)
    with recorded(ports, "label") as run:
        counts = [give(ports, of_collection, source) for source, of_collection in of_source.items()]
        run.videos = sum(count["labelled"] for count in counts)
        lost = sum(count["unknown"] + count["changed"] for count in counts)
        run.detail = {"waiting": len(waiting), "lost": lost, "source": sorted(of_source)}
        if lost:
            log.warning(
                "%s of %s labels that waited are of videos whose path holds another one now.",
                lost, len(waiting),
            )  # fmt: skip
    ports.waiting_labels.take_back(waiting)
    return len(waiting)


def take_back(ports: Ports, label: WaitingLabel, before: WaitingLabel | None) -> None:
    """Undo a label: while it waits in the file, later in the ledger; what held before holds again.

    Args:
        ports: The outside world.
        label: As it was given.
        before: The label that waited for the same video until then.

    Raises:
        LeaseHeld: It has been written, and another run is at work.
    """
    if ports.waiting_labels.take_back([label]):
        if before:
            ports.waiting_labels.put(before)
        return
    with recorded(ports, "label") as run:
        ports.ledger.sources.withdraw_label(
            label.collection, label.video_id, label.source, datetime.fromisoformat(label.given_at)
        )
        run.videos = 1
        run.detail = {"withdrawn": 1, "source": [label.source]}


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat()
