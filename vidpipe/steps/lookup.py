"""Collections and videos that a person names; a video by its hash, its path or a file."""

from __future__ import annotations

import re
from pathlib import Path

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports

LEAST_PREFIX = 8


def require_collection(ports: Ports, name: str | None) -> None:
    """Raise `NotFound` unless there is a collection of this name; None stands for all of them."""
    if name is not None and ports.ledger.sources.collection(name) is None:
        raise NotFound(f"no collection {name!r}.", next_step="vidpipe collections lists them.")


def video_named(ports: Ports, name: str) -> str:
    """Id of the video that a person names.

    Args:
        ports: The outside world.
        name: A path in a collection, a file with the same bytes, or a hash or its first eight or more digits.

    Raises:
        NotFound: No such video.
        ConfigurationError: The path or the digits fit several.
    """
    if found := video_at(ports, name):
        return found
    file = Path(name).expanduser()
    if not file.is_file() and re.fullmatch("[0-9a-f]+", name):
        return full_id(ports, name)
    if not file.is_file():
        raise NotFound(
            f"{name} is no file, no path in a collection, and no video's hash.",
            next_step="vidpipe sql 'from collection_videos' lists paths and hashes.",
        )
    known = ports.ledger.sources.videos_starting(ports.catalog.hash_file(file))
    if not known:
        raise NotFound(f"no collection has had the file {file}.", next_step="vidpipe ingest takes it in.")
    return known[0]


def video_at(ports: Ports, path: str, collection: str | None = None) -> str | None:
    """Id of the video at a path of a collection: the one that is there, or the last one that was.

    Raises:
        ConfigurationError: Collections have different videos at this path.
    """
    rows = ports.ledger.sources.videos_at(path, collection)
    present = [row for row in rows if row[2]] or rows
    if len({video_id for video_id, _, _ in present}) > 1:
        those = ", ".join(f"{video_id[:12]} ({name})" for video_id, name, _ in present)
        raise ConfigurationError(f"{path} is a path of several videos: {those}.", next_step="give the hash.")
    return present[0][0] if present else None


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
