"""Pictures of videos that still exist, for pages that people look at: a still, or a strip of ten frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vidpipe.errors import StillChanging, StorageFailed, Vanished, VideoError
from vidpipe.ports import Ports
from vidpipe.ports.sources import Staging
from vidpipe.records.videos import LocalFile, SourceFile, StoredObject
from vidpipe.uris import place_of

log = logging.getLogger(__name__)

MAX_OBJECT_BYTES = 64 << 20
"""Objects larger than this are not downloaded for the sake of a picture."""
STILL, STRIP = "still", "strip"
STILL_PX = 320
"""The longer side of a still in the browse page, sharp on a dense screen."""
PLACES = 3
"""Of a video with copies, so many files are tried."""


class NoPicture(Exception):
    """The reason why there is no picture, as shown on a page."""


def picture_at(staging: Staging, row: Mapping[str, Any], make: Callable[[Path], bytes]) -> bytes:
    """Make a picture of the file that a row names, if it is still the one that was hashed.

    Args:
        staging: Local copies of objects.
        row: Source, path, video_id and the file's identity when it was hashed.
        make: Turns a local file into a JPEG.

    Raises:
        NoPicture: Says why in a few words.
    """
    names = ("path", "size_bytes", "mtime_ns", "inode", "etag", "ctime_ns")
    listed = SourceFile(**{name: row[name] for name in names})
    place = place_of(row["source"], listed, row["video_id"])
    if isinstance(place, StoredObject) and place.size_bytes > MAX_OBJECT_BYTES:
        raise NoPicture("too large to fetch for a picture")
    try:
        with staging.local(place) as file:
            return make(file)
    except StillChanging:
        raise NoPicture("the file has changed since") from None
    except (OSError, ValueError, VideoError) as error:  # our Vanished is an OSError, too
        log.info("no picture of %s: %s", row["path"], error)
        gone = isinstance(error, Vanished) or (isinstance(place, LocalFile) and not place.path.exists())
        raise NoPicture("the file is gone" if gone else "no frame can be shown") from None


def picture(ports: Ports, video_id: str, kind: str) -> bytes:
    """A picture of a video, from the cache or made now.

    Args:
        ports: The outside world.
        video_id: All of it.
        kind: `STILL` or `STRIP`.

    Raises:
        NoPicture: It is nowhere, was forgotten, or shows nothing.
    """
    if known := ports.pictures.get(video_id, kind):
        return known
    jpeg = _made(ports, video_id, kind)
    if _places(ports, video_id):  # else it was forgotten meanwhile
        try:
            ports.pictures.put(video_id, kind, jpeg)
        except StorageFailed as error:
            log.warning("%s", error)
    return jpeg


def _made(ports: Ports, video_id: str, kind: str) -> bytes:
    why = NoPicture("it is in no collection any more")
    for row in _places(ports, video_id):
        try:
            if kind == STRIP:
                return picture_at(ports.staging, row, ports.videos.filmstrip)
            return picture_at(ports.staging, row, lambda file: ports.videos.thumbnail(file, STILL_PX))
        except NoPicture as error:
            why = error
    raise why


def _places(ports: Ports, video_id: str) -> list[dict[str, Any]]:
    with ports.warehouse.reading() as read:
        return read("places_of_video", video_id=video_id, most=PLACES)
