"""The CNN and its pooling: frames a second, and how far features are from float32's, engine by engine.

    python -m benchmarks.cnn [--frames DIR] [--json]

Each engine runs in a process of its own, one after the other, on the same frames: of the videos in DIR, by
default the shared clips where they exist, else generated ones; twice, and the better time counts. OpenVINO,
with the same maps as outputs, takes part if it is installed (`pip install openvino`). The cosine is the
smallest of any frame and any kind of features. Compare ratios, not the figures of two machines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vidpipe import cores
from vidpipe.records.videos import Floats, Pixels, consecutive_slices
from vidpipe.vision import backbones, fused_cnn, lite
from vidpipe.vision.backbone_table import DEFAULT, built_in
from vidpipe.vision.backbones import Backbone
from vidpipe.vision.feature_specs import default_spec
from vidpipe.vision.pooling import Pooling

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "ucf101"
SPEC = default_spec(4.0)
LITE0 = built_in(DEFAULT)
POOLING = Pooling(SPEC.pooling, LITE0.maps)
FRAMES = 256
SECONDS = 4.0
ROUNDS = 2

Stream = Callable[[Sequence[Pixels]], list[Floats]]
"""Computes many batches; how many at once is its own affair."""


def replace(owner: object, name: str, function: Callable[..., Any]) -> None:
    """Put a function in the place of the engine's own; each engine has a process of its own."""
    setattr(owner, name, function)


def eager() -> Backbone:
    replace(lite, "can_fuse", lambda: False)
    return backbones.load_backbone(SPEC, dtype="float32", engine="torch")


def eager_without_kept_memory() -> Backbone:
    replace(cores, "keep_freed_memory", lambda: None)
    return eager()


def one_after_the_other() -> Backbone:
    backbone = backbones.load_backbone(SPEC, dtype="float32", engine="torch")
    backbone.workers = 1
    return backbone


def each_tap_by_itself() -> Backbone:
    replace(fused_cnn, "round_kernels", lambda weight: weight)
    replace(fused_cnn, "corrected_bias", lambda layer, _mean: layer.bias.detach())
    return backbones.load_backbone(SPEC, dtype="bfloat16", engine="torch")


def eager_bfloat16() -> Backbone:
    replace(lite, "can_fuse", lambda: False)
    return backbones.load_backbone(SPEC, dtype="bfloat16", engine="torch")


def stream_of(backbone: Backbone) -> Stream:
    """Batches side by side, as extraction computes them."""

    def stream(batches: Sequence[Pixels]) -> list[Floats]:
        with backbone.threads() as pool:
            return list(pool.map(backbone, batches))

    return stream


def openvino(precision: str) -> Stream:
    """The same network in OpenVINO's throughput mode."""
    import openvino as ov  # type: ignore[import-not-found,unused-ignore]
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            net = lite.load_net(LITE0, SPEC.weights_sha256).requires_grad_(False)
            self.trunk = lite.EagerTrunk(net, torch.device("cpu"), torch.float32, LITE0.middle_block)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            last, middle = self.trunk((pixels.permute(0, 3, 1, 2).float() - 127) / 128)
            assert middle is not None
            return torch.cat([last.mean((2, 3)), middle.permute(0, 2, 3, 1).flatten(1)], 1)  # as Pooling.rows

    shape = (lite.BATCH_FRAMES, 224, 224, 3)
    example = torch.zeros(shape, dtype=torch.uint8)
    model = ov.convert_model(Whole().eval(), example_input=example, input=[shape])
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
    compiled = ov.compile_model(model, "CPU", options)

    def stream(batches: Sequence[Pixels]) -> list[Floats]:
        results: list[Any] = [None] * len(batches)
        queue = ov.AsyncInferQueue(compiled)
        queue.set_callback(lambda request, k: results.__setitem__(k, request.get_output_tensor().data.copy()))
        for k, batch in enumerate(batches):
            queue.start_async(batch, k)
        queue.wait_all()
        return results

    return stream


def ours_in_openvino(dtype: Literal["float32", "bfloat16"]) -> Backbone:
    return backbones.load_backbone(SPEC, dtype=dtype, engine="openvino")


ENGINES: dict[str, Callable[[], Stream]] = {
    "eager float32, memory given back": lambda: stream_of(eager_without_kept_memory()),
    "eager float32": lambda: stream_of(eager()),
    "fused float32, all cores on one batch": lambda: stream_of(one_after_the_other()),
    "fused float32": lambda: stream_of(backbones.load_backbone(SPEC, dtype="float32", engine="torch")),
    "eager bfloat16": lambda: stream_of(eager_bfloat16()),
    "fused bfloat16, weights rounded to nearest": lambda: stream_of(each_tap_by_itself()),
    "fused bfloat16 (ours)": lambda: stream_of(
        backbones.load_backbone(SPEC, dtype="bfloat16", engine="torch")
    ),
    "OpenVINO float32": lambda: openvino("f32"),
    "OpenVINO bfloat16": lambda: openvino("bf16"),
    "OpenVINO float32 (ours)": lambda: stream_of(ours_in_openvino("float32")),
    "OpenVINO bfloat16, its start in float32 (ours)": lambda: stream_of(ours_in_openvino("bfloat16")),
}
REFERENCE = "fused float32"


def sample_frames(folder: Path) -> Pixels:
    """Frames of as many videos as possible, as the pipeline decodes them, (N, 224, 224, 3)."""
    from vidpipe.adapters.media.binaries import find_tools
    from vidpipe.adapters.media.video_files import VideoFiles

    files = sorted(f for f in folder.rglob("*") if f.suffix in (".mp4", ".avi", ".mkv", ".mov"))
    videos, found = VideoFiles(find_tools()), []
    for file in files[:: max(1, len(files) // FRAMES)]:
        found += [pixels for _, pixels in videos.decode(file, 0.5, [SPEC.view], None)][:4]
        if len(found) >= FRAMES:
            break
    return np.stack(found[: len(found) // 16 * 16])


def run_engine(name: str, frames: Pixels, target: Path) -> dict[str, float]:
    """Features of all frames into `target`; seconds to start, and frames a second afterwards."""
    B = lite.BATCH_FRAMES
    batches = [frames[k : k + B] for k in range(0, len(frames), B)]
    started = time.perf_counter()
    stream = ENGINES[name]()
    stream(batches[:1])
    start_s = time.perf_counter() - started
    np.save(target, np.concatenate(stream(batches)))
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        stream(batches)
        count += len(frames)
    return {"start_s": round(start_s, 2), "frames_per_s": round(count / (time.perf_counter() - started), 1)}


def measure(name: str, folder: Path) -> dict[str, float] | None:
    """One engine in a fresh process; None where it is not installed."""
    command = [sys.executable, "-m", "benchmarks.cnn", "--child", name, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.stderr.write(f"{name}: left out ({ended.stderr.strip().splitlines()[-1]})\n")
        return None
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def compare(folder: Path) -> dict[str, Any]:
    """All engines on the frames that lie in `folder`."""
    rows: dict[str, Any] = {}
    for _ in range(ROUNDS):
        for name in ENGINES:
            if row := measure(name, folder):
                rows[name] = max(row, rows.get(name, row), key=lambda r: r["frames_per_s"])
    reference = features(folder, REFERENCE)
    for name, row in rows.items():
        cosine = np.stack([cosines(a, b) for a, b in zip(reference, features(folder, name), strict=True)])
        row["cosine_min"] = round(float(cosine.min()), 5)
        row["cosine_median"] = round(float(np.median(cosine)), 5)
    return rows


def features(folder: Path, name: str) -> list[Floats]:
    """What an engine gave, kind by kind, each (N, D of the kind); no motion, as frames stand alone here."""
    rows = np.load(folder / f"{list(ENGINES).index(name)}.npy")
    found = np.stack([POOLING.features(row, None) for row in rows])
    return [found[:, span] for span in consecutive_slices(POOLING.sizes)[:2]]


def cosines(a: Floats, b: Floats) -> Floats:
    found: Floats = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=Path, help="a folder of videos")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        name, folder = given.child[0], Path(given.child[1])
        target = folder / f"{list(ENGINES).index(name)}.npy"
        print(json.dumps(run_engine(name, np.load(folder / "frames.npy"), target)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.save(folder / "frames.npy", sample_frames(given.frames or _default_videos(folder)))
        rows = compare(folder)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    if given.json:
        print(json.dumps({"machine": machine, "engines": rows}))
        return
    print(f"{machine}\n{'frames/s':>10} {'start s':>8} {'cosine min':>11} {'median':>8}")
    for name, row in rows.items():
        print("{frames_per_s:>10} {start_s:>8} {cosine_min:>11} {cosine_median:>8}  ".format(**row) + name)


def _default_videos(folder: Path) -> Path:
    if SHARED.is_dir():
        return SHARED
    from vidpipe.adapters.media.binaries import find_tools
    from vidpipe.demo.clips import make_collection

    return make_collection(folder / "clips", find_tools().ffmpeg).labelled


if __name__ == "__main__":
    main()
