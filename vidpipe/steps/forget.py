"""Erase a video's features, predictions and failures for good (right to erasure).

Its part is rewritten without it, its predictions and failures are deleted, and the snapshot is published
without them. The hash stays in the ledger, so that the same bytes are never processed again, and with it the
versions that were trained on them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from vidpipe.errors import DamagedFeatures
from vidpipe.ports import Ports
from vidpipe.records.features import StoredFeatures
from vidpipe.steps.gc import collect
from vidpipe.steps.lookup import video_named
from vidpipe.steps.runs import Result, recorded

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ForgetResult(Result):
    """Result of `vidpipe forget`."""

    run_id: int
    video_id: str
    parts: int
    """Parts that were written anew."""
    pages: int
    """Reports that pictured it, removed."""
    taught: list[int]
    """Versions of the model that were trained on it. They are not changed."""


def forget(ports: Ports, video: str) -> ForgetResult:
    """Erase a video's features, predictions, failures, given labels and pictures, and pages that show one.

    Killed at any point, it can be called again: until the last step the video is whole or gone.

    Args:
        ports: The outside world.
        video: Its hash or the first eight or more digits, a path in a collection, or a file with its bytes.

    Raises:
        NotFound: No such video.
        ConfigurationError: The digits or the path fit more than one.
        LeaseHeld: Another run is at work.
    """
    with recorded(ports, "forget") as run:
        chosen = video_named(ports, video)
        moved = [
            (feature_set_id, _rewritten(ports, feature_set_id, part, chosen))
            for feature_set_id, part in ports.ledger.features.parts_of_video(chosen)
        ]
        pages = ports.reports.forget(chosen)
        ports.waiting_labels.forget(chosen)
        ports.ledger.features.forget(chosen, moved)
        collect(ports, 0.0)  # the old parts still hold the video; under the lease nobody writes new ones
        run.videos = 1
        run.detail = {"video_id": chosen}
        taught = ports.ledger.decisions.versions_taught(chosen)
    ports.pictures.forget(chosen)  # now that the snapshot knows: nobody makes one anew
    return ForgetResult(run.run_id, chosen, len(moved), pages, taught)


def _rewritten(ports: Ports, feature_set_id: str, part: str, without: str) -> Sequence[StoredFeatures]:
    """Rewrite a part without the video; returns the new positions of its other videos.

    Those whose features cannot be read have none from now on: nothing else would let the part go.
    """
    kept = [s for s in ports.ledger.features.features_of_part(feature_set_id, part) if s.video_id != without]
    try:
        return ports.store.rewrite(feature_set_id, kept)
    except DamagedFeatures as error:
        log.warning("%s", error.message)
        ports.ledger.features.lack(feature_set_id, error.video_ids, even_absent=True)
        return _rewritten(ports, feature_set_id, part, without)
