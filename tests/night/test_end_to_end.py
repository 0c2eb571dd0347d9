"""The whole job through the command line, on real clips: from files to SQL, and nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

Run = Any


@pytest.fixture(scope="module")
def run(program: Callable[[str], list[str]], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run("verb", …)` is `vidpipe verb … --json` in one home: (exit code, parsed object)."""
    home = tmp_path_factory.mktemp("e2e") / "home"
    environment = {**os.environ, "VIDPIPE_HOME": str(home)}

    def call(verb: str, *others: str) -> tuple[int, dict[str, Any]]:
        command = [*program(verb), verb, *others, "--json"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.stdout.count("\n") == 1, (ended.stdout, ended.stderr)
        return ended.returncode, json.loads(ended.stdout)

    call.home = home  # type: ignore[attr-defined]
    return call


@pytest.fixture(scope="module")
def story(run: Run, labelled_clips: tuple[Path, Path]) -> dict[str, Any]:
    """Every verb once, in order; its report by name, and once more as `<verb> again`."""
    source, manifest = labelled_clips
    verbs = {
        "ingest": ("ingest", str(source), "--collection", "clips", "--manifest", str(manifest)),
        "extract": ("extract",),
        "train": ("train", "--collection", "clips", "--split-column", "split", "--epochs", "25"),
        "evaluate": ("evaluate",),
        "promote": ("promote", "--force", "--reason", "eight test clips decide nothing"),
        "classify": ("classify",),
        "nightly": ("nightly",),
    }
    told: dict[str, Any] = {}
    for name, arguments in verbs.items():
        told[name] = run(*arguments)
        told[f"{name} again"] = run(*arguments)
    return told


def test_every_verb_ends_well_and_reports_the_promised_keys(story: dict[str, Any]) -> None:
    promised = {
        "ingest": "run_id collection videos new unchanged removed failed",
        "extract": "run_id videos frames skipped failed seconds",
        "train": "run_id model version mlflow_run_id metrics",
        "evaluate": "model version collection split n accuracy macro_f1 per_label baseline",
        "promote": "model version decision reasons evidence",
        "classify": "run_id model version classified skipped failed",
        "nightly": "run_id status ingested extracted classified failed seconds",
    }
    for verb, keys in promised.items():
        code, report = story[verb]
        assert code == 0, (verb, report)
        assert set(keys.split()) <= set(report), verb


def test_the_first_pass_does_all_the_work(story: dict[str, Any]) -> None:
    videos = story["ingest"][1]["videos"]
    assert story["ingest"][1]["new"] == videos >= 24
    assert story["extract"][1]["videos"] == videos
    assert story["extract"][1]["frames"] > 5 * videos
    assert story["classify"][1]["classified"] == videos
    assert story["promote"][1]["decision"] in ("promoted", "forced")
    assert story["nightly"][1]["status"] == "ok"


def test_the_second_pass_does_none(story: dict[str, Any]) -> None:
    videos = story["ingest"][1]["videos"]
    again = story["ingest again"][1]
    assert (again["new"], again["unchanged"]) == (0, videos)
    assert (story["extract again"][1]["videos"], story["extract again"][1]["skipped"]) == (0, videos)
    assert story["train again"][1]["version"] == story["train"][1]["version"]
    assert story["promote again"][1]["decision"] == "unchanged"
    assert (story["classify again"][1]["classified"], story["classify again"][1]["skipped"]) == (0, videos)
    night = story["nightly"][1]
    assert (night["ingested"], night["extracted"], night["classified"], night["failed"]) == (0, 0, 0, 0)


def test_an_evaluation_on_what_taught_the_version_says_so(story: dict[str, Any], run: Run) -> None:
    code, report = run("evaluate", "--split", "train")
    assert code == 0 and report["seen"] == report["n"] > 0


def test_the_model_learnt_something(story: dict[str, Any]) -> None:
    _, report = story["evaluate"]
    assert report["n"] == 8 or report["n"] >= 4
    assert report["accuracy"] >= 0.6  # four labels: chance is 0.25
    assert {"accuracy", "macro_f1"} <= set(report["baseline"])
    low, high = report["accuracy_interval"]
    assert 0 <= low <= report["accuracy"] <= high <= 1
    assert report["seen"] == 0
    assert report["accuracy"] <= report["top_3"] <= 1 and 0 <= report["calibration_error"] <= 1
    assert report["gain"]["value"] == pytest.approx(report["accuracy"] - report["baseline"]["accuracy"])
    counts = [n for row in report["confusion"].values() for n in row.values()]
    assert sum(counts) == report["n"]
    right = sum(row.get(label, 0) for label, row in report["confusion"].items())
    assert right / report["n"] == pytest.approx(report["accuracy"])


def test_sql_answers_with_one_row_per_video(story: dict[str, Any], run: Run) -> None:
    _, answer = run("sql", "select path, label, score, model_version from latest_predictions order by path")
    assert answer["columns"] == ["path", "label", "score", "model_version"]
    assert len(answer["rows"]) == story["ingest"][1]["videos"]
    assert all(0 < score <= 1 and version == 1 for _, _, score, version in answer["rows"])


def test_scores_of_one_video_add_up_to_one(story: dict[str, Any], run: Run) -> None:
    _, answer = run("sql", "select sum(score) from predictions group by video_id")
    assert all(abs(total - 1) < 1e-4 for (total,) in answer["rows"])  # four labels fit into the top five


def test_people_open_the_warehouse_read_only_beside_the_job(story: dict[str, Any], run: Run) -> None:
    file = run.home / "warehouse.duckdb"
    assert file.stat().st_mode & 0o777 == 0o444
    with duckdb.connect(str(file), read_only=True) as reader:
        assert run("nightly")[0] == 0
        (count,) = reader.execute("select count(*) from nights").fetchone() or (0,)
    assert count == 2  # the snapshot that it opened


def test_a_new_collection_is_classified_from_the_champion(
    story: dict[str, Any], run: Run, clips: Any
) -> None:
    assert run("ingest", str(clips.incoming), "--collection", "incoming")[0] == 0
    code, report = run("nightly")
    assert (code, report["extracted"], report["classified"]) == (0, 12, 12)
    _, answer = run("sql", "select count(*) from latest_predictions where collection = 'incoming'")
    assert answer["rows"] == [[12]]


def test_a_copy_is_the_same_video_and_a_gone_path_becomes_absent(
    run: Run, tmp_path: Path, clips: Any
) -> None:
    source = tmp_path / "moving"
    source.mkdir()
    originals = sorted(clips.incoming.glob("*.mp4"))[:3]
    for file in originals:
        (source / file.name).write_bytes(file.read_bytes())
    run("ingest", str(source), "--collection", "moving")
    _, answer = run("sql", "select count(*) from videos")
    (source / originals[0].name).rename(source / "renamed.mp4")
    code, report = run("ingest", str(source), "--collection", "moving")
    assert (code, report["new"], report["unchanged"], report["removed"]) == (0, 1, 2, 1)
    assert run("sql", "select count(*) from videos")[1]["rows"] == answer["rows"]
    _, absent = run("sql", "select path from collection_videos where not present")
    assert absent["rows"] == [[originals[0].name]]
    assert run("extract")[1]["videos"] == 0  # its bytes have features


def test_a_source_that_lost_its_files_is_not_believed(run: Run, tmp_path: Path, clips: Any) -> None:
    source = tmp_path / "unmounted"
    source.mkdir()
    for file in sorted(clips.incoming.glob("*.mp4"))[:4]:
        (source / file.name).write_bytes(file.read_bytes())
    run("ingest", str(source), "--collection", "fragile")
    for file in source.glob("*.mp4"):
        file.unlink()
    code, report = run("ingest", str(source), "--collection", "fragile")
    assert (code, report["error"]["class"]) == (1, "ConfigurationError")
    assert "--allow-missing" in report["error"]["next"]
    _, still = run("sql", "select count(*) from collection_videos where collection = 'fragile' and present")
    assert still["rows"] == [[4]]
    code, report = run("ingest", str(source), "--collection", "fragile", "--allow-missing")
    assert (code, report["removed"]) == (0, 4)
