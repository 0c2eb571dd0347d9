"""A simulated year of nights: what grows with a home's age, and what does not.

    python -m benchmarks.year [--nights 365] [--videos 10000] [--every 1] [--json]

Records only: each night so many new videos with features, vectors and predictions stand in the ledger, as a
night leaves them; files are gone after 30 days, every tenth night another version is promoted and scores all
present videos again, predictions are kept for 90 days by the retention of `vidpipe gc`. Each month a real
`nightly` that finds nothing new, its listing as long as the real one would be, runs in a process of its own.

Stated: CPU seconds of such a night, of publishing and of the retention, bytes of the ledger, memory. Passed:
the last month's night without publishing takes at most 1.2 times the fourth month's, publishing is at most
linear in the ledger's bytes, and memory stays under 600 MB. `--videos` and `--nights` scale it down.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.database.session import Session
from vidpipe.adapters.models.registry import Registry
from vidpipe.cli.display import TerminalProgress
from vidpipe.ports import Ports
from vidpipe.records.predictions import Promotion
from vidpipe.records.videos import Listing, SourceFile
from vidpipe.settings import load_settings
from vidpipe.steps.nightly import nightly
from vidpipe.wiring import open_home, open_ports

RANKS, LABELS, PART_VIDEOS = 5, 101, 146
PRESENT_NIGHTS, PROMOTED_EVERY, KEPT_DAYS, MONTH = 30, 10, 90, 30
START = datetime(2026, 1, 1)
SLOWER, MOST_MB = 1.2, 600
MEASURED = 2
"""Nights a month, of which the best counts."""
NONLINEAR = 1.5
"""Seconds a byte of a later publishing may be so many times those of the fourth month's."""


def open_all(home: Path) -> Ports:
    return open_ports(open_home(load_settings(home)), TerminalProgress())


def path_of(video: int) -> str:
    return f"{video // 1000:05d}/{video:08d}.mp4"


def begin(home: Path) -> None:
    """A champion in a real registry, one collection, its labels."""
    from benchmarks.rescoring import register

    home.mkdir()
    ports = open_all(home)
    register(ports)
    spec, source = ports.limits.spec, home / "videos"
    source.mkdir()
    with database(ports).session() as session:
        run = session.connection.execute
        run(
            "insert into core.model by name select 1 as model_key, $name as model_name",
            {"name": "video-classifier"},
        )
        run("insert into core.label by name select i as label_key, 'label ' || i as label "
            f"from range({LABELS}) t(i)")  # fmt: skip
        run("insert into core.feature_set by name select 1 as feature_set_key, $id as feature_set_id, "
            "$spec as spec, $now as created_at",
            {"id": spec.feature_set_id, "spec": spec.to_json(), "now": START})  # fmt: skip
        run("insert into core.collection by name select 1 as collection_key, 'yard' as name, "
            "$source as source, $now as created_at", {"source": str(source), "now": START})  # fmt: skip
    promote(ports, 1)
    ports.registry.drop_alias(
        "challenger"
    )  # it would score everything, too, from features that are not there


def database(ports: Ports) -> Database:
    assert isinstance(ports.ledger, Ledger)
    return ports.ledger.database


def promote(ports: Ports, number: int) -> None:
    """Another version becomes champion, in the ledger and in the registry."""
    version = ports.registry.version(str(number))
    ports.ledger.versions.recognise(version.identity)
    ports.ledger.decisions.put_promotion(
        version.model, Promotion(0, None, number, "promoted"), evidence={}, eval_set_hash=None, reason=None,
        actor="year", final=True, to=version.identity,
    )  # fmt: skip
    ports.registry.set_alias("champion", number)


NIGHT = (
    """insert into core.video by name select i as video_key, sha256(i::varchar) as video_id, 1000000 as bytes,
       'mov,mp4' as container, 'h264' as video_codec, 'ok' as verdict, 7.0 as duration_s
       from range($first, $last) t(i)""",
    """insert into core.collection_video by name select 1 as collection_key,
       printf('%05d/%08d.mp4', i // 1000, i) as path, i as video_key, true as present,
       $now as first_seen_at, $now as last_seen_at, 1000000 as size_bytes, i as mtime_ns, i as inode
       from range($first, $last) t(i)""",
    f"""insert into core.video_feature by name select i as video_key, 1 as feature_set_key, 28 as n_frames,
        'part-' || (i // {PART_VIDEOS}) as part, 28 * (i % {PART_VIDEOS}) as row_offset,
        'synthetic' as numerics, $run_id as run_id from range($first, $last) t(i)""",
    """insert into core.video_vector by name select i as video_key, 1 as feature_set_key,
       list_transform(range(128), lambda k: (hash(i, k) % 1000)::float / 10000)::float[128] as vector
       from range($first, $last) t(i)""",
    """insert into core.compared_video by name select i as video_key, 1 as feature_set_key
       from range($first, $last) t(i)""",
    """insert into core.run by name select $run_id as run_id, 'nightly' as kind, 'ok' as status,
       $now as started_at, $now as finished_at, $last - $first as videos, 0 as frames, 0 as failed,
       1.0 as seconds, '{}' as detail""",
    "update core.collection_video set present = false where video_key < $gone and present",
    f"""insert into core.prediction by name select i // {RANKS} as video_key, 1 as model_key,
        $version as model_version, 1 as feature_set_key, 1 + i % {RANKS} as rank,
        hash(i) % {LABELS} as label_key, 0.5::float as score, $run_id as run_id, $now as predicted_at
        from range($scored_first * {RANKS}, $last * {RANKS}) t(i)""",
)
"""What a night leaves in the ledger."""


def live(home: Path, first: int, last: int, videos: int) -> None:
    """Some nights in a row: arrivals, departures, promotions."""
    ports = open_all(home)
    for begun in range(first, last, PROMOTED_EVERY):
        if begun:
            register_again(ports)
            promote(ports, version_of(begun))
        with database(ports).session() as session:
            for night in range(begun, min(begun + PROMOTED_EVERY, last)):
                arrive(session, night, videos)
        ports.ledger.predictions.switch_serving(version_of(begun))
    parts = home / "features" / f"feature_set={ports.limits.spec.feature_set_id}"
    parts.mkdir(parents=True, exist_ok=True)
    for number in range(last * videos // PART_VIDEOS + 1):  # named and there; nothing opens them
        (parts / f"part-{number}").write_bytes(b"PAR1")


def register_again(ports: Ports) -> None:
    """One more version, of the first one's files."""
    assert isinstance(ports.registry, Registry)
    client, model = ports.registry.store.client, ports.registry.model
    made = client.get_model_version(model, "1")
    client.create_model_version(model, str(made.source), run_id=made.run_id, tags=made.tags)


def version_of(night: int) -> int:
    """The version that serves on that night."""
    return 1 + night // PROMOTED_EVERY


def arrive(session: Session, night: int, videos: int) -> None:
    """Rows of one night: its videos, and all present ones scored anew after a promotion."""
    gone = max(0, night + 1 - PRESENT_NIGHTS) * videos
    given = {
        "first": night * videos, "last": (night + 1) * videos, "now": START + timedelta(days=night),
        "gone": gone, "run_id": 1000 + night, "version": version_of(night),
        "scored_first": gone if night % PROMOTED_EVERY == 0 else night * videos,
    }  # fmt: skip
    for statement in NIGHT:
        named = duckdb.extract_statements(statement)[0].named_parameters
        session.connection.execute(statement, {name: given[name] for name in named})


class RecordedCatalog:
    """Lists the files that would be there: the present ones of the ledger, unchanged."""

    def __init__(self, first: int, last: int) -> None:
        self._files = [SourceFile(path_of(i), 1_000_000, i, inode=i) for i in range(first, last)]

    def list_folder(self, _source: Path, **_: Any) -> Listing:
        return Listing(self._files)


def nights_of(home: Path, first: int, last: int) -> dict[str, Any]:
    """Child process: nights that find nothing new, and what the best of them took.

    The first one loads MLflow and the champion, and is not counted.
    """
    ports = replace(open_all(home), catalog=RecordedCatalog(first, last))  # type: ignore[arg-type]
    measured = [one_night(ports, home) for _ in range(1 + MEASURED)][1:]
    return min(measured, key=lambda found: found["night_s"]) | {"night_mb": peak_mb()}


def one_night(ports: Ports, home: Path) -> dict[str, Any]:
    """CPU seconds of one night, without publishing and of it alone: another job may have the machine, too."""
    published = list[float]()
    publish = ports.warehouse.publish

    def timed() -> None:
        begun = time.process_time()
        publish()
        published.append(time.process_time() - begun)

    ports.warehouse.publish = timed  # type: ignore[method-assign]
    started = time.process_time()
    found = nightly(ports)
    took = time.process_time() - started
    ports.warehouse.publish = publish  # type: ignore[method-assign]
    assert (found.ingested, found.classified, found.failed) == (0, 0, 0), found
    ledger = home / "state" / "ledger.duckdb"
    return {
        "status": found.status, "night_s": round(took - sum(published), 3),
        "publish_s": round(sum(published), 3), "ledger_bytes": ledger.stat().st_size,
    }  # fmt: skip


def tend(home: Path, night: int) -> dict[str, Any]:
    """Child process: what `vidpipe gc --keep-predictions-days 90` does to the ledger on that day."""
    ports, started = open_all(home), time.process_time()
    version = version_of(night)
    before = START + timedelta(days=night - KEPT_DAYS)
    rows = ports.ledger.predictions.prune(before, [version, max(1, version - 1)])
    freed = ports.ledger.compact()
    return {
        "pruned": rows, "freed_bytes": freed, "retention_s": round(time.process_time() - started, 3),
        "retention_mb": peak_mb(),
    }  # fmt: skip


def peak_mb() -> int:
    """Peak memory of this process alone; `getrusage` would count what its parent had."""
    (peak_kb,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return round(int(peak_kb) / 1024)


def child(home: Path, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.year", "--child", str(home), *map(str, arguments)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(ended.stdout or "{}")
    return found


def months(home: Path, nights: int, videos: int, every: int) -> Iterator[dict[str, Any]]:
    """Play the year, in processes of their own: one row every so many months."""
    child(home, "begin")
    for first in range(0, nights, MONTH):
        last = min(first + MONTH, nights)
        child(home, "live", first, last, videos)
        tended = child(home, "tend", last - 1)
        listed = max(0, last - PRESENT_NIGHTS) * videos, last * videos
        if last == nights or last // MONTH % every == 0:
            found = child(home, "nights", *listed)
            yield {"nights": last, "videos": last * videos, **found, **tended}


def faults(rows: list[dict[str, Any]]) -> list[str]:
    """What a year must not show, and this one did."""
    found = []
    full = [row for row in rows if row["nights"] >= 4 * MONTH]  # by then as much goes as comes
    if full and full[-1]["night_s"] > SLOWER * full[0]["night_s"]:
        found.append(f"a night takes {full[-1]['night_s'] / full[0]['night_s']:.2f} times the fourth month's")
    a_byte = [row["publish_s"] / row["ledger_bytes"] for row in full]
    if a_byte and max(a_byte) > NONLINEAR * a_byte[0]:
        found.append(f"publishing takes {max(a_byte) / a_byte[0]:.2f} times as long for each byte")
    if (most := max(max(r["night_mb"], r["retention_mb"]) for r in rows)) > MOST_MB:
        found.append(f"memory of {most} MB")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--videos", type=int, default=10_000, help="a night")
    parser.add_argument("--every", type=int, default=1, help="months between two measurements")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        home, what, *numbers = given.child
        parts: dict[str, Callable[..., Any]] = {
            "begin": begin, "live": live, "nights": nights_of, "tend": tend,
        }  # fmt: skip
        print(json.dumps(parts[what](Path(home), *map(int, numbers)) or {}))
        return 0
    started, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="vidpipe-year-") as name:
        home = Path(name) / "home"
        for row in months(home, given.nights, given.videos, given.every):
            rows.append(row)
            if not given.json:
                print(" ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    told = {"seconds": round(time.monotonic() - started), "faults": faults(rows)}
    print(
        json.dumps({"months": rows, **told})
        if given.json
        else f"{told['seconds']} s; {told['faults'] or 'passed'}"
    )
    return 1 if told["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
