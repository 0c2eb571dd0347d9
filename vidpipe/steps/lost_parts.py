"""Stored features that are gone or damaged: after a restore of another day, a power cut, on a bad disk.

The ledger says what is done, and a part that it names may still be missing. Features are a function of the
bytes, so they are computed again; but where no part at all is there, its folder is more likely away.
"""

from __future__ import annotations

import logging

from vidpipe.errors import DamagedFeatures, IncompatibleFeatures
from vidpipe.ports import Ports
from vidpipe.records.features import SkippedFeatures

log = logging.getLogger(__name__)


def forget_lost_parts(ports: Ports, *, even_all: bool = False) -> int:
    """Forget what parts that are gone or cut off held: the next extraction computes it; returns their number.

    Args:
        ports: The outside world; the lease is held.
        even_all: Although no part is left.

    Raises:
        IncompatibleFeatures: No part is left.
        StorageUnreachable: The bucket with the parts does not answer.
    """
    named = ports.ledger.features.named_parts()
    gone = ports.store.gone(named)
    if not gone:
        return 0
    if gone == named and not even_all:
        raise IncompatibleFeatures(
            f"none of the {len(named)} feature parts that the ledger names is there.",
            next_step="mount or restore the features' folder; lost for good: vidpipe gc --lost-parts, and "
            "the next night computes them again.",
        )
    log.warning("%d feature parts are gone or cut off: their videos are read again.", len(gone))
    ports.ledger.features.forget_parts(gone)
    return len(gone)


def forget_damaged(ports: Ports, feature_set_id: str, skipped: SkippedFeatures) -> list[str]:
    """Forget features whose bytes are wrong, so that they are computed again; returns the problems met.

    What the disk merely did not give stays on record.

    Args:
        ports: The outside world; the lease is held.
        feature_set_id: Of the features.
        skipped: What could not be read.
    """
    if not skipped.errors:
        return []
    error = DamagedFeatures.joined(skipped.errors)
    if error.damaged_ids:
        ports.ledger.features.lack(feature_set_id, error.damaged_ids)
    log.warning("%s", error)
    return [
        f"features of {len(error.video_ids)} videos could not be read; {len(error.damaged_ids)} are damaged, "
        f"and computed again by the next night: {error.message}"
    ]
