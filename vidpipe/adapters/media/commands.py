"""The command lines of ffmpeg and ffprobe: what is asked of them, and what they may open.

Demuxers and protocols are restricted to real containers on the local disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ffmpeg

from vidpipe.records.features import FrameTransform
from vidpipe.vision.sampling import select_expression

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ivf,flv,asf,ogg,mxf,"
    "rm,dv,gif,swf,wav,mp3,aac,flac"
)
"""Demuxers that read one local file and nothing else: no playlist, no concat script, no image sequence."""
MAX_PIXELS = 8192 * 8192
"""Source: `max_pixels` in https://ffmpeg.org/ffmpeg-codecs.html; 8K video has 33 million."""
PICTURE_PX = 160


def probe_command(binary: str, file: Path) -> list[str]:
    """What the container says, as JSON.

    Source: https://ffmpeg.org/ffmpeg-formats.html and -protocols.html, the two whitelists.
    """
    return [
        binary, "-loglevel", "level+error",
        "-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS,
        "-print_format", "json", "-show_format", "-show_streams", f"file:{file}",
    ]  # fmt: skip


def decode_command(binary: str, file: Path, sample_fps: float, views: Sequence[FrameTransform]) -> list[str]:
    """The ffmpeg command: rotate (ffmpeg's default), sample, note the time, crop, resize, RGB.

    `-fps_mode passthrough` keeps ffmpeg from inventing or dropping frames to even out their spacing.
    """
    stream = ffmpeg.input(
        f"file:{file}", protocol_whitelist="file,pipe", format_whitelist=CONTAINERS,
        threads=1, max_pixels=MAX_PIXELS,
    )["V:0"]  # fmt: skip
    sampled = stream.filter("select", select_expression(sample_fps)).filter("showinfo", checksum=0)
    if len(views) == 1:
        frames = _view(sampled, views[0])
    else:
        copies = sampled.filter_multi_output("split", len(views))
        squares = [_view(copies.stream(n), view) for n, view in enumerate(views)]
        frames = ffmpeg.filter(squares, "vstack", inputs=len(views))
    output = frames.output("pipe:", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough")
    arguments: list[str] = output.global_args(
        "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+verbose", "-filter_threads", "1"
    ).compile(cmd=binary)
    return arguments


def picture_command(binary: str, file: Path, at_s: float) -> list[str]:
    """One frame, within a square of `PICTURE_PX`, as JPEG on stdout."""
    stream = ffmpeg.input(
        f"file:{file}", ss=f"{at_s:.3f}", protocol_whitelist="file,pipe", format_whitelist=CONTAINERS,
        threads=1, max_pixels=MAX_PIXELS,
    )["V:0"]  # fmt: skip
    small = stream.filter(
        "scale", PICTURE_PX, PICTURE_PX, force_original_aspect_ratio="decrease", flags="area"
    ).filter("setsar", 1)
    output = small.output("pipe:", format="mjpeg", vframes=1, pix_fmt="yuvj420p", **{"q:v": 5})
    arguments: list[str] = output.global_args(
        "-nostdin", "-hide_banner", "-loglevel", "error", "-filter_threads", "1"
    ).compile(cmd=binary)
    return arguments


def _view(frames: Any, view: FrameTransform) -> Any:
    """The frames of an ffmpeg-python stream as squares."""
    if view.crop_share is not None:
        side = f"max(1,floor(min(iw,ih)*{view.crop_share}))"
        frames = frames.filter("crop", side, side)
    return frames.filter("scale", view.size_px, view.size_px, flags=view.interpolation)
