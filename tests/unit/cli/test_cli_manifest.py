"""The manifest verb: each format ends in a manifest that ingest takes, and in the next command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import rows_of, tree, warehouse_rows
from typer.testing import CliRunner

from vidpipe.cli.main import app
from vidpipe.ports import Ports
from vidpipe.records.features import StoredFeatures
from vidpipe.records.models import LabelledVideo
from vidpipe.splits import SPLITS, resolve
from vidpipe.steps.ingest import ingest

LABELS = ("Archery", "Surfing")


@pytest.fixture
def vidpipe() -> Callable[..., tuple[int, dict[str, Any]]]:
    """`vidpipe manifest … --json`: exit code and the one object."""

    def call(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        ended = CliRunner().invoke(app, ["manifest", *map(str, arguments), "--json"])
        assert ended.stdout.count("\n") == 1, ended.output
        return ended.exit_code, json.loads(ended.stdout)

    return call


def test_every_format_ends_in_a_manifest_and_the_next_command(vidpipe: Any, tmp_path: Path) -> None:
    root = tree(tmp_path / "my videos", "run/abcdefghijk_000001_000011.mp4", "78687.webm", "x.mp4")
    files = {
        "k.csv": "label,youtube_id,time_start,time_end,split\nrun,abcdefghijk,1,11,train\n",
        "s.json": '[{"id": "78687", "template": "Holding [something]"}]',
        "empty.json": "[]",
        "any.csv": "name,what\nx.mp4,dog\n",
        "trainlist01.txt": "Run/x.avi 1\n",
        "testlist01.txt": "Run/y.avi\n",
        "run_test_split1.txt": "x.avi 1\n",
        "net.json": '{"database": {"x": {"subset": "training", "annotations": '
        '[{"segment": [1, 2], "label": "a"}, {"segment": [3, 4], "label": "a"}]}}}',
        "ava.csv": "x,0902,0,0,1,1,12,0\n",
        "none.csv": "",
        "studio.json": '[{"id": 1, "video": "/data/upload/1/0a1b2c3d-x.mp4", "choice": "cat"}]',
        "via.json": '{"attribute": {"1": {"aname": "what"}}, "file": {"1": {"fname": "x.mp4"}}, '
        '"metadata": {"a": {"vid": "1", "z": [], "xy": [], "av": {"1": "cat"}}}}',
        "cvat.xml": "<annotations><meta><task><source>x.mp4</source></task></meta>"
        '<tag frame="0" label="cat"/></annotations>',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    wanted = {
        ("kinetics", "--csv", tmp_path / "k.csv"): ("run", 1),
        ("ssv2", "--train", tmp_path / "s.json", "--validation", tmp_path / "empty.json"): (
            "Holding something", 1,
        ),
        ("csv", "--file", tmp_path / "any.csv", "--path-column=name", "--label-column=what"): ("dog", 1),
        ("ucf101", "--lists", tmp_path): ("Run", 1),
        ("hmdb51", "--lists", tmp_path): ("run", 1),
        ("activitynet", "--file", tmp_path / "net.json"): ("a", 1),
        ("ava", "--train", tmp_path / "ava.csv", "--validation", tmp_path / "none.csv"): ("12", 1),
        ("label-studio", "--file", tmp_path / "studio.json"): ("cat", 1),
        ("via", "--file", tmp_path / "via.json"): ("cat", 1),
        ("cvat", "--file", tmp_path / "cvat.xml"): ("cat", 1),
        ("folders",): ("", 3),
    }  # fmt: skip
    for (reader, *options), (label, count) in wanted.items():
        output = tmp_path / f"{reader} manifest.csv"
        code, report = vidpipe(reader, "--root", root, *options, "--output", output)
        assert (code, report.get("rows"), report.get("status")) == (0, count, "written"), report
        assert rows_of(output)[0]["label"] == label, name
        command = f"vidpipe ingest '{root}' --collection NAME --manifest '{output}'"
        assert report["next"].startswith(command)


def test_an_error_of_the_verb_is_one_object_and_exits_1(vidpipe: Any, tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.mp4")
    output = ("--output", tmp_path / "m.csv")
    for arguments in (
        ("ucf101", "--root", root, "--lists", tmp_path / "nowhere", *output),
        ("folders", "--root", tmp_path / "nowhere", *output),
        ("kinetics", "--root", root, "--csv", tmp_path / "nowhere.csv", *output),
    ):
        code, said = vidpipe(*arguments)
        assert code == 1
        assert said["error"]["class"] == "ConfigurationError"
        assert "nowhere" in said["error"]["message"] and said["error"]["next"]


def test_a_person_reads_facts_warnings_and_the_next_command(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "train/dog/a.mp4", "val/dog/b.mp4")
    ended = CliRunner().invoke(
        app, ["manifest", "folders", "--root", str(root), "--output", str(tmp_path / "m.csv")]
    )
    lines = ended.stdout.splitlines()
    assert lines[0] == "manifest"
    assert any(line.split() == ["rows", "2"] for line in lines)
    assert any(line.startswith("  warning: in split, no labelled video is in test") for line in lines)
    assert lines[-1].startswith("Next: vidpipe ingest")


# -- from lists to splits, on real clips ----------------------------------------------------------


@pytest.fixture
def ucf101_as_people_have_it(shared: Path, tmp_path: Path) -> tuple[Path, Path, list[dict[str, str]]]:
    """(root, lists, truth): links to a few clips in another layout, and lists of all, as published."""
    truth = [row for row in rows_of(shared / "ucf101" / "splits.csv") if row["label"] in LABELS]
    lists, root = tmp_path / "ucfTrainTestlist", tmp_path / "UCF-101"
    lists.mkdir()
    (lists / "classInd.txt").write_text("".join(f"{k} {name}\r\n" for k, name in enumerate(LABELS, start=1)))
    for k in (1, 2, 3):
        for split, index in (("train", " 1"), ("test", "")):
            names = [r["path"].replace(".mp4", ".avi") for r in truth if r[f"split{k}"] == split]
            (lists / f"{split}list{k:02d}.txt").write_text("".join(f"{name}{index}\r\n" for name in names))
    chosen = [row for row in truth if row["clip"] == "1" and int(row["group"]) % 3 == 0]
    for row in chosen:
        link = root / "videos" / row["path"]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(shared / "ucf101" / row["path"])
    return root, lists, truth


def test_ucf101_s_lists_become_the_collection_s_splits_and_no_group_straddles(
    ucf101_as_people_have_it: tuple[Path, Path, list[dict[str, str]]],
    vidpipe: Any,
    tmp_path: Path,
    ports: Ports,
) -> None:
    root, lists, truth = ucf101_as_people_have_it
    output = tmp_path / "ucf101.csv"
    code, report = vidpipe("ucf101", "--root", root, "--lists", lists, "--output", output)
    assert (code, report["warnings"], report["unlisted"]) == (0, [], 0)
    known = {row["path"]: row for row in truth}
    rows = rows_of(output)
    assert len(rows) == report["rows"] == len(known) - report["left_out"]["missing"] >= 16
    for row in rows:
        was = known[row["path"].removeprefix("videos/")]
        assert {c: row[c] for c in ("label", "group", "split1", "split2", "split3")} == {
            c: was[c] for c in ("label", "group", "split1", "split2", "split3")
        }

    ingested = ingest(ports, "ucf101", root, manifest=output)
    assert (ingested.videos, ingested.failed) == (len(rows), 0)
    answer = warehouse_rows(
        ports, "select video_id, path, label, group_name, splits from collection_videos order by path"
    )
    videos = [
        LabelledVideo(v, path, label, group, dict(splits), StoredFeatures(v, "part", 0, 1))
        for v, path, label, group, splits in answer
    ]
    for column in ("split1", "split2", "split3"):
        split = resolve(videos, column, seed=0)
        groups = [{v.group for v in split.part(name)} for name in SPLITS]
        train, val, test = groups
        assert train and test and not val, "a list without val has none"
        assert train.isdisjoint(test)
        tests = {v.path.removeprefix("videos/") for v in split.test}
        assert tests == {r["path"] for r in truth if r[column] == "test"} & set(map(_place, rows))


def _place(row: dict[str, str]) -> str:
    return row["path"].removeprefix("videos/")
