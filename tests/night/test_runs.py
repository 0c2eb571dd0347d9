"""What a run says of itself in `runs`: bytes, frames a second, and a night's seconds by stage."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import warehouse_rows

from vidpipe.ports import Ports
from vidpipe.steps import nightly as nightly_step
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import Night, nightly


@pytest.fixture
def two_clips(tmp_path: Path, clips: Any) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    for file in sorted(clips.incoming.glob("*.mp4"))[:2]:
        shutil.copy(file, source)
    return source


def rows(ports: Ports, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in warehouse_rows(ports, query)]


def test_bytes_of_what_was_read_and_written_are_those_of_the_files(
    ports: Ports, two_clips: Path, tmp_path: Path
) -> None:
    ingest(ports, "two", two_clips)
    shutil.copy(next(two_clips.glob("*.mp4")), two_clips / "copy.mp4")  # read, but no new content
    nightly(ports)

    read = {file.name: file.stat().st_size for file in two_clips.iterdir()}
    copy = read.pop("copy.mp4")
    written = sum(file.stat().st_size for file in ports.store.parts())  # type: ignore[attr-defined]
    assert written > 0
    moved = "select kind, read_bytes, written_bytes from runs order by run_id"
    assert rows(ports, moved) == [
        ("ingest", sum(read.values()), 0),
        ("nightly", copy, written),
        ("ingest", copy, 0),
        ("extract", 0, written),
    ]


def test_a_nights_stages_take_as_long_as_their_runs_and_no_longer_than_the_night(
    ports: Ports, two_clips: Path
) -> None:
    ingest(ports, "two", two_clips)
    nightly(ports)

    ((seconds, ingest_s, extract_s, classify_s),) = rows(
        ports, "select seconds, ingest_s, extract_s, classify_s from nights"
    )
    assert min(ingest_s, extract_s, classify_s) >= 0
    assert ingest_s + extract_s + classify_s <= seconds + 0.01
    ((of_its_run, frames_per_s),) = rows(
        ports, "select seconds, frames_per_s * seconds / frames from runs where kind = 'extract'"
    )
    assert extract_s >= of_its_run - 0.01 and frames_per_s == pytest.approx(1)


def test_extraction_between_two_loads_of_an_ingest_counts_as_extraction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 10.0, 15.0, 40.0, 100.0, 107.0])
    mine = SimpleNamespace(monotonic=lambda: next(clock))  # other threads keep the real one
    monkeypatch.setattr(nightly_step, "time", mine)
    night = Night()
    with night.timed("ingest"), night.timed("extract"):  # 0 to 40, and within it 10 to 15
        pass
    with night.timed("extract"):  # 100 to 107
        pass
    assert night.seconds == {"ingest": 35.0, "extract": 12.0}
