"""Exception hierarchy, one class per reaction of the caller.

VidpipeError
├── VideoError              this video cannot be processed: record it, go on
│   ├── Vanished            the file is gone, or may not be read
│   ├── StillChanging       the file is being written, or holds other bytes than were hashed: it waits
│   ├── Unreadable          no demuxer or decoder makes sense of the bytes
│   ├── NoVideoStream       readable media without a video stream
│   ├── NoFrames            a video stream of which no frame decodes
│   ├── TooSlow             the decoder ran past its wall clock
│   ├── TooLarge            an object larger than the disk space set aside for staging
│   ├── Forbidden           a playlist, a script or a link: not a media container
│   ├── BadValue            a stated value of a video does not parse; the video is processed all the same
│   └── Misread             an older spec's reader samples wrong frames: no features of that spec
├── TransientError          try again: a service is busy or unreachable
│   ├── LedgerLocked
│   ├── RegistryUnreachable
│   ├── StorageUnreachable
│   └── LeaseLost           the database that keeps the lease does not answer
├── LeaseHeld               another run holds the lease: exit with code 4
└── StopError               stop, and tell the person what to do
    ├── ConfigurationError  a setting, a manifest or a request that cannot be right
    ├── NotFound            a collection, version or alias that does not exist
    ├── IncompatibleFeatures  stored features and a model have different feature specs
    │   └── DamagedFeatures     stored features of some videos cannot be read: do without them, or stop
    ├── SchemaMismatch      a ledger that a newer vidpipe wrote
    ├── UnsafeModel         model files that do not match their recorded hashes
    ├── RegistryBroken      MLflow answers, and its store is damaged, of another schema, or half deleted
    └── StorageFailed       the disk is full or read-only
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class VidpipeError(Exception):
    """Base of all errors that this project raises on purpose.

    Args:
        message: What happened, where, got against expected. One line.
        next_step: The next command or action for the person who reads it.
    """

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} Next: {self.next_step}" if self.next_step else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders as (class, args); ours carry a keyword as well.
        return (_rebuild, (type(self), self.message, self.next_step))


def _rebuild(cls: type[VidpipeError], message: str, next_step: str) -> VidpipeError:
    return cls(message, next_step=next_step)


class VideoError(VidpipeError):
    """This video cannot be processed: record it, go on."""

    verdict: ClassVar[str | None] = "unreadable"
    """Value of `videos.verdict` for such a video; None where the cause is not its bytes."""


class Vanished(VideoError, FileNotFoundError):
    """The file is gone, or may not be read."""

    verdict = None


class StillChanging(VideoError, OSError):
    """The file is being written, or holds other bytes than were hashed: it waits."""

    verdict = None


class Unreadable(VideoError, ValueError):
    """No demuxer or decoder makes sense of the bytes."""


class NoVideoStream(VideoError, ValueError):
    """Readable media without a video stream."""

    verdict = "no_video"


class NoFrames(VideoError, ValueError):
    """A video stream of which no frame decodes."""

    verdict = "no_frames"


class TooSlow(VideoError, TimeoutError):
    """The decoder ran past its wall clock."""

    verdict = "too_slow"


class TooLarge(VideoError, OSError):
    """An object larger than the disk space set aside for staging."""

    verdict = None


class Forbidden(VideoError, PermissionError):
    """A playlist, a script or a link: not a media container."""

    verdict = "forbidden"


class Misread(VideoError):
    """An older spec's reader samples wrong frames: no features of that spec."""

    verdict = None


class BadValue(VideoError, ValueError):
    """A stated value of a video does not parse; the video is processed all the same."""

    verdict = None


class TransientError(VidpipeError):
    """Try again: a service is busy or unreachable."""

    was_retried = False
    """Set after the last retry, so that callers further out do not retry again."""


class LedgerLocked(TransientError):
    """Another process has the ledger open for longer than we wait."""


class RegistryUnreachable(TransientError, ConnectionError):
    """The MLflow server does not answer."""


class StorageUnreachable(TransientError, ConnectionError):
    """Object storage, or the mount of a folder, does not answer."""


class LeaseLost(TransientError, ConnectionError):
    """The database that keeps the lease does not answer."""


class LeaseHeld(VidpipeError):
    """Another run is at work in this home."""


class StopError(VidpipeError):
    """Stop, and tell the person what to do."""


class ConfigurationError(StopError, ValueError):
    """A setting, a manifest or a request that cannot be right."""


class NotFound(StopError, LookupError):
    """A collection, version or alias that does not exist."""


class IncompatibleFeatures(StopError, ValueError):
    """Stored features and a model have different feature specs."""


class DamagedFeatures(IncompatibleFeatures):
    """Stored features of some videos cannot be read: do without them, or stop.

    Args:
        message: What happened, where.
        video_ids: The videos whose features were not read.
        damaged_ids: Those of them whose stored bytes are wrong; of the others the disk gave none.
        next_step: The next command or action for the person who reads it.
    """

    def __init__(
        self,
        message: str,
        video_ids: Sequence[str] = (),
        damaged_ids: Sequence[str] = (),
        *,
        next_step: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.video_ids, self.damaged_ids = tuple(video_ids), tuple(damaged_ids)

    def __reduce__(self) -> tuple[object, ...]:
        return (_damaged, (self.message, self.video_ids, self.damaged_ids, self.next_step))

    @classmethod
    def joined(cls, errors: Sequence[DamagedFeatures]) -> DamagedFeatures:
        """One error for all that several say, in the words of the first."""
        videos = [video_id for error in errors for video_id in error.video_ids]
        damaged = [video_id for error in errors for video_id in error.damaged_ids]
        return cls(errors[0].message, videos, damaged, next_step=errors[0].next_step)


def _damaged(
    message: str, video_ids: Sequence[str], damaged_ids: Sequence[str], next_step: str
) -> DamagedFeatures:
    return DamagedFeatures(message, video_ids, damaged_ids, next_step=next_step)


class SchemaMismatch(StopError):
    """A ledger that a newer vidpipe wrote."""


class UnsafeModel(StopError):
    """Model files that do not match their recorded hashes."""


class RegistryBroken(StopError):
    """MLflow answers, and its store is damaged, of another schema, or half deleted."""


class StorageFailed(StopError, OSError):
    """The disk is full or read-only."""
