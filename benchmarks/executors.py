"""A night on many workers: measured on one, two and four of them here, simulated for as many as you like.

    python -m benchmarks.executors [--source DIR] [--videos 120] [--json]
    python -m benchmarks.executors --simulate [--new 10000000]
        [--workers 10,100,1000] [--part-frames 4096,65536]

Measured: the same clips, cut into shards as `extract` cuts them, on processes of one core each, handed out by
`vidpipe.shards.gather`; beside it what the simulation says of the same shards. A worker more than there
are cores gets its share of them.

Simulated: an event a shard. Workers differ, straggle and die; the run that hands shards out and commits what
comes back is one process, and may be what all wait for. `Costs` has the seconds, each from a command here.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.extraction import SHARED
from vidpipe.cli.display import TerminalProgress
from vidpipe.ports import Ports
from vidpipe.records.features import PartResult
from vidpipe.settings import load_settings
from vidpipe.shards import LATE, gather
from vidpipe.steps.extract import commit, work
from vidpipe.steps.ingest import ingest
from vidpipe.steps.plan_extraction import ExtractShard, plan
from vidpipe.steps.runs import recorded
from vidpipe.vision.sampling import expected_cost
from vidpipe.wiring import open_home, open_ports

WORKERS = (1, 2, 4)
Costly = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds, on cores like these; README, Speed, says which."""

    sample_s: float = 0.008
    """A unit of `expected_cost` on one core: benchmarks.executors, one lane."""
    commit_s: float = 0.05
    """A shard's rows into the ledger: benchmarks.executors."""
    task_s: float = 0.05
    """A shard as a task of Prefect, on its server and back."""
    ingest_s: float = 0.0075
    """Hash and probe of a small video, by the run alone: benchmarks.scale and README, Speed."""
    score_s: float = 0.001
    """A video of 28 frames scored by two cores: benchmarks.rescoring."""
    publish_s: float = 0.07
    """A million predictions copied and renamed: benchmarks.survival."""
    straggle_share: float = 0.01
    straggle_times: float = 8.0
    """So many shards take so many times as long."""
    deaths_an_hour: float = 0.02
    """Of each worker."""


@dataclass(frozen=True, slots=True)
class Night:
    """What came of a night's extraction."""

    seconds: float
    shards: int
    workers_busy: float
    """Share of the workers' time in which they computed."""
    run_busy: float
    """Share of the run's time in which it handed out and committed: near 1, it is what all wait for."""
    lost: int
    second_copies: int


def simulate(shards: Costly, workers: int, costs: Costs, *, cores: int | None = None, seed: int = 0) -> Night:
    """Play a night: shards of these costs, the dearest first, on so many workers.

    Args:
        shards: Expected costs, in sampled frames.
        workers: Shards that are out at once.
        costs: Seconds.
        cores: How many workers can compute at full speed; default: all.
        seed: Of the rng.
    """
    rng = np.random.default_rng(seed)
    slow = max(1.0, workers / cores) if cores else 1.0
    usual = shards * costs.sample_s * slow
    spread = rng.lognormal(0.0, 0.1, len(shards))
    spread[rng.random(len(shards)) < costs.straggle_share] *= costs.straggle_times
    handling_s = costs.commit_s + costs.task_s
    free = [0.0] * workers
    run_free = busy = end = 0.0
    lost = copies = 0
    ahead = np.argsort(-shards).tolist()
    for place, n in enumerate(ahead):
        run_free = begin = max(heapq.heappop(free), run_free) + handling_s
        takes = usual[n] * spread[n]
        while rng.random() < costs.deaths_an_hour * takes / 3600:
            begin, lost = begin + takes * rng.random(), lost + 1
        rescued = LATE * usual[n] + usual[n]
        if len(ahead) - place <= workers and takes > rescued:  # others are idle by then
            takes, copies = rescued, copies + 1
        busy += takes
        end = max(end, begin + takes)
        heapq.heappush(free, begin + takes)
    end += handling_s
    return Night(
        end, len(shards), busy / (workers * end), len(shards) * handling_s / end, lost, copies
    )  # fmt: skip


def cut(videos: Costly, part_frames: int) -> Costly:
    """Costs of shards that are full when they reach `part_frames`."""
    place = (np.cumsum(videos) // part_frames).astype(np.int64)
    sums = np.bincount(place, videos).astype(np.float64)  # they are: of weights, which numpy's types forget
    return sums[np.unique(place)]


def made_up(count: int, seed: int = 0) -> Costly:
    """Costs of videos as people have them: a minute long in the middle, few of an hour, most of them 720p."""
    rng = np.random.default_rng(seed)
    seconds = np.clip(rng.lognormal(np.log(60), 1.0, count), 2, 7200)
    pixels = rng.choice([320 * 240, 1280 * 720, 1920 * 1080], count, p=[0.2, 0.6, 0.2])
    one = expected_cost(1.0, 25, 1_000_000, 4.0) - expected_cost(1.0, 25, 0, 4.0)  # of 25 megapixels
    return seconds * (4.0 + pixels / 1e6 * one) + 1


# -- measured ------------------------------------------------------------------------------------


def open_all(home: Path) -> Ports:
    return open_ports(open_home(load_settings(home)), TerminalProgress())


_PORTS: dict[str, Ports] = {}


def _one_core() -> None:
    """In each worker's process: one core, and the network loaded."""
    import torch

    torch.set_num_threads(1)


def _work(home: str, batch: ExtractShard) -> list[PartResult]:
    if home not in _PORTS:
        _PORTS[home] = open_all(Path(home))
    return work(_PORTS[home], batch)


@contextmanager
def _pool(workers: int, home: Path, warm: ExtractShard) -> Iterator[ProcessPoolExecutor]:
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, get_context("spawn"), _one_core) as pool:
        list(pool.map(partial(_work, str(home)), [replace(warm, videos=warm.videos[:1])] * workers * 2))
        yield pool


def measure(source: Path, videos: int, folder: Path) -> dict[str, Any]:
    """Seconds of the same shards on one, two and four processes, beside the simulation's."""
    os.environ["VIDPIPE_WORKERS"] = "1"
    home = folder / "home"
    files = sorted(source.rglob("*.mp4"))[:: max(1, len(list(source.rglob("*.mp4"))) // videos)][:videos]
    (folder / "videos").mkdir()
    for file in files:
        (folder / "videos" / f"{file.parent.name}-{file.name}").symlink_to(file)
    ports = open_all(home)
    ports = replace(ports, limits=replace(ports.limits, part_frames=200))
    ingest(ports, "clips", folder / "videos")
    shards, _ = plan(ports)
    costs = [shard.cost for shard in shards]
    found: dict[str, Any] = {"videos": len(files), "shards": len(shards), "workers": []}
    seconds_of: dict[int, float] = {}
    results: dict[int, list[PartResult]] = {}
    for workers in WORKERS:
        with _pool(workers, home, shards[0]) as pool:
            started = time.monotonic()
            submit = lambda n, pool=pool: pool.submit(_work, str(home), shards[n])  # noqa: E731
            results = dict(gather(submit, costs, workers, poll_s=0.05))
            seconds_of[workers] = time.monotonic() - started
    with recorded(ports, "extract") as run:
        started = time.monotonic()
        for number, result in results.items():
            commit(ports, run, shards[number], result)
        commit_s = (time.monotonic() - started) / len(shards)
    alone = Costs(
        sample_s=seconds_of[1] / sum(costs), commit_s=0, task_s=0, straggle_share=0, deaths_an_hour=0
    )
    for workers in WORKERS:
        said = simulate(np.array(costs), workers, alone, cores=os.cpu_count())
        took = {"seconds": round(seconds_of[workers], 1), "simulated": round(said.seconds, 1)}
        found["workers"].append({"workers": workers, **took})
    return {**found, "sample_s": round(alone.sample_s, 5), "commit_s": round(commit_s, 4)}


def table(
    count: int, workers: Sequence[int], part_frames: Sequence[int], costs: Costs
) -> list[dict[str, Any]]:
    """A night of so many new videos, for each size of the executor and of parts."""
    videos = made_up(count)
    rows = []
    for frames in part_frames:
        shards = cut(videos, frames)
        for executor in workers:
            night = simulate(shards, executor, costs)
            rows.append({
                "part_frames": frames, "workers": executor, **asdict(night),
                "ingest_hours": count * costs.ingest_s / 3600,
                "extract_hours": night.seconds / 3600,
                "score_hours": count * costs.score_s / executor / 3600,
                "publish_s": costs.publish_s * count * 5 / 1e6,
            })  # fmt: skip
    return rows


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", type=Path, default=SHARED)
    parser.add_argument("--videos", type=int, default=120)
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--new", type=int, default=10_000_000, help="videos of the simulated night")
    parser.add_argument("--workers", type=_numbers, default=[10, 100, 1000])
    parser.add_argument("--part-frames", type=_numbers, default=[4096, 65536])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.simulate:
        rows = table(given.new, given.workers, given.part_frames, Costs())
        if given.json:
            print(json.dumps(rows))
            return
        print("part_frames  workers  shards     ingest  extract  busy   run    lost  copies  score   publish")
        for row in rows:
            print(
                f"{row['part_frames']:>11}  {row['workers']:>7}  {row['shards']:<9}  "
                f"{row['ingest_hours']:5.1f} h  {row['extract_hours']:5.1f} h  {row['workers_busy']:.2f}   "
                f"{row['run_busy']:.2f}   {row['lost']:>4}  {row['second_copies']:>6}  "
                f"{row['score_hours']:.2f} h  {row['publish_s']:.1f} s"
            )
        return
    with tempfile.TemporaryDirectory(prefix="vidpipe-executor-") as folder:
        found = measure(given.source, given.videos, Path(folder))
    if given.json:
        print(json.dumps(found))
        return
    for row in found["workers"]:
        print(f"{row['workers']} workers  {row['seconds']:6.1f} s   simulated {row['simulated']:6.1f} s")
    print(f"{found['sample_s'] * 1000:.1f} ms a sampled frame on one core")
    print(f"{found['commit_s'] * 1000:.0f} ms a commit")


if __name__ == "__main__":
    main()
