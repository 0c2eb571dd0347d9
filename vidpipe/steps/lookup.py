"""Collections and videos that a person names: does the collection exist, which video has this prefix."""

from __future__ import annotations

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports

LEAST_PREFIX = 8


def require_collection(ports: Ports, name: str | None) -> None:
    """Raise `NotFound` unless there is a collection of this name; None stands for all of them."""
    if name is not None and ports.ledger.sources.collection(name) is None:
        raise NotFound(f"no collection {name!r}.", next_step="vidpipe collections lists them.")


def full_id(ports: Ports, prefix: str) -> str:
    """Full id of the one video with this prefix.

    Args:
        ports: The outside world.
        prefix: Eight digits or more.

    Raises:
        NotFound: No such video.
        ConfigurationError: Too few digits, or they fit more than one.
    """
    if len(prefix) < LEAST_PREFIX:
        raise ConfigurationError(
            f"{prefix!r} is too short to name a video.", next_step=f"give {LEAST_PREFIX} digits or more."
        )
    found = ports.ledger.sources.videos_starting(prefix)
    if not found:
        raise NotFound(f"no video {prefix}.", next_step="vidpipe sql 'from collection_videos'")
    if len(found) > 1:
        raise ConfigurationError(f"{prefix} fits more than one video.", next_step="give more digits.")
    return found[0]
