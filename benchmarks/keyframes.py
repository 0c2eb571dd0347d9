"""Key frames alone beside every frame: videos a second, side by side, and what it costs in accuracy.

    python -m benchmarks.keyframes [--clips 4] [--seconds 20] [--rounds 3] [--accuracy] [--json]

1080p H.264 clips with a key frame a second, made by ffmpeg, go through the engine by either rule in turns:
decoded, embedded, written. `--accuracy` trains what `vidpipe train` registers on two labelled sets, by either
rule and by every frame without optical flow, which key frames do not have; the clips are encoded anew with a
key frame a second, for all of them. It takes many minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.accuracy import DATA, ready
from benchmarks.panel import DEFAULT
from benchmarks.tasks import whole_split
from vidpipe.adapters.features.store import FeatureStore
from vidpipe.adapters.media.binaries import find_tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.cli.display import TerminalProgress
from vidpipe.learning.cross_fitting import CrossFit
from vidpipe.learning.inference import predict
from vidpipe.records.features import FeatureSpec
from vidpipe.records.videos import PendingVideo
from vidpipe.settings import load_settings
from vidpipe.vision.backbones import load_backbone
from vidpipe.vision.extraction import extract
from vidpipe.vision.feature_specs import default_spec
from vidpipe.wiring import open_home, open_ports

FULL, KEYS = default_spec(4.0), default_spec(4.0, "keyframes")
RULES = {"full": FULL, "keyframes": KEYS}
ALL_RULES = {**RULES, "full, no flow": replace(KEYS, keyframes=None)}
FPS = 30
WORKERS = max(2, os.cpu_count() or 2)
TOOLS = find_tools()
LABELLED = {"ut_interaction": "sets/ut_interaction", "ucf101": "ucf101"}
COLUMNS = {"ut_interaction": "split", "ucf101": "split1"}
NOISY = "noise=alls=12:allf=t"
"""As a sensor's: without it, drawn pictures cost a decoder next to nothing."""


# -- speed ------------------------------------------------------------------------------------------


def clips(folder: Path, count: int, seconds: int) -> list[Path]:
    """1080p at 30 frames/s and 6 Mbit/s, with B-frames, a key frame a second."""
    made = [folder / f"{number}.mp4" for number in range(count)]
    for number, file in enumerate(made):
        source = f"testsrc2=size=1920x1080:rate={FPS}:duration={seconds},hue=h={40 * number},{NOISY}"
        gop = ("-g", str(FPS), "-keyint_min", str(FPS), "-sc_threshold", "0")
        codec = ("-c:v", "libx264", "-preset", "veryfast", "-b:v", "6M", "-pix_fmt", "yuv420p")
        _ffmpeg("-f", "lavfi", "-i", source, *codec, *gop, str(file))
    return made


def videos_a_second(files: Sequence[Path], folder: Path, spec: FeatureSpec) -> tuple[float, int]:
    """Through the engine and into a part; and how many frames were sampled."""
    videos, backbone = VideoFiles(TOOLS), load_backbone(spec)
    pending = [PendingVideo(f"{n:064x}", file, None, None) for n, file in enumerate(files)]
    started = time.perf_counter()
    with FeatureStore(folder).new_part(spec, "benchmark") as part:
        outcomes = extract(
            pending, embed=backbone, sink=part, workers=WORKERS,
            decode=lambda v: videos.decode(
                files[int(v.video_id, 16)], spec.sample_fps, [spec.view], None, spec.flow, None,
                spec.keyframes, pixels=1920 * 1080,
            ),
        )  # fmt: skip
        part.commit()
        seconds = time.perf_counter() - started
        rules = {outcome.report.sampling for outcome in outcomes if outcome.report}
        assert rules == {"keyframes" if spec.keyframes else "full"}, rules
        return len(files) / seconds, part.rows


def speed(folder: Path, count: int, seconds: int, rounds: int) -> dict[str, Any]:
    """In turns, so that a busy machine is busy for both; medians."""
    files = clips(folder, count, seconds)
    for spec in RULES.values():
        videos_a_second(files[:1], folder / "parts", spec)  # weights and files into the cache
    found: dict[str, list[float]] = {name: [] for name in RULES}
    frames = {}
    for _ in range(rounds):
        for name, spec in RULES.items():
            rate, frames[name] = videos_a_second(files, folder / "parts", spec)
            found[name].append(rate)
    ratios = [keys / full for keys, full in zip(found["keyframes"], found["full"], strict=True)]
    return {
        **{f"videos/s, {name}": round(median(rates), 3) for name, rates in found.items()},
        **{f"frames, {name}": number for name, number in frames.items()},
        "keyframes over full, videos/s": round(median(ratios), 2),
    }


# -- accuracy ---------------------------------------------------------------------------------------


def encoded(source: Path, target: Path) -> None:
    """The same clips with a key frame a second, in Matroska under their own names: AVI holds no times."""

    def one(file: Path) -> None:
        to = target / file.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        _ffmpeg("-i", str(file), "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "20",
                "-force_key_frames", "expr:gte(t,n_forced)", "-threads", "1",
                "-f", "matroska", str(to))  # fmt: skip

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, [f for f in source.rglob("*") if f.suffix in (".mp4", ".avi", ".mkv")]))


def accuracies(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Of the test split, and how the videos were read, for each set and rule."""
    found: dict[str, Any] = {}
    for name in names:
        source, again = DATA / LABELLED[name], folder / name
        encoded(source, again)
        for rule, spec in ALL_RULES.items():
            home = folder / f"home-{name}-{rule}"
            ports = open_ports(open_home(load_settings(home)), TerminalProgress())
            ports = replace(ports, limits=replace(ports.limits, spec=spec))
            found[f"accuracy, {name}, {rule}"] = round(_accuracy(ports, name, again, source), 4)
            read = open_home(load_settings(home))
            read.warehouse.publish()
            how = read.warehouse.query("select sampling, count(*) from video_features group by all").rows
            found[f"videos, {name}, {rule}"] = ", ".join(f"{count} {sampling}" for sampling, count in how)
    return found


def _accuracy(ports: Any, name: str, clips_: Path, source: Path) -> float:
    labelled = ready(ports, name, clips_, source / "splits.csv", COLUMNS[name])
    (trial,) = whole_split(labelled)(0)
    fit = CrossFit(trial.data, trial.folds, DEFAULT, trial.layout)
    for _ in fit.epochs():
        pass
    given = predict(fit.fitted.classifier, trial.test.features)
    return float((given.argmax(1) == trial.test.targets).mean())


def _ffmpeg(*arguments: str) -> None:
    subprocess.run([TOOLS.ffmpeg, "-nostdin", "-loglevel", "error", "-y", *arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--sets", nargs="+", choices=[*LABELLED], default=[*LABELLED])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vidpipe-keyframes-") as name:
        found = speed(Path(name), given.clips, given.seconds, given.rounds)
        if given.accuracy:
            found |= accuracies(Path(name), given.sets)
    if given.json:
        print(json.dumps(found))
        return
    print("\n".join(f"{value!s:>24}  {key}" for key, value in found.items()))


if __name__ == "__main__":
    main()
