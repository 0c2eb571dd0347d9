"""Shots of new videos, for collections that are scored in shots: found after extraction, in another pass.

The network wants every frame, where features are made of a few a second.
"""

from __future__ import annotations

import logging

from vidpipe.errors import StillChanging, Vanished, VideoError
from vidpipe.ports import Ports
from vidpipe.records.videos import PendingVideo

log = logging.getLogger(__name__)


def require_shots(ports: Ports) -> None:
    """Check that shots can be found here, if a collection wants them.

    Raises:
        ConfigurationError: The package of the network is missing.
    """
    if any(c.windows and c.windows.are_shots for c in ports.ledger.sources.collections()):
        from vidpipe.vision.shots import require_shots as require

        require()


def find_shots(ports: Ports) -> int:
    """Find the shots of videos that lack them; returns of how many videos.

    A video whose frames do not decode to the end is one shot; one whose file is gone or changes waits.

    Raises:
        ConfigurationError: The package of the network is missing.
    """
    lacking = ports.ledger.shots.lacking()
    if not lacking:
        return 0
    require_shots(ports)
    found = 0
    with ports.progress.stage("shots", len(lacking), "videos") as advance:
        for video in lacking:
            starts_s = _starts_of(ports, video)
            if starts_s:
                ports.ledger.shots.put(video.video_id, starts_s)
                found += 1
            advance(1, 1)
    return found


def _starts_of(ports: Ports, video: PendingVideo) -> list[float]:
    from vidpipe.vision.shots import HEIGHT_PX, WIDTH_PX, shot_starts

    try:
        with ports.staging.local(video.file) as file:
            frames = ports.videos.every_frame(
                file, (WIDTH_PX, HEIGHT_PX), video.duration_s, video.stream_index, ports.limits.workers
            )
            return shot_starts(frames)
    except (Vanished, StillChanging, OSError) as error:
        log.warning("%s waits for its shots: %s", video.video_id[:12], error)
        return []
    except VideoError as error:
        log.warning("%s is taken as one shot: %s", video.video_id[:12], error)
        return [0.0]
    finally:
        ports.staging.drop(video.file)
