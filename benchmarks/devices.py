"""What vidpipe makes of files as devices write them, against what is known to be right of each.

    python -m benchmarks.devices [--folder DIR] [--hostile DIR] [--json]

The folder has a `DEVICES.csv` with `path, frames, first_s, last_s, sampled_4fps, sizes, sample_aspect,
verdict`. Its files go through `ingest` and `extract` into a home of their own; frames, samples, size, sample
aspect ratio and verdict are read from the tables, first and last time from a decode that samples every frame.
Beside them goes a folder of hostile files with a `MANIFEST.csv` of what plain ffmpeg makes of each: verdicts
are compared, and what a newcomer sees of both folders is printed: verdicts, what was passed over, and whether
a file has neither features nor a reason. Ends with exit code 1 if one value differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidpipe.adapters.database.warehouse import Warehouse
from vidpipe.cli.display import TerminalProgress
from vidpipe.errors import VideoError
from vidpipe.ports import Ports
from vidpipe.records.features import FrameTransform, View
from vidpipe.records.globs import counted
from vidpipe.settings import load_settings
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.wiring import open_home, open_ports

DATA = Path(os.environ.get("VIDPIPE_DATASETS", Path(__file__).parents[2] / "shared" / "data"))
UNIFORM = ("made/all_black.mp4", "decord/unordered.mov", "torchcodec/testsrc2_mpeg4.mp4")
"""Hostile files that are black, white and almost black: by plain ffmpeg all pixels of a frame are equal."""
EVERY_FRAME_FPS = 1000.0
TINY = View(FrameTransform(size_px=8, crop_share=None, interpolation="area"), reader=2)
TOLERANCE_S = 0.002
"""The list gives milliseconds."""
COLUMNS = ("frames", "first_s", "last_s", "samples", "size", "aspect", "verdict")
UNEXPLAINED = """
select cv.collection, cv.path
from collection_videos as cv
left join video_features as vf on cv.video_id = vf.video_id
left join failures as f on cv.collection = f.collection and cv.path = f.path and f.status <> 'resolved'
where cv.present and vf.video_id is null and f.path is null
"""
VERDICTS = """
select cv.path, v.verdict
from collection_videos as cv
left join videos as v on cv.video_id = v.video_id
where cv.collection = 'hostile'
"""
QUERY = """
select cv.path, v.verdict, v.frames_decoded, v.width_px, v.height_px, v.sample_aspect_ratio, vf.n_frames
from collection_videos as cv
left join videos as v on cv.video_id = v.video_id
left join video_features as vf on v.video_id = vf.video_id
where cv.collection = 'devices'
"""


def expected(row: Mapping[str, str]) -> dict[str, Any]:
    """What the list says of a file."""
    return {
        "frames": int(row["frames"]), "first_s": float(row["first_s"]), "last_s": float(row["last_s"]),
        "samples": int(row["sampled_4fps"]), "size": row["sizes"], "aspect": _aspect(row["sample_aspect"]),
        "verdict": row["verdict"],
    }  # fmt: skip


def expected_verdict(row: Mapping[str, str]) -> str:
    """What follows from a line of the hostile files' list: frames by plain ffmpeg, and its complaints."""
    decoded = int(row["ffmpeg_decoded_frames"])
    if row["format"].endswith("_pipe"):
        return "forbidden"
    if decoded == 0:
        return "no_video" if row["n_video"] == "0" and int(row["n_audio"]) > 0 else "unreadable"
    if row["path"] in UNIFORM:
        return "blank"
    return "partial" if row["ffmpeg_stderr_head"] and not row["path"].endswith(".gif") else "ok"


def differences(want: Mapping[str, Any], got: Mapping[str, Any]) -> list[str]:
    """The columns in which a file is not as expected, as `name got/expected`."""
    return [f"{name} {got[name]} (expected {want[name]})" for name in COLUMNS if not _same(name, want, got)]


def _same(name: str, want: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    if name.endswith("_s"):
        return got[name] is not None and abs(got[name] - want[name]) <= TOLERANCE_S
    return got[name] in want[name].split() if name == "size" else bool(got[name] == want[name])


def _aspect(ratio: str | None) -> str:
    """A ratio that the file does not state is that of square pixels."""
    return "1:1" if ratio in (None, "", "0:1", "N/A") else str(ratio)


def measure(ports: Ports, folder: Path) -> dict[str, dict[str, Any]]:
    """Path to what the pipeline made of it."""
    ingest(ports, "devices", folder)
    extract(ports)
    return {row[0]: _measured(ports, folder / row[0], row[1:]) for row in _asked(ports, QUERY)}


def newcomer(ports: Ports, hostile: Path) -> tuple[list[str], list[str]]:
    """What is said of the hostile files beside the others, and what is wrong with it, a line each."""
    with (hostile / "MANIFEST.csv").open(encoding="utf-8", newline="") as stream:
        wanted = {row["path"]: expected_verdict(row) for row in csv.DictReader(stream)}
    report = ingest(ports, "hostile", hostile)
    extract(ports)
    got = {row[0]: row[1] for row in _asked(ports, VERDICTS)}
    wrong = [
        f"{path}: {verdict} (expected {wanted[path]})"
        for path, verdict in got.items()
        if path in wanted and verdict != wanted[path]
    ]
    unexplained = _asked(ports, UNEXPLAINED)
    counts = _asked(ports, "select verdict, count(*) from videos group by all order by all")
    said = [f"{verdict}: {count}" for verdict, count in counts]
    said.append(
        f"passed over {counted(report.passed_over)}; neither features nor a reason: {len(unexplained)}"
    )
    return said, wrong + [f"{path}: neither features nor a reason" for _, path in unexplained]


def _asked(ports: Ports, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query on the published warehouse; the port alone has named statements."""
    assert isinstance(ports.warehouse, Warehouse)
    return ports.warehouse.query(sql).rows


def _measured(ports: Ports, file: Path, row: tuple[Any, ...]) -> dict[str, Any]:
    verdict, frames, width, height, aspect, samples = row
    first_s, last_s = ends_s(ports, file)
    return {
        "frames": frames, "first_s": first_s, "last_s": last_s, "samples": samples,
        "size": f"{width}x{height}", "aspect": _aspect(aspect), "verdict": verdict,
    }  # fmt: skip


def ends_s(ports: Ports, file: Path) -> tuple[float | None, float | None]:
    """Presentation times of the first and the last frame."""
    try:
        facts = ports.videos.probe(file)
        decoding = ports.videos.decode(
            file, EVERY_FRAME_FPS, [TINY], facts.duration_s, stream_index=facts.stream_index
        )
        times = [time_s for time_s, _ in decoding]
    except VideoError:
        return None, None
    return times[0], times[-1]


def _mistaken(wanted: Mapping[str, Any], got: Mapping[str, Any], right: str, wrong: str) -> int:
    """How many files have the wrong verdict where the list says the right one."""
    return sum(got[path]["verdict"] == wrong and want["verdict"] == right for path, want in wanted.items())


def main() -> int:
    """1 if a file is not as the list says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=DATA / "devices", help="files and their DEVICES.csv")
    parser.add_argument("--hostile", type=Path, default=DATA / "hostile", help="files and their MANIFEST.csv")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    with (asked.folder / "DEVICES.csv").open(encoding="utf-8", newline="") as stream:
        wanted = {row["path"]: expected(row) for row in csv.DictReader(stream)}
    with tempfile.TemporaryDirectory() as temp:
        ports = open_ports(open_home(load_settings(Path(temp))), TerminalProgress())
        got = measure(ports, asked.folder)
        said, hostile_wrong = newcomer(ports, asked.hostile)
    got = {path: got.get(path, dict.fromkeys(COLUMNS)) for path in wanted}
    wrong = {path: found for path, want in wanted.items() if (found := differences(want, got[path]))}
    counts = {
        "files": len(wanted), "false_partial": _mistaken(wanted, got, "ok", "partial"),
        "false_ok": _mistaken(wanted, got, "partial", "ok"),
    }  # fmt: skip
    if asked.json:
        print(json.dumps({**counts, "wrong": wrong, "hostile": said, "hostile_wrong": hostile_wrong}))
        return int(bool(wrong or hostile_wrong))
    for path in wanted:
        print(f"{'-' if path in wrong else '+'} {path:34} {'; '.join(wrong.get(path, ['as expected']))}")
    print(f"{len(wanted) - len(wrong)} of {len(wanted)} right; healthy files reported partial: "
          f"{counts['false_partial']}; damaged files reported ok: {counts['false_ok']}")  # fmt: skip
    print("with the hostile files: " + ", ".join(said))
    for line in hostile_wrong:
        print(f"- {line}")
    return int(bool(wrong or hostile_wrong))


if __name__ == "__main__":
    sys.exit(main())
