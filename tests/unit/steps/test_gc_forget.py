"""Garbage goes, what is named stays; a forgotten video is gone for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import concrete
from stored import content_id, put_collection

from vidpipe.adapters.database import connection
from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.models.registry import Registry
from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports
from vidpipe.records.models import VersionId
from vidpipe.records.predictions import Prediction, Promotion, WindowPrediction
from vidpipe.steps.extract import extract
from vidpipe.steps.forget import forget
from vidpipe.steps.gc import gc
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.wiring import Home, open_archive


@pytest.fixture
def filled(ports: Ports, tmp_path: Path, clips: Any) -> Ports:
    """A home with three extracted videos in one part, each with a prediction."""
    source = tmp_path / "source"
    source.mkdir()
    for file in sorted(clips.incoming.glob("*.mp4"))[:3]:
        (source / file.name).write_bytes(file.read_bytes())
    ingest(ports, "three", source)
    extract(ports)
    predictions = [Prediction(v, 1, "label", 0.5) for v in _ids(ports)]
    ports.ledger.predictions.put_predictions(
        1, VersionId("m", 1, "d1"), ports.limits.spec.feature_set_id, predictions
    )
    return ports


def _ids(ports: Ports) -> list[str]:
    return sorted(v for v, _, _ in _rows(ports))


def _rows(ports: Ports) -> list[tuple[str, str, int]]:
    spec = ports.limits.spec.feature_set_id
    named = ports.ledger.features.named_parts()
    stored = [s for _, part in named for s in ports.ledger.features.features_of_part(spec, part)]
    return [(s.video_id, s.part, s.row_offset) for s in stored]


def _features(ports: Ports, ids: list[str]) -> dict[str, Any]:
    spec = ports.limits.spec.feature_set_id
    stored = ports.ledger.features.stored_features(spec, ids)
    return {f.video_id: (f.times_s, f.values) for f in ports.store.read(spec, stored)}


def _public(ports: Ports, home: Home, sql: str) -> list[tuple[Any, ...]]:
    return home.warehouse.query(sql).rows


def test_a_forgotten_video_is_gone_and_its_neighbours_keep_every_bit(filled: Ports, home: Any) -> None:
    ids = _ids(filled)
    before = {v: (t.copy(), x.copy()) for v, (t, x) in _features(filled, ids[1:]).items()}
    (old_part,) = {part for _, part, _ in _rows(filled)}
    filled.ledger.decisions.put_version_videos(VersionId("m", 3, "d3"), {"train": ids[:2], "test": ids[2:]})
    filled.ledger.decisions.put_version_videos(VersionId("m", 4, "d4"), {"train": ids[1:2], "test": ids[:1]})
    report = forget(filled, ids[0][:12])
    assert (report.video_id, report.parts, report.taught) == (ids[0], 1, [3])
    after = _features(filled, ids)
    assert sorted(after) == ids[1:]
    for video_id, (times, values) in before.items():
        assert np.array_equal(after[video_id][0], times) and np.array_equal(after[video_id][1], values)
    parts = [p.name for p in (home.settings.home / "features").rglob("part-*")]
    assert len(parts) == 1 and old_part not in parts
    assert _public(filled, home, "select count(*) from predictions") == [(2,)]
    gone = _public(
        filled, home, f"select verdict, video_codec, duration_s from videos where video_id = '{ids[0]}'"
    )
    assert gone == [("forgotten", None, None)]


def test_a_forgotten_video_does_not_come_back(filled: Ports, home: Any) -> None:
    ids = _ids(filled)
    forget(filled, ids[0])
    collection = filled.ledger.sources.collection("three")
    assert collection
    file = next(Path(collection.source).glob("*.mp4"))
    os.utime(file, ns=(1, 1))  # looks changed, so that it is read again
    nightly(filled)
    assert extract(filled).videos == 0
    assert len(_ids(filled)) == 2
    forget(filled, ids[0])  # once more changes nothing
    assert len(_ids(filled)) == 2


def test_the_last_video_of_a_part_takes_the_part_with_it(filled: Ports, home: Any) -> None:
    for video_id in _ids(filled):
        forget(filled, video_id)
    assert list((home.settings.home / "features").rglob("part-*")) == []


def test_unknown_and_short_ids_are_refused(filled: Ports) -> None:
    with pytest.raises(NotFound):
        forget(filled, "0" * 64)
    with pytest.raises(ConfigurationError):
        forget(filled, _ids(filled)[0][:4])


def test_gc_removes_old_garbage_only(filled: Ports, home: Any) -> None:
    folder = home.settings.home / "features" / f"feature_set={filled.limits.spec.feature_set_id}"
    old = time.time() - 2 * 24 * 3600
    names = {"part-orphan.parquet": old, "part-half.parquet.tmp": old, "part-young.parquet.tmp": time.time()}
    for name, changed in names.items():
        (folder / name).write_bytes(b"x" * 10)
        os.utime(folder / name, (changed, changed))
    stale = home.settings.home / ".warehouse.duckdb.123.tmp"
    stale.mkdir()
    (stale / "warehouse.duckdb").write_bytes(b"y" * 5)
    os.utime(stale, (old, old))
    waiting = home.settings.home / "labels/.waiting.csv.123.tmp"
    waiting.parent.mkdir()
    waiting.write_bytes(b"z" * 7)
    os.utime(waiting, (old, old))
    young = waiting.with_name(".waiting.csv.124.tmp")
    young.write_bytes(b"z")
    for named in folder.glob("part-*"):
        if named.name not in names:
            os.utime(named, (old, old))  # age alone is no reason
    report = gc(filled)
    assert (report.files, report.bytes) == (4, 32)
    assert not waiting.exists() and young.exists()
    assert (folder / "part-young.parquet.tmp").exists() and not stale.exists()
    assert len(_features(filled, _ids(filled))) == 3


def test_pages_of_a_quarter_ago_are_collected_and_unfinished_ones_after_a_day(
    filled: Ports, home: Any
) -> None:
    folder = home.settings.home / "reports"
    folder.mkdir(exist_ok=True)
    ages_days = {"1.html": 91, "2.html": 89, ".3.html.77.tmp": 2, ".4.html.77.tmp": 0}
    for name, days in ages_days.items():
        (folder / name).write_text("page")
        os.utime(folder / name, (time.time() - days * 24 * 3600,) * 2)
    assert (gc(filled).files, gc(filled).files) == (2, 0)
    assert {file.name for file in folder.iterdir()} == {"2.html", ".4.html.77.tmp"}
    forget(filled, _ids(filled)[0])  # which collects what is younger than a day, too
    assert {file.name for file in folder.iterdir()} == {"2.html"}


def test_old_predictions_go_but_for_the_best_label_and_those_that_hold_of_versions_in_use(
    ports: Ports, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 was champion before, 2 serves, 3 is challenger, 4 nobody; 5 nights are kept.

    3 and 4 give a video several labels, of which the first and the second are over their threshold.
    """
    names = ["a.mp4", "b.mp4"]
    spec = ports.limits.spec
    put_collection(ports, "yard", {n: np.zeros((1, spec.feature_size), np.float32) for n in names})
    versions = {n: VersionId("m", n, f"d{n}") for n in (1, 2, 3, 4)}
    ledger, start = concrete(ports.ledger, Ledger), datetime.now(UTC).replace(tzinfo=None)
    for video, age_days in (("a.mp4", 6), ("b.mp4", 4)):
        monkeypatch.setattr(
            "vidpipe.adapters.database.predictions.now_utc",
            lambda age_days=age_days: start - timedelta(days=age_days),
        )
        for version in versions.values():
            holds = {rank: rank < 3 if version.number > 2 else None for rank in (1, 2, 3)}
            ranked = [
                Prediction(content_id(video), rank, f"label {rank}", 0.5, over_threshold=over)
                for rank, over in holds.items()
            ]
            windows = [
                WindowPrediction(content_id(video), 0.0, 1.0, rank, "cat", 0.5, over_threshold=over)
                for rank, over in holds.items()
            ]
            ledger.predictions.put_predictions(1, version, spec.feature_set_id, ranked, windows)
            ledger.novelty.put(version, {content_id(video): 0.5})
    for number in (1, 2):
        ledger.decisions.put_promotion(
            ports.registry.model, Promotion(0, None, number, "promoted"), evidence={}, eval_set_hash=None,
            reason=None, actor="a", final=True, to=versions[number],
        )  # fmt: skip
    ledger.predictions.switch_serving(2)
    monkeypatch.setattr(Registry, "aliases", lambda _: {"champion": 2, "challenger": 3})

    swept = gc(ports, keep_predictions_days=5)

    listed = "{} join collection_videos using (video_id) where path = '{}'"
    rows = f"select model_version, rank from {listed} order by all"
    old, young = (
        [rows.format(name, path) for name in ("predictions", "window_predictions")] for path in names
    )
    for query in old:
        assert _public(ports, home, query) == [(1, 1), (2, 1), (3, 1), (3, 2)]
    for query in young:
        assert _public(ports, home, query) == [(v, rank) for v in (1, 2, 3, 4) for rank in (1, 2, 3)]
    assert swept.predictions == 2 * (12 - 4)
    with ledger.database.session() as session:
        novelty = session.connection.execute("select count(*) from core.video_novelty").fetchall()
    assert novelty == [(7,)], "what version 4 said of the old video is gone"
    again = gc(ports, keep_predictions_days=5)
    assert (again.predictions, gc(ports).predictions) == (0, 0)
    assert ledger.predictions.unscored(versions[2], spec.feature_set_id, None) == [], (
        "nothing is scored again"
    )


def test_room_of_deleted_rows_is_given_back_to_the_disk_and_nothing_else_is_lost(
    filled: Ports, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = concrete(filled.ledger, Ledger)
    assert gc(filled).ledger_bytes == 0, "there is little of it"
    for statement in (
        "create table core.gone as select hash(i) as h from range(2_000_000) t(i)",
        "create table core.last as select hash(i) as h from range(100_000) t(i)",
        "drop table core.gone",  # DuckDB cuts off what is free at the end of the file, and no more
    ):
        with ledger.database.session() as session:
            session.connection.execute(statement)
    monkeypatch.setattr(connection, "LEAST_FREE_BYTES", 1 << 20)
    told = [
        "select * exclude (table_oid) from duckdb_columns() where not internal order by all",
        "select view_name, sql, comment from duckdb_views() where not internal order by all",
        "from predictions",
    ]  # fmt: skip
    home.warehouse.publish()
    before, size = [_public(filled, home, query) for query in told], ledger.database.file.stat().st_size

    freed = gc(filled).ledger_bytes

    assert freed > 10 << 20 and ledger.database.file.stat().st_size < size - freed // 2
    assert [_public(filled, home, query) for query in told] == before
    assert filled.ledger.runs.start("gc") == 5, "numbers go on"
    assert not [f for f in ledger.database.file.parent.iterdir() if "tmp" in f.name]


KILLED_WHILE_REWRITING = """
import os, signal, sys
from pathlib import Path
from vidpipe.adapters.database import connection

def killed(database, temp):
    database.execute(f"attach '{temp}' as compacted")
    database.execute("create table compacted.half as from range(10)")
    os.kill(os.getpid(), signal.SIGKILL)

connection.MUCH_FREE = connection.LEAST_FREE_BYTES = 0
connection._copy_database = killed
connection.Database(Path(sys.argv[1])).compact()
"""


def test_gc_deletes_what_a_kill_left_of_rewriting_the_ledger(filled: Ports) -> None:
    file = concrete(filled.ledger, Ledger).database.file
    listed = {entry.name for entry in file.parent.iterdir()}
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_REWRITING, str(file)], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = {entry.name for entry in file.parent.iterdir()} - listed
    assert sorted(Path(name).suffix for name in left) == [".tmp", ".wal"]
    gc(filled)
    assert {entry.name for entry in file.parent.iterdir()} == listed


KILLED_WHILE_SPILLING = """
import os, signal, sys
from pathlib import Path
from vidpipe.adapters.database.connection import Database

with Database(Path(sys.argv[1])).session() as session:
    session.connection.execute("set memory_limit = '32MB'")
    session.connection.execute(
        "create temp table much as select hash(i) h, hash(-i) g from range(4000000) t(i)"
    )
    spilled = session.connection.execute("select count(*) from duckdb_temporary_files()").fetchall()
    assert spilled[0][0] > 0, spilled
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_gc_deletes_after_a_day_what_a_killed_process_spilled_to_disk(
    filled: Ports, home: Any, tmp_path: Path
) -> None:
    file = concrete(filled.ledger, Ledger).database.file
    spilled = Path(f"{file}.tmp")
    command = [sys.executable, "-c", KILLED_WHILE_SPILLING, str(file)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sum(left.stat().st_size for left in spilled.iterdir()) > 1 << 20
    gc(filled)
    assert list(spilled.iterdir()), "somebody may be at work"

    open_archive(home).save(tmp_path / "saved", list_features=True)
    assert not list((tmp_path / "saved").rglob("*.tmp")), "it is no part of the home"

    result = gc(filled, older_than_s=0)
    assert list(spilled.iterdir()) == [] and result.bytes > 1 << 20
