"""Recordings that are still written, in the containers of recorders: they wait, and are read when whole."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vidpipe.adapters.media.binaries import Tools
from vidpipe.ports import Ports
from vidpipe.steps import hash_and_probe as intake
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly

SOURCE = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=2")
X264 = ("-c:v", "libx264", "-g", "10", "-pix_fmt", "yuv420p")
RECORDERS = {
    "fragmented.mp4": (*X264, "-movflags", "frag_keyframe+empty_moov"),
    "moov_last.mp4": X264,
    "stream.ts": X264,
    "live.mkv": (*X264, "-live", "1"),
    "no_index.avi": ("-c:v", "mjpeg"),
}
OUTCOMES = """
select cv.path, v.verdict, v.frames_decoded, f.status
from collection_videos as cv
left join videos as v on cv.video_id = v.video_id
left join failures as f on cv.path = f.path
where cv.present order by cv.path
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recordings(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Name to the bytes of the whole recording of 20 frames."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, how in RECORDERS.items():
        subprocess.run([tools.ffmpeg, "-loglevel", "error", *SOURCE, *how, folder / name], check=True)
    return {name: (folder / name).read_bytes() for name in RECORDERS}


@pytest.fixture
def cameras(recordings: dict[str, bytes], tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder into which all recorders write a little every 0.2 s, until they are stopped."""
    folder, stop = tmp_path / "cams", threading.Event()
    folder.mkdir()
    left = {name: content[len(content) // 2 :] for name, content in recordings.items()}
    for name, content in recordings.items():
        (folder / name).write_bytes(content.removesuffix(left[name]))

    def write(name: str, count: int | None) -> None:
        with (folder / name).open("ab") as stream:
            stream.write(left[name][:count])
        left[name] = left[name][count:] if count else b""

    def record() -> None:
        while not stop.wait(0.2):
            for name in left:
                write(name, 16)
        for name in left:
            write(name, None)

    recorder = threading.Thread(target=record)
    recorder.start()

    def end() -> None:
        stop.set()
        recorder.join()

    yield folder, end
    end()


def outcomes(ports: Ports) -> dict[str, tuple[Any, ...]]:
    """Path to verdict, frames and the state of its failure."""
    rows = ports.warehouse.query(OUTCOMES).rows  # type: ignore[attr-defined]
    return {row[0]: tuple(row[1:]) for row in rows}


def test_what_recorders_still_write_waits_and_is_read_when_it_is_whole(
    ports: Ports, cameras: tuple[Path, Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "QUIET_S", 1.0)
    folder, end = cameras
    came = ingest(ports, "cams", folder)
    assert (came.failed, came.waiting, came.videos) == (0, len(RECORDERS), 0)
    end()
    night = nightly(ports, failure_budget="0")
    assert (night.status, night.failed, night.waiting) == ("no_champion", 0, 0)
    assert outcomes(ports) == dict.fromkeys(RECORDERS, ("ok", 20, "resolved"))


def test_a_recorder_that_pauses_is_read_as_far_as_it_got_and_again_when_it_is_whole(
    ports: Ports, recordings: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "cams"
    folder.mkdir()
    for name, content in recordings.items():
        (folder / name).write_bytes(content[: len(content) * 4 // 5])
        os.utime(folder / name, (1e9, 1e9))
    assert ingest(ports, "cams", folder).waiting == 0
    extract(ports)
    first = outcomes(ports)
    assert first.pop("moov_last.mp4")[0] == "unreadable"
    assert {verdict for verdict, _, _ in first.values()} == {"partial"}
    assert all(0 < frames < 20 for _, frames, _ in first.values())
    for name, content in recordings.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, (1.1e9, 1.1e9))
    night = nightly(ports, failure_budget="0")
    assert (night.failed, night.extracted) == (0, len(RECORDERS))
    assert {name: row[:2] for name, row in outcomes(ports).items()} == dict.fromkeys(RECORDERS, ("ok", 20))
    assert outcomes(ports)["moov_last.mp4"][2] == "resolved"
