"""Feature parts that are gone are computed again; where all are gone, a person is asked first."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from vidpipe.ports import Ports
from vidpipe.steps.doctor import doctor
from vidpipe.steps.extract import extract
from vidpipe.steps.gc import gc
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.wiring import open_probes


def parts(home: Any) -> list[Path]:
    return sorted(home.settings.home.glob("features/*/part-*"))


def said_of_parts(home: Any) -> tuple[str, str]:
    """State and message of doctor's line about the parts."""
    report = doctor(open_probes(home), wait_s=60)
    (line,) = [line for line in report.lines if line.check == "parts"]
    return line.state, line.message


def test_a_part_that_is_gone_is_computed_again_and_all_of_them_only_when_asked(
    ports: Ports, home: Any, clips: Any, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for file in sorted(clips.incoming.glob("*.mp4"))[:2]:
        shutil.copy2(file, tmp_path / "in")
        ingest(ports, "in", tmp_path / "in")
        extract(ports)
    one, other = parts(home)
    one.unlink()
    assert said_of_parts(home) == ("warning", "1 of the 2 that the ledger names are gone or cut off")
    night = nightly(ports)
    assert (night.status, night.extracted, night.problems) == ("no_champion", 1, [])
    assert len(parts(home)) == 2 and other in parts(home)
    assert said_of_parts(home)[0] == "ok"
    for left in (b"", b"PAR", parts(home)[0].read_bytes()[:-9]):  # as a power cut may leave it
        parts(home)[0].write_bytes(left)
        assert said_of_parts(home) == ("warning", "1 of the 2 that the ledger names are gone or cut off")
    night = nightly(ports)
    assert (night.status, night.extracted, night.problems) == ("no_champion", 1, [])
    gc(ports, older_than_s=0.0)
    assert said_of_parts(home)[0] == "ok" and len(parts(home)) == 2
    shutil.rmtree(home.settings.home / "features")
    assert said_of_parts(home) == ("fix", "none of the 2 feature parts that the ledger names is there")
    away = nightly(ports)
    assert (away.status, away.extracted) == ("failed", 0)
    assert "none of the 2 feature parts" in away.problems[0] and "vidpipe gc --lost-parts" in away.problems[0]
    assert gc(ports, lost_parts=True).lost_parts == 2
    healed = nightly(ports)
    assert (healed.status, healed.extracted) == ("no_champion", 2)


def test_features_of_a_video_that_is_gone_too_stay_on_record(
    ports: Ports, home: Any, clips: Any, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy2(min(clips.incoming.glob("*.mp4")), tmp_path / "in")
    ingest(ports, "in", tmp_path / "in")
    extract(ports)
    shutil.rmtree(tmp_path / "in")
    (tmp_path / "in").mkdir()
    ingest(ports, "in", tmp_path / "in", allow_missing=True)
    parts(home)[0].unlink()
    assert gc(ports, lost_parts=True).lost_parts == 1
    assert len(ports.ledger.features.named_parts()) == 1, "a backup may still bring the part back"
