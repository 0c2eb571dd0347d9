"""The public SQL: what each view says of given rows, and what readers may rely on.

Most tests read one small story:

    yard    served by version 2: a.mp4 and its copy z.mp4, b.mp4, new.mp4 (not yet scored),
            old.mp4 (features collected as garbage), gone.mp4 (absent), broken.mp4 (not readable)
    street  served by version 1: x.mp4, the same bytes as the yard's b.mp4, and y.mp4
    void    just made: nothing in it
"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import write_part
from duckdb import DuckDBPyConnection as Connection
from scipy.spatial.distance import jensenshannon

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.views import create_views, materialise

T0 = datetime(2026, 3, 1, 12)
DAY = timedelta(days=1)

CONTRACT = {
    "collections": "collection source manifest created_at window_s stride_s attribute_types time_from_name "
    "time_zone multi_label",
    "collection_videos": "collection path video_id label labels label_source labelled_at group_name splits "
    "present etag first_seen_at last_seen_at attributes recorded_at recorded_at_source",
    "videos": "video_id bytes container video_codec width_px height_px rotation source_fps is_vfr "
    "duration_s frames_expected frames_decoded verdict recorded_at",
    "feature_sets": "feature_set_id spec created_at",
    "video_features": "video_id feature_set_id n_frames part row_offset numerics run_id sampling",
    "failures": "collection path video_id stage error_class message attempts status first_at last_at",
    "runs": "run_id kind status started_at finished_at videos frames failed seconds frames_per_s "
    "read_bytes written_bytes detail",
    "predictions": "video_id model_name model_version feature_set_id rank label score run_id predicted_at "
    "window_s stride_s over_threshold",
    "window_predictions": "video_id model_name model_version feature_set_id start_s end_s rank "
    "label score run_id predicted_at over_threshold",
    "promotions": "promotion_id model_name from_version to_version decision evidence "
    "eval_set_hash reason actor decided_at",
    "collection_serving": "collection model_version since",
    "latest_labels": "collection path video_id label score rank model_version predicted_at",
    "latest_predictions": "collection path video_id label score model_version predicted_at novelty is_known",
    "collection_summary": "collection present absent with_features classified failing labels "
    "serving_version last_ingest_at last_classified_at",
    "label_daily": "day collection label videos mean_score",
    "low_confidence": "collection path video_id label score runner_up_label runner_up_score margin",
    "media_quality": "collection path video_id verdict decoded_share decode_errors",
    "nights": "run_id night status ok ingest_s extract_s classify_s",
    "needs_rescore": "collection path video_id scored_by champion_version",
    "model_disagreements": "collection path video_id serving_version serving_label serving_score "
    "other_version other_label other_score",
    "evaluation_sets": "eval_set_hash collection split videos labels groups frozen_at is_current",
    "evaluation_videos": "eval_set_hash video_id label group_name start_s end_s",
    "labelled_spans": "collection path video_id start_s end_s label",
    "version_videos": "model_version video_id split",
    "reference_predictions": "model_version label score_from videos",
    "label_shift": "collection serving_version other_version label serving_videos other_videos share_change",
    "video_vectors": "video_id feature_set_id vector",
    "near_duplicates": "video_id other_video_id similarity collection path other_collection other_path "
    "start_s end_s other_start_s other_end_s frames feature_set_id",
    "label_issues": "collection path video_id rank label suggested label_score suggested_score is_confident "
    "checked_at",
    "given_labels": "collection video_id label source given_at",
    "timeline": "collection path video_id start_s end_s label peak_score mean_score windows model_version "
    "start_at end_at",
    "events": "collection path video_id label start_s end_s start_at end_at peak_score mean_score windows "
    "model_version "
    "predicted_at",
    "drift": "collection day model_version videos label_drift_from_training score_drift_from_training "
    "label_drift_from_recent score_drift_from_recent",
    "feature_drift": "collection night run_id version videos distance p_features p_recording e_value alarmed",
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "video": {"bytes": 1000, "container": "mp4", "video_codec": "h264", "verdict": "ok"},
    "collection": {"source": "/videos", "created_at": T0},
    "collection_video": {"present": True, "first_seen_at": T0, "last_seen_at": T0},
    "feature_set": {"feature_set_key": 1, "feature_set_id": "f1", "spec": "{}", "created_at": T0},
    "video_feature": {
        "feature_set_key": 1, "n_frames": 8, "part": "part-1.parquet", "row_offset": 0,
        "numerics": "cpu", "run_id": 1,
    },
    "failure": {
        "collection_key": 1, "error_class": "Unreadable", "message": "?", "attempts": 1,
        "first_at": T0, "last_at": T0,
    },
    "run": {"status": "ok", "started_at": T0, "finished_at": T0 + timedelta(hours=1)},
    "model": {"model_key": 1, "model_name": "clips"},
    "prediction": {"model_key": 1, "feature_set_key": 1, "rank": 1, "run_id": 1},
    "window_prediction": {"model_key": 1, "feature_set_key": 1, "rank": 1, "run_id": 1},
    "promotion": {"model_name": "clips", "evidence": "{}", "actor": "ann", "is_final": True},
}  # fmt: skip
CAT, DOG = 1, 2


def given(con: duckdb.DuckDBPyConnection, table: str, *rows: dict[str, Any]) -> None:
    for row in rows:
        full = DEFAULTS.get(table, {}) | row
        marks = ", ".join("?" * len(full))
        con.execute(f"insert into core.{table} ({', '.join(full)}) values ({marks})", list(full.values()))


def predicted(con: Connection, video: int, version: int, day: int, *ranked: tuple[int, float]) -> None:
    """Rows of one video and version, best first."""
    for rank, (label, score) in enumerate(ranked, start=1):
        given(con, "prediction", {
            "video_key": video, "model_version": version, "rank": rank, "label_key": label,
            "score": score, "predicted_at": T0 + day * DAY,
        })  # fmt: skip


def said(con: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    """All that a relation says, in whatever order."""
    return sorted(str(row) for row in rows(con, f"from {relation}"))


def windowed(
    con: Connection, video: int, version: int, start_s: float, end_s: float, *ranked: tuple[int, float]
) -> None:
    """Rows of one window of a video, best first."""
    for rank, (label, score) in enumerate(ranked, start=1):
        given(con, "window_prediction", {
            "video_key": video, "model_version": version, "start_s": start_s, "end_s": end_s, "rank": rank,
            "label_key": label, "score": score, "predicted_at": T0,
        })  # fmt: skip


def promoted(
    con: Connection, number: int, version: int | None, decision: str = "promoted", final: bool = True
) -> None:
    """A decision number days after T0."""
    given(con, "promotion", {
        "promotion_id": number, "to_version": version, "decision": decision, "is_final": final,
        "decided_at": T0 + number * DAY,
    })  # fmt: skip


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """What the query says, floats rounded to three digits."""
    return [
        tuple(round(v, 3) if isinstance(v, float) else v for v in row)
        for row in con.execute(query).fetchall()
    ]


def create(con: duckdb.DuckDBPyConnection) -> None:
    for _, _, text in sqlfiles.migrations():
        con.execute(text)
    create_views(con)


def tell_story(con: duckdb.DuckDBPyConnection) -> None:
    given(con, "model", {})
    given(con, "feature_set", {})
    given(con, "label", {"label_key": CAT, "label": "cat"}, {"label_key": DOG, "label": "dog"})
    for key, name in enumerate(["yard", "street", "void"], start=1):
        given(con, "collection", {"collection_key": key, "name": name})
    facts = {"duration_s": 10.0, "frames_expected": 100, "frames_decoded": 100, "decode_errors": 0}
    for key in range(1, 7):
        given(con, "video", {"video_key": key, "video_id": f"v{key}", **facts})
    con.execute("update core.video set frames_decoded = 60, decode_errors = 3 where video_key = 2")
    con.execute("update core.video set frames_expected = null where video_key = 5")
    con.execute("update core.video set frames_expected = 0 where video_key = 6")

    def listed(collection: int, path: str, video: int | None, **more: Any) -> None:
        given(con, "collection_video", {
            "collection_key": collection, "path": path, "video_key": video, **more,
        })  # fmt: skip

    listed(1, "z.mp4", 1)
    listed(1, "a.mp4", 1, label="cat", recorded_at=T0)
    listed(1, "b.mp4", 2, label="dog", splits={"split": "test"})
    listed(1, "new.mp4", 4, first_seen_at=T0 + 3 * DAY, last_seen_at=T0 + 3 * DAY)
    listed(1, "old.mp4", 6)
    listed(1, "gone.mp4", 3, label="bird", present=False)
    listed(1, "broken.mp4", None)
    listed(2, "x.mp4", 2)
    listed(2, "y.mp4", 5)
    check = {"dataset_hash": "h", "videos": 9, "unjudged": 0, "checked_at": T0}
    given(con, "label_check", {"collection_key": 1, **check})
    given(con, "label_issue", {
        "collection_key": 1, "video_key": 1, "rank": 1, "label": "cat", "suggested": "dog",
        "label_score": 0.1, "suggested_score": 0.9, "is_confident": True,
    })  # fmt: skip
    near = {"feature_set_key": 1, "start_s": 0.25, "end_s": 2.0, "other_start_s": 0.5, "other_end_s": 2.25}
    given(
        con,
        "near_duplicate",
        {"video_key": 1, "other_video_key": 2, "similarity": 0.9, "frames": 8, **near},
        {"video_key": 1, "other_video_key": 3, "similarity": 0.8, "frames": 8, **near},
    )  # 3 is gone
    for key, x, y in ((1, 1.0, 0.0), (2, 0.6, 0.8), (3, 1.0, 0.0), (4, 0.0, 1.0), (5, -1.0, 0.0)):
        vector = [x, y, *[0.0] * 126]
        con.execute("insert into core.video_vector values (?, 1, ?)", [key, vector])
    given(con, "video_feature", *({"video_key": k, "row_offset": 8 * (k - 1)} for k in range(1, 6)))

    predicted(con, 1, 1, 0, (CAT, 0.9), (DOG, 0.1))
    predicted(con, 2, 1, 0, (DOG, 0.55), (CAT, 0.45))
    predicted(con, 3, 1, 0, (CAT, 0.5), (DOG, 0.5))
    predicted(con, 5, 1, 1, (DOG, 0.8), (CAT, 0.2))
    predicted(con, 6, 1, 0, (DOG, 0.8), (CAT, 0.2))
    predicted(con, 1, 2, 2, (CAT, 0.95), (DOG, 0.05))
    predicted(con, 2, 2, 2, (CAT, 0.5), (DOG, 0.4))
    predicted(con, 3, 2, 2, (DOG, 0.5), (CAT, 0.5))
    given(con, "window_prediction", {
        "video_key": 1, "model_version": 2, "start_s": 0.0, "end_s": 5.0, "label_key": CAT,
        "score": 0.9, "predicted_at": T0 + 2 * DAY,
    })  # fmt: skip
    given(
        con,
        "collection_serving",
        {"collection_key": 1, "model_version": 2, "since": T0 + 2 * DAY},
        {"collection_key": 2, "model_version": 1, "since": T0},
    )
    promoted(con, 0, 1)
    promoted(con, 1, 2)
    for key, chosen_at in ((1, T0), (2, T0 + DAY)):
        given(con, "evaluation_set", {
            "evaluation_set_key": key, "eval_set_hash": f"e{key}", "collection": "yard", "split": "test",
            "frozen_at": T0, "chosen_at": chosen_at,
        })  # fmt: skip
        given(con, "evaluation_video", {
            "evaluation_set_key": key, "video_key": 1, "label": "cat", "group_name": "v1",
        })  # fmt: skip
    given(con, "evaluation_video", {
        "evaluation_set_key": 2, "video_key": 2, "label": "dog", "group_name": "v2",
    })  # fmt: skip
    for label_key, videos in ((CAT, 3), (DOG, 1)):
        given(con, "reference_prediction", {
            "model_version": 2, "label_key": label_key, "score_bin": 9, "videos": videos,
        })  # fmt: skip
    given(con, "version_video", {"model_version": 2, "video_key": 1, "split": "test"})
    given(con, "labelled_span", {
        "collection_key": 2, "path": "x.mp4", "start_s": 1.0, "end_s": 4.0, "label": "cat",
    })  # fmt: skip
    for day, label in ((3, "bird"), (4, "dog")):
        given(con, "given_label", {
            "collection_key": 2, "video_key": 5, "label": label, "source": "ann.csv",
            "given_at": T0 + day * DAY,
        })  # fmt: skip
    given(
        con,
        "failure",
        {"path": "broken.mp4", "stage": "probe", "status": "quarantined"},
        {"path": "broken.mp4", "stage": "extract", "status": "retry"},
        {"path": "a.mp4", "video_key": 1, "stage": "extract", "status": "resolved"},
        {"path": "gone.mp4", "video_key": 3, "stage": "extract", "status": "retry"},
    )
    given(
        con,
        "run",
        {"run_id": 1, "kind": "extract", "videos": 5, "frames": 40, "failed": 1, "seconds": 2.0},
        {
            "run_id": 2, "kind": "nightly", "status": "over_budget", "failed": 4, "seconds": 60.0,
            "detail": '{"ingested": 7, "extracted": 5, "classified": 6, "read_bytes": 700, '
            '"written_bytes": 500, "stage_seconds": {"ingest": 1.5, "extract": 40, "classify": 2}}',
        },
        {"run_id": 3, "kind": "nightly", "status": "no_champion", "started_at": T0 + DAY},
        {"run_id": 4, "kind": "nightly", "started_at": T0 + 2 * DAY, "detail": '{"ingested": {}}'},
        {
            "run_id": 5, "kind": "nightly", "status": "running", "started_at": T0 + 3 * DAY,
            "finished_at": None,
        },
    )  # fmt: skip
    con.execute("insert into core.version values (9, 'm', 3, 'd', false)")
    con.execute(
        "insert into core.feature_drift values (3, 1, 9, 12, 0.5, 0.01, 1.0, 7300.0, 2, true, $at, $at)",
        {"at": T0 + DAY},
    )


@pytest.fixture
def empty() -> Iterator[Connection]:
    with duckdb.connect() as con:
        create(con)
        yield con


@pytest.fixture
def story(empty: Connection) -> Connection:
    tell_story(empty)
    return empty


@pytest.fixture(scope="module")
def warehouse_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story in a file, written as the ledger writes it, with the features of its videos beside it."""
    file = tmp_path_factory.mktemp("sql") / "warehouse.duckdb"
    middle = {1: [1.0, 1.0], 2: [5.0, 0.0], 3: [4.0, 0.0], 4: [2.0, 0.0], 5: [0.0, 1.0]}
    others = [[3.0, k % 2] for k in range(7)]
    frames = [frame for k in middle for frame in (*others[:4], middle[k], *others[4:])]
    write_part(file.parent, "part-1.parquet", frames)
    with duckdb.connect(file, config={"storage_compatibility_version": "v1.5.0"}) as con:
        create(con)
        tell_story(con)
    return file


@pytest.fixture
def warehouse(warehouse_file: Path) -> Iterator[Connection]:
    beside: dict[str, Any] = {"file_search_path": str(warehouse_file.parent)}
    with duckdb.connect(warehouse_file, read_only=True, config=beside) as con:
        yield con


# -- latest_predictions ---------------------------------------------------------------------------

LATEST = "select collection, path, video_id, label, score, model_version from latest_predictions order by all"


def test_latest_predictions_shows_each_present_video_once_by_its_first_path(story: Connection) -> None:
    assert rows(story, LATEST) == [
        ("street", "x.mp4", "v2", "dog", 0.55, 1),
        ("street", "y.mp4", "v5", "dog", 0.8, 1),
        ("yard", "a.mp4", "v1", "cat", 0.95, 2),
        ("yard", "b.mp4", "v2", "cat", 0.5, 2),
    ]


def test_latest_predictions_follows_a_collection_to_its_new_version(story: Connection) -> None:
    story.execute("update core.collection_serving set model_version = 2 where collection_key = 2")

    assert [r for r in rows(story, LATEST) if r[0] == "street"] == [("street", "x.mp4", "v2", "cat", 0.5, 2)]


def test_latest_predictions_falls_back_to_a_copy_when_the_first_path_goes(story: Connection) -> None:
    story.execute("update core.collection_video set present = false where path = 'a.mp4'")

    assert ("yard", "z.mp4", "v1", "cat", 0.95, 2) in rows(story, LATEST)


def test_latest_predictions_is_empty_without_a_serving_version(story: Connection) -> None:
    story.execute("delete from core.collection_serving")

    assert rows(story, LATEST) == []


# -- views built on it ----------------------------------------------------------------------------


def test_low_confidence_names_the_runner_up_and_the_margin(story: Connection) -> None:
    query = "select collection, path, label, score, runner_up_label, runner_up_score, margin "
    assert rows(story, query + "from low_confidence order by all") == [
        ("street", "x.mp4", "dog", 0.55, "cat", 0.45, 0.1),
        ("yard", "b.mp4", "cat", 0.5, "dog", 0.4, 0.1),
    ]


def test_low_confidence_starts_below_six_tenths_and_needs_no_runner_up(story: Connection) -> None:
    story.execute("delete from core.prediction where rank = 2")
    story.execute("update core.prediction set score = 0.6 where video_key = 2 and model_version = 1")

    query = "select path, runner_up_label, margin from low_confidence"
    assert rows(story, query) == [("b.mp4", None, None)]


def test_label_daily_counts_and_averages_the_serving_version_only(story: Connection) -> None:
    predicted(story, 4, 2, 2, (CAT, 0.65), (DOG, 0.35))

    assert rows(story, "from label_daily order by all") == [
        (date(2026, 3, 1), "street", "dog", 1, 0.55),
        (date(2026, 3, 2), "street", "dog", 1, 0.8),
        (date(2026, 3, 3), "yard", "cat", 3, 0.7),
    ]


def test_label_daily_counts_every_label_over_its_threshold_and_not_the_top_1(story: Connection) -> None:
    over = "update core.prediction set over_threshold = {} where video_key = 5"
    street = "from label_daily where collection = 'street' and day = '2026-03-02' order by all"
    story.execute("delete from core.prediction where video_key = 5")
    predicted(story, 5, 1, 1, (DOG, 0.8), (CAT, 0.4))
    story.execute(over.format("true"))
    assert rows(story, street) == [
        (date(2026, 3, 2), "street", "cat", 1, 0.4),
        (date(2026, 3, 2), "street", "dog", 1, 0.8),
    ]
    story.execute(over.format("false"))
    assert rows(story, street) == []


def test_collection_summary_counts_contents_once_and_keeps_an_empty_collection(story: Connection) -> None:
    query = (
        "select collection, present, absent, with_features, classified, failing, labels, labelled, "
        "serving_version, last_ingest_at, last_classified_at from collection_summary order by 1"
    )
    assert rows(story, query) == [
        ("street", 2, 0, 2, 2, 0, 1, 1, 1, T0, T0 + DAY),
        ("void", 0, 0, 0, 0, 0, 0, 0, None, None, None),
        ("yard", 4, 1, 3, 2, 1, 2, 2, 2, T0 + 3 * DAY, T0 + 2 * DAY),
    ]


def test_the_newest_given_label_holds_and_a_listed_one_names_its_manifest(story: Connection) -> None:
    query = "select path, label, label_source, labelled_at from collection_videos where label is not null"
    assert sorted(rows(story, query)) == [
        ("a.mp4", "cat", "manifest", None),
        ("b.mp4", "dog", "manifest", None),
        ("gone.mp4", "bird", "manifest", None),
        ("y.mp4", "dog", "ann.csv", T0 + 4 * DAY),
    ]


def test_collection_summary_counts_a_failure_whose_path_was_never_listed(story: Connection) -> None:
    given(story, "failure", {
        "collection_key": 3, "path": "link.m3u8", "stage": "ingest", "status": "retry",
    })  # fmt: skip

    query = "select failing from collection_summary where collection = 'void'"
    assert rows(story, query) == [(1,)]


def test_collection_summary_does_not_double_a_video_with_two_feature_sets(story: Connection) -> None:
    given(story, "video_feature", {"video_key": 5, "feature_set_key": 2})

    query = "select present, with_features from collection_summary where collection = 'street'"
    assert rows(story, query) == [(2, 2)]


# -- versions against versions --------------------------------------------------------------------


def test_needs_rescore_lists_what_only_other_versions_have_scored(story: Connection) -> None:
    assert rows(story, "from needs_rescore") == [("street", "y.mp4", "v5", 1, 2)]


def test_needs_rescore_names_the_version_of_the_newest_prediction(story: Connection) -> None:
    promoted(story, 2, 3)

    query = "select collection, path, scored_by, champion_version from needs_rescore order by all"
    assert rows(story, query) == [
        ("street", "x.mp4", 2, 3),
        ("street", "y.mp4", 1, 3),
        ("yard", "a.mp4", 2, 3),
        ("yard", "b.mp4", 2, 3),
    ]


def test_needs_rescore_is_empty_without_a_champion(story: Connection) -> None:
    story.execute("delete from core.promotion")

    assert rows(story, "from needs_rescore") == []


def test_model_disagreements_compare_every_other_version_with_the_serving_one(story: Connection) -> None:
    assert rows(story, "from model_disagreements order by all") == [
        ("street", "x.mp4", "v2", 1, "dog", 0.55, 2, "cat", 0.5),
        ("yard", "b.mp4", "v2", 2, "cat", 0.5, 1, "dog", 0.55),
    ]


@pytest.mark.parametrize(
    ("days", "champion"),
    [(-1, None), (0, None), (1, 1), (2, 1), (3, 2), (4, 2), (5, 1), (6, 1), (7, 4), (99, 4)],
)
def test_champion_as_of_follows_only_final_decisions_that_moved_the_champion(
    empty: Connection, days: int, champion: int | None
) -> None:
    promoted(empty, 1, 1)
    promoted(empty, 2, 2, "refused")
    promoted(empty, 3, 2, "forced")
    promoted(empty, 4, 3, "promoted", final=False)
    promoted(empty, 5, 1, "rolled_back")
    promoted(empty, 6, 2, "unchanged")
    promoted(empty, 7, 4, "external")

    instant = T0 + days * DAY
    assert empty.execute("select champion_as_of(?::timestamp)", [instant]).fetchone() == (champion,)


def test_champion_as_of_works_row_by_row(story: Connection) -> None:
    query = "select run_id, champion_as_of(started_at) from runs where kind = 'nightly' order by 1"
    assert rows(story, query) == [(2, 1), (3, 2), (4, 2), (5, 2)]


def test_promotions_hide_open_intents(story: Connection) -> None:
    promoted(story, 2, 3, final=False)

    assert rows(story, "select to_version from promotions order by 1") == [(1,), (2,)]


# -- similar videos -------------------------------------------------------------------------------


def test_similar_videos_are_present_ones_by_cosine_with_the_known_or_predicted_label(
    story: Connection,
) -> None:
    assert rows(story, "from similar_videos('v1', 10)") == [
        ("yard", "b.mp4", "v2", pytest.approx(0.6), "dog"), ("yard", "new.mp4", "v4", 0.0, None),
        ("street", "y.mp4", "v5", -1.0, "dog"),
    ]  # fmt: skip
    assert rows(story, "select video_id from similar_videos('v2', 1)") == [("v4",)]
    assert rows(story, "from similar_videos('nobody', 3)") == []


def test_similar_videos_work_in_a_database_that_is_attached(warehouse_file: Path) -> None:
    with duckdb.connect() as con:
        con.execute(f"attach '{warehouse_file}' as lent (read_only)")
        con.execute("use lent")  # a macro looks for its tables in the database of the session
        found = con.execute("select video_id from similar_videos(video_id := 'v1', k := 2)").fetchall()
    assert found == [("v2",), ("v4",)]


# -- windows of long videos -----------------------------------------------------------------------

TIMELINE = "select collection, path, start_s, end_s, label, peak_score, mean_score, windows from timeline "


@pytest.fixture
def long(story: Connection) -> Connection:
    """The yard's b.mp4, which is the street's x.mp4, has windows of 10 s, one every 5 s, by both versions."""
    for start_s, label, score in (
        (0, CAT, 0.9), (5, CAT, 0.7), (10, DOG, 0.6), (15, CAT, 0.8), (20, CAT, 0.4), (40, CAT, 0.9),
    ):  # fmt: skip
        windowed(story, 2, 2, start_s, start_s + 10, (label, score), (CAT + DOG - label, 1 - score))
    windowed(story, 2, 1, 0, 10, (DOG, 0.6), (CAT, 0.4))
    return story


def test_timeline_joins_windows_of_one_label_that_touch_and_no_others(long: Connection) -> None:
    assert rows(long, TIMELINE + "where path = 'b.mp4' order by start_s") == [
        ("yard", "b.mp4", 0.0, 15.0, "cat", 0.9, 0.8, 2),
        ("yard", "b.mp4", 10.0, 20.0, "dog", 0.6, 0.6, 1),
        ("yard", "b.mp4", 15.0, 30.0, "cat", 0.8, 0.6, 2),
        ("yard", "b.mp4", 40.0, 50.0, "cat", 0.9, 0.9, 1),
    ]


def test_timeline_follows_a_collection_to_its_version_and_back(long: Connection) -> None:
    assert rows(long, TIMELINE + "where collection = 'street'") == [
        ("street", "x.mp4", 0.0, 10.0, "dog", 0.6, 0.6, 1)
    ]
    long.execute("update core.collection_serving set model_version = 1")

    assert {r[2:5] for r in rows(long, TIMELINE)} == {(0.0, 10.0, "dog")}

    long.execute("update core.collection_serving set model_version = 2 where collection_key = 1")
    assert len(rows(long, TIMELINE + "where path = 'b.mp4'")) == 4


def test_timeline_shows_present_videos_only_and_copies_once(long: Connection) -> None:
    assert rows(long, "select path from timeline where video_id = 'v1'") == [("a.mp4",)]
    long.execute("update core.collection_video set present = false where video_key in (1, 2)")
    assert rows(long, "from timeline") == []


def test_timeline_and_events_speak_wall_clock_time_where_a_recording_time_is_known(long: Connection) -> None:
    long.execute("update core.collection_video set recorded_at = '2026-07-01 12:00:00' where path = 'b.mp4'")
    long.execute("update core.video set recorded_at = '2020-01-01 00:00:00' where video_id = 'v2'")
    of_two = "where path in ('b.mp4', 'x.mp4') group by path order by path"
    clock = "select path, min(start_at), max(end_at) from {} " + of_two
    here = (datetime(2026, 7, 1, 12), datetime(2026, 7, 1, 12, 0, 50))
    content_s = (datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 10))
    for relation in ("timeline", "events"):
        assert rows(long, clock.format(relation)) == [("b.mp4", *here), ("x.mp4", *content_s)]
    assert rows(long, "select count(start_at) from timeline where path = 'a.mp4'") == [(1,)]


EVENTS = "select path, label, start_s, end_s, peak_score, windows from {} where path = 'b.mp4' order by all"


def test_events_are_where_a_label_scores_high_throughout_and_ask_for_more_by_their_peak(
    long: Connection,
) -> None:
    assert rows(long, EVENTS.format("events")) == [
        ("b.mp4", "cat", 0.0, 25.0, 0.9, 3), ("b.mp4", "cat", 40.0, 50.0, 0.9, 1),
        ("b.mp4", "dog", 10.0, 30.0, 0.6, 2),
    ]  # fmt: skip


def test_events_above_another_score_see_labels_of_lower_rank_too(long: Connection) -> None:
    assert rows(long, EVENTS.format("events_above(0.75)")) == [
        ("b.mp4", "cat", 0.0, 10.0, 0.9, 1), ("b.mp4", "cat", 15.0, 25.0, 0.8, 1),
        ("b.mp4", "cat", 40.0, 50.0, 0.9, 1),
    ]  # fmt: skip
    found = rows(long, EVENTS.format("events_above(0.35)"))
    assert ("b.mp4", "cat", 0.0, 30.0, 0.9, 5) in found


# -- media and nights -----------------------------------------------------------------------------


def test_media_quality_gives_the_decoded_share_or_null_when_nothing_was_announced(story: Connection) -> None:
    query = "select collection, path, decoded_share, decode_errors from media_quality order by all"
    assert rows(story, query) == [
        ("street", "x.mp4", 0.6, 3),
        ("street", "y.mp4", None, 0),
        ("yard", "a.mp4", 1.0, 0),
        ("yard", "b.mp4", 0.6, 3),
        ("yard", "new.mp4", 1.0, 0),
        ("yard", "old.mp4", None, 0),
    ]


def test_nights_tell_good_from_bad_and_unpack_the_numbers(story: Connection) -> None:
    query = "select night, status, ok, ingested, extracted, classified, failed from nights order by 1"
    assert rows(story, query) == [
        (date(2026, 3, 1), "over_budget", False, 7, 5, 6, 4),
        (date(2026, 3, 2), "no_champion", True, None, None, None, None),
        (date(2026, 3, 3), "ok", True, None, None, None, None),
        (date(2026, 3, 4), "running", None, None, None, None, None),
    ]
    query = "select run_id, ingest_s, extract_s, classify_s from nights order by 1 limit 2"
    assert rows(story, query) == [(2, 1.5, 40.0, 2.0), (3, None, None, None)]


def test_runs_unpack_bytes_and_say_how_fast_they_were(story: Connection) -> None:
    query = "select run_id, frames_per_s, read_bytes, written_bytes from runs order by 1 limit 2"
    assert rows(story, query) == [(1, 20.0, None, None), (2, None, 700, 500)]


def test_unreadable_files_stay_visible_without_a_video_id(story: Connection) -> None:
    query = "select path, video_id from collection_videos where path = 'broken.mp4'"
    assert rows(story, query) == [("broken.mp4", None)]
    query = "select stage, video_id, status from failures where path = 'broken.mp4' order by 1"
    assert rows(story, query) == [("extract", None, "retry"), ("probe", None, "quarantined")]


# -- what readers rely on -------------------------------------------------------------------------


def test_the_public_relations_are_exactly_the_contract(empty: Connection) -> None:
    query = "select table_name from information_schema.tables where table_schema = 'main'"
    assert {name for (name,) in rows(empty, query)} == set(CONTRACT)


def test_the_set_that_was_chosen_last_is_current(story: Connection) -> None:
    query = "select eval_set_hash, videos, labels, groups, is_current from evaluation_sets order by 1"
    assert rows(story, query) == [("e1", 1, 1, 1, False), ("e2", 2, 2, 2, True)]


def test_label_shift_compares_the_same_videos(story: Connection) -> None:
    query = (
        "select collection, other_version, label, serving_videos, other_videos, share_change from label_shift"
    )
    assert sorted(rows(story, query)) == [
        ("street", 2, "cat", 0, 1, 1.0), ("street", 2, "dog", 1, 0, -1.0),
        ("yard", 1, "cat", 2, 1, -0.5), ("yard", 1, "dog", 0, 1, 0.5),
    ]  # fmt: skip


def test_drift_is_the_jensen_shannon_divergence_from_training_and_from_the_days_before(
    story: Connection,
) -> None:
    predicted(story, 4, 2, 3, (DOG, 0.97), (CAT, 0.03))

    found = {(row[0], row[1]): row[2:] for row in story.execute("""
        select collection, day, model_version, videos, label_drift_from_training,
            score_drift_from_training, label_drift_from_recent, score_drift_from_recent
        from drift
    """).fetchall()}  # fmt: skip

    def divergence(p: list[float], q: list[float]) -> Any:
        return pytest.approx(jensenshannon(p, q, base=2) ** 2)

    first, later = T0.date(), (T0 + 3 * DAY).date()
    assert found == {
        ("yard", first): (2, 2, divergence([1, 0], [3, 1]), divergence([1, 1], [0, 4]), None, None),
        ("yard", later): (
            2, 1, divergence([0, 1], [3, 1]), 0.0, divergence([0, 1], [2, 0]), divergence([0, 1], [1, 1]),
        ),
        ("street", first): (1, 2, None, None, None, None),
    }  # fmt: skip


@pytest.mark.parametrize("relation", CONTRACT)
def test_every_relation_has_the_columns_of_the_contract(empty: Connection, relation: str) -> None:
    columns = empty.table(relation).columns
    assert set(CONTRACT[relation].split()) <= set(columns)
    assert not [c for c in columns if c.endswith("_key")], "integer keys stay inside"


def test_types_are_those_of_the_contract(empty: Connection) -> None:
    query = """
        select table_name || '.' || column_name, data_type from duckdb_columns()
        where schema_name = 'main' and not internal
    """
    types = dict(rows(empty, query))
    assert types["collection_videos.splits"] == "MAP(VARCHAR, VARCHAR)"
    assert types["collection_videos.present"] == "BOOLEAN"
    json_columns = ["feature_sets.spec", "runs.detail", "promotions.evidence"]
    assert {types[c] for c in json_columns} == {"JSON"}
    assert {t for c, t in types.items() if c.endswith("_at")} == {"TIMESTAMP"}
    assert {t for c, t in types.items() if c.endswith("_version")} == {"INTEGER"}


def test_everything_has_a_comment(warehouse: Connection) -> None:
    query = """
        select 'view ' || view_name, comment from duckdb_views() where not internal
        union all
        select 'table ' || table_name, comment from duckdb_tables() where schema_name = 'core'
        union all
        select table_name || '.' || column_name, comment from duckdb_columns() where not internal
        union all
        select 'macro ' || function_name, comment from duckdb_functions()
        where schema_name = 'main' and not internal
    """
    commented = dict(rows(warehouse, query))
    assert {"macro champion_as_of", "macro events_above", "view latest_predictions", "runs.detail"} < set(
        commented
    )
    assert [name for name, comment in commented.items() if not comment] == []


def test_applying_the_views_twice_changes_nothing(story: Connection) -> None:
    catalog = "select view_name, sql, comment from duckdb_views() where not internal order by all"
    before, latest = rows(story, catalog), rows(story, LATEST)

    create_views(story)

    assert rows(story, catalog) == before
    assert rows(story, LATEST) == latest


def test_the_snapshot_says_what_the_views_said_and_keeps_their_comments(story: Connection) -> None:
    commented = "select column_name, comment from duckdb_columns() where schema_name = 'core' order by all"
    before, comments = {r: said(story, r) for r in CONTRACT}, rows(story, commented)

    materialise(story)

    assert {r: said(story, r) for r in CONTRACT} == before
    assert rows(story, commented) == comments
    assert all(before[r] for r in ("latest_predictions", "low_confidence", "collection_summary", "drift"))
    assert ("present_video",) in rows(story, "select table_name from duckdb_tables()")


@pytest.mark.parametrize("relation", CONTRACT)
def test_every_relation_opens_in_a_read_only_file_also_under_another_name(
    warehouse_file: Path, relation: str
) -> None:
    with duckdb.connect(warehouse_file, read_only=True) as con:
        alone = con.execute(f"from {relation} order by all").fetchall()
    with duckdb.connect() as con:
        con.execute(f"attach '{warehouse_file}' as lent (read_only)")
        attached = con.execute(f"from lent.{relation} order by all").fetchall()
    assert alone
    assert attached == alone


def test_there_are_enough_examples() -> None:
    assert len(sqlfiles.examples()) >= 15


@pytest.mark.parametrize("example", sqlfiles.examples(), ids=lambda f: f.stem)
def test_every_example_asks_a_question_and_answers_it_from_public_views(
    warehouse: Connection, example: Path
) -> None:
    text = example.read_text(encoding="utf-8")
    first_line = text.splitlines()[0]
    assert first_line.startswith("-- ")
    assert "?" in first_line
    assert "core." not in text
    assert warehouse.execute(text).fetchall()


def test_a_version_is_not_judged_on_what_taught_it(story: Connection) -> None:
    text = (sqlfiles.ROOT / "examples" / "accuracy_per_label.sql").read_text(encoding="utf-8")
    yard = [("yard", 2, "dog", 1, 0.0, 0.5), ("yard", 2, "cat", 1, 1.0, 0.95)]
    assert rows(story, text) == yard, "street is served by a version of which nobody knows what taught it"
    given(story, "version_video", {"model_version": 1, "video_key": 2, "split": "train"})
    assert rows(story, text) == [("street", 1, "dog", 1, 1.0, 0.8), *yard], "another version's lesson"
    given(story, "version_video", {"model_version": 2, "video_key": 2, "split": "val"})
    assert rows(story, text)[1:] == yard[1:]


def test_similar_videos_are_near_by_what_their_middle_frames_show(warehouse: Connection) -> None:
    example = sqlfiles.ROOT / "examples" / "similar_videos.sql"
    newest = ("yard", "new.mp4")  # as v4; v3, which is gone, looks the same
    assert rows(warehouse, example.read_text(encoding="utf-8")) == [
        (*newest, "street", "x.mp4", 1.0), (*newest, "yard", "a.mp4", pytest.approx(0.707)),
        (*newest, "street", "y.mp4", 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize("file", sorted((sqlfiles.ROOT / "views").glob("*.sql")), ids=lambda f: f.stem)
def test_every_view_file_says_first_what_one_row_is(file: Path) -> None:
    first_line = file.read_text(encoding="utf-8").splitlines()[0]
    assert first_line.startswith(("-- One row per ", "-- One value per ", "-- One comment per "))


@pytest.mark.slow
def test_sqlfluff_finds_nothing() -> None:
    # Not the statements: sqlfluff's DuckDB does not know parameters such as $model_version.
    folders = [str(sqlfiles.ROOT / name) for name in ("migrations", "views", "examples")]
    lint = subprocess.run(
        [sys.executable, "-m", "sqlfluff", "lint", "--disable-progress-bar", *folders],
        cwd=sqlfiles.ROOT.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_feature_drift_tells_collection_night_and_version(story: Connection) -> None:
    told = rows(
        story, "select collection, night, run_id, version, videos, e_value, alarmed from feature_drift"
    )
    assert told == [("yard", (T0 + DAY).date(), 3, 3, 12, 20.0, True)]
