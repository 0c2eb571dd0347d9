"""A night with nothing new beside a million known videos.

    python -m benchmarks.scale [--known 1000000] [--files 10000] [--json]

A real folder is listed; of the other videos the ledger knows that they were there, have features and
predictions. `nightly` runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vidpipe.adapters.database.ledger import Ledger
from vidpipe.cli.display import TerminalProgress
from vidpipe.ports import Ports
from vidpipe.settings import load_settings
from vidpipe.steps.nightly import nightly
from vidpipe.wiring import open_home, open_ports

RANKS = 5
PART_VIDEOS = 146


def open_all(home: Path) -> Ports:
    return open_ports(open_home(load_settings(home)), TerminalProgress())


def make_files(folder: Path, files: int) -> None:
    """Small files, each unlike the others: not videos, but listed, compared and known."""
    for number in range(files):
        file = folder / f"{number // 100:04d}" / f"{number:08d}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%d" % number)


def fill(home: Path, folder: Path, known: int, files: int) -> None:
    """A champion, and a ledger that knows everything; the real files as they are listed."""
    from benchmarks.rescoring import register

    ports = open_all(home)
    register(ports)
    spec = ports.limits.spec
    parts = home / "features" / f"feature_set={spec.feature_set_id}"
    parts.mkdir(parents=True, exist_ok=True)
    for number in range(known // PART_VIDEOS + 1):  # named and there; nothing opens them
        (parts / f"part-{number}").write_bytes(b"PAR1")
    assert isinstance(ports.ledger, Ledger)
    listing = ports.catalog.list_folder(folder).files
    with ports.ledger.database.session() as session:
        run = session.connection.execute
        run("insert into core.model by name select 1 as model_key, 'video-classifier' as model_name")
        run("""insert into core.label by name select i as label_key, 'label ' || i as label
               from range(101) t(i)""")
        run("""insert into core.feature_set by name select 1 as feature_set_key,
               $id as feature_set_id, $spec as spec, now()::timestamp as created_at""",
            {"id": spec.feature_set_id, "spec": spec.to_json()})  # fmt: skip
        run(
            "insert into core.collection by name select 1 as collection_key, 'archive' as name, "
            "$source as source, now()::timestamp as created_at",
            {"source": str(folder)},
        )
        run(f"""insert into core.video by name select i as video_key, sha256(i::varchar) as video_id,
                1000000 as bytes, 'mov,mp4' as container, 'h264' as video_codec, 'ok' as verdict
                from range({known}) t(i)""")
        run(f"""insert into core.video_feature by name select i as video_key, 1 as feature_set_key,
                28 as n_frames, 'part-' || (i // {PART_VIDEOS}) as part,
                28 * (i % {PART_VIDEOS}) as row_offset,
                'synthetic' as numerics, 1 as run_id from range({known}) t(i)""")
        run(f"""insert into core.video_vector by name select i as video_key, 1 as feature_set_key,
                list_transform(range(128), lambda k: (hash(i, k) % 1000)::float / 10000)::float[128] as vector
                from range({known}) t(i)""")
        run(f"""insert into core.prediction by name select i // {RANKS} as video_key, 1 as model_key,
                1 as model_version, 1 as feature_set_key, 1 + i % {RANKS} as rank, hash(i) % 101 as label_key,
                random()::float as score, 1 as run_id, now()::timestamp as predicted_at
                from range({known * RANKS}) t(i)""")
        run(f"""insert into core.collection_video by name select 1 as collection_key, 'gone/' || i as path,
                i as video_key, false as present, now()::timestamp as first_seen_at,
                now()::timestamp as last_seen_at from range({files}, {known}) t(i)""")
        session.connection.executemany(
            """insert into core.collection_video by name select 1 as collection_key, ? as path,
               ? as video_key, true as present, ? as size_bytes, ? as mtime_ns, ? as inode,
               now()::timestamp as first_seen_at, now()::timestamp as last_seen_at""",
            [(f.path, number, f.size_bytes, f.mtime_ns, f.inode) for number, f in enumerate(listing)],
        )


def one_night(home: Path) -> dict[str, Any]:
    """Child process: the night, and what it took."""
    ports = open_all(home)
    folder = Path(ports.ledger.sources.collections()[0].source)
    started = time.perf_counter()
    ports.catalog.list_folder(folder)
    listing_s = time.perf_counter() - started
    started = time.perf_counter()
    report = nightly(ports)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "status": report.status, "new": report.ingested, "classified": report.classified,
        "listing_s": round(listing_s, 2), "night_s": round(time.perf_counter() - started, 2),
        "beyond_listing_s": round(time.perf_counter() - started - listing_s, 2), "peak_mb": round(peak_mb),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--known", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(one_night(given.child)))
        return
    with tempfile.TemporaryDirectory(prefix="vidpipe-scale-") as name:
        home, folder = Path(name) / "home", Path(name) / "videos"
        make_files(folder, given.files)
        fill(home, folder, given.known, given.files)
        nights = []
        for _ in range(2):  # the first one switches what is served
            command = [sys.executable, "-m", "benchmarks.scale", "--child", str(home)]
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            nights.append(json.loads(ended.stdout))
    found = nights[-1]
    print(json.dumps(found) if given.json else "\n".join(f"{v!s:>10}  {k}" for k, v in found.items()))


if __name__ == "__main__":
    main()
