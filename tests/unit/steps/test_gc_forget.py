"""Garbage goes, what is named stays; a forgotten video is gone for good."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports
from vidpipe.records.models import VersionId
from vidpipe.records.predictions import Prediction
from vidpipe.steps.extract import extract
from vidpipe.steps.forget import forget
from vidpipe.steps.gc import gc
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.wiring import Home


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
    for named in folder.glob("part-*"):
        if named.name not in names:
            os.utime(named, (old, old))  # age alone is no reason
    report = gc(filled)
    assert (report.files, report.bytes) == (3, 25)
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
