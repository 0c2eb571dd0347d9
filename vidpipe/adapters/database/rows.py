"""How records become rows: the Arrow schemas in which the ledger takes them in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from vidpipe.records.features import ExtractedVideo, PartResult
from vidpipe.records.videos import Prediction, ProbedVideo, SourceFile, Windows

_SPLITS = pa.map_(pa.string(), pa.string())
LISTING = pa.schema(
    {
        "path": pa.string(), "size_bytes": pa.int64(), "mtime_ns": pa.int64(), "inode": pa.uint64(),
        "label": pa.string(), "group_name": pa.string(), "splits": _SPLITS, "etag": pa.string(),
        "ctime_ns": pa.int64(), "attributes": _SPLITS, "video_id": pa.string(),
    }
)  # fmt: skip
VIDEOS = pa.schema(
    {
        "video_id": pa.string(), "bytes": pa.int64(), "container": pa.string(), "video_codec": pa.string(),
        "width_px": pa.int32(), "height_px": pa.int32(), "rotation": pa.int32(), "source_fps": pa.float64(),
        "is_vfr": pa.bool_(), "duration_s": pa.float64(), "frames_expected": pa.int64(),
        "stream_index": pa.int32(), "stream_count": pa.int32(), "mirrored": pa.bool_(),
        "field_order": pa.string(), "sample_aspect_ratio": pa.string(), "display_width_px": pa.int32(),
        "display_height_px": pa.int32(), "times_assumed": pa.bool_(), "verdict": pa.string(),
    }
)  # fmt: skip
FAILURES = pa.schema(
    {name: pa.string() for name in ("collection", "path", "video_id", "stage", "error_class", "message")}
)
OUTCOMES = pa.schema(
    {
        "video_id": pa.string(), "n_frames": pa.int32(), "row_offset": pa.int64(), "verdict": pa.string(),
        "frames_expected": pa.int64(), "frames_decoded": pa.int64(), "decode_errors": pa.int64(),
        "black_share": pa.float64(), "frozen_share": pa.float64(), "error_class": pa.string(),
        "message": pa.string(),
    }
)  # fmt: skip
PREDICTIONS = pa.schema(
    {
        "video_id": pa.string(), "rank": pa.uint8(), "label": pa.string(), "score": pa.float32(),
        "window_s": pa.float64(), "stride_s": pa.float64(),
    }
)  # fmt: skip
WINDOWS = pa.schema(
    {
        "video_id": pa.string(), "start_s": pa.float64(), "end_s": pa.float64(), "rank": pa.uint8(),
        "label": pa.string(), "score": pa.float32(),
    }
)  # fmt: skip
EVALUATION = pa.schema(
    {
        "video_id": pa.string(), "label": pa.string(), "group_name": pa.string(), "start_s": pa.float64(),
        "end_s": pa.float64(),
    }
)  # fmt: skip
SPANS = pa.schema({"path": pa.string(), "start_s": pa.float64(), "end_s": pa.float64(), "label": pa.string()})
ANSWERS = pa.schema({"label": pa.string(), "score_bin": pa.uint8(), "videos": pa.int64()})
SPLIT_VIDEOS = pa.schema({"video_id": pa.string(), "split": pa.string()})
MOVES = pa.schema({"video_id": pa.string(), "part": pa.string(), "row_offset": pa.int64()})
GIVEN_LABELS = pa.schema({"video_id": pa.string(), "label": pa.string()})
GIVEN_PATHS = pa.schema({"path": pa.string()})
IDS = pa.schema({"video_id": pa.string()})
PATHS = pa.schema({"path": pa.string(), "video_id": pa.string(), "failed": pa.bool_()})


def windows_row(windows: Windows | None) -> tuple[float | None, float | None]:
    """`window_s` and `stride_s`, as several tables have them."""
    return (windows.window_s, windows.stride_s) if windows else (None, None)


def prediction_row(prediction: Prediction) -> tuple[Any, ...]:
    """A label on a rank, and the windows that it rests on."""
    p = prediction
    return (p.video_id, p.rank, p.label, p.score, *windows_row(p.windows))


def listed_file(
    path: str, size_bytes: int, mtime_ns: int | None, inode: int | None, ctime_ns: int | None,
    etag: str | None,
) -> SourceFile:  # fmt: skip
    """A file as it was when its bytes were hashed, without what the listing says of it."""
    return SourceFile(path, size_bytes or 0, mtime_ns, inode, etag=etag, ctime_ns=ctime_ns)


def listing_row(file: SourceFile, video_id: str | None) -> tuple[Any, ...]:
    """A file of a listing, with the content it holds where that is known."""
    splits = list(file.splits.items())
    return (
        file.path, file.size_bytes, file.mtime_ns, file.inode, file.label, file.group, splits, file.etag,
        file.ctime_ns, list(file.attributes.items()), video_id,
    )  # fmt: skip


def video_row(video: ProbedVideo) -> tuple[Any, ...]:
    """A content with its facts."""
    f = video.facts
    facts: tuple[Any, ...] = (None,) * 17
    if f:
        facts = (
            f.container, f.video_codec, f.width_px, f.height_px, f.rotation, f.source_fps, f.is_vfr,
            f.duration_s, f.frames_expected, f.stream_index, f.stream_count, f.mirrored, f.field_order,
            f.sample_aspect_ratio, f.display_width_px, f.display_height_px, f.times_assumed,
        )  # fmt: skip
    return (video.video_id, video.size_bytes, *facts, video.verdict)


def worst_outcomes(results: Sequence[PartResult]) -> list[ExtractedVideo]:
    """Each video of a batch once: its failure where one of the batch's specs has one."""
    of_specs = zip(*(result.videos for result in results), strict=True)
    return [next((v for v in videos if v.error_class), videos[-1]) for videos in of_specs]


def outcome_row(video: ExtractedVideo) -> tuple[Any, ...]:
    """What extraction made of a video."""
    stored, report = video.stored, video.report
    nothing_decoded = 0 if video.verdict else None  # a file that vanished says nothing of its bytes
    return (
        video.video_id,
        stored.n_frames if stored else None,
        stored.row_offset if stored else None,
        video.verdict,
        report.frames_expected if report else None,
        report.frames_decoded if report else nothing_decoded,
        report.decode_errors if report else None,
        report.black_share if report else None,
        report.frozen_share if report else None,
        video.error_class,
        video.message,
    )
