"""Every hostile file gets the verdict that follows from what the manifest says of it; none stops the rest.

The rule:
    forbidden    not a container of the list (here: an image)
    no_video     readable, without a video stream
    unreadable   nothing opens, or nothing decodes
    partial      the decoder complains of damage, or the file is cut off
    ok           everything else
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from benchmarks.devices import expected_verdict
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest

QUERY = """
select cv.path, v.verdict, v.frames_decoded, v.black_share, v.frozen_share,
    (select count(*) from failures as f where f.path = cv.path and f.status <> 'resolved') as failures
from collection_videos as cv inner join videos as v on cv.video_id = v.video_id
"""


@pytest.fixture(scope="module")
def manifest(shared: Path) -> dict[str, dict[str, str]]:
    with (shared / "hostile" / "MANIFEST.csv").open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def judged(
    shared: Path, manifest: Any, tmp_path_factory: pytest.TempPathFactory, make_ports: Any
) -> dict[str, dict[str, Any]]:
    ports = make_ports(tmp_path_factory.mktemp("hostile") / "home")
    source = shared / "hostile"
    report = ingest(ports, "hostile", source, manifest=source / "MANIFEST.csv")
    assert report.videos == len(manifest) == 86
    extract(ports)
    answer = ports.warehouse.query(QUERY)
    return {row[0]: dict(zip(answer.columns, row, strict=True)) for row in answer.rows}


def test_every_verdict_follows_from_the_rule(judged: Any, manifest: Any) -> None:
    wrong = {
        path: (judged[path]["verdict"], expected_verdict(row))
        for path, row in manifest.items()
        if judged[path]["verdict"] != expected_verdict(row)
    }
    assert wrong == {}
    assert {row["verdict"] for row in judged.values()} >= {
        "ok",
        "partial",
        "no_video",
        "unreadable",
        "forbidden",
    }


def test_every_decoded_frame_is_counted(judged: Any, manifest: Any) -> None:
    wrong = {
        path: (judged[path]["frames_decoded"], row["ffmpeg_decoded_frames"])
        for path, row in manifest.items()
        if judged[path]["frames_decoded"] != int(row["ffmpeg_decoded_frames"])
        and judged[path]["verdict"] != "forbidden"  # an image: nothing of it is decoded
        and int(row["n_video"]) < 2  # of two streams the list counts the first one's frames
    }
    assert wrong == {}


def test_each_bad_path_has_one_failure_row_of_its_own(judged: Any) -> None:
    bad = {path for path, row in judged.items() if row["verdict"] not in ("ok", "partial", "blank")}
    assert {path for path, row in judged.items() if row["failures"] == 1} == bad
    assert all(row["failures"] == 0 for path, row in judged.items() if path not in bad)
    assert {"made/zero_bytes.avi", "made/zero_bytes.mp4"} <= bad  # the same bytes


def test_a_black_video_is_black_and_frozen_and_the_others_are_not(judged: Any) -> None:
    black = judged["made/all_black.mp4"]
    assert (black["verdict"], black["black_share"], black["frozen_share"]) == ("blank", 1.0, 1.0)
    moving = judged["torchcodec/nasa_13013.mp4"]
    assert moving["black_share"] < 0.5 and moving["frozen_share"] < 0.5
