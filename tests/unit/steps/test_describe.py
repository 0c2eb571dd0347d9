"""What manifests, names and containers state of videos: typed views, recording times, and failures."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from conftest import concrete, warehouse_rows

from vidpipe.adapters.database.warehouse import Warehouse
from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.recording_tags import recording_facts, recording_tag
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.steps.ingest import ingest, ingest_again

PATTERN = "cam_%Y%m%d_%H%M%S"
NOON = datetime(2026, 7, 1, 12)


def clip(tools: Tools, file: Path, colour: str, *tags: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    metadata = [word for tag in tags for word in ("-metadata", tag)]
    command = [tools.ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", f"color={colour}:s=64x64:d=0.4:r=5"]
    subprocess.run([*command, *metadata, str(file)], check=True)
    return file


@pytest.fixture(scope="module")
def recorded_clips(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, of which one container says nothing, two a time with a zone, one a time without."""
    folder = tmp_path_factory.mktemp("recorded")
    clip(tools, folder / "plain.mp4", "red")
    clip(tools, folder / "zoned.mp4", "green", "creation_time=2026-07-01T12:00:00Z")
    clip(tools, folder / "dated.mkv", "blue", "creation_time=2026-07-01T12:00:00Z")
    clip(tools, folder / "local.avi", "gray", "date=2026-07-01 14:00:00")
    return folder


def recorded(ports: Ports) -> dict[str, tuple[datetime | None, str | None]]:
    rows = warehouse_rows(ports, "select path, recorded_at, recorded_at_source from collection_videos")
    return {path: (recorded_at, source) for path, recorded_at, source in rows}


def test_ffprobe_s_tags_become_recording_times(videos: VideoFiles, recorded_clips: Path) -> None:
    facts = {f.stem: videos.probe(f) for f in sorted(recorded_clips.iterdir())}
    assert {name: (f.recorded_at, f.recorded_text) for name, f in facts.items()} == {
        "plain": (None, None),
        "zoned": (NOON, None),
        "dated": (NOON, None),
        "local": (datetime(2026, 7, 1, 14), "2026-07-01 14:00:00"),
    }


@pytest.mark.parametrize(
    ("container", "stream", "expected"),
    [
        ({"com.apple.quicktime.creationdate": "2026-07-01T14:00:00+0200", "date": "x"}, {}, (NOON, None)),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, {}, (None, None)),
        ({"creation_time": "1970-01-01T00:00:00.000000Z", "date": "2026-07-01T12:00:00Z"}, {}, (NOON, None)),
        ({"date": "2026"}, {}, (None, None)),
        ({"DATE_RECORDED": "2026-07-01 12:00"}, {}, (NOON, "2026-07-01 12:00")),
        ({}, {"creation_time": "2026-07-01T12:00:00Z"}, (NOON, None)),
        (
            {"creation_time": "2026-07-01T12:00:00.000000Z"},
            {"handler_name": "\tGoPro AVC  "},
            (NOON, "2026-07-01T12:00:00.000000"),
        ),
        ({"date": "soon"}, {}, (None, "soon")),
    ],
)  # fmt: skip
def test_the_most_trusted_tag_says_the_time(
    container: dict[str, str], stream: dict[str, str], expected: tuple[datetime | None, str | None]
) -> None:
    assert recording_facts(recording_tag({"tags": container}, {"tags": stream})) == expected


def test_manifest_comes_before_name_and_name_before_container(
    ports: Ports, tmp_path: Path, recorded_clips: Path
) -> None:
    source = tmp_path / "videos"
    for name, origin in {
        "cam_20260102_030405_a.mp4": "zoned.mp4", "cam_20260102_030405_b.mp4": "plain.mp4",
        "c.mp4": "zoned.mp4", "d.avi": "local.avi", "e.mkv": "dated.mkv",
    }.items():  # fmt: skip
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(recorded_clips / origin, source / name)
    manifest = tmp_path / "list.csv"
    manifest.write_text(
        "path,site,recorded_at\ncam_20260102_030405_a.mp4,north,2025-01-01 00:00\n"
        "cam_20260102_030405_b.mp4,north,\nc.mp4,south,\nd.avi,south,\ne.mkv,,\n"
    )
    report = ingest(
        ports, "yard", source, manifest=manifest, time_from_name=PATTERN, time_zone="Europe/Berlin"
    )
    assert (report.failed, report.bad_values, report.columns_kept) == (0, 0, ["path", "recorded_at"])
    assert recorded(ports) == {
        "cam_20260102_030405_a.mp4": (datetime(2024, 12, 31, 23), "manifest"),
        "cam_20260102_030405_b.mp4": (datetime(2026, 1, 2, 2, 4, 5), "name"),
        "c.mp4": (NOON, "container"),
        "d.avi": (NOON, "container"),
        "e.mkv": (NOON, "container"),
    }
    of_content = warehouse_rows(ports, "select recorded_at from videos where container = 'avi'")
    assert of_content == [(datetime(2026, 7, 1, 14),)], "which alone knows no zone"
    ingest(ports, "yard", source, time_from_name="", time_zone="")
    assert recorded(ports)["cam_20260102_030405_b.mp4"] == (None, None)
    assert recorded(ports)["d.avi"] == (datetime(2026, 7, 1, 14), "container")


def test_declared_columns_are_typed_and_commented_and_a_bad_value_is_a_failure(
    ports: Ports, tmp_path: Path, recorded_clips: Path
) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text(
        "path,Site,temperature,recorded_at,role\nplain.mp4,n\u00f8rth,-3.5,2026-07-01 12:00,train\n"
        "zoned.mp4,south,12°,not yet,test\ndated.mkv,,,,\n"
    )
    declared = ["site:text", "temperature:double", "role:text"]
    name = 'gate "7"/b'
    first = ingest(ports, name, recorded_clips, manifest=manifest, attributes=declared)
    assert (first.videos, first.bad_values, first.failed, first.splits) == (3, 1, 1, {})
    ((path, stage, error_class, message, status),) = warehouse_rows(
        ports, "select path, stage, error_class, message, status from failures"
    )
    assert (path, stage, error_class, status) == ("zoned.mp4", "describe", "BadValue", "retry")
    for said in (str(manifest), "line 3", "temperature is '12°'", "a number", "recorded_at is 'not yet'"):
        assert said in message
    view = 'from "attributes_gate ""7""/b" order by path'
    assert warehouse_rows(ports, f"select path, present, site, temperature, role {view}") == [
        ("dated.mkv", True, None, None, None),
        ("plain.mp4", True, "nørth", -3.5, "train"),
        ("zoned.mp4", True, "south", None, "test"),
    ]
    comments = warehouse_rows(
        ports, "select comment from duckdb_columns() where starts_with(table_name, 'attributes_')"
    )
    assert len(comments) == 7 and all(comment for (comment,) in comments)
    written = concrete(ports.warehouse, Warehouse).export(tmp_path / "out")
    assert (tmp_path / "out" / "attributes_gate %227%22%2Fb.parquet").is_file() and len(written) > 20

    again = ingest_again(ports, name)
    assert (again.bad_values, again.failed, again.failed_again) == (1, 1, 1), "known: not in a night's budget"
    manifest.write_text(manifest.read_text().replace("12°", "12").replace("not yet", "2026-07-02"))
    assert ingest_again(ports, name).bad_values == 0
    assert warehouse_rows(ports, "select status from failures") == [("resolved",)]
    assert warehouse_rows(ports, f"select temperature {view}")[-1] == (12.0,)
    ingest(ports, name, recorded_clips, attributes=[""])
    assert not warehouse_rows(ports, "from duckdb_views() where starts_with(view_name, 'attributes_')")


def test_a_name_that_should_say_the_time_and_does_not_is_a_failure_unless_the_container_does(
    ports: Ports, recorded_clips: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(recorded_clips, tmp_path / "videos")
    shutil.copyfile(source / "plain.mp4", source / "cam_20269901_000000.mp4")
    report = ingest(ports, "yard", source, time_from_name=PATTERN)
    failed = dict(warehouse_rows(ports, "select path, message from failures"))
    assert (report.failed, set(failed)) == (2, {"plain.mp4", "cam_20269901_000000.mp4"})
    assert "does not look like" in failed["plain.mp4"] and PATTERN in failed["plain.mp4"]
    assert "is no date and time" in failed["cam_20269901_000000.mp4"]


def test_a_request_that_cannot_be_right_changes_nothing(
    ports: Ports, recorded_clips: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,site\nplain.mp4,north\n")
    for wrong, said in (
        ({"attributes": ["site:text"]}, "without a manifest"),
        ({"attributes": ["sight:text"], "manifest": manifest}, "no column 'sight'.*path, site"),
        ({"attributes": ["site"], "manifest": manifest}, "--attribute 'site'"),
        ({"time_zone": "Mars"}, "no time zone 'Mars'"),
        ({"time_from_name": "cam"}, "--time-from-name 'cam'"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            ingest(ports, "yard", recorded_clips, **wrong)
    assert ports.ledger.sources.collections() == []
    ingest(ports, "yard", recorded_clips, manifest=manifest, attributes=["site:text"])
    with pytest.raises(ConfigurationError, match="would have one name"):
        ingest(ports, "Yard", recorded_clips, manifest=manifest, attributes=["site:text"])
