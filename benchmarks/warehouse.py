"""What people wait for who ask the warehouse: every public view beside ten million rows of predictions.

    python -m benchmarks.warehouse [--predictions 10000000] [--home DIR] [--json]

The rows are synthetic; they lie in a real ledger and are published as every run publishes. Asked are the
queries of sql/examples as they stand (but `similar_videos`, which reads features), and of each view what
people filter it by, or aggregate. Read-only and warm: milliseconds until the answer lies in memory as Arrow,
the median of several times, and the best. A home given by `--home` is kept, and asked again the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from vidpipe.adapters.database import sqlfiles
from vidpipe.settings import load_settings
from vidpipe.wiring import Home, open_home

GOAL_MS = 200
RANKS, VERSIONS, LABELS, COLLECTIONS = 5, 2, 101, 10
LONG_VIDEOS, WINDOWS, WINDOW_RANKS = 200, 1000, 3
LEFT_OUT = ("similar_videos",)

ONE = "where collection = 'c3' and path = 'videos/0001003.mp4'"
ONE_ID = f"where video_id = (select video_id from collection_videos {ONE})"
LONG = "where collection = 'long' and path = 'videos/0000010.mp4'"
LONG_ID = f"where video_id = (select video_id from collection_videos {LONG})"
ASKED: Mapping[str, tuple[str, ...]] = {
    "collections": ("from collections",),
    "collection_videos": (
        f"from collection_videos {ONE}",
        "select collection, label_source, count(*) from collection_videos where present group by all",
    ),
    "videos": (
        f"from videos {ONE_ID}",
        "select video_codec, count(*), sum(duration_s) / 3600 from videos group by all",
    ),
    "feature_sets": ("from feature_sets",),
    "video_features": (
        f"from video_features {ONE_ID}",
        "select feature_set_id, numerics, count(*), sum(n_frames) from video_features group by all",
    ),
    "failures": (
        "from failures where status <> 'resolved' order by last_at desc limit 50",
        "select stage, error_class, count(*) from failures group by all",
    ),
    "runs": ("select kind, count(*), sum(frames), avg(frames_per_s) from runs group by all",),
    "predictions": (
        f"from predictions {ONE_ID} order by model_version, rank",
        "select model_version, label, count(*), avg(score) from predictions where rank = 1 group by all",
    ),
    "window_predictions": (
        f"from window_predictions {LONG_ID} and model_version = 2 order by start_s, rank",
        "select label, count(*), max(score) from window_predictions where rank = 1 group by all",
    ),
    "promotions": ("from promotions order by promotion_id desc",),
    "collection_serving": ("from collection_serving",),
    "latest_predictions": (
        f"from latest_predictions {ONE}",
        "from latest_predictions order by predicted_at desc, path limit 100",
        "from latest_predictions where label = 'label 7' and score < 0.5 order by score, path limit 100",
        "select label, count(*), round(avg(score), 3) from latest_predictions group by label order by label",
        "select path, label, score from latest_predictions where collection = 'c3'",
    ),
    "collection_summary": ("from collection_summary order by collection",),
    "label_daily": (
        "from label_daily where collection = 'c3' and day >= '2026-06-01' order by day, label",
        "select day, sum(videos) from label_daily group by day order by day",
    ),
    "low_confidence": (
        "from low_confidence where collection = 'c3' order by margin, path limit 50",
        "select label, runner_up_label, count(*) from low_confidence group by all",
    ),
    "media_quality": (
        f"from media_quality {ONE}",
        "select verdict, count(*), avg(black_share) from media_quality group by all",
    ),
    "nights": ("from nights order by started_at desc limit 30",),
    "needs_rescore": ("select collection, scored_by, count(*) from needs_rescore group by all",),
    "model_disagreements": (
        "from model_disagreements where collection = 'c3' order by other_score desc, path limit 50",
        "select serving_label, other_label, count(*) from model_disagreements group by all",
    ),
    "evaluation_sets": ("from evaluation_sets where is_current",),
    "evaluation_videos": ("select eval_set_hash, label, count(*) from evaluation_videos group by all",),
    "labelled_spans": ("select label, count(*), sum(end_s - start_s) from labelled_spans group by all",),
    "reference_predictions": ("select label, sum(videos) from reference_predictions group by all",),
    "version_videos": ("select model_version, split, count(*) from version_videos group by all",),
    "label_shift": ("select collection, label, share_change from label_shift where other_version = 1",),
    "given_labels": ("select source, label, count(*) from given_labels group by all",),
    "timeline": (
        f"from timeline {LONG} order by start_s",
        "select label, count(*), sum(end_s - start_s) from timeline group by all",
    ),
    "events": (
        f"from events {LONG} order by start_s",
        "select label, count(*), max(peak_score) from events where collection = 'long' group by all",
    ),
    "drift": ("select * from drift where label_drift_from_training > 0.1 order by day desc",),
}
"""Queries by the view that they are about."""


def fill(home: Home, predictions: int) -> None:
    """Collections of short videos and one of long ones; two versions have scored them."""
    videos = predictions // (RANKS * VERSIONS)
    with home.ledger.database.session() as session:
        for statement in _rows(videos):
            session.connection.execute(f"insert into core.{statement}")


def publish(home: Home) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    home.warehouse.publish()
    return time.perf_counter() - started


def _rows(videos: int) -> tuple[str, ...]:
    """Rows of every table, by name; a content arrives in the order of its key, over 200 days."""
    arrived = f"'2026-01-01'::timestamp + i * interval '200 days' / {videos}"
    label = f"case when hash(i) % 20 < version then hash(i, version) else hash(i) end % {LABELS}"
    return (
        "model by name select 1 as model_key, 'video-classifier' as model_name",
        f"label by name select i as label_key, 'label ' || i as label from range({LABELS}) t(i)",
        """feature_set by name select 1 as feature_set_key, 'f1' as feature_set_id, '{}' as spec,
           '2026-01-01'::timestamp as created_at""",
        f"""collection by name select i as collection_key, '/videos' as source, 'c' || i as name,
            '2026-01-01'::timestamp as created_at from range({COLLECTIONS}) t(i)""",
        f"""collection by name select {COLLECTIONS} as collection_key, '/long' as source, 'long' as name,
            '2026-01-01'::timestamp as created_at, 10.0 as window_s, 5.0 as stride_s""",
        f"""video by name select i as video_key, sha256(i::varchar) as video_id,
            1000000 + hash(i) % 1000000 as bytes, 'mov,mp4' as container,
            case when i % 10 = 0 then 'hevc' else 'h264' end as video_codec, 320 as width_px,
            240 as height_px, 0 as rotation, 25.0 as source_fps, false as is_vfr,
            2 + hash(i) % 100 / 10 as duration_s, 175 as frames_expected,
            175 - (hash(i) % 200 = 0)::integer * 20 as frames_decoded, 0 as decode_errors, 'ok' as verdict,
            random() / 10 as black_share, random() / 10 as frozen_share from range({videos}) t(i)""",
        f"""collection_video by name
            select case when i < {LONG_VIDEOS} then {COLLECTIONS} else i % {COLLECTIONS} end
                as collection_key, printf('videos/%07d.mp4', i) as path, i as video_key,
            i % 50 > 0 or i < 1000 as present,
            case when i % 20 = 3 then 'label ' || hash(i) % {LABELS} end as label,
            case when i % 20 = 3 then map {{'split': case when i % 60 = 3 then 'test' else 'train' end}} end
                as splits, 1000000 as size_bytes, i as mtime_ns, i as inode,
            {arrived} as first_seen_at, '2026-07-20'::timestamp as last_seen_at
            from range({videos}) t(i)""",
        f"""collection_video by name select 0 as collection_key, printf('copies/%07d.mp4', i) as path,
            i as video_key, true as present, {arrived} as first_seen_at,
            '2026-07-20'::timestamp as last_seen_at from range(1, {videos}, 100) t(i)""",
        f"""given_label by name select i % {COLLECTIONS} as collection_key, i as video_key,
            'label ' || hash(i) % {LABELS} as label, 'queue.csv' as source,
            '2026-07-01'::timestamp as given_at from range({LONG_VIDEOS}, {videos}, 200) t(i)""",
        f"""labelled_span by name select {COLLECTIONS} as collection_key,
            printf('videos/%07d.mp4', i // 20) as path, i % 20 * 100.0 as start_s,
            i % 20 * 100 + 30.0 as end_s, 'label ' || i % {LABELS} as label
            from range({LONG_VIDEOS * 20}) t(i)""",
        f"""video_feature by name select i as video_key, 1 as feature_set_key, 28 as n_frames,
            'part-' || i // 146 as part, 28 * (i % 146) as row_offset, 'cpu' as numerics, 1 as run_id
            from range({videos}) t(i)""",
        f"""prediction by name select i as video_key, 1 as model_key, version as model_version,
            1 as feature_set_key, rank + 1 as rank, ({label} + rank) % {LABELS} as label_key,
            case when rank = 0 then 1 - 0.9 * pow(hash(i, version) % 1000 / 1000, 4)
                else 0.9 * pow(hash(i, version) % 1000 / 1000, 4) / pow(2, rank) end as score,
            version as run_id, case when version = 1 then {arrived} else '2026-07-20'::timestamp end
                as predicted_at
            from range(1, {VERSIONS + 1}) v(version), range({videos}) t(i), range({RANKS}) r(rank)
            order by version, i, rank""",
        f"""window_prediction by name select i as video_key, 1 as model_key, 2 as model_version,
            1 as feature_set_key, 5.0 * w as start_s, 5.0 * w + 10 as end_s, rank + 1 as rank,
            (hash(i, w // 12) + rank) % {LABELS} as label_key,
            (0.4 + 0.6 * (hash(i, w) % 1000 / 1000)) / (rank + 1) as score, 2 as run_id,
            '2026-07-20'::timestamp as predicted_at
            from range({LONG_VIDEOS}) v(i), range({WINDOWS}) t(w), range({WINDOW_RANKS}) r(rank)
            order by i, w, rank""",
        f"""collection_serving by name select i as collection_key, 2 as model_version,
            '2026-07-20'::timestamp as since from range({COLLECTIONS + 1}) t(i)""",
        f"""failure by name select i % {COLLECTIONS} as collection_key, printf('bad/%07d.mp4', i) as path,
            'probe' as stage, 'Unreadable' as error_class, 'moov atom not found' as message,
            1 + i % 5 as attempts, case when i % 3 = 0 then 'resolved' else 'retry' end as status,
            '2026-02-01'::timestamp as first_at, '2026-07-20'::timestamp as last_at
            from range({videos // 200}) t(i)""",
        """run by name select i as run_id,
           ['ingest', 'extract', 'classify', 'nightly'][1 + i % 4] as kind, 'ok' as status,
           '2026-01-01'::timestamp + i // 4 * interval 1 day as started_at,
           '2026-01-01'::timestamp + i // 4 * interval 1 day + interval 1 hour as finished_at, 5000 as videos,
           140000 as frames, 3 as failed, 3600.0 as seconds, '{"ingested": 5000, "extracted": 5000,
           "classified": 5000, "stage_seconds": {"ingest": 60, "extract": 3000, "classify": 60}}' as detail
           from range(1, 801) t(i)""",
        """promotion by name select i as promotion_id, 'video-classifier' as model_name,
           i - 1 as from_version, i as to_version, 'promoted' as decision, '{}' as evidence,
           'e' as eval_set_hash, 'ann' as actor, '2026-01-01'::timestamp + i * interval 1 day as decided_at,
           true as is_final from range(1, 3) t(i)""",
        """evaluation_set by name select 1 as evaluation_set_key, 'e' as eval_set_hash, 'c3' as collection,
           'test' as split, '2026-01-01'::timestamp as frozen_at, '2026-01-01'::timestamp as chosen_at""",
        f"""evaluation_video by name select 1 as evaluation_set_key, i as video_key,
            'label ' || hash(i) % {LABELS} as label, 'g' || i % 97 as group_name
            from range(3, {videos}, 60) t(i)""",
        f"""version_video by name select version as model_version, i as video_key,
            if(i % 60 = 3, 'test', 'train') as split
            from range(1, 3) v(version), range(3, {videos}, 20) t(i)""",
        f"""reference_prediction by name select version as model_version, l as label_key, b as score_bin,
            1 + hash(l, b) % 20 as videos
            from range(1, 3) v(version), range({LABELS}) t(l), range(10) s(b)""",
    )


def queries() -> dict[str, str]:
    """All that is asked, by a name to show."""
    examples = {
        f"examples/{f.name}": f.read_text("utf-8") for f in sqlfiles.examples() if f.stem not in LEFT_OUT
    }
    return examples | {query: query for asked in ASKED.values() for query in asked}


def measure(file: Path, times: int) -> list[dict[str, Any]]:
    """Milliseconds of each query, and the rows that it gives, the slowest first."""
    found = []
    with duckdb.connect(str(file), read_only=True) as connection:
        public = {name for (name,) in connection.execute(sqlfiles.statement("public_relations")).fetchall()}
        assert public == set(ASKED), f"not asked, or not there: {public ^ set(ASKED)}"
        for name, query in queries().items():
            rows = connection.sql(query).to_arrow_table().num_rows
            took = []
            for _ in range(times):
                started = time.perf_counter()
                connection.sql(query).to_arrow_table()
                took.append(1000 * (time.perf_counter() - started))
            found.append({
                "query": name, "ms": round(statistics.median(took), 1), "best_ms": round(min(took), 1),
                "rows": rows,
            })  # fmt: skip
    return sorted(found, key=lambda one: -one["ms"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--predictions", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=5, help="how often each query is asked, once warm")
    parser.add_argument("--home", type=Path, help="filled if there is none, and kept")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vidpipe-warehouse-") as name:
        home = open_home(load_settings(given.home or Path(name)))
        if not home.warehouse.file.exists():
            fill(home, given.predictions)
        publish_s = publish(home)
        size_mb = home.warehouse.file.stat().st_size / 1e6
        found = measure(home.warehouse.file, given.times)
    over = [one for one in found if one["ms"] > GOAL_MS]
    if given.json:
        print(
            json.dumps(
                {
                    "file_mb": round(size_mb, 1),
                    "publish_s": round(publish_s, 2),
                    "over": len(over),
                    "queries": found,
                }
            )
        )
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, DuckDB {duckdb.__version__}")
    print(f"{size_mb:.0f} MB, published in {publish_s:.1f} s")
    print("    ms    best      rows")
    for one in found:
        print(f"{one['ms']:>6.0f}  {one['best_ms']:>6.0f}  {one['rows']:>8}  {one['query'][:110]}")
    print(f"{len(found)} queries, {len(over)} over {GOAL_MS} ms")


if __name__ == "__main__":
    main()
