"""Planning the extraction of many new videos: seconds, and whether they grow as the videos do.

    python -m benchmarks.planning [--videos 100000] [--json]

The ledger holds records alone; nothing is decoded. Each number
of videos is planned in a home of its own, thrice, and the best time counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vidpipe.adapters.database.ledger import Ledger
from vidpipe.cli.display import TerminalProgress
from vidpipe.ports import Ports
from vidpipe.settings import load_settings
from vidpipe.steps.plan_extraction import plan
from vidpipe.wiring import open_home, open_ports

TIMES = 3
LINEAR = 2.2
"""Times as long for twice the videos, at most."""


def fill(ports: Ports, videos: int) -> None:
    """One collection of videos that were hashed and probed, and have no features."""
    assert isinstance(ports.ledger, Ledger)
    with ports.ledger.database.session() as session:
        run = session.connection.execute
        run("""insert into core.collection by name select 1 as collection_key, 'new' as name,
               '/videos' as source, now()::timestamp as created_at""")
        run(f"""insert into core.video by name select i as video_key, sha256(i::varchar) as video_id,
                1000000 as bytes, 'mov,mp4' as container, 'h264' as video_codec, 320 as width_px,
                240 as height_px, 7.0 + i % 60 as duration_s, 175 as frames_expected
                from range({videos}) t(i)""")
        run(f"""insert into core.collection_video by name select 1 as collection_key,
                'clips/' || i || '.mp4' as path, i as video_key, true as present,
                now()::timestamp as first_seen_at, now()::timestamp as last_seen_at
                from range({videos}) t(i)""")


def measure(videos: int) -> dict[str, Any]:
    """Best of some plans of so many new videos."""
    with tempfile.TemporaryDirectory(prefix="vidpipe-planning-") as name:
        ports = open_ports(open_home(load_settings(Path(name))), TerminalProgress())
        fill(ports, videos)
        seconds = []
        for _ in range(TIMES):
            started = time.perf_counter()
            shards, complete = plan(ports, retry_failed=True)
            seconds.append(time.perf_counter() - started)
        assert (sum(len(shard.videos) for shard in shards), complete) == (videos, 0)
    return {"videos": videos, "shards": len(shards), "seconds": round(min(seconds), 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    once, twice = measure(given.videos), measure(2 * given.videos)
    growth = round(twice["seconds"] / once["seconds"], 2)
    if given.json:
        print(json.dumps({"plans": [once, twice], "growth": growth}))
    else:
        for found in (once, twice):
            print("{videos:>10} new videos planned in {seconds:.2f} s, {shards} shards".format(**found))
        print(f"{growth:>10} times as long for twice the videos")
    return int(growth > LINEAR)


if __name__ == "__main__":
    sys.exit(main())
