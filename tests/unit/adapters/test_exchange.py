"""Exports in other tools' formats, each read back by that format's own reader."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import webvtt as reader

from vidpipe.adapters.exchange.label_studio import label_studio
from vidpipe.adapters.exchange.webvtt import vtt, webvtt
from vidpipe.adapters.sources.label_studio import label_studio as read_back
from vidpipe.errors import ConfigurationError, NotFound, StorageFailed
from vidpipe.wiring import FORMATS, Home, export_as

ODD = 'a "b" <c> & d --> e'
VIDEOS: list[dict[str, Any]] = [
    {"path": "day 1/a+b.mp4", "known_label": "cat", "predicted": ODD, "score": 0.75, "duration_s": 4.0004},
    {"path": "100%.mp4", "known_label": None, "predicted": "dog", "score": 0.5, "duration_s": 7200.5},
    {"path": "new.mp4", "known_label": None, "predicted": None, "score": None, "duration_s": 3.0},
]
SEGMENTS = [(0.0, 5.0, "cat"), (5.0, 3723.004, ODD)]


def query(name: str, /, **asked: Any) -> list[dict[str, Any]]:
    """What the warehouse would say."""
    own = {"collection": "yard", "source": "/videos", "model_name": "clips", "model_version": 3}
    if name == "export_videos":
        return [{**own, "video_id": f"{n:064}", **video} for n, video in enumerate(VIDEOS)]
    return [
        {**own, "path": "100%.mp4", "start_s": start, "end_s": end, "label": label, "peak_score": 0.9}
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
    with pytest.raises(ConfigurationError, match="label-studio, webvtt"):
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
