"""kill -9 at twenty seeded instants loses, doubles and breaks nothing; and the harness would notice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ROOT

from benchmarks.kills import Contents, compare, inspect, open_story, read_contents, tidy


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Where twenty kills were played, and how the command ended."""
    root = tmp_path_factory.mktemp("kills")
    options = ["--kills", "20", "--seed", "1", "--json", "--keep", str(root)]
    command = [sys.executable, "-m", "benchmarks.kills", *options]
    return root, subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def undamaged(played: tuple[Path, Any]) -> tuple[Path, Contents]:
    """The uninterrupted home, and what it holds."""
    return played[0] / "uninterrupted", read_contents(played[0] / "uninterrupted")


@pytest.fixture
def home(undamaged: tuple[Path, Contents], tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(undamaged[0], tmp_path / "story", copy_function=shutil.copy2))


@contextmanager
def ledger(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The working database, open for tampering; published afterwards."""
    with duckdb.connect(str(home / "home/state/ledger.duckdb")) as connection:
        yield connection
    open_story(home).warehouse.publish()


def test_twenty_kills_do_no_damage(played: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    ended = played[1]
    assert ended.stdout, ended.stderr
    counts = json.loads(ended.stdout)
    assert (ended.returncode, set(counts["damage"].values())) == (0, {0}), ended.stderr
    assert counts["kills"] == 20
    assert counts["finished_runs"] == counts["stories"] >= 1
    assert 0 < counts["by_step"]["by the clock"] < 20  # the others hit named steps


def test_an_untouched_home_shows_no_damage(undamaged: tuple[Path, Contents], home: Path) -> None:
    _, contents = undamaged
    assert contents.tables["predictions"] and contents.tables["failures"]
    assert len(contents.tables["video_features"]) == 12
    assert not compare(contents, read_contents(home)).any
    assert not compare(contents, tidy(home)).any
    assert not compare(Contents(), inspect(home)).any


def test_a_doubled_row_is_noticed(undamaged: tuple[Path, Contents], home: Path) -> None:
    with ledger(home) as connection:
        connection.execute("insert into core.prediction select * from core.prediction limit 1")
    assert compare(undamaged[1], read_contents(home)).rows_doubled >= 1
    assert inspect(home).broken_warehouses == 1


def test_a_lost_row_is_noticed(undamaged: tuple[Path, Contents], home: Path) -> None:
    with ledger(home) as connection:
        connection.execute("delete from core.failure")
    assert compare(undamaged[1], read_contents(home)).rows_lost == 1


def test_a_lost_and_a_short_part_are_noticed(undamaged: tuple[Path, Contents], home: Path) -> None:
    parts = sorted(home.glob("home/features/*/part-*"))
    parts[0].unlink()
    parts[1].write_bytes(parts[1].read_bytes()[:-100])
    damage = compare(undamaged[1], read_contents(home))
    assert damage.half_parts == damage.rows_lost >= 2
    assert inspect(home).half_parts >= 2


def test_other_features_are_noticed(undamaged: tuple[Path, Contents], home: Path) -> None:
    part = min(home.glob("home/features/*/part-*"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1  # one bit of one number
    part.write_bytes(data)
    damage = compare(undamaged[1], read_contents(home))
    assert (damage.rows_lost, damage.rows_doubled) == (1, 0), "its page's checksum tells: it is not read"


def test_a_broken_or_vanished_warehouse_is_noticed(undamaged: tuple[Path, Contents], home: Path) -> None:
    warehouse = home / "home/warehouse.duckdb"
    assert not compare(Contents(), inspect(home)).any
    whole = warehouse.read_bytes()
    warehouse.chmod(0o644)
    warehouse.write_bytes(whole[: len(whole) // 2])
    assert inspect(home).broken_warehouses == 1
    assert compare(undamaged[1], read_contents(home)).broken_warehouses == 1
    warehouse.unlink()
    assert inspect(home).broken_warehouses == 1


def test_a_moved_alias_is_noticed(undamaged: tuple[Path, Contents], home: Path) -> None:
    open_story(home).registry.drop_alias("champion")
    assert compare(undamaged[1], read_contents(home)).rows_lost == 1


def test_files_that_gc_leaves_are_counted(home: Path) -> None:
    (home / "home/state/something.tmp").touch()
    assert asdict(tidy(home))["uncollected_files"] == 1
