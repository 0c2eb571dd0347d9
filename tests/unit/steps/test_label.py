"""The label loop: out as a CSV, back with labels, and no later ingest undoes them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import concrete, rows_of, warehouse_rows

from vidpipe.adapters.database.ledger import Ledger
from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports
from vidpipe.records.features import StoredFeatures
from vidpipe.records.models import LabelledVideo, VersionId
from vidpipe.records.predictions import Prediction
from vidpipe.splits import resolve
from vidpipe.steps import scoring
from vidpipe.steps.extract import extract
from vidpipe.steps.forget import forget
from vidpipe.steps.ingest import ingest, ingest_again
from vidpipe.steps.label import COLUMNS, label, label_queue


def six(folder: Path, clips: Any) -> Path:
    """Six clips in a new folder, the last a copy of the first."""
    folder.mkdir()
    files = sorted(clips.incoming.glob("*.mp4"))[:5]
    for number, file in enumerate([*files, files[0]]):
        (folder / f"{number}.mp4").write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def source(tmp_path: Path, clips: Any) -> Path:
    return six(tmp_path / "source", clips)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, clips: Any, make_ports: Any) -> Path:
    """A home with a collection of which version 1 serves; version 2 has scored it, too."""
    folder = tmp_path_factory.mktemp("scored")
    ports = make_ports(folder / "home")
    ingest(ports, "inbox", six(folder / "source", clips))
    extract(ports)
    margins = {"0.mp4": 0.6, "1.mp4": 0.02, "2.mp4": 0.5, "3.mp4": 0.8, "4.mp4": 0.4}
    ids = ids_of(ports)
    for version in (1, 2):
        predictions = []
        for path, margin in margins.items():
            top, other = ("cat", "dog") if version == 1 or path != "3.mp4" else ("dog", "cat")
            predictions += [
                Prediction(ids[path], 1, top, 0.5 + margin / 2),
                Prediction(ids[path], 2, other, 0.5 - margin / 2),
            ]
        ports.ledger.predictions.put_predictions(
            1, VersionId("m", version, "d"), ports.limits.spec.feature_set_id, predictions
        )
    ports.ledger.predictions.switch_serving(1)
    return folder / "home"


@pytest.fixture
def inbox(scored: Path, source: Path, tmp_path: Path, make_ports: Any) -> Ports:
    """A copy of that home, whose collection lies in a folder of this test's own."""
    ports: Ports = make_ports(shutil.copytree(scored, tmp_path / "home"))
    with concrete(ports.ledger, Ledger).database.session() as session:
        session.connection.execute("update core.collection set source = ?", [str(source)])
    ingest(ports, "inbox", source)
    return ports


def ids_of(ports: Ports) -> dict[str, str]:
    found = ports.ledger.sources.labels_at("inbox", [f"{n}.mp4" for n in range(6)])
    return {path: video_id for path, (video_id, _) in found.items()}


def asked(ports: Ports, sql: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = warehouse_rows(ports, sql)
    return rows


LABELS = "select path, label, label_source, labelled_at is not null from collection_videos order by path"


def hand_in(file: Path, *lines: tuple[str, str], **more: str) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", *more])
        writer.writerows([*line, *more.values()] for line in lines)
    return file


# -- out ----------------------------------------------------------------------------------------


def test_the_queue_asks_first_where_the_model_wavers_and_each_content_once(
    inbox: Ports, tmp_path: Path
) -> None:
    file = tmp_path / "todo.csv"

    report = label_queue(inbox, file)

    rows = rows_of(file)
    assert list(rows[0]) == list(COLUMNS)
    assert [row["label"] for row in rows] == [""] * 5
    assert rows[0]["path"] == "1.mp4" and rows[0]["margin"] == "0.0200"
    assert {row["path"] for row in rows} == {f"{n}.mp4" for n in range(5)}  # the copy is the same video
    assert (report.queued, report.candidates, report.disagreeing) == (5, 5, 1)
    (contradicted,) = [row for row in rows if row["predicted"] != row["newer_predicted"]]
    assert (contradicted["path"], contradicted["newer_predicted"]) == ("3.mp4", "dog")


def test_the_queue_is_a_manifest_that_ingest_reads(inbox: Ports, source: Path, tmp_path: Path) -> None:
    label_queue(inbox, tmp_path / "todo.csv", limit=2)

    files, missing = inbox.catalog.list_manifest(source, tmp_path / "todo.csv")

    assert (len(files), missing) == (2, []) and files[0].label is None and files[0].splits == {}


def test_what_has_a_label_is_not_asked_and_another_file_is_not_overwritten(
    inbox: Ports, tmp_path: Path
) -> None:
    label(inbox, hand_in(tmp_path / "done.csv", ("1.mp4", "cat")), collection="inbox")
    file = tmp_path / "todo.csv"
    label_queue(inbox, file, collection="inbox")
    assert "1.mp4" not in {row["path"] for row in rows_of(file)}
    with pytest.raises(ConfigurationError, match="there already"):
        label_queue(inbox, tmp_path / "done.csv")
    for n in (0, 2, 3, 4):
        label(inbox, hand_in(tmp_path / "done.csv", (f"{n}.mp4", "dog")), collection="inbox")
    with pytest.raises(NotFound, match="every video with features has a label already"):
        label_queue(inbox, tmp_path / "none.csv")


def test_without_a_model_the_queue_asks_for_what_looks_least_alike(
    ports: Ports, clips: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    alike = [
        *sorted((clips.labelled / "palace").glob("*.mp4"))[:3],
        *(clips.labelled / "flower").glob("*_01.mp4"),
    ]
    for number, file in enumerate(alike):
        (folder / f"{number}.mp4").write_bytes(file.read_bytes())
    ingest(ports, "shots", folder)
    with pytest.raises(NotFound, match="every video with features has a label") as caught:
        label_queue(ports, tmp_path / "todo.csv")
    assert caught.value.next_step.startswith("vidpipe extract")
    extract(ports)

    report = label_queue(ports, tmp_path / "todo.csv", limit=2)

    rows = rows_of(tmp_path / "todo.csv")
    assert (report.queued, report.candidates, report.disagreeing) == (2, 4, 0)
    assert "3.mp4" in {row["path"] for row in rows}, "the one flower"
    assert {row[name] for row in rows for name in ("label", "predicted", "score", "margin")} == {""}
    label(ports, tmp_path / "todo.csv")


# -- in -----------------------------------------------------------------------------------------


def test_labels_come_back_with_their_source_and_nothing_becomes_absent(inbox: Ports, tmp_path: Path) -> None:
    file = tmp_path / "todo.csv"
    label_queue(inbox, file)
    rows = rows_of(file)
    rows[0]["label"] = "bird"  # the others stay open
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)

    report = label(inbox, file)

    assert (report.labelled, report.blank, report.unknown, report.unchanged) == (1, 4, 0, 0)
    assert asked(inbox, LABELS) == [
        (f"{n}.mp4", *(("bird", "todo.csv", True) if n == 1 else (None, None, False))) for n in range(6)
    ]
    assert asked(inbox, "select count(*) from collection_videos where present") == [(6,)]
    assert label(inbox, file).labelled == 0  # twice is once


def test_a_label_holds_for_copies_survives_ingest_and_follows_a_moved_file(
    inbox: Ports, source: Path, tmp_path: Path
) -> None:
    label(inbox, hand_in(tmp_path / "l.csv", ("0.mp4", "bird")), collection="inbox", source="ann")
    (source / "0.mp4").rename(source / "moved.mp4")

    ingest_again(inbox, "inbox")

    found = asked(inbox, "select path, label, label_source from collection_videos where label is not null")
    assert sorted(found) == [
        ("0.mp4", "bird", "ann"), ("5.mp4", "bird", "ann"), ("moved.mp4", "bird", "ann"),
    ]  # fmt: skip
    assert asked(inbox, "select labelled, labels from collection_summary") == [(2, 1)]


def test_a_given_label_goes_over_the_manifests_and_a_later_one_over_it(
    ports: Ports, source: Path, tmp_path: Path
) -> None:
    manifest = hand_in(tmp_path / "manifest.csv", ("1.mp4", "cat"), ("2.mp4", "cat"))
    ingest(ports, "inbox", source, manifest=manifest)
    for given in ("dog", "bird"):
        label(ports, hand_in(tmp_path / "fix.csv", ("1.mp4", given), ("2.mp4", "cat")), collection="inbox")
    ingest_again(ports, "inbox")

    assert asked(ports, LABELS) == [
        ("1.mp4", "bird", "fix.csv", True), ("2.mp4", "cat", "manifest", False),
    ]  # fmt: skip
    history = "select label, source from given_labels order by given_at"
    assert asked(ports, history) == [("dog", "fix.csv"), ("bird", "fix.csv")]


def test_what_cannot_be_right_is_refused_whole(inbox: Ports, tmp_path: Path) -> None:
    copies = hand_in(tmp_path / "copies.csv", ("0.mp4", "cat"), ("5.mp4", "dog"))
    with pytest.raises(ConfigurationError, match="hold the same video"):
        label(inbox, copies, collection="inbox")
    with pytest.raises(ConfigurationError, match="names no collection"):
        label(inbox, copies)
    with pytest.raises(ConfigurationError, match="none of the 1 paths"):
        label(inbox, hand_in(tmp_path / "other.csv", ("nowhere.mp4", "cat")), collection="inbox")
    with pytest.raises(NotFound):
        label(inbox, copies, collection="no such")
    (tmp_path / "bare.csv").write_text("path\n0.mp4\n")
    with pytest.raises(ConfigurationError, match="no column label"):
        label(inbox, tmp_path / "bare.csv", collection="inbox")
    assert asked(inbox, "from given_labels") == []


def test_a_label_for_other_bytes_than_those_looked_at_is_left_out(inbox: Ports, tmp_path: Path) -> None:
    file = hand_in(tmp_path / "l.csv", ("0.mp4", "cat"), ("gone.mp4", "cat"), video_id="0" * 64)

    report = label(inbox, file, collection="inbox")

    assert (report.labelled, report.changed, report.unknown) == (0, 1, 1)


def test_forgetting_a_video_forgets_what_it_was_called(inbox: Ports, tmp_path: Path) -> None:
    label(inbox, hand_in(tmp_path / "l.csv", ("1.mp4", "cat")), collection="inbox")

    forget(inbox, ids_of(inbox)["1.mp4"])

    assert asked(inbox, "from given_labels") == []


# -- the next training --------------------------------------------------------------------------


def test_the_next_training_sees_the_labels(inbox: Ports, tmp_path: Path) -> None:
    label(inbox, hand_in(tmp_path / "l.csv", ("1.mp4", "cat"), ("2.mp4", "dog")), collection="inbox")

    videos = scoring.labelled(inbox, "inbox", inbox.limits.spec)

    assert {(v.path, v.label, v.given) for v in videos} == {("1.mp4", "cat", True), ("2.mp4", "dog", True)}


def test_where_the_manifest_has_a_split_a_given_video_follows_its_group_or_teaches() -> None:
    def video(name: str, label: str, group: str, split: str | None, *, given: bool = False) -> LabelledVideo:
        splits = {"split": split} if split else {}
        return LabelledVideo(name, name, label, group, splits, StoredFeatures(name, "p", 0, 1), given)

    listed = [
        video(f"{split}{n}", ("cat", "dog")[n % 2], f"{split}{n}", split)
        for split in ("train", "val", "test") for n in range(4)
    ]  # fmt: skip
    more = [
        video("free", "cat", "alone", None, given=True),
        video("bound", "dog", "test1", None, given=True),
        video("left out", "dog", "other", None),
    ]

    split = resolve([*listed, *more], "split", 0)

    assert "free" in {v.video_id for v in split.train}
    assert "bound" in {v.video_id for v in split.test}
    assert "left out" not in {v.video_id for v in split.part("all")}


def test_the_verbs(vidpipe: Any, inbox: Ports, tmp_path: Path) -> None:
    file = tmp_path / "todo.csv"
    queued = json.loads(vidpipe("label-queue", "--limit", "3", "--output", str(file), "--json").stdout)
    assert (queued["queued"], queued["candidates"]) == (3, 5)
    file.write_text(file.read_text().replace("mp4,,", "mp4,cat,"))
    told = json.loads(vidpipe("label", str(file), "--source", "ann", "--json").stdout)
    assert told["labelled"] == 3
    ended = vidpipe(
        "sql", "select distinct label, label_source from collection_videos where label is not null", "--json"
    )
    assert json.loads(ended.stdout)["rows"] == [["cat", "ann"]]
