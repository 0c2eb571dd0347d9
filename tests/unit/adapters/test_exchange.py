"""Exports in other tools' formats, each read back by that format's own reader."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import webvtt as reader
from stored import exported

from vidpipe.adapters.exchange.activitynet import activitynet
from vidpipe.adapters.exchange.fiftyone import fiftyone
from vidpipe.adapters.exchange.label_studio import label_studio
from vidpipe.adapters.exchange.webvtt import vtt, webvtt
from vidpipe.adapters.sources.annotations import activitynet as activities
from vidpipe.adapters.sources.label_studio import label_studio as read_back
from vidpipe.errors import ConfigurationError, NotFound, StorageFailed
from vidpipe.wiring import FORMATS, Home, export_as

ODD = 'a "b" <c> & d --> e'
VIDEOS: list[dict[str, Any]] = [
    {"path": "day 1/a+b.mp4", "known_label": "cat", "predicted": ODD, "score": 0.75, "duration_s": 4.0004},
    {"path": "100%.mp4", "known_label": None, "predicted": "dog", "score": 0.5, "duration_s": 7200.5},
    {"path": "new.mp4", "known_label": None, "predicted": None, "score": None, "duration_s": 3.0},
]
OWN: dict[str, Any] = {
    "collection": "yard", "source": "/videos", "model_name": "clips", "model_version": 3, "novelty": 0.5,
    "source_fps": 25.0, "display_width_px": 320, "display_height_px": 240, "label_source": "manifest",
    "splits": {"split": "val"}, "attributes": {}, "labelled_at": None,
}  # fmt: skip
SEGMENTS = [(0.0, 5.0, "cat"), (5.0, 3723.004, ODD)]


def query(name: str, /, **asked: Any) -> list[dict[str, Any]]:
    """What the warehouse would say."""
    if name == "export_videos":
        return [{**OWN, "video_id": f"{n:064}", **exported(video)} for n, video in enumerate(VIDEOS)]
    if name == "export_spans":
        spans = [(1.0, 2.0, "cat"), (2.0, 3.5, "dog")]
        return [
            {**OWN, "path": "new.mp4", "start_s": start, "end_s": end, "label": label}
            for start, end, label in spans
        ]
    return [
        {**OWN, "path": "100%.mp4", "start_s": start, "end_s": end, "label": label, "peak_score": 0.9}
        for start, end, label in SEGMENTS
    ]


def test_label_studio_s_tasks_have_predictions_and_known_labels(tmp_path: Path) -> None:
    written = label_studio(query, tmp_path / "out", None)
    assert [Path(row["file"]).name for row in written] == ["tasks.json", "config.xml"]
    tasks = json.loads((tmp_path / "out/tasks.json").read_text())
    (result,) = tasks[0]["predictions"][0]["result"]
    assert result["value"] == {"choices": [ODD]} and tasks[0]["predictions"][0]["score"] == 0.75
    assert tasks[0]["predictions"][0]["model_version"] == "clips 3"
    assert "annotations" not in tasks[1] and "predictions" not in tasks[2]
    config = ET.fromstring((tmp_path / "out/config.xml").read_text())
    choices, player = config.find("Choices"), config.find("Video")
    assert choices is not None and player is not None
    assert (result["from_name"], result["to_name"]) == (choices.get("name"), player.get("name"))
    assert [choice.get("value") for choice in choices] == [ODD, "cat", "dog"]


def test_label_studio_s_tasks_come_back_as_a_manifest(tmp_path: Path) -> None:
    label_studio(query, tmp_path, None)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    for task in tasks:  # as its own export has them
        task.setdefault("annotations", [])
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    back = read_back(tmp_path / "tasks.json")
    assert [(video.path, video.label) for video in back] == [
        ("day 1/a+b.mp4", "cat"), ("100%.mp4", None), ("new.mp4", None),
    ]  # fmt: skip


def test_every_video_has_a_webvtt_file_that_a_reader_understands(tmp_path: Path) -> None:
    written = webvtt(query, tmp_path, "yard")
    assert [row["rows"] for row in written] == [2, 1], "what is not classified has none"
    long, short = (reader.read(row["file"]).captions for row in written)
    assert [(c.start, c.end) for c in long] == [
        ("00:00:00.000", "00:00:05.000"), ("00:00:05.000", "01:02:03.004"),
    ]  # fmt: skip
    assert long[0].text == "cat 0.90" and "-->" not in long[1].raw_text and "&amp;" in long[1].raw_text
    assert (short[0].start, short[0].end) == ("00:00:00.000", "00:00:04.000")
    assert written[1]["file"] == str(tmp_path / "yard/day 1/a+b.mp4.vtt")


def test_cues_are_in_order_and_last_a_while() -> None:
    text = vtt([(360000.0, 360001.0, "late"), (1.0, 1.0001, "none"), (0.9996, 2.0, "first")])
    found = [(cue.start, cue.text) for cue in reader.from_string(text).captions]
    assert found == [("00:00:01.000", "first"), ("100:00:00.000", "late")]


def test_activitynet_s_database_comes_back_as_a_manifest(tmp_path: Path) -> None:
    assert [row["rows"] for row in activitynet(query, tmp_path, None)] == [3, 2]
    back = activities(tmp_path / "database.json", [video["path"] for video in VIDEOS])
    assert [(v.path, [(s.start_s, s.end_s, s.label) for s in v.spans]) for v in back] == [
        ("a+b.mp4", [(0.0, 4.0004, "cat")]), ("100%.mp4", []),
        ("new.mp4", [(1.0, 2.0, "cat"), (2.0, 3.5, "dog")]),
    ]  # fmt: skip
    assert back[0].splits == {"split": "val"}


def test_activitynet_s_results_have_what_its_evaluation_reads(tmp_path: Path) -> None:
    activitynet(query, tmp_path, None)
    truth, found = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("database", "results"))
    assert set(truth) == {"version", "taxonomy", "database"}
    assert set(found) == {"version", "results", "external_data"}
    assert truth["database"]["a+b"]["resolution"] == "320x240"
    assert [node["nodeName"] for node in truth["taxonomy"]] == ["Root", "cat", "dog"]
    assert found["results"]["a+b"] == [{"label": ODD, "score": 0.75, "segment": [0.0, 4.0004]}]
    assert [s["segment"] for s in found["results"]["100%"]] == [[0.0, 5.0], [5.0, 3723.004]]


def test_videos_of_one_file_name_have_keys_of_their_own(tmp_path: Path) -> None:
    places = [("a", "x/1.mp4"), ("a", "y/1.mp4"), ("b", "y/1.avi"), ("b", "2.mp4")]

    def read(name: str, /, **asked: Any) -> list[dict[str, Any]]:
        if name != "export_videos":
            return []
        return [{**OWN, **exported(VIDEOS[0]), "collection": place, "path": path} for place, path in places]

    activitynet(read, tmp_path, None)
    assert list(json.loads((tmp_path / "database.json").read_text())["database"]) == [
        "x/1", "a/y/1.mp4", "b/y/1.avi", "2",
    ]  # fmt: skip


def test_fiftyone_s_labels_name_frames_of_files(tmp_path: Path) -> None:
    assert [row["rows"] for row in fiftyone(query, tmp_path, "yard")] == [3, 2, 2]
    data, labels, predicted = (
        json.loads((tmp_path / f"{n}.json").read_text()) for n in ("data", "labels", "predictions")
    )
    first, second, third = data
    assert data[first] == "/videos/day 1/a+b.mp4"
    assert "." not in Path(first).name, "an extension would be taken off"
    assert labels["labels"][first] == [
        {"label": "cat", "support": [1, 100], "attributes": {"source": "manifest"}}
    ]
    assert [d["support"] for d in labels["labels"][third]] == [[26, 50], [50, 75]], "cut at the end"
    (whole,) = predicted["labels"][first]
    assert whole["confidence"] == 0.75 and whole["attributes"]["version"] == 3
    assert [d["label"] for d in predicted["labels"][second]] == ["cat", ODD] == predicted["classes"][::-1]


def test_fiftyone_is_told_no_address_of_a_bucket(tmp_path: Path) -> None:
    def read(name: str, /, **asked: Any) -> list[dict[str, Any]]:
        return [{**row, "source": "s3://cams"} for row in query(name)]

    with pytest.raises(ConfigurationError, match="objects of s3://cams"):
        fiftyone(read, tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_a_home_without_predictions_exports_what_there_is(home: Home, tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        export_as(home, tmp_path, name, None)
    home.ledger.runs.start("extract")
    home.warehouse.publish()
    assert all(row["rows"] == 0 for row in export_as(home, tmp_path / "out", name, None))
    with pytest.raises(NotFound, match="no collection 'nowhere'"):
        export_as(home, tmp_path, name, "nowhere")


def test_an_unknown_format_and_a_file_in_the_way_are_said(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="parquet, delta, label-studio, webvtt, fiftyone"):
        export_as(home, tmp_path, "docx", None)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFailed, match="cannot write"):
        label_studio(query, tmp_path / "file", None)


@pytest.mark.slow
def test_the_verb_writes_formats(vidpipe: Callable[..., Any], home: Home, tmp_path: Path) -> None:
    home.ledger.runs.start("extract")
    home.warehouse.publish()
    ended = vidpipe("export", str(tmp_path / "out"), "--format", "label-studio", "--json")
    assert [Path(f["file"]).name for f in json.loads(ended.stdout)["files"]] == ["tasks.json", "config.xml"]
    wrong = vidpipe("export", str(tmp_path / "out"), "--format", "webvtt", "--relation", "runs")
    assert wrong.returncode == 1 and "--relation" in wrong.stderr
