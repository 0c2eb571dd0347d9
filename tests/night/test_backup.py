"""A backup is consistent while nights run, and a home made from it elsewhere goes on as the old one would."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import warehouse_rows
from test_readers import copy_clips

from vidpipe.errors import ConfigurationError, StorageFailed
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.settings import load_settings
from vidpipe.steps.backup import BackupResult, backup, restore
from vidpipe.steps.doctor import doctor
from vidpipe.steps.extract import extract
from vidpipe.steps.forget import forget
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.steps.train import train
from vidpipe.wiring import open_archive, open_home, open_probes


def saved(home: Path, folder: Path, **how: Any) -> BackupResult:
    return backup(open_archive(open_home(load_settings(home))), folder, **how)


def restored(folder: Path, home: Path) -> None:
    opened = open_home(load_settings(home))
    restore(open_archive(opened), folder, home, opened.warehouse.publish)


def tables(ports: Ports) -> list[list[tuple[Any, ...]]]:
    queries = (
        "select collection, path, video_id, label, score, model_version from latest_predictions order by all",
        "select video_id, n_frames, part from video_features order by all",
        "select decision, to_version, reason from promotions order by all",
    )
    return [warehouse_rows(ports, query) for query in queries]


def test_a_home_restored_elsewhere_serves_the_same_and_goes_on(
    tmp_path: Path, clips: Any, crowned_home: Any, make_ports: Callable[[Path], Ports]
) -> None:
    home, folder, elsewhere = tmp_path / "home", tmp_path / "backup", tmp_path / "a new place" / "home"
    ports = make_ports(crowned_home(home))
    assert nightly(ports).status == "ok"
    before = tables(ports)

    with ports.lease.hold("nightly"):  # as if a night were at work
        made = saved(home, folder)
    news = copy_clips(clips, tmp_path / "news", range(3))
    ingest(ports, "news", news)
    nightly(ports)  # and the home goes on
    shutil.rmtree(home)
    restored(folder, elsewhere)

    again = make_ports(elsewhere)
    assert tables(again) == before
    assert made.parts and not made.listed_parts
    assert [line.message for line in doctor(open_probes(open_home(load_settings(elsewhere))), wait_s=60).lines
            if line.state == "fix"] == []  # fmt: skip
    ingest(again, "news", news)
    night = nightly(again)
    assert (night.status, night.problems) == ("ok", [])
    assert night.classified == len(list(news.glob("*.mp4")))
    train(again, "clips", split_column="split", config=TrainingConfig(seed=1, epochs=1))
    assert not home.exists(), "nothing of the new home looks back at the old one's place"


@pytest.fixture(scope="module")
def two_videos(clips: Any, tmp_path_factory: pytest.TempPathFactory, make_ports: Any) -> Path:
    """A home with two videos and their features; no model."""
    folder = tmp_path_factory.mktemp("two")
    ports = make_ports(folder / "home")
    ingest(ports, "in", copy_clips(clips, folder / "in", range(2)))
    extract(ports)
    return folder / "home"


@pytest.fixture
def small(two_videos: Path, tmp_path: Path) -> Path:
    """A copy of that home."""
    return Path(shutil.copytree(two_videos, tmp_path / "home"))


@pytest.fixture
def ports(small: Path, make_ports: Callable[[Path], Ports]) -> Ports:
    return make_ports(small)


def test_features_are_links_and_a_forgotten_video_stays_in_the_backup_alone(
    ports: Ports, small: Path, tmp_path: Path
) -> None:
    saved(small, tmp_path / "backup")
    (part,) = (tmp_path / "backup").glob("features/*/*")
    assert part.stat().st_nlink == 2
    ((video_id,),) = warehouse_rows(ports, "select min(video_id) from videos")

    forget(ports, video_id)

    assert part.stat().st_nlink == 1, "the home has another part now"
    restored(tmp_path / "backup", tmp_path / "new")
    assert len(list((tmp_path / "new").glob("features/*/*"))) == 1


def test_features_may_be_listed_and_left_out(
    ports: Ports, small: Path, tmp_path: Path, make_ports: Any
) -> None:
    made = saved(small, tmp_path / "backup", list_features=True)
    assert (made.parts, made.listed_parts) == (0, 1)
    listed = json.loads((tmp_path / "backup" / "BACKUP.json").read_text())["listed_parts"]
    assert [(small / path).stat().st_size for path in listed] == list(listed.values())

    restored(tmp_path / "backup", tmp_path / "new")

    (line,) = [
        line for line in doctor(open_probes(open_home(load_settings(tmp_path / "new"))), wait_s=60).lines
        if line.check == "parts"
    ]  # fmt: skip
    assert line.state == "fix" and "vidpipe gc --lost-parts" in str(line.next)


def test_what_a_kill_leaves_of_a_backup_is_no_backup_and_full_folders_are_refused(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ConfigurationError, match="holds something already"):
        saved(small, tmp_path / "full")
    with pytest.raises(ConfigurationError, match="within the home"):
        saved(small, small / "backup")
    with pytest.raises(ConfigurationError, match="no ledger"):
        saved(tmp_path / "nowhere", tmp_path / "backup")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vidpipe.adapters.home_archive._described", full)
        with pytest.raises(StorageFailed, match="No space left"):
            saved(small, tmp_path / "backup")
    assert not (tmp_path / "backup").exists() and not list(tmp_path.glob(".*"))
    (tmp_path / "empty").mkdir()
    saved(small, tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="holds something already"):
        restored(tmp_path / "empty", small)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing there": (shutil.rmtree, "is no backup"),
    "no contents": (lambda b: (b / "BACKUP.json").unlink(), "is no backup"),
    "contents of another kind": (lambda b: (b / "BACKUP.json").write_text("[1]"), "is no backup"),
    "a path that leads out": (
        lambda b: (b / "BACKUP.json").write_text((b / "BACKUP.json").read_text().replace("state/", "../")),
        "leads out of it",
    ),
    "the ledger is gone": (lambda b: (b / "state" / "ledger.duckdb").unlink(), "ledger.duckdb is missing"),
    "a bit of the ledger": (lambda b: flip(b / "state" / "ledger.duckdb"), "not the bytes"),
    "a part cut short": (lambda b: cut(next(b.glob("features/*/*"))), r"part-\S+ has \d+ bytes, expected"),
}  # fmt: skip


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(part: Path) -> None:
    content = part.read_bytes()
    part.unlink()  # not the home's, which it is a link to
    part.write_bytes(content[:-9])


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    how: str, small: Path, tmp_path: Path
) -> None:
    saved(small, tmp_path / "backup")
    damage, says = DAMAGE[how]
    damage(tmp_path / "backup")

    with pytest.raises(ConfigurationError, match=says):
        restored(tmp_path / "backup", tmp_path / "new")

    assert not (tmp_path / "new").exists()


def test_the_verbs(vidpipe: Any, small: Path, tmp_path: Path) -> None:
    made = vidpipe("backup", str(tmp_path / "backup"), "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["parts"] == 1
    done = vidpipe("restore", str(tmp_path / "backup"), "--home", str(tmp_path / "new"))
    assert done.returncode == 0 and "listed_parts" in done.stdout
    refused = vidpipe("restore", str(tmp_path / "backup"))
    assert refused.returncode == 1 and "holds something already" in refused.stderr
