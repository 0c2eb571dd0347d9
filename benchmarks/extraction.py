"""Videos to features: the engine beside its floor, and beside the loop that one would write first.

    python -m benchmarks.extraction [--source DIR] [--videos 250] [--json]

The floor is bare ffmpeg with the same filters, as many at once as the engine runs, plus the CNN alone on the
same number of frames. The plain loop takes one video after the other: ffmpeg's full frames, PIL's crop and
resize, the eager network on a video's frames. The videos are those of DIR, by default the shared clips where
they exist, else generated ones.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vidpipe.adapters.features.store import FeatureStore
from vidpipe.adapters.media.binaries import find_tools
from vidpipe.adapters.media.commands import Input, decode_command
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.records.features import FeatureSpec
from vidpipe.records.videos import PendingVideo
from vidpipe.vision import lite
from vidpipe.vision.backbone_table import built_in
from vidpipe.vision.backbones import load_backbone
from vidpipe.vision.extraction import extract
from vidpipe.vision.feature_specs import default_spec
from vidpipe.vision.optical_flow import FLOW_SIZE

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "ucf101"
SPEC = default_spec(4.0)
NO_FLOW = replace(SPEC, flow=None, feature_size=SPEC.feature_size - FLOW_SIZE)
WORKERS = max(2, os.cpu_count() or 2)
TOOLS = find_tools()


def run_engine(chosen: Sequence[Path], folder: Path, spec: FeatureSpec = SPEC) -> int:
    """Extract into a part; the number of frames."""
    videos, backbone = VideoFiles(TOOLS), load_backbone(spec)
    files = {f"{n:064x}": file for n, file in enumerate(chosen)}
    pending = [PendingVideo(video_id, file, None, None) for video_id, file in files.items()]
    with FeatureStore(folder).new_part(spec, "benchmark") as part:
        extract(
            pending, embed=backbone, sink=part, workers=WORKERS,
            decode=lambda v: videos.decode(files[v.video_id], spec.sample_fps, [spec.view], None, spec.flow),
        )  # fmt: skip
        part.commit()
        return part.rows


def decode_bare(files: Sequence[Path]) -> None:
    """The engine's own ffmpeg command, its frames thrown away."""

    def one(file: Path) -> None:
        command = decode_command(TOOLS.ffmpeg, Input.of(file), SPEC.sample_fps, [SPEC.view])  # without flow
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, files))


def embed_alone(frames: int) -> None:
    """The CNN on so many frames, already in memory."""
    backbone = load_backbone(SPEC)
    B = backbone.batch_frames
    batch = np.random.default_rng(0).integers(0, 255, (B, 224, 224, 3), np.uint8)
    with backbone.threads() as pool:
        list(pool.map(backbone, [batch] * (frames // B)))


def plain_loop(files: Sequence[Path]) -> int:
    """One video after the other, frame by frame; the number of frames."""
    import torch
    from PIL import Image

    net: Any = lite.load_net(built_in(SPEC.backbone), SPEC.weights_sha256)
    frames = 0
    for file in files:
        size = subprocess.run(
            [TOOLS.ffprobe, "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height",
             "-of", "csv=p=0:s=x", str(file)], capture_output=True, text=True, check=True,
        ).stdout.split()[0]  # fmt: skip
        width, height = map(int, size.strip("x").split("x")[:2])
        raw = subprocess.run(
            [TOOLS.ffmpeg, "-loglevel", "error", "-i", str(file), "-vf", f"fps={SPEC.sample_fps}",
             "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], capture_output=True, check=True,
        ).stdout  # fmt: skip
        pictures = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
        tensors = [
            torch.from_numpy(np.array(Image.fromarray(p).resize((224, 224), Image.Resampling.BICUBIC)))
            for p in pictures
        ]
        with torch.inference_mode():
            for tensor in tensors:
                pixels = (tensor.permute(2, 0, 1)[None].float() - 127) / 128
                net.extract_features(pixels).mean((2, 3)).numpy()
        frames += len(tensors)
    return frames


def peak_mb(seconds: float, folder: Path) -> float:
    """Memory of a process that extracts one video of such a length, with its decoders' none."""
    file = folder / f"{seconds:.0f}.mp4"
    pattern = f"testsrc2=size=320x240:rate=25:duration={seconds}"
    subprocess.run(
        [TOOLS.ffmpeg, "-loglevel", "error", "-y", "-f", "lavfi", "-i", pattern, "-c:v", "libx264", "-preset",
         "ultrafast", "-pix_fmt", "yuv420p", str(file)], check=True,
    )  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.extraction", "--child", "memory", str(file), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(ended.stdout.splitlines()[-1])


def in_child(what: str, *arguments: object) -> Any:
    """Each measure in a process of its own: allocator and threads as they are set there."""
    command = [sys.executable, "-m", "benchmarks.extraction", "--child", what, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def be_child(what: str, *arguments: str) -> None:
    if what == "memory":
        run_engine([Path(arguments[0])], Path(arguments[1]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    files = [Path(f) for f in Path(arguments[0]).read_text(encoding="utf-8").splitlines()]
    frames = 0
    run_engine(files[:2], Path(arguments[1]))  # imports, weights and files into the cache
    started = time.perf_counter()
    if what == "engine":
        frames = run_engine(files, Path(arguments[1]))
    elif what == "without flow":
        frames = run_engine(files, Path(arguments[1]), NO_FLOW)
    elif what == "decode":
        decode_bare(files)
    elif what == "cnn":
        embed_alone(int(arguments[2]))
    else:
        frames = plain_loop(files)
    print(json.dumps({"frames": frames, "seconds": time.perf_counter() - started}))


def measure(files: Sequence[Path], folder: Path, hours: float) -> dict[str, float]:
    listing = folder / "files.txt"
    listing.write_text("\n".join(map(str, files)), encoding="utf-8")
    engine = in_child("engine", listing, folder)
    plainer = in_child("without flow", listing, folder)["seconds"]
    decode = in_child("decode", listing, folder)["seconds"]
    cnn = in_child("cnn", listing, folder, engine["frames"])["seconds"]
    some = folder / "some.txt"
    some.write_text("\n".join(map(str, files[:: max(1, len(files) // 25)])), encoding="utf-8")
    loop = in_child("loop", some, folder)
    ours = engine["frames"] / engine["seconds"]
    plain = loop["frames"] / loop["seconds"]
    found = {
        "videos": len(files), "frames": engine["frames"], "frames/s": round(ours, 1),
        "ms a video, decoding alone": round(decode / len(files) * 1000, 1),
        "frames/s, CNN alone": round(engine["frames"] / cnn, 1),
        "floor (decode + CNN) over engine without flow": round((decode + cnn) / plainer, 2),
        "engine over engine without flow, time": round(engine["seconds"] / plainer, 2),
        "frames/s, plain loop": round(plain, 1), "engine over plain loop": round(ours / plain, 1),
    }  # fmt: skip
    if hours:
        found["MB for 10 s"] = round(peak_mb(10, folder))
        found[f"MB for {hours:g} h"] = round(peak_mb(hours * 3600, folder))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", type=Path, help="a folder of videos")
    parser.add_argument("--videos", type=int, default=250)
    parser.add_argument("--hours", type=float, default=0, help="of a long video whose memory is measured too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        be_child(*given.child)
        return
    with tempfile.TemporaryDirectory(prefix="vidpipe-extraction-") as name:
        folder = Path(name)
        source = given.source or _default_videos(folder)
        files = sorted(f for f in source.rglob("*") if f.suffix in (".mp4", ".avi", ".mkv", ".mov"))
        files = files[:: max(1, len(files) // given.videos)][: given.videos]
        found = measure(files, folder, given.hours)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    print("\n".join(f"{value!s:>10}  {key}" for key, value in found.items()))


def _default_videos(folder: Path) -> Path:
    if SHARED.is_dir():
        return SHARED
    from vidpipe.demo.clips import make_collection

    return make_collection(folder / "clips", TOOLS.ffmpeg).labelled


if __name__ == "__main__":
    main()
