"""1080p recordings by codec: the engine beside its floor in CPU seconds, and the worth of ffmpeg's shortcuts.

    python -m benchmarks.decoding [--codecs h264 h264-b hevc av1] [--seconds 20] [--rounds 3] [--json]

The floor is what cannot be left out: ffmpeg with the engine's own command and both outputs thrown away, the
CNN alone on as many frames, optical flow alone on as many pictures. CPU seconds, because other programs on
the machine change them little. The shortcuts change the decoded pixels, or take decoder threads; they are
measured, and not used.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

import numpy as np

from benchmarks.long_video import CODECS, NOISY
from vidpipe.adapters.features.store import FeatureStore
from vidpipe.adapters.media.binaries import find_tools
from vidpipe.adapters.media.colour import likely_look
from vidpipe.adapters.media.commands import Input, decode_command
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.records.videos import PendingVideo
from vidpipe.vision.backbones import load_backbone
from vidpipe.vision.extraction import extract
from vidpipe.vision.feature_specs import default_spec
from vidpipe.vision.optical_flow import FlowMeter

SPEC = default_spec(4.0)
assert SPEC.flow
FLOW = SPEC.flow
TOOLS = find_tools()
FPS = 30
PIXELS = 1920 * 1080
ENCODERS = {
    **CODECS,
    "h264-b": (
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-bf",
        "8",
        "-b_strategy",
        "0",
        "-refs",
        "4",
    ),
}
SHORTCUTS = {
    "four decoder threads": ("-threads", "4"),
    "no loop filter": ("-skip_loop_filter", "all"),
    "no loop filter on non-reference frames": ("-skip_loop_filter", "noref"),
    "no non-reference frames": ("-skip_frame", "noref"),
}
"""Source: `threads`, `skip_loop_filter` and `skip_frame` in https://ffmpeg.org/ffmpeg-codecs.html."""


def recording(file: Path, seconds: int, codec: str) -> Path:
    """1080p at 30 frames/s and 6 Mbit/s, noisy as a sensor's, a key frame every two seconds."""
    drawn = f"testsrc2=size=1920x1080:rate={FPS}:duration={seconds},{NOISY}"
    coding = (*ENCODERS[codec], "-b:v", "6M", "-g", str(2 * FPS), "-pix_fmt", "yuv420p")
    subprocess.run(
        [
            TOOLS.ffmpeg,
            "-nostdin",
            "-loglevel",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            drawn,
            *coding,
            str(file),
        ],
        check=True,
    )
    return file


def cpu_seconds(what: Callable[[], object]) -> float:
    """CPU seconds of this process and of those that it started and waited for."""
    before = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    what()
    after = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))


def engine(file: Path, folder: Path, embed: Any) -> int:
    """Extract one video into a part; the number of frames."""
    videos = VideoFiles(TOOLS)
    with FeatureStore(folder).new_part(SPEC, "benchmark") as part:
        extract(
            [PendingVideo("0" * 64, file, None, None)], embed=embed, sink=part, workers=1,
            decode=lambda v: videos.decode(
                file, SPEC.sample_fps, [SPEC.view], None, SPEC.flow, pixels=PIXELS
            ),
        )  # fmt: skip
        part.commit()
        return part.rows


def decode_alone(file: Path, shortcut: Sequence[str] = ()) -> None:
    """The engine's own ffmpeg command; its frames and its grey pictures are thrown away."""
    sink = os.open(os.devnull, os.O_WRONLY)
    command = decode_command(
        TOOLS.ffmpeg, Input.of(file), SPEC.sample_fps, [SPEC.view], flow=SPEC.flow, flow_pipe=sink,
        start_s=0.0, look=likely_look(PIXELS),
    )  # fmt: skip
    at = command.index("-i")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*command[:at], *shortcut, *command[at:]], check=True, pass_fds=(sink,), **quiet)  # type: ignore[call-overload]
    os.close(sink)


def cnn_alone(frames: int, embed: Any) -> None:
    """The CNN on so many frames, already in memory."""
    B, px = embed.batch_frames, SPEC.view.transform.size_px
    batch = np.random.default_rng(0).integers(0, 255, (B, px, px, 3), np.uint8)
    with embed.threads() as pool:
        list(pool.map(embed, [batch] * -(-frames // B)))


def flow_alone(pictures: int) -> None:
    """Optical flow on so many grey pictures, already in memory."""
    rng, meter = np.random.default_rng(0), FlowMeter(FLOW)
    shape = (8, FLOW.height_px, FLOW.width_px)
    greys = rng.integers(0, 255, shape, np.uint8)
    for n in range(pictures):
        meter.add(n / FLOW.fps, greys[n % len(greys)])


def measured(codec: str, folder: Path, seconds: int, rounds: int) -> dict[str, Any]:
    """Medians over the rounds, all in turns."""
    file = recording(folder / f"{codec}.mp4", seconds, codec)
    embed = load_backbone(SPEC)
    frames = engine(file, folder / "parts", embed)  # the file and the network's weights into the cache
    work: dict[str, Callable[[], object]] = {
        "engine": lambda: engine(file, folder / "parts", embed),
        "decoder": lambda: decode_alone(file),
        "CNN": lambda: cnn_alone(frames, embed),
        "flow": lambda: flow_alone(round(seconds * FLOW.fps)),
        **{name: lambda flags=flags: decode_alone(file, flags) for name, flags in SHORTCUTS.items()},  # type: ignore[misc]
    }
    found: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, one in work.items():
            found[name].append(cpu_seconds(one))
    cpu = {name: median(values) for name, values in found.items()}
    floor = cpu["decoder"] + cpu["CNN"] + cpu["flow"]
    return {
        **{f"CPU s, {name}": round(cpu[name], 2) for name in ("engine", "decoder", "CNN", "flow")},
        "floor over engine": round(floor / cpu["engine"], 3),
        **{f"{name}, over the decoder": round(cpu[name] / cpu["decoder"], 2) for name in SHORTCUTS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--codecs", nargs="+", choices=ENCODERS, default=[*ENCODERS])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vidpipe-decoding-") as name:
        found = {codec: measured(codec, Path(name), given.seconds, given.rounds) for codec in given.codecs}
    if given.json:
        print(json.dumps(found))
        return
    for codec, figures in found.items():
        print(f"\n{codec}")
        print("\n".join(f"{value!s:>10}  {key}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
