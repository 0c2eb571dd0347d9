"""What Prefect costs a night: the same night by the command line, and as a flow of a running server.

    python -m benchmarks.orchestration [--source DIR] [--videos 100] [--times 3] [--json]

`vidpipe nightly` beside `python -m flows.nightly`, each a process of its own, on the same home: one
collection whose videos are all new, and a champion to classify them. The server is started in a temporary
folder, on loopback, and stopped afterwards; its processor time counts as the flow's. Videos are clips as they
are, each with a few bytes behind its end so that no two are the same content.

Nights of one video are played as well, so that what Prefect costs comes in two parts: once a night, and for
each video. From these follows its share of a night of 1,000; with `--videos 1000` it is measured as it is.
Seconds mean something on a quiet machine only, where a night differs from the next by less than Prefect
costs; processor seconds bear more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.extraction import _default_videos
from benchmarks.rescoring import register
from vidpipe.adapters.media.process import die_with_parent
from vidpipe.cli.display import TerminalProgress
from vidpipe.cli.flow_process import QUIET, flow_command, flow_environment
from vidpipe.records.videos import Collection
from vidpipe.settings import load_settings
from vidpipe.wiring import open_home, open_ports

ROOT = Path(__file__).resolve().parent.parent
NIGHT = 1000
START_S = 180


@dataclass(frozen=True, slots=True)
class Took:
    """A night."""

    seconds: float
    processor_s: float
    """Of its process and all that it started; of a flow, the server's share too."""


@dataclass(frozen=True, slots=True)
class Server:
    """Prefect's, as it runs."""

    url: str
    group: int

    def processor_s(self) -> float:
        """Of all processes of its group, so far."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15])) if int(fields[2]) == self.group else 0
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Prefect's server on loopback, for as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, **QUIET, "PREFECT_HOME": str(folder), "PREFECT_API_URL": url}
    folder.mkdir()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*die_with_parent("KILL"), *command], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + START_S
        while not _is_up(url):
            assert process.poll() is None and time.monotonic() < end, (folder / "server.log").read_text()
            time.sleep(0.25)
        yield Server(url, process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def make_videos(source: Path, folder: Path, videos: int) -> None:
    """So many clips, taken evenly; an MP4 may end in a `free` box, other containers in anything at all."""
    files = sorted(f for f in source.rglob("*") if f.suffix in (".mp4", ".avi", ".mkv", ".mov"))
    folder.mkdir()
    for number in range(videos):
        file = files[number * len(files) // videos]
        behind = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        (folder / f"{number:06d}{file.suffix}").write_bytes(file.read_bytes() + behind)


def make_home(home: Path) -> None:
    """A champion, and nothing for it to do."""
    register(open_ports(open_home(load_settings(home)), TerminalProgress()))


def with_collection(home: Path, fresh: Path, source: Path) -> None:
    """A copy of a home, with a collection that has not been listed yet. It is used where the home was: its
    MLflow knows that place."""
    shutil.copytree(home, fresh)
    open_home(load_settings(fresh)).ledger.sources.put_collection(
        Collection("clips", str(source), None, None)
    )


def play(command: list[str], environment: Mapping[str, str], expected: int, running: Server | None) -> Took:
    """One night, from the start of its process to its end."""
    before, served = resource.getrusage(resource.RUSAGE_CHILDREN), running.processor_s() if running else 0.0
    started = time.perf_counter()
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr[-3000:]
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    home = open_home(load_settings(Path(environment["VIDPIPE_HOME"])))
    ((done,),) = home.warehouse.query("select count(*) from latest_predictions").rows
    assert done == expected, f"{done} of {expected} videos have been classified: {ended.stderr[-3000:]}"
    return Took(seconds, processor_s + (running.processor_s() - served if running else 0.0))


def nights(folder: Path, videos: int, times: int, running: Server) -> tuple[list[Took], list[Took]]:
    """Nights of so many new videos, by the command line and as flows, in turns."""
    home, fresh = folder / "home", folder / f"fresh-{videos}"
    empty = {**os.environ, **QUIET, "VIDPIPE_HOME": str(home)}
    plain: list[Took] = []
    flows: list[Took] = []
    for turn in range(times):
        for kind in ("plain", "flow") if turn % 2 == 0 else ("flow", "plain"):
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(fresh, home)
            os.sync()
            if kind == "plain":
                plain.append(play([sys.executable, "-m", "vidpipe", "nightly"], empty, videos, None))
            else:
                served = {**flow_environment(home), "PREFECT_API_URL": running.url}
                flows.append(play(flow_command("nightly"), served, videos, running))
    return plain, flows


def measure(source: Path, folder: Path, videos: int, times: int) -> dict[str, Any]:
    sizes = (1, videos)
    make_home(folder / "home")
    for size in sizes:
        make_videos(source, folder / f"videos-{size}", size)
        with_collection(folder / "home", folder / f"fresh-{size}", folder / f"videos-{size}")
    with server(folder / "prefect") as running:
        nights(folder, 1, 1, running)  # imports and the server's first flow
        found = {size: nights(folder, size, times, running) for size in sizes}
    return {
        "videos": videos, "times": times,
        "seconds": parts({n: tuple([t.seconds for t in took] for took in two) for n, two in found.items()}),
        "processor_s": parts(
            {n: tuple([t.processor_s for t in took] for took in two) for n, two in found.items()}
        ),
    }  # fmt: skip


def parts(found: Mapping[int, tuple[list[float], ...]]) -> dict[str, float]:
    """What Prefect costs, and its share, of the best night of each kind: other work only ever adds to one."""
    (small, (plain_small, flow_small)), (videos, (plain, flow)) = (
        (size, map(min, kinds)) for size, kinds in sorted(found.items())
    )
    once = flow_small - plain_small
    each = (flow - plain - once) / (videos - small)
    work = plain + (NIGHT - videos) * (plain - plain_small) / (videos - small)
    cost = once + NIGHT * max(0.0, each)
    return {
        "plain": round(plain, 2), "flow": round(flow, 2), "share": round((flow - plain) / flow, 4),
        "once": round(once, 2), "ms_each": round(1000 * each, 2),
        f"share_of_{NIGHT}": round(cost / (work + cost), 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", type=Path, help="a folder of videos")
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vidpipe-orchestration-") as name:
        folder = Path(name)
        found = measure(given.source or _default_videos(folder), folder, given.videos, given.times)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores; nights of {given.videos} new videos")
    print("  plain    flow   share    once    each   share of 1,000")
    for unit, say in (("seconds", "seconds"), ("processor_s", "processor seconds, the server's too")):
        f = found[unit]
        print(
            f"{f['plain']:>7.1f}{f['flow']:>8.1f}{f['share']:>8.1%}{f['once']:>8.2f}{f['ms_each']:>5.1f} ms"
            f"{f[f'share_of_{NIGHT}']:>10.1%}  {say}"
        )


if __name__ == "__main__":
    main()
