"""People read `warehouse.duckdb` while the job runs: no error, no half-published state, no waiting.

Readers and careless writers are real processes with connections of their own.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
import pytest
from conftest import certain
from homes import smallest_manifest

from benchmarks.survival import CHECKS, fill_ledger, publish_cost, reader
from vidpipe.adapters import atomic
from vidpipe.adapters.database import warehouse as warehouse_module
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.videos import Collection
from vidpipe.settings import load_settings
from vidpipe.steps.classify import classify
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.steps.promote import promote, rollback
from vidpipe.steps.train import train
from vidpipe.wiring import Home, open_home

ANALYST = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("open", flush=True)
for query in sys.stdin:
    try:
        print(con.execute(query).fetchall(), flush=True)
    except duckdb.Error as error:
        print("Error:", str(error).splitlines()[0], flush=True)
"""

NEW_READER = """
import sys, duckdb
print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall())
"""


def copy_clips(clips: Any, target: Path, numbers: range) -> Path:
    target.mkdir(exist_ok=True)
    for file in sorted(clips.incoming.glob("*.mp4"))[numbers.start : numbers.stop]:
        shutil.copy2(file, target)
    return target


# -- a reader in a loop ---------------------------------------------------------------------------


def test_a_reader_in_a_loop_meets_no_error_and_no_half_published_state(
    ports: Ports, home: Home, clips: Any, tmp_path: Path
) -> None:
    manifest = smallest_manifest(clips, tmp_path / "six.csv")
    arrivals = copy_clips(clips, tmp_path / "arrivals", range(2))
    ingest(ports, "clips", clips.labelled, manifest=manifest)
    with reader(home.warehouse.file) as reading:
        extract(ports)
        for seed in (0, 1):
            config = TrainingConfig(seed=seed, epochs=1)
            train(ports, "clips", split_column="split", config=config)
            promote(ports, force=True, reason="a test")
            classify(ports)
            ingest(ports, "arrivals", arrivals)
            nightly(ports)
            copy_clips(clips, arrivals, range(4))
        nightly(ports)
    rollback(ports)  # at once, by design: news that the older version has not seen wait for a night
    nightly(ports)
    assert [home.warehouse.query(check).rows for check in CHECKS.values()] == [[(0,)]] * len(CHECKS)
    assert reading.errors == []
    assert reading.inconsistent == []
    assert reading.snapshots >= 8, "it saw the job go on"
    assert reading.queries >= 10 * len(CHECKS)
    answer = home.warehouse.query("select distinct model_version from latest_predictions")
    assert answer.rows == [(1,)], "two champions and a rollback: there was something to get wrong"


@pytest.mark.parametrize("check", CHECKS)
def test_the_readers_checks_would_notice(check: str, ports: Ports, home: Home, broken_home: Path) -> None:
    with duckdb.connect(str(broken_home), read_only=True) as connection:
        (count,) = connection.execute(CHECKS[check]).fetchone() or (0,)
    assert count > 0


@pytest.fixture
def broken_home(home: Home) -> Path:
    """A ledger in which everything that the reader looks for is wrong."""
    fill_ledger(home.settings.home, 50)
    with home.ledger.database.session() as session:
        run = session.connection.execute
        run("insert into core.prediction from core.prediction")
        run("update core.prediction set feature_set_key = 2 where video_key = 3")
        run("""insert into core.feature_set by name
               select 2 as feature_set_key, 'other' as feature_set_id, '{}' as spec,
                   now()::timestamp as created_at""")
        run("""insert into core.video_feature by name
               select 1 as video_key, 1 as feature_set_key, 1 as n_frames, 'p' as part, 0 as row_offset,
                   'x' as numerics, 1 as run_id from range(2)""")
        run("""insert into core.collection by name
               select i as collection_key, 'c' || i as name, '/x' as source, now()::timestamp as created_at
               from range(2) t(i)""")
        run("""insert into core.collection_video by name
               select 0 as collection_key, 'a' as path, 1 as video_key, true as present,
                   now()::timestamp as first_seen_at, now()::timestamp as last_seen_at
               union all by name
               select 1 as collection_key, 'b' as path, 2 as video_key, true as present,
                   now()::timestamp as first_seen_at, now()::timestamp as last_seen_at""")
        run("""insert into core.collection_serving by name
               select i as collection_key, 1 + i as model_version, now()::timestamp as since
               from range(2) t(i)""")
    home.ledger.runs.start("train")
    return home.ledger.database.file


# -- careless people ------------------------------------------------------------------------------


@contextmanager
def analyst(file: Path) -> Iterator[Callable[[str], str]]:
    """A process that has opened the snapshot for writing and leaves the session open; ask it queries."""
    mode = file.stat().st_mode
    if os.geteuid() != 0:
        file.chmod(0o644)  # root needs no leave
    command = [sys.executable, "-c", ANALYST, str(file)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        stdin, stdout = certain(process.stdin), certain(process.stdout)
        assert stdout.readline() == "open\n"
        file.chmod(mode)

        def ask(query: str) -> str:
            stdin.write(f"{query}\n")
            stdin.flush()
            return stdout.readline().strip()

        yield ask
    finally:
        process.kill()
        process.communicate()


def ask_anew(file: Path, query: str) -> str:
    """What a new reader, in a process of its own, is answered."""
    ended = subprocess.run(
        [sys.executable, "-c", NEW_READER, str(file), query], capture_output=True, text=True, check=False
    )
    return ended.stdout.strip() or ended.stderr.strip().splitlines()[-1]


def test_an_analyst_who_opens_for_writing_and_stays_harms_neither_the_nights_nor_new_readers(
    ports: Ports, home: Home, clips: Any, tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    file, nights = home.warehouse.file, "select count(*) from nights"
    arrivals = copy_clips(clips, tmp_path / "arrivals", range(1))
    ingest(ports, "arrivals", arrivals)
    with analyst(file) as ask:
        assert ask("create table mine as select 42 as answer").startswith("Error: ")
        for night in (1, 2):
            copy_clips(clips, arrivals, range(1 + night))
            report = nightly(ports)
            assert (report.status, report.extracted) == ("no_champion", 2 if night == 1 else 1)
            assert ask_anew(file, nights) == f"[({night},)]"
            assert ask(f"create table mine_{night} as select 1 as a").startswith("Error: ")
            assert ask(nights) == "[(0,)]", "they see what they opened"
            assert ask_anew(file, nights) == f"[({night},)]"
        ask("checkpoint")
    assert ask_anew(file, nights) == "[(2,)]"
    assert "mine" not in ask_anew(file, "select list(table_name) from duckdb_tables()")
    assert [r.getMessage() for r in warnings.records if r.levelno >= logging.WARNING] == []


def test_a_snapshot_that_somebody_has_locked_is_replaced_by_a_copy_when_it_is_asked(
    home: Home, warnings: pytest.LogCaptureFixture
) -> None:
    home.ledger.sources.put_collection(Collection("street", "/videos"))
    home.warehouse.publish()
    file, count = home.warehouse.file, "select count(*) from collections"
    with analyst(file) as ask:
        assert "lock" in ask_anew(file, count), "or there would be nothing to test"
        assert home.warehouse.query(count).rows == [(1,)]
        assert ask_anew(file, count) == "[(1,)]", "and so it is for everybody"
        assert ask(count) == "[(1,)]"
    assert file.stat().st_mode & 0o777 == 0o444
    assert "read_only" in warnings.records[0].getMessage()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that other users can enter; pytest's own are closed to them."""
    folder = Path(mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_another_user_reads_the_snapshot_and_cannot_open_it_for_writing(
    open_to_all: Path, make_ports: Any
) -> None:
    make_ports(open_to_all / "home").ledger.sources.put_collection(Collection("street", "/videos"))
    make_ports(open_to_all / "home").warehouse.publish()
    file = str(open_to_all / "home" / "warehouse.duckdb")
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(duckdb.IOException, match="Permission denied"):
            duckdb.connect(file)
        with duckdb.connect(file, read_only=True) as connection:
            assert connection.execute("select collection from collections").fetchall() == [("street",)]
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


# -- publishing -----------------------------------------------------------------------------------


def test_of_two_who_publish_at_once_the_older_copy_never_replaces_the_newer(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, go_on = threading.Event(), threading.Event()
    real_sync = atomic.sync

    def slow_disk(file: Path) -> None:
        if not copied.is_set():
            copied.set()
            go_on.wait(10)
        real_sync(file)

    def newer() -> None:
        home.ledger.sources.put_collection(Collection("yard", "/videos/yard"))
        home.warehouse.publish()

    monkeypatch.setattr(warehouse_module, "sync", slow_disk)
    monkeypatch.setattr(os, "getpid", threading.get_ident)  # as if they were two processes
    home.ledger.sources.put_collection(Collection("street", "/videos/street"))
    first = threading.Thread(target=home.warehouse.publish)
    first.start()
    assert copied.wait(10)
    second = threading.Thread(target=newer)
    second.start()
    second.join(1.0)
    go_on.set()
    first.join(10)
    second.join(10)
    found = home.warehouse.query("select collection from collections order by 1").rows
    assert found == [("street",), ("yard",)]


def test_publishing_a_large_ledger_takes_little_memory_and_spills_where_nobody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, rows = tmp_path / "home", 2_000_000
    fill_ledger(home, rows)
    cost = publish_cost(home)
    assert cost["file_mb"] > 20, "large enough to notice"
    assert cost["grown_by_mb"] < 200
    assert cost["seconds"] < 10
    left = {file.name for file in home.iterdir()}

    monkeypatch.setattr(warehouse_module, "_MODEST", {"memory_limit": "50MB", "threads": 2})
    open_home(load_settings(home)).warehouse.publish()

    assert {file.name for file in home.iterdir()} == left
    query = "select count(*), count(distinct video_key) from core.prediction"
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute(query).fetchall() == [(rows, rows // 5)]
        assert connection.execute("select count(*) from latest_predictions").fetchall() == [(rows // 5,)]
