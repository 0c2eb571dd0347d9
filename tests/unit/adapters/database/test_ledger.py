"""The ledger on real DuckDB: what it says is done, said once, whoever writes and however often."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import certain

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.database.session import GIVEN_ROWS
from vidpipe.errors import LedgerLocked, SchemaMismatch, StorageFailed
from vidpipe.records.features import DecodeReport, ExtractedVideo, FeatureSpec, PartResult, StoredFeatures
from vidpipe.records.models import VersionId
from vidpipe.records.predictions import Prediction, Promotion
from vidpipe.records.videos import Collection, Failure, LocalFile, MediaFacts, ProbedVideo, SourceFile
from vidpipe.vision.feature_specs import default_spec

SPEC = default_spec(4.0)
OTHER_SPEC = default_spec(2.0)
SET, OTHER_SET = SPEC.feature_set_id, OTHER_SPEC.feature_set_id
YARD = Collection("yard", "/videos/yard")
STREET = Collection("street", "/videos/street", "/videos/street.csv", "folder")
FACTS = MediaFacts("mov,mp4", "h264", 320, 240, 0, 25.0, False, 2.0, 50)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger with two collections, to be copied: making one takes longer."""
    file = tmp_path_factory.mktemp("ledger") / "ledger.duckdb"
    ledger = Ledger(file)
    ledger.sources.put_collection(YARD)
    ledger.sources.put_collection(STREET)
    return file


@pytest.fixture
def ledger(made_once: Path, tmp_path: Path) -> Ledger:
    shutil.copy(made_once, tmp_path / "ledger.duckdb")
    return Ledger(tmp_path / "ledger.duckdb", max_attempts=3, wait_s=20.0)


def query(ledger: Ledger, text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(ledger.database.file, read_only=True) as connection:
        return connection.execute(text).fetchall()


def file(path: str, **more: Any) -> SourceFile:
    return SourceFile(path, **{"size_bytes": 100, "mtime_ns": 1, "inode": 1, **more})


def probed(video_id: str, facts: MediaFacts | None = FACTS, verdict: str | None = None) -> ProbedVideo:
    return ProbedVideo(video_id, 100, facts, verdict)


def arrive(ledger: Ledger, collection: str = "yard", **ids: str) -> list[SourceFile]:
    """Healthy files `path=video_id` (`a` stands for a.mp4) that have been read and listed."""
    files = [file(f"{name}.mp4") for name in ids]
    known = ledger.sources.known_videos(ids.values(), retry_failed=False)
    new = [probed(v) for v in dict.fromkeys(ids.values()) if v not in known]
    ledger.sources.put_videos(collection, list(zip(files, ids.values(), strict=True)), new, [])
    return files


def arrive_bad(ledger: Ledger, path: str, video_id: str, collection: str = "yard") -> None:
    """A file whose probe fails, once more."""
    ledger.sources.put_videos(
        collection,
        [(file(path), video_id)],
        [probed(video_id, None, "unreadable")],
        [Failure(collection, path, video_id, "probe", "Unreadable", "moov atom not found")],
    )


def extracted(video_id: str, part: str, offset: int = 0, n: int = 8) -> ExtractedVideo:
    return ExtractedVideo(
        video_id, StoredFeatures(video_id, part, offset, n), DecodeReport(50, 1, "a slip"), "ok"
    )


def failed(video_id: str, verdict: str | None = "no_frames") -> ExtractedVideo:
    return ExtractedVideo(video_id, None, None, verdict, "NoFrames", "no frame decodes")


def part(
    *videos: ExtractedVideo, name: str | None = "part-1.parquet", spec: FeatureSpec = SPEC
) -> PartResult:
    return PartResult(spec, name, "cpu-float32", videos)


def put_part(
    ledger: Ledger, *videos: ExtractedVideo, name: str = "part-1.parquet", spec: FeatureSpec = SPEC
) -> None:
    ledger.features.put_parts(1, [part(*videos, name=name, spec=spec)])


def predictions(*video_ids: str, best: str = "cat", score: float = 0.75) -> list[Prediction]:
    ranked = [(1, best, score), (2, "dog", 1 - score)]
    return [Prediction(v, rank, label, value) for v in video_ids for rank, label, value in ranked]


def numbered(version: int) -> VersionId:
    return VersionId("clips", version, f"digest of {version}")


def score(ledger: Ledger, version: int, *video_ids: str, **more: Any) -> None:
    ledger.predictions.put_predictions(1, numbered(version), SET, predictions(*video_ids, **more))


def failures(ledger: Ledger) -> list[tuple[Any, ...]]:
    return query(
        ledger,
        "select collection, path, stage, error_class, attempts, status from failures order by all",
    )


# -- collections and listings -------------------------------------------------------------------


def test_a_collection_comes_back_as_it_was_put_and_can_be_changed(ledger: Ledger) -> None:
    assert ledger.sources.collection("street") == STREET
    assert ledger.sources.collection("nowhere") is None

    moved = replace(STREET, source="/elsewhere", manifest=None)
    ledger.sources.put_collection(moved)

    assert ledger.sources.collections() == [YARD, moved]


def test_a_new_listing_is_all_changed_and_a_read_one_is_not(ledger: Ledger) -> None:
    listing = [file("a.mp4"), file("b.mp4")]
    assert ledger.sources.changes("yard", listing).changed == {"a.mp4", "b.mp4"}

    arrive(ledger, a="A", b="B")

    assert ledger.sources.changes("yard", listing).changed == set()
    assert ledger.sources.changes("street", listing).changed == {"a.mp4", "b.mp4"}
    assert ledger.sources.changes("yard", [*listing, file("c.mp4")]).changed == {"c.mp4"}


@pytest.mark.parametrize("change", [{"size_bytes": 101}, {"mtime_ns": 0}, {"inode": 2**63 + 5}], ids=str)
def test_another_size_time_or_inode_means_reading_again(change: dict[str, int], ledger: Ledger) -> None:
    arrive(ledger, a="A", b="B")
    changed = file("a.mp4", **change)

    assert ledger.sources.changes("yard", [changed, file("b.mp4")]).changed == {"a.mp4"}

    ledger.sources.put_videos("yard", [(changed, "A")], [], [])
    assert ledger.sources.changes("yard", [changed]).changed == set()


def test_another_label_does_not_mean_reading_again(ledger: Ledger) -> None:
    arrive(ledger, a="A")

    assert ledger.sources.changes("yard", [file("a.mp4", label="cat")]).changed == set()


def test_a_file_that_could_not_be_hashed_is_read_again_every_time(ledger: Ledger) -> None:
    ledger.sources.put_videos("yard", [(file("a.mp4"), None)], [], [])

    assert ledger.sources.changes("yard", [file("a.mp4")]).changed == {"a.mp4"}


def test_a_content_whose_probe_learnt_nothing_is_read_again_every_time(ledger: Ledger) -> None:
    ledger.sources.put_videos("yard", [(file("a.mp4"), "A")], [probed("A", None, None)], [])

    assert ledger.sources.changes("yard", [file("a.mp4")]).changed == {"a.mp4"}
    assert ledger.sources.known_videos(["A"], retry_failed=False) == {}


def test_a_bad_file_is_read_again_only_on_request_and_only_until_quarantine(ledger: Ledger) -> None:
    arrive_bad(ledger, "a.mp4", "A")
    listing = [file("a.mp4")]

    assert ledger.sources.changes("yard", listing).changed == set()
    assert ledger.sources.changes("yard", listing).probe_due == {"a.mp4"}

    arrive_bad(ledger, "a.mp4", "A")
    arrive_bad(ledger, "a.mp4", "A")
    assert ledger.sources.changes("yard", listing).probe_due == set()

    ledger.failures.reset("yard")
    assert ledger.sources.changes("yard", listing).changed == {"a.mp4"}


@pytest.mark.parametrize("count", [0, 1, GIVEN_ROWS, 2 * GIVEN_ROWS + 1])
def test_a_listing_of_any_length_is_compared_and_recorded_whole(ledger: Ledger, count: int) -> None:
    listing = [
        replace(file(f"{i:05d}.mp4"), splits={"split": "train"}, attributes={"site": str(i)})
        for i in range(count)
    ]
    assert ledger.sources.changes("yard", listing).changed == {f.path for f in listing}
    ledger.sources.put_videos("yard", [(f, "A") for f in listing], [], [])

    assert ledger.sources.changes("yard", listing).changed == {f.path for f in listing}  # of no known video
    assert ledger.sources.put_listing("yard", listing) == 0

    assert query(
        ledger,
        "select count(*) from collection_videos where present and path = printf('%05d.mp4', "
        "attributes['site']::int) and splits['split'] = 'train'",
    ) == [(count,)]
    assert ledger.sources.put_listing("yard", listing[: count // 2]) == count - count // 2


def test_a_copy_is_the_same_video_at_two_paths(ledger: Ledger) -> None:
    arrive(ledger, a="A", copy="A")
    arrive(ledger, "street", x="A")

    assert query(ledger, "select video_id, width_px, is_vfr, verdict from videos") == [
        ("A", 320, False, None)
    ]
    assert query(ledger, "select collection, path, video_id from collection_videos order by all") == [
        ("street", "x.mp4", "A"), ("yard", "a.mp4", "A"), ("yard", "copy.mp4", "A"),
    ]  # fmt: skip


def test_a_moved_file_is_the_same_video_and_keeps_its_features(ledger: Ledger) -> None:
    arrive(ledger, old="A")
    put_part(ledger, extracted("A", "part-1.parquet"))
    listing = [file("new.mp4")]
    assert ledger.sources.changes("yard", listing).changed == {"new.mp4"}
    assert ledger.sources.known_videos(["A"], retry_failed=False) == {"A": None}

    ledger.sources.put_videos("yard", [(listing[0], "A")], [], [])
    assert ledger.sources.put_listing("yard", listing) == 1

    assert query(ledger, "select path, present from collection_videos order by path") == [
        ("new.mp4", True), ("old.mp4", False),
    ]  # fmt: skip
    assert ledger.features.pending_videos(SET, "yard", retry_failed=False) == []
    assert len(query(ledger, "select * from videos")) == 1


def test_other_bytes_under_an_old_path_are_another_video(ledger: Ledger) -> None:
    arrive(ledger, a="A")
    first_seen = query(ledger, "select first_seen_at from collection_videos")
    changed = file("a.mp4", size_bytes=7)

    ledger.sources.put_videos("yard", [(changed, "B")], [probed("B")], [])

    assert query(ledger, "select path, video_id from collection_videos") == [("a.mp4", "B")]
    assert query(ledger, "select first_seen_at from collection_videos") == first_seen
    assert query(ledger, "select video_id from videos order by all") == [("A",), ("B",)]


def test_a_relabel_takes_effect_without_reading_a_byte(ledger: Ledger) -> None:
    arrive(ledger, a="A", b="B")
    wanted = [file("a.mp4", label="cat", group="g1", splits={"s1": "train", "s2": "test"}), file("b.mp4")]
    ledger.sources.put_listing("yard", wanted)
    assert query(ledger, "select path, label, group_name, splits from collection_videos order by path") == [
        ("a.mp4", "cat", "g1", {"s1": "train", "s2": "test"}),
        ("b.mp4", None, None, {}),
    ]

    ledger.sources.put_listing("yard", [file("a.mp4", label="dog"), file("b.mp4", label="cat")])

    assert query(ledger, "select path, label, group_name, splits from collection_videos order by path") == [
        ("a.mp4", "dog", None, {}), ("b.mp4", "cat", None, {}),
    ]  # fmt: skip
    assert ledger.sources.count_labelled("yard") == 2


def test_a_path_no_longer_listed_is_absent_and_may_come_back(ledger: Ledger) -> None:
    arrive(ledger, a="A", b="B")
    arrive(ledger, "street", a="A")

    assert ledger.sources.put_listing("yard", [file("a.mp4")]) == 1
    assert ledger.sources.put_listing("yard", [file("a.mp4")]) == 0, "it was absent already"
    assert ledger.sources.present_paths("yard") == {"a.mp4"}
    assert ledger.sources.present_paths("street") == {"a.mp4"}

    assert ledger.sources.put_listing("yard", [file("a.mp4"), file("b.mp4")]) == 0
    assert ledger.sources.present_paths("yard") == {"a.mp4", "b.mp4"}


def test_an_empty_listing_makes_everything_absent_and_nothing_else(ledger: Ledger) -> None:
    arrive(ledger, a="A", b="B")

    assert ledger.sources.put_listing("yard", []) == 2
    assert ledger.sources.present_paths("yard") == set()
    assert len(query(ledger, "select * from collection_videos")) == 2


def test_text_that_means_something_to_sql_is_only_text(ledger: Ledger) -> None:
    odd = 'it\'s; drop table core.video; -- "x" 視頻.mp4'
    ledger.sources.put_videos(
        "yard", [(file(odd, label=odd, group=odd, splits={odd: "test"}), "A")], [probed("A")], []
    )
    ledger.failures.put([Failure("yard", odd, "A", "extract", odd, odd)])

    assert query(ledger, "select path, label, splits from collection_videos") == [(odd, odd, {odd: "test"})]
    assert query(ledger, "select path, message from failures") == [(odd, odd)]
    assert ledger.sources.present_paths("yard") == {odd}


# -- failures -----------------------------------------------------------------------------------


def test_a_failure_is_one_row_per_collection_path_and_stage_and_counts_its_attempts(ledger: Ledger) -> None:
    arrive(ledger, a="A")
    for _ in range(2):
        ledger.failures.put([Failure("yard", "a.mp4", "A", "extract", "NoFrames", "none")])
    ledger.failures.put([Failure("yard", "a.mp4", "A", "classify", "Odd", "why")])
    ledger.failures.put([Failure("street", "a.mp4", None, "extract", "Vanished", "gone")])
    ledger.failures.put([Failure("yard", "b.mp4", None, "extract", "Vanished", "gone")])

    assert failures(ledger) == [
        ("street", "a.mp4", "extract", "Vanished", 1, "retry"),
        ("yard", "a.mp4", "classify", "Odd", 1, "retry"),
        ("yard", "a.mp4", "extract", "NoFrames", 2, "retry"),
        ("yard", "b.mp4", "extract", "Vanished", 1, "retry"),
    ]


def test_the_last_error_is_the_one_that_is_shown(ledger: Ledger) -> None:
    arrive(ledger, a="A")
    ledger.failures.put([Failure("yard", "a.mp4", "A", "extract", "NoFrames", "none")])
    ledger.failures.put([Failure("yard", "a.mp4", "A", "extract", "TooSlow", "61 s")])

    assert query(ledger, "select error_class, message, last_at > first_at from failures") == [
        ("TooSlow", "61 s", True)
    ]


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_a_failure_is_quarantined_when_its_attempts_are_used_up(max_attempts: int, ledger: Ledger) -> None:
    strict = Ledger(ledger.database.file, max_attempts=max_attempts)
    seen = []
    for _ in range(4):
        arrive_bad(strict, "a.mp4", "A")
        seen += [row[4:] for row in failures(strict)]

    statuses = ["quarantined" if n >= max_attempts else "retry" for n in (1, 2, 3, 4)]
    assert seen == list(zip((1, 2, 3, 4), statuses, strict=True))


def test_a_failure_is_resolved_when_the_bytes_change_for_the_better(ledger: Ledger) -> None:
    for _ in range(3):
        arrive_bad(ledger, "a.mp4", "A")
    arrive_bad(ledger, "other.mp4", "C")

    ledger.sources.put_videos("yard", [(file("a.mp4", size_bytes=7), "B")], [probed("B")], [])

    assert [row[1:2] + row[4:] for row in failures(ledger)] == [
        ("a.mp4", 3, "resolved"), ("other.mp4", 1, "retry"),
    ]  # fmt: skip


def test_a_resolved_failure_that_comes_again_starts_counting_anew(ledger: Ledger) -> None:
    arrive_bad(ledger, "a.mp4", "A")
    arrive_bad(ledger, "a.mp4", "A")
    ledger.sources.put_videos("yard", [(file("a.mp4", size_bytes=7), "B")], [probed("B")], [])

    arrive_bad(ledger, "a.mp4", "A")

    assert [row[4:] for row in failures(ledger)] == [(1, "retry")]


def test_quarantine_ends_when_bad_bytes_are_replaced_by_other_bad_bytes(ledger: Ledger) -> None:
    for _ in range(3):
        arrive_bad(ledger, "a.mp4", "A")
    assert [row[4:] for row in failures(ledger)] == [(3, "quarantined")]

    arrive_bad(ledger, "a.mp4", "B")

    assert [row[4:] for row in failures(ledger)] == [(1, "retry")]
    assert ledger.sources.changes("yard", [file("a.mp4")]).probe_due == {"a.mp4"}


def test_two_files_with_the_same_bad_bytes_keep_one_failure_row_each(ledger: Ledger) -> None:
    arrive_bad(ledger, "a.mp4", "A")
    known = ledger.sources.known_videos(["A", "B"], retry_failed=False)

    assert known == {"A": ("probe", "Unreadable", "moov atom not found")}

    ledger.sources.put_videos(
        "yard", [(file("copy.mp4"), "A")], [], [Failure("yard", "copy.mp4", "A", *certain(known["A"]))]
    )
    assert [row[1] for row in failures(ledger)] == ["a.mp4", "copy.mp4"]


def test_known_videos_leaves_out_bad_ones_that_are_due_again(ledger: Ledger) -> None:
    arrive(ledger, a="A")
    arrive_bad(ledger, "b.mp4", "B")

    assert ledger.sources.known_videos(["A", "B", "C"], retry_failed=False).keys() == {"A", "B"}
    assert ledger.sources.known_videos(["A", "B", "C"], retry_failed=True).keys() == {"A"}
    assert ledger.sources.known_videos([], retry_failed=True) == {}


def test_resetting_failures_of_one_collection_leaves_the_others(ledger: Ledger) -> None:
    for _ in range(3):
        arrive_bad(ledger, "a.mp4", "A")
        arrive_bad(ledger, "b.mp4", "B", "street")

    assert ledger.failures.reset("yard") == 1
    assert [row[0:1] + row[4:] for row in failures(ledger)] == [
        ("street", 3, "quarantined"), ("yard", 0, "retry"),
    ]  # fmt: skip
    assert ledger.failures.reset(None) == 2


# -- features -----------------------------------------------------------------------------------


def pending_ids(
    ledger: Ledger, collection: str | None = None, set_id: str = SET, retry: bool = False
) -> list[str]:
    return [v.video_id for v in ledger.features.pending_videos(set_id, collection, retry_failed=retry)]


def test_pending_videos_say_where_to_read_and_what_to_expect(ledger: Ledger) -> None:
    arrive(ledger, a="A")

    (video,) = ledger.features.pending_videos(SET, "yard", retry_failed=False)

    assert video.video_id == "A"
    assert video.file == LocalFile(Path("/videos/yard/a.mp4"), 100, 1, 1, None, "A")
    assert (video.duration_s, video.frames_expected) == (2.0, 50)


def test_each_content_is_pending_once_and_only_while_somewhere_present(ledger: Ledger) -> None:
    arrive(ledger, a="A", copy="A", b="B")
    arrive(ledger, "street", x="B", y="C")

    assert sorted(pending_ids(ledger)) == ["A", "B", "C"]
    assert sorted(pending_ids(ledger, "yard")) == ["A", "B"]

    ledger.sources.put_listing("yard", [])

    assert sorted(pending_ids(ledger)) == ["B", "C"]
    assert pending_ids(ledger, "yard") == []


def test_a_part_says_that_its_videos_are_done(ledger: Ledger) -> None:
    arrive(ledger, a="A", b="B", c="C")

    put_part(ledger, extracted("A", "part-1.parquet"), extracted("B", "part-1.parquet", 8, 4))

    assert pending_ids(ledger) == ["C"]
    assert sorted(pending_ids(ledger, set_id=OTHER_SET)) == ["A", "B", "C"]
    assert ledger.features.count_features(SET, "yard") == 2
    assert ledger.features.count_features(SET, "street") == 0
    assert ledger.features.count_features(OTHER_SET, None) == 0
    assert sorted(ledger.features.stored_features(SET, ["B", "A", "C"]), key=lambda s: s.row_offset) == [
        StoredFeatures("A", "part-1.parquet", 0, 8), StoredFeatures("B", "part-1.parquet", 8, 4),
    ]  # fmt: skip
    assert query(ledger, "select verdict, frames_decoded from videos where video_id = 'A'") == [("ok", 50)]
    assert ledger.features.feature_specs("yard") == [SPEC]


def test_committing_a_part_twice_doubles_nothing(ledger: Ledger) -> None:
    arrive(ledger, a="A", b="B")
    for _ in range(2):
        put_part(ledger, extracted("A", "part-1.parquet"), extracted("B", "part-1.parquet", 8))

    assert len(query(ledger, "select * from video_features")) == 2
    assert len(query(ledger, "select * from feature_sets")) == 1


def test_a_second_part_of_the_same_video_leaves_the_first_in_place(ledger: Ledger) -> None:
    arrive(ledger, a="A", b="B")
    put_part(ledger, extracted("A", "part-1.parquet"))

    put_part(
        ledger, extracted("A", "part-2.parquet"), extracted("B", "part-2.parquet", 8), name="part-2.parquet"
    )

    assert query(ledger, "select video_id, part from video_features order by all") == [
        ("A", "part-1.parquet"), ("B", "part-2.parquet"),
    ]  # fmt: skip


def test_two_feature_sets_of_one_video_stand_side_by_side(ledger: Ledger) -> None:
    arrive(ledger, a="A")
    put_part(ledger, extracted("A", "part-1.parquet"))
    put_part(ledger, extracted("A", "part-2.parquet"), name="part-2.parquet", spec=OTHER_SPEC)

    assert ledger.features.stored_features(OTHER_SET, ["A"]) == [StoredFeatures("A", "part-2.parquet", 0, 8)]
    assert ledger.features.feature_specs(None) == [OTHER_SPEC, SPEC]
    assert ledger.features.count_other_features(SET, None) == 0
    assert ledger.features.count_other_features("unheard of", "yard") == 1


def test_a_video_that_fails_gets_a_verdict_and_a_failure_at_each_of_its_present_paths(ledger: Ledger) -> None:
    arrive(ledger, a="A", copy="A", gone="A", b="B")
    arrive(ledger, "street", x="A")
    ledger.sources.put_listing("yard", [file("a.mp4"), file("copy.mp4"), file("b.mp4")])

    put_part(ledger, failed("A"), extracted("B", "part-1.parquet"))

    assert failures(ledger) == [
        ("street", "x.mp4", "extract", "NoFrames", 1, "retry"),
        ("yard", "a.mp4", "extract", "NoFrames", 1, "retry"),
        ("yard", "copy.mp4", "extract", "NoFrames", 1, "retry"),
    ]
    assert query(ledger, "select video_id, verdict from videos order by all") == [
        ("A", "no_frames"),
        ("B", "ok"),
    ]


def test_a_part_of_which_every_video_failed_is_recorded_without_a_file(ledger: Ledger) -> None:
    arrive(ledger, a="A")

    ledger.features.put_parts(1, [part(failed("A"), name=None)])

    assert query(ledger, "select * from video_features") == []
    assert [row[3] for row in failures(ledger)] == ["NoFrames"]


def test_a_failed_video_is_pending_only_on_request_until_quarantine_and_after_a_reset(ledger: Ledger) -> None:
    arrive(ledger, a="A")
    put_part(ledger, failed("A"))
    assert pending_ids(ledger) == []
    assert pending_ids(ledger, retry=True) == ["A"]

    put_part(ledger, failed("A"))
    put_part(ledger, failed("A"))
    assert pending_ids(ledger, retry=True) == []

    ledger.failures.reset(None)
    assert pending_ids(ledger) == ["A"]


def test_a_video_that_works_at_last_resolves_its_failures_everywhere(ledger: Ledger) -> None:
    arrive(ledger, a="A", b="B")
    arrive(ledger, "street", x="A")
    put_part(ledger, failed("A"), failed("B"))

    put_part(ledger, extracted("A", "part-1.parquet"))

    assert [row[:2] + row[5:] for row in failures(ledger)] == [
        ("street", "x.mp4", "resolved"), ("yard", "a.mp4", "resolved"), ("yard", "b.mp4", "retry"),
    ]  # fmt: skip


def test_an_error_that_says_nothing_of_the_bytes_leaves_the_video_pending(ledger: Ledger) -> None:
    arrive(ledger, a="A")
    put_part(ledger, failed("A", verdict=None))

    assert query(ledger, "select verdict from videos") == [(None,)]
    assert pending_ids(ledger) == ["A"]


def test_labelled_videos_are_present_labelled_and_extracted(ledger: Ledger) -> None:
    arrive(ledger, a="A", copy="A", b="B", c="C", gone="D")
    put_part(ledger, *(extracted(v, "part-1.parquet", 8 * i) for i, v in enumerate("ABD")))
    ledger.sources.put_listing("yard", [
        file("a.mp4", label="cat", group="g", splits={"split": "train"}), file("copy.mp4", label="dog"),
        file("b.mp4"), file("c.mp4", label="cat"),
    ])  # fmt: skip

    found = ledger.features.labelled_videos("yard", SET)

    assert [(v.video_id, v.path, v.label, v.group, dict(v.splits)) for v in found] == [
        ("A", "a.mp4", "cat", "g", {"split": "train"}), ("A", "copy.mp4", "dog", "A", {}),
    ]  # fmt: skip
    assert found[0].stored == StoredFeatures("A", "part-1.parquet", 0, 8)
    assert ledger.sources.count_labelled("yard") == 3, "c.mp4 has a label, but no features"
    assert ledger.features.labelled_videos("street", SET) == []


# -- predictions and serving --------------------------------------------------------------------


@pytest.fixture
def scored(ledger: Ledger) -> Ledger:
    """yard: a, b; street: b's bytes and c; all extracted; nothing scored."""
    arrive(ledger, a="A", b="B")
    arrive(ledger, "street", x="B", c="C")
    put_part(ledger, *(extracted(v, "part-1.parquet", 8 * i) for i, v in enumerate("ABC")))
    return ledger


def test_unscored_videos_come_in_part_order_and_vanish_when_scored(scored: Ledger) -> None:
    assert [s.video_id for s in scored.predictions.unscored(numbered(1), SET, None)] == ["A", "B", "C"]
    assert [s.video_id for s in scored.predictions.unscored(numbered(1), SET, ["street"])] == ["B", "C"]
    assert scored.predictions.unscored(numbered(1), SET, []) == []
    assert scored.predictions.unscored(numbered(1), OTHER_SET, None) == []

    score(scored, 1, "A", "B")

    assert [s.video_id for s in scored.predictions.unscored(numbered(1), SET, None)] == ["C"]
    assert [s.video_id for s in scored.predictions.unscored(numbered(2), SET, None)] == ["A", "B", "C"]
    assert (
        scored.predictions.count_scored(numbered(1), None),
        scored.predictions.count_scored(numbered(1), "street"),
    ) == (2, 1)


def test_storing_predictions_twice_keeps_the_rows_there_are(scored: Ledger) -> None:
    score(scored, 1, "A")
    score(scored, 1, "A", "B", best="dog", score=0.5)

    assert query(scored, "select video_id, rank, label, score from predictions order by video_id, rank") == [
        ("A", 1, "cat", 0.75), ("A", 2, "dog", 0.25), ("B", 1, "dog", 0.5), ("B", 2, "dog", 0.5),
    ]  # fmt: skip


def test_two_versions_of_one_model_stand_side_by_side(scored: Ledger) -> None:
    score(scored, 1, "A")
    score(scored, 2, "A", best="dog")

    best = "select model_name, model_version, label from predictions where rank = 1 order by 2"
    assert query(scored, best) == [
        ("clips", 1, "cat"), ("clips", 2, "dog"),
    ]  # fmt: skip


def test_a_collection_switches_only_when_it_is_complete_and_as_a_whole(scored: Ledger) -> None:
    score(scored, 1, "A", "B")
    scored.predictions.switch_serving(1)
    assert scored.predictions.serving_versions() == {"yard": 1}, "street's c.mp4 has not been scored"

    score(scored, 1, "C")
    scored.predictions.switch_serving(1)
    assert scored.predictions.serving_versions() == {"yard": 1, "street": 1}

    score(scored, 2, "B", "C")
    scored.predictions.switch_serving(2)
    assert scored.predictions.serving_versions() == {"yard": 1, "street": 2}
    assert query(scored, "select collection, path, model_version from latest_predictions order by all") == [
        ("street", "c.mp4", 2), ("street", "x.mp4", 2), ("yard", "a.mp4", 1), ("yard", "b.mp4", 1),
    ]  # fmt: skip


def test_absent_and_unusable_videos_do_not_hold_a_switch_back(scored: Ledger) -> None:
    arrive(scored, bad="X", pending="Y", gone="Z")
    put_part(scored, failed("X"), extracted("Z", "part-2.parquet"), name="part-2.parquet")
    scored.sources.put_listing("yard", [file(f"{name}.mp4") for name in ("a", "b", "bad", "pending")])
    score(scored, 1, "A", "B")

    scored.predictions.switch_serving(1)

    assert scored.predictions.serving_versions() == {"yard": 1}


def test_switching_twice_does_not_move_the_date(scored: Ledger) -> None:
    score(scored, 1, "A", "B", "C")
    scored.predictions.switch_serving(1)
    since = query(scored, "select since from collection_serving order by collection")

    scored.predictions.switch_serving(1)

    assert query(scored, "select since from collection_serving order by collection") == since


def test_a_collection_without_a_usable_video_serves_nothing(ledger: Ledger) -> None:
    ledger.predictions.switch_serving(1)

    assert ledger.predictions.serving_versions() == {}


# -- promotions ---------------------------------------------------------------------------------


def promote(ledger: Ledger, before: int | None, after: int | None, decision: str, *, final: bool) -> int:
    return ledger.decisions.put_promotion(
        "clips", Promotion(0, before, after, decision), evidence={"n": 4}, eval_set_hash="abc",
        reason="why", actor="ann", final=final,
    )  # fmt: skip


def test_an_intent_is_open_until_it_is_finished_and_shows_only_then(ledger: Ledger) -> None:
    number = promote(ledger, None, 1, "promoted", final=False)

    (intent,) = ledger.decisions.open_promotions("clips")
    assert intent.promotion == Promotion(number, None, 1, "promoted")
    assert (intent.evidence, intent.reason, intent.actor) == ({"n": 4}, "why", "ann")
    assert ledger.decisions.open_promotions("other") == []
    assert ledger.decisions.promotion_history("clips") == []
    assert query(ledger, "select * from promotions") == []

    ledger.decisions.finish_promotion(number)

    assert ledger.decisions.open_promotions("clips") == []
    assert ledger.decisions.promotion_history("clips") == [Promotion(number, None, 1, "promoted")]
    assert query(ledger, "select to_version, evidence, eval_set_hash, reason, actor from promotions") == [
        (1, '{"n":4}', "abc", "why", "ann")
    ]


def test_the_history_holds_what_moved_the_champion_in_order(ledger: Ledger) -> None:
    moves = [(None, 1, "promoted"), (1, 2, "forced"), (2, 1, "rolled_back"), (1, 3, "external")]
    for before, after, decision in [*moves[:2], (2, 9, "refused"), *moves[2:]]:
        promote(ledger, before, after, decision, final=True)

    history = ledger.decisions.promotion_history("clips")

    assert [(p.from_version, p.to_version, p.decision) for p in history] == moves
    assert [p.promotion_id for p in history] == sorted({p.promotion_id for p in history})
    assert len(query(ledger, "select * from promotions")) == 5


def test_finishing_a_rollback_switches_all_collections_back_at_once(scored: Ledger) -> None:
    score(scored, 2, "A", "B", "C")
    scored.predictions.switch_serving(2)
    number = promote(scored, 2, 1, "rolled_back", final=False)
    assert scored.predictions.serving_versions() == {"yard": 2, "street": 2}

    scored.decisions.finish_promotion(number, serve=1)

    assert scored.predictions.serving_versions() == {"yard": 1, "street": 1}


# -- runs ---------------------------------------------------------------------------------------


def test_a_run_is_recorded_with_what_it_did_in_utc(ledger: Ledger) -> None:
    run = ledger.runs.start("extract")
    assert query(ledger, "select kind, status, finished_at from runs") == [("extract", "running", None)]

    ledger.runs.finish(run, status="ok", videos=3, frames=24, failed=1, seconds=1.5, detail={"skipped": 2})

    (row,) = query(
        ledger, "select run_id, status, videos, frames, failed, seconds, detail, started_at from runs"
    )
    assert row[:7] == (run, "ok", 3, 24, 1, 1.5, '{"skipped":2}')
    assert abs(datetime.now(UTC).replace(tzinfo=None) - row[7]) < timedelta(minutes=1)


def test_a_run_that_takes_the_lease_marks_those_left_open_as_crashed(ledger: Ledger) -> None:
    dead = ledger.runs.start("extract")
    training = ledger.runs.start("train")
    assert query(ledger, "select count(*) from runs where status = 'running'") == [(2,)]

    alive = ledger.runs.start("nightly", ended=("extract", "nightly"))

    assert query(ledger, "select run_id, status, finished_at is null from runs order by run_id") == [
        (dead, "crashed", False), (training, "running", True), (alive, "running", True),
    ]  # fmt: skip


def test_a_night_makes_up_for_those_that_were_due_before_it_unless_it_failed(ledger: Ledger) -> None:
    def play(kind: str, status: str) -> int:
        run = ledger.runs.start(kind)
        ledger.runs.finish(run, status=status, videos=0, frames=0, failed=0, seconds=0.1, detail={})
        return run

    due = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    play("extract", "ok")
    play("nightly", "failed")
    ledger.runs.start("nightly")
    assert ledger.runs.night_since(due) is None
    done = play("nightly", "no_champion")
    assert ledger.runs.night_since(due) == done
    assert ledger.runs.night_since(due + timedelta(minutes=1)) is None


def test_a_statement_for_people_comes_back_as_rows_by_name(ledger: Ledger) -> None:
    ledger.runs.start("extract")

    (row,) = ledger.table("overview_runs")

    assert (row["kind"], row["status"]) == ("extract", "running")


# -- the file between transactions --------------------------------------------------------------


def opened(file: Path) -> list[str]:
    """What this process has open of a database."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [name for name in map(os.readlink, links) if name.startswith(str(file))]


def test_between_two_transactions_nothing_is_open_and_nothing_waits_to_be_written(ledger: Ledger) -> None:
    file = ledger.database.file
    with ledger.database.session() as session:
        assert opened(file)
        session.run("run_start", kind="extract", now=datetime(2026, 1, 1, tzinfo=UTC))
    assert opened(file) == [] and not Path(f"{file}.wal").exists()


def test_what_another_program_wrote_in_between_is_seen_also_in_a_file_put_in_its_place(
    ledger: Ledger, tmp_path: Path
) -> None:
    run, other = ledger.runs.start("extract"), tmp_path / "other.duckdb"
    shutil.copyfile(ledger.database.file, other)
    write = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2])"
    for file, kind in ((ledger.database.file, "train"), (other, "nightly")):
        told = f"update core.run set kind = '{kind}' where run_id = {run}"
        subprocess.run([sys.executable, "-c", write, str(file), told], check=True)
    assert ledger.table("overview_runs")[0]["kind"] == "train"
    other.rename(ledger.database.file)
    assert ledger.table("overview_runs")[0]["kind"] == "nightly"


@pytest.mark.parametrize("error", [KeyboardInterrupt, duckdb.Error])
def test_a_transaction_that_fails_leaves_no_row_and_no_open_file_and_the_next_one_works(
    error: type[BaseException], ledger: Ledger
) -> None:
    ledger.runs.start("extract")
    with pytest.raises(error), ledger.database.session() as session:
        session.connection.execute("delete from core.run")
        raise error
    assert opened(ledger.database.file) == []
    assert ledger.table("overview_runs")[0]["kind"] == "extract"


# -- schema -------------------------------------------------------------------------------------


def test_a_new_ledger_holds_the_latest_schema_and_can_be_opened_by_duckdb_1_5(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state" / "ledger.duckdb")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ledger.new").write_bytes(b"left by a crash")

    assert ledger.sources.collections() == []

    latest = sqlfiles.migrations()[-1][0]
    assert query(ledger, "select max(version) from core.migration") == [(latest,)]
    storage = "select tags['storage_version'] from duckdb_databases() where database_name = 'ledger'"
    assert query(ledger, storage) == [("v1.5.0+",)]
    assert sorted(p.name for p in ledger.database.file.parent.iterdir()) == ["ledger.duckdb", "ledger.lock"]


def test_a_newer_ledger_is_refused_and_left_alone(ledger: Ledger) -> None:
    with duckdb.connect(ledger.database.file) as connection:
        connection.execute("insert into core.migration values (999, '0999_future', now()::timestamp)")
    before = ledger.database.file.read_bytes()

    for attempt in (ledger.sources.collections, lambda: ledger.runs.start("extract")):
        with pytest.raises(SchemaMismatch, match="schema 999") as caught:
            attempt()
        assert "newer vidpipe" in caught.value.next_step

    assert ledger.database.file.read_bytes() == before


@pytest.fixture
def next_migration(monkeypatch: pytest.MonkeyPatch) -> int:
    """A migration that this code does not have yet."""
    known = sqlfiles.migrations()
    number = known[-1][0] + 1
    text = "alter table core.video add column colour varchar; update core.video set colour = 'red';"
    monkeypatch.setattr(sqlfiles, "migrations", lambda: [*known, (number, f"{number:04}_colour", text)])
    return number


def test_a_migration_backs_the_ledger_up_first_and_runs_once(ledger: Ledger, next_migration: int) -> None:
    arrive(ledger, a="A")
    untouched = ledger.database.file.with_name(f"ledger-before-{next_migration}.duckdb")
    untouched.unlink(missing_ok=True)
    with duckdb.connect(ledger.database.file) as connection:  # back to a ledger that lacks it
        connection.execute(f"delete from core.migration where version = {next_migration}")
        connection.execute("alter table core.video drop column colour")

    ledger.sources.collections()
    arrive(ledger, b="B")

    assert query(ledger, "select video_id, colour from core.video order by all") == [
        ("A", "red"),
        ("B", None),
    ]
    assert query(ledger, f"select count(*) from core.migration where version = {next_migration}") == [(1,)]
    backup = Ledger(untouched)
    assert query(backup, "select video_id from core.video") == [("A",)]
    assert query(backup, "select max(version) from core.migration") == [(next_migration - 1,)]


def test_a_migration_that_fails_changes_nothing(
    ledger: Ledger, next_migration: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive_nothing = sqlfiles.migrations()[:-1]
    broken = (next_migration, "broken", "alter table core.video add column colour varchar; select nonsense;")
    monkeypatch.setattr(sqlfiles, "migrations", lambda: [*arrive_nothing, broken])

    with pytest.raises(duckdb.Error):
        ledger.sources.collections()

    monkeypatch.setattr(sqlfiles, "migrations", lambda: arrive_nothing)
    assert ledger.sources.collections() == [YARD, STREET]
    assert query(ledger, "select max(version) from core.migration") == [(next_migration - 1,)]
    with pytest.raises(duckdb.Error, match="colour"):
        query(ledger, "select colour from core.video")


def test_changed_views_reach_an_existing_ledger(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.sources.collections()
    views = f"{sqlfiles.views()}\ncreate or replace view extra as select 42 as x;"
    monkeypatch.setattr(sqlfiles, "views", lambda: views)

    ledger.sources.collections()

    assert query(ledger, "select x from extra") == [(42,)]


# -- several processes, and a world that breaks -------------------------------------------------


def python(code: str, *arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def outputs(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    found = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        found.append(out)
    return found


WRITER = """
    import sys
    from pathlib import Path
    from vidpipe.adapters.database.ledger import Ledger
    ledger = Ledger(Path(sys.argv[1]), wait_s=60)
    print("ready", flush=True)
    sys.stdin.readline()
    print(*[ledger.runs.start("extract") for _ in range(8)])
"""


@pytest.mark.parametrize("exists", [True, False], ids=["an existing ledger", "a ledger to be made"])
def test_processes_that_write_at_once_all_succeed(exists: bool, ledger: Ledger, tmp_path: Path) -> None:
    target = ledger.database.file if exists else tmp_path / "new" / "ledger.duckdb"
    processes = [python(WRITER, target) for _ in range(3)]
    for process in processes:
        assert certain(process.stdout).readline() == "ready\n"
    for process in processes:
        certain(process.stdin).write("go\n")
        certain(process.stdin).flush()

    run_ids = [int(number) for out in outputs(processes) for number in out.split()]

    assert len(run_ids) == len(set(run_ids)) == 24
    assert query(Ledger(target), "select count(*), count(distinct run_id) from runs") == [(24, 24)]


HOLDER = """
    import sys, duckdb
    connection = duckdb.connect(sys.argv[1])
    print("holding", flush=True)
    sys.stdin.readline()
"""


def test_another_program_that_keeps_the_file_open_is_named_after_a_while(ledger: Ledger) -> None:
    impatient = Ledger(ledger.database.file, wait_s=0.3)
    with python(HOLDER, ledger.database.file) as holder:
        assert certain(holder.stdout).readline() == "holding\n"
        started = time.monotonic()

        with pytest.raises(LedgerLocked, match=r"another program has .* open") as caught:
            impatient.sources.collections()

        assert 0.3 <= time.monotonic() - started < 5
        assert "warehouse.duckdb" in caught.value.next_step
        certain(holder.stdin).write("end\n")
    assert impatient.sources.collections() == [YARD, STREET]


def test_waiting_for_another_program_ends_when_it_does(ledger: Ledger) -> None:
    with python(HOLDER, ledger.database.file) as holder:
        assert certain(holder.stdout).readline() == "holding\n"
        stdin = certain(holder.stdin)
        threading.Timer(0.3, lambda: (stdin.write("end\n"), stdin.flush())).start()

        assert ledger.sources.collections() == [YARD, STREET]


def test_the_ledgers_own_lock_is_waited_for_and_then_named(ledger: Ledger) -> None:
    impatient = Ledger(ledger.database.file, wait_s=0.2)

    with ledger.database.exclusive(), pytest.raises(LedgerLocked, match=r"ledger\.lock"):
        impatient.sources.collections()

    assert impatient.sources.collections() == [YARD, STREET]


def test_a_failing_transaction_leaves_nothing_behind(ledger: Ledger) -> None:
    arrive(ledger, a="A")
    nothing: Any = None  # in a not-null column
    with pytest.raises(duckdb.Error):
        ledger.features.put_parts(
            1, [replace(part(extracted("A", "p")), numerics=nothing)]
        )  # a not-null column

    assert query(ledger, "select * from feature_sets") == []
    assert pending_ids(ledger) == ["A"]


def test_a_home_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")

    with pytest.raises(StorageFailed, match="cannot write"):
        Ledger(tmp_path / "state" / "ledger.duckdb").sources.collections()


FULL_DISK = """
    import resource, signal, sys
    from pathlib import Path
    from vidpipe.adapters.database.ledger import Ledger
    from vidpipe.errors import StorageFailed
    from vidpipe.records.videos import Failure
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file = Path(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, file.stat().st_size))
    many = [Failure("yard", f"{n}.mp4", None, "ingest", "Vanished", f"{n} " * 500) for n in range(5000)]
    try:
        Ledger(file).failures.put(many)
    except StorageFailed as error:
        print("refused:", error)
"""


def test_a_disk_that_ends_is_a_storage_error_and_loses_nothing(ledger: Ledger) -> None:
    arrive(ledger, a="A")

    (out,) = outputs([python(FULL_DISK, ledger.database.file)])

    assert out.startswith("refused: cannot write")
    assert failures(ledger) == []
    assert pending_ids(ledger) == ["A"]
    ledger.failures.put([Failure("yard", "a.mp4", "A", "extract", "NoFrames", "none")])
    assert len(failures(ledger)) == 1


def test_python_ends_in_silence_though_a_thread_still_holds_the_ledger(tmp_path: Path) -> None:
    """DuckDB's binding complains on stderr of a connection that outlives Python."""
    script = (
        "import sys, threading, time\n"
        "from pathlib import Path\n"
        "from vidpipe.adapters.database.connection import Database\n"
        "database = Database(Path(sys.argv[1]))\n"
        "with database.session():\n    pass\n"
        "threading.Thread(target=lambda: (database, time.sleep(100)), daemon=True).start()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "ledger.duckdb")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_file_of_a_newer_storage_version_is_opened(tmp_path: Path) -> None:
    made, newer = tmp_path / "made.duckdb", tmp_path / "newer.duckdb"
    with Database(made).session() as session:
        known = session.rows("views_hash")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{made}' as made")
        connection.execute(f"attach '{newer}' as newer (storage_version 'latest')")
        connection.execute("copy from database made to newer")
    with Database(newer).session() as session:
        assert session.rows("views_hash") == known
