"""Feature parts that are gone or cut off: after a restore of another day, a power cut, or a failing disk.

The ledger says what is done, and a part that it names may still be missing. Features are a function of the
bytes, so they are computed again; but where no part at all is there, its folder is more likely away.
"""

from __future__ import annotations

import logging

from vidpipe.errors import IncompatibleFeatures
from vidpipe.ports import Ports

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
