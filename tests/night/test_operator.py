"""Every row of the operator's table happens: it is seen as the row says, and what to do about it helps."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import test_damaged_features
import test_odd_registry
import test_timeouts
import test_versions
import test_world_breaks
from conftest import ROOT
from typer.testing import CliRunner

from vidpipe.cli.main import app
from vidpipe.steps import hash_and_probe

GUIDE = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")


def table(heading: str) -> dict[str, str]:
    """By what happened: what the row says is seen."""
    section = GUIDE.split(f"### {heading}\n", 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {row[0].strip(): row[1] for row in rows[1:]}


# -- a small home -----------------------------------------------------------------------------------


@dataclass
class Scene:
    """A home with one extracted clip, its source, and what the last verb said."""

    home: Path
    source: Path
    clips: list[Path]
    said: str = ""
    code: int = 0

    def verb(self, *arguments: str) -> dict[str, Any]:
        """A verb's JSON."""
        ended = CliRunner().invoke(app, [*arguments, "--json", "--home", str(self.home)])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        self.said, self.code = ended.stdout + ended.stderr, ended.exit_code
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def manifest(self, text: str) -> None:
        """Ingest the source with a manifest of this text."""
        file = self.home.parent / "m.csv"
        file.write_text(text, encoding="utf-8")
        self.verb("ingest", str(self.source), "--collection", "listed", "--manifest", str(file))

    def arrives(self, number: int, name: str = "new.mp4") -> Path:
        """One more clip in the source."""
        return Path(shutil.copy2(self.clips[number], self.source / name))

    def heals(self, **expected: int) -> None:
        """The next night is an ordinary one."""
        night = self.verb("nightly")
        assert (self.code, night["status"]) == (0, "no_champion"), self.said
        assert {name: night[name] for name in expected} == expected


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, clips: Any, make_ports: Any) -> Scene:
    folder = tmp_path_factory.mktemp("operator")
    scene = Scene(folder / "home", folder / "source", sorted(clips.incoming.glob("*.mp4")))
    scene.source.mkdir()
    scene.arrives(0, "known.mp4")
    scene.verb("ingest", str(scene.source), "--collection", "yard")
    scene.heals(extracted=1)
    return scene


@pytest.fixture
def scene(prepared: Scene, tmp_path: Path) -> Scene:
    """A copy of the home; the source is made anew, since the collection remembers its path."""
    shutil.rmtree(prepared.source, ignore_errors=True)
    prepared.source.mkdir()
    prepared.arrives(0, "known.mp4")
    return Scene(shutil.copytree(prepared.home, tmp_path / "home"), prepared.source, prepared.clips)


# -- what happens -----------------------------------------------------------------------------------


def unquoted_comma(scene: Scene) -> None:
    scene.manifest("path,label\nknown.mp4,cut, then folded\n")
    assert scene.code == 1
    said = scene.said
    scene.manifest('path,label\nknown.mp4,"cut, then folded"\n')
    assert scene.code == 0
    scene.said = said


def open_quote(scene: Scene) -> None:
    scene.manifest('path,label\nknown.mp4,"cut\n')
    assert scene.code == 1


def column_twice(scene: Scene) -> None:
    scene.manifest("path,label,Label\nknown.mp4,a,b\n")
    assert scene.code == 1


def header_alone(scene: Scene) -> None:
    scene.manifest("path,label\n")
    assert scene.code == 1


def odd_split(scene: Scene) -> None:
    scene.manifest("path,split\nknown.mp4,holdout\n")
    assert scene.code == 1


def not_mounted(scene: Scene) -> None:
    scene.source.rename(scene.source.with_name("away"))
    scene.source.mkdir()
    assert scene.verb("nightly")["status"] == "failed"
    said = scene.said
    scene.source.rmdir()
    scene.source.with_name("away").rename(scene.source)
    scene.heals(extracted=0)
    scene.said = said


def still_written(scene: Scene) -> None:
    new = scene.arrives(1)
    whole = new.read_bytes()
    hashes = hash_and_probe._hash

    def growing(ports: Any, source: str, file: Any) -> Any:
        hashed = hashes(ports, source, file)
        if file.path == "new.mp4":
            new.write_bytes(whole + b"\0" * 4096)
        return hashed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_and_probe, "_hash", growing)
        patch.setattr(hash_and_probe, "QUIET_S", 0.2)
        assert scene.verb("nightly")["waiting"] == 1
    said = scene.said
    new.write_bytes(whole)
    scene.heals(extracted=1, waiting=0)
    scene.said = said


def broken_file(scene: Scene) -> None:
    (scene.source / "new.mp4").write_bytes(b"no video at all " * 64)
    assert scene.verb("nightly")["failed"] == 1
    said = scene.said + scene.verb("sql", "select error_class from failures")["rows"][0][0]
    scene.arrives(1)
    scene.heals(extracted=1, failed=0)
    scene.said = said


def one_part_gone(scene: Scene) -> None:
    scene.arrives(1)
    scene.heals(extracted=1)
    min(scene.home.glob("features/*/part-*")).unlink()
    scene.heals(extracted=1)


def all_parts_gone(scene: Scene) -> None:
    shutil.rmtree(scene.home / "features")
    assert scene.verb("nightly")["status"] == "failed"
    said = scene.said
    scene.verb("gc", "--lost-parts")
    scene.heals(extracted=1)
    scene.said = said


def warehouse_gone(scene: Scene) -> None:
    (scene.home / "warehouse.duckdb").unlink()
    scene.verb("sql", "select 1")
    said, code = scene.said, scene.code
    assert code == 1
    scene.heals(extracted=0)
    assert scene.verb("sql", "select count(*) from videos")["rows"] == [[1]]
    scene.said = said


def at_work(scene: Scene) -> None:
    from vidpipe.adapters.locks.file_lease import FileLease

    with FileLease(scene.home / "state" / "lease").hold("nightly"):
        scene.verb("extract")
    assert scene.code == 4
    said = scene.said
    scene.heals()
    scene.said = said


def wrong_setting(scene: Scene) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDPIPE_TOP_K", "many")
        scene.verb("nightly")
    assert scene.code == 1
    said = scene.said
    scene.heals()
    scene.said = said


def no_ffmpeg(scene: Scene) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDPIPE_FFMPEG", "/nowhere/ffmpeg")
        scene.verb("nightly")
    assert scene.code == 1
    said = scene.said
    scene.heals()
    scene.said = said


def another_source(scene: Scene) -> None:
    other = scene.home.parent / "other"
    other.mkdir()
    shutil.copy2(scene.clips[1], other)
    scene.verb("ingest", str(other), "--collection", "yard")
    assert scene.code == 1
    said = scene.said
    scene.verb("ingest", str(other), "--collection", "yard", "--replace-source", "--allow-missing")
    assert scene.code == 0
    scene.said = said


ROWS: dict[str, Callable[[Scene], None]] = {
    "a value of the manifest has a comma, without quotes": unquoted_comma,
    "a quote of the manifest is left open": open_quote,
    "a manifest has a column twice": column_twice,
    "a manifest has a header and nothing else": header_alone,
    "a split column has another word than train, val and test": odd_split,
    "a source is not mounted, or empty": not_mounted,
    "a file is still being written, or is replaced while it is read": still_written,
    "a file is no video, or damaged": broken_file,
    "a part of the features is gone or cut off": one_part_gone,
    "all parts of the features are gone": all_parts_gone,
    "`warehouse.duckdb` was deleted": warehouse_gone,
    "another run is at work": at_work,
    "a setting cannot be right": wrong_setting,
    "ffmpeg is not where a setting says": no_ffmpeg,
    "a collection is ingested from another folder": another_source,
}
ELSEWHERE = {
    "a source's mount hangs": (test_timeouts, "a_night_with_a_silent_source_does_the_others"),
    "the disk is full": (test_world_breaks, "a_disk_that_fills_while_a_part_is_written"),
    "somebody has the ledger open": (test_world_breaks, "a_ledger_that_somebody_has_open_is_waited_for"),
    "a bit of stored features has flipped, on a bad disk": (
        test_damaged_features,
        "the_night_scores_the_others_and_reads_the_damaged_video_again",
    ),
    "the clock was set back": (test_world_breaks, "a_clock_set_back_loses_no_row"),
}
"""Rows whose test needs a mount, another process, or a trained home: where it is."""
REGISTRY = (
    (test_odd_registry, "a_night_with_an_odd_registry_reads_scores_and_says_what_is_wrong"),
    (test_odd_registry, "without_a_copy_nothing_can_be_scored"),
    (test_odd_registry, "a_deleted_experiment_names_the_command"),
    (test_versions, "what_is_stored_is_what_the_serving_version_says_after_a_model_was_deleted"),
    (test_versions, "two_model_names_on_one_home_serve_each_its_own"),
)
"""The tests of the table about the registry."""


def test_every_row_has_its_accident() -> None:
    assert set(table("What happened, what you see, what to do")) == {*ROWS, *ELSEWHERE}
    assert len(table("When the registry is odd")) == 9
    for module, name in (*ELSEWHERE.values(), *REGISTRY):
        assert any(test.startswith(f"test_{name}") for test in vars(module)), name


@pytest.mark.parametrize("happened", ROWS)
def test_what_happened_is_seen_as_the_row_says_and_what_to_do_helps(happened: str, scene: Scene) -> None:
    ROWS[happened](scene)
    seen = table("What happened, what you see, what to do")[happened]
    quoted = re.findall(r'"([^"]+)"', seen)
    assert quoted, "a row quotes what is to be seen"
    for words in quoted:
        assert words in scene.said.replace('\\"', '"'), scene.said
