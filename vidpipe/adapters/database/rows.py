"""Arrow schemas and row conversion of records for bulk inserts into the ledger.

Types are Arrow's names, and `map` for text to text.
Source: https://arrow.apache.org/docs/python/generated/pyarrow.type_for_alias.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidpipe.records.features import ExtractedVideo, PartResult
from vidpipe.records.predictions import Prediction, WindowPrediction
from vidpipe.records.videos import ProbedVideo, SourceFile
from vidpipe.records.windows import Windows

LISTING = {
    "path": "string", "size_bytes": "int64", "mtime_ns": "int64", "inode": "uint64",
    "label": "string", "group_name": "string", "splits": "map", "etag": "string",
    "ctime_ns": "int64", "attributes": "map", "typed": "map", "recorded_at": "timestamp[us]",
    "recorded_at_source": "string", "video_id": "string",
}  # fmt: skip
VIDEOS = {
    "video_id": "string", "bytes": "int64", "container": "string", "video_codec": "string",
    "width_px": "int32", "height_px": "int32", "rotation": "int32", "source_fps": "float64",
    "is_vfr": "bool", "duration_s": "float64", "frames_expected": "int64",
    "stream_index": "int32", "stream_count": "int32", "mirrored": "bool",
    "field_order": "string", "sample_aspect_ratio": "string", "display_width_px": "int32",
    "display_height_px": "int32", "times_assumed": "bool", "recorded_at": "timestamp[us]",
    "recorded_text": "string", "verdict": "string",
}  # fmt: skip
FAILURES = dict.fromkeys(("collection", "path", "video_id", "stage", "error_class", "message"), "string")
OUTCOMES = {
    "video_id": "string", "n_frames": "int32", "row_offset": "int64", "verdict": "string",
    "frames_expected": "int64", "frames_decoded": "int64", "decode_errors": "int64",
    "black_share": "float64", "frozen_share": "float64", "error_class": "string",
    "message": "string", "sampling": "string",
}  # fmt: skip
PREDICTIONS = {
    "video_id": "string", "rank": "uint8", "label": "string", "score": "float32",
    "window_s": "float64", "stride_s": "float64", "over_threshold": "bool",
}  # fmt: skip
WINDOWS = {
    "video_id": "string", "start_s": "float64", "end_s": "float64", "rank": "uint8",
    "label": "string", "score": "float32", "over_threshold": "bool",
}  # fmt: skip
EVALUATION = {
    "video_id": "string", "label": "string", "group_name": "string", "start_s": "float64",
    "end_s": "float64",
}  # fmt: skip
SPANS = {"path": "string", "start_s": "float64", "end_s": "float64", "label": "string"}
COUNTS = {"label": "string", "score_bin": "uint8", "videos": "int64"}
SPLIT_VIDEOS = {"video_id": "string", "split": "string"}
MOVES = {"video_id": "string", "part": "string", "row_offset": "int64"}
PARTS = {"feature_set_id": "string", "part": "string"}
ISSUES = {
    "video_id": "string", "rank": "int64", "label": "string", "suggested": "string",
    "label_score": "float64", "suggested_score": "float64", "is_confident": "bool",
}  # fmt: skip
NEAR_DUPLICATES = {
    "video_id": "string", "other_video_id": "string", "similarity": "float32", "start_s": "float64",
    "end_s": "float64", "other_start_s": "float64", "other_end_s": "float64", "frames": "int32",
}  # fmt: skip
NOVELTY = {"video_id": "string", "novelty": "float32"}
DRIFT_VIDEOS = {"video_id": "string", "features": "binary"}
GIVEN_LABELS = {"video_id": "string", "label": "string"}
GIVEN_PATHS = {"path": "string"}
IDS = {"video_id": "string"}
PATHS = {"path": "string", "video_id": "string", "failed": "bool"}


def windows_row(windows: Windows | None) -> tuple[float | None, float | None]:
    """`window_s` and `stride_s`, as several tables have them."""
    return (windows.window_s, windows.stride_s) if windows else (None, None)


def prediction_row(prediction: Prediction) -> tuple[Any, ...]:
    """Row of a prediction, with its windows' length and stride."""
    p = prediction
    return (p.video_id, p.rank, p.label, p.score, *windows_row(p.windows), p.over_threshold)


def window_row(prediction: WindowPrediction) -> tuple[Any, ...]:
    """Row of a prediction for a window."""
    p = prediction
    return (p.video_id, p.start_s, p.end_s, p.rank, p.label, p.score, p.over_threshold)


def listed_file(
    path: str, size_bytes: int, mtime_ns: int | None, inode: int | None, ctime_ns: int | None,
    etag: str | None,
) -> SourceFile:  # fmt: skip
    """A file as it was when its bytes were hashed, without labels."""
    return SourceFile(path, size_bytes or 0, mtime_ns, inode, etag=etag, ctime_ns=ctime_ns)


def listing_row(file: SourceFile, video_id: str | None) -> tuple[Any, ...]:
    """Row of a listed file, with its video id where that is known."""
    return (
        file.path, file.size_bytes, file.mtime_ns, file.inode, file.label, file.group,
        tuple(file.splits.items()), file.etag, file.ctime_ns, tuple(file.attributes.items()),
        tuple(file.typed.items()), file.recorded_at, file.recorded_at_source, video_id,
    )  # fmt: skip


def video_row(video: ProbedVideo) -> tuple[Any, ...]:
    """Row of a video with its metadata."""
    f = video.facts
    facts: tuple[Any, ...] = (None,) * 19
    if f:
        facts = (
            f.container, f.video_codec, f.width_px, f.height_px, f.rotation, f.source_fps, f.is_vfr,
            f.duration_s, f.frames_expected, f.stream_index, f.stream_count, f.mirrored, f.field_order,
            f.sample_aspect_ratio, f.display_width_px, f.display_height_px, f.times_assumed,
            f.recorded_at, f.recorded_text,
        )  # fmt: skip
    return (video.video_id, video.size_bytes, *facts, video.verdict)


def worst_outcomes(results: Sequence[PartResult]) -> list[ExtractedVideo]:
    """One outcome for each video of a shard: its failure where any of the shard's specs has one."""
    of_specs = zip(*(result.videos for result in results), strict=True)
    return [next((v for v in videos if v.error_class), videos[-1]) for videos in of_specs]


def outcome_row(video: ExtractedVideo) -> tuple[Any, ...]:
    """Row of a video's extraction outcome."""
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
        report.sampling if report else None,
    )
