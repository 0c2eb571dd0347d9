"""What a home survives: eight nights at once, readers all the while, a large publish, a breaking world,
more than a hundred accidents by name, hostile files.

    python -m benchmarks.survival [--accidents REGEX] [--predictions 10000000] [--json]

Real processes and real files in temporary homes. Exits 1 when anything is lost, doubled, half-published or
under a wrong identity, when a reader meets an error, when an accident shows a traceback or is unexplained,
or when a hostile file crashes or hangs the job. `--accidents` plays those accidents alone whose names match.
The hostile corpus is judged where `../shared/data/hostile` exists.
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = ROOT.parent / "shared" / "data" / "hostile"
NIGHTS = 8
RANKS = 5
HANG_S = 900.0
NIGHT_IMPORTS = (
    "jinja2", "mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_store",
    "prometheus_client", "scipy.stats", "torch", "vidpipe.steps.nightly", "vidpipe.vision.backbones",
    "vidpipe.wiring",
)  # fmt: skip
"""Modules that a night needs."""
PAUSE_S = 0.02
"""Between two looks of a reader: it need not take a core from the job that it watches."""

CHECKS = {
    "prediction without features": """
        select count(*) from predictions as p
        where not exists (
            from video_features as f where f.video_id = p.video_id and f.feature_set_id = p.feature_set_id
        )""",
    "prediction twice": """
        select count(*) from (
            select 1 from predictions
            group by video_id, model_version, feature_set_id, rank having count(*) > 1
        )""",
    "features twice": """
        select count(*) from (
            select 1 from video_features group by video_id, feature_set_id having count(*) > 1
        )""",
    "video twice in latest_predictions": """
        select count(*) from (
            select 1 from latest_predictions group by collection, video_id having count(*) > 1
        )""",
    "scored, but not by the version that serves": """
        select count(*) from collection_videos as c inner join collection_serving as s using (collection)
        where c.present
            and exists (from predictions as p where p.video_id = c.video_id)
            and not exists (
                from predictions as p where p.video_id = c.video_id and p.model_version = s.model_version
            )""",
    "run in the middle": "select count(*) from runs where status = 'running'",
    "features that no run counted": """
        select abs(
            (select coalesce(sum(videos), 0) from runs where kind = 'extract')
            - (select count(*) from video_features)
        )""",
}
"""What must be zero in every snapshot, whenever it is opened; for homes with one feature set."""


# -- readers --------------------------------------------------------------------------------------


@dataclass
class Reading:
    """What a reader met."""

    queries: int = 0
    errors: list[str] = field(default_factory=list)
    inconsistent: list[str] = field(default_factory=list)
    snapshots: int = 0
    """Different ones, told apart by the runs that they know."""


def read_in_a_loop(file: Path) -> Reading:
    """Child process: open, check and close the snapshot again and again, until stdin ends."""
    import select

    found, runs = Reading(), -1
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            with duckdb.connect(str(file), read_only=True) as connection:
                known = _look(connection, found)
        except duckdb.Error as error:
            found.errors.append(str(error).splitlines()[0])
            continue
        if known < runs:
            found.inconsistent.append(f"{runs} runs were known, now {known}")
        found.snapshots += known != runs
        runs = known
        time.sleep(PAUSE_S)
    return found


def _look(connection: duckdb.DuckDBPyConnection, found: Reading) -> int:
    """Run all checks on one snapshot; the number of runs that it knows."""
    for name, query in CHECKS.items():
        (count,) = connection.execute(query).fetchone() or (0,)
        found.queries += 1
        if count:
            found.inconsistent.append(f"{name}: {count}")
    (known,) = connection.execute("select count(*) from runs").fetchone() or (0,)
    return int(known)


@contextmanager
def reader(file: Path) -> Iterator[Reading]:
    """A process that reads in a loop while the block runs; afterwards the value says what it met."""
    found = Reading()
    process = _child("read", file, stdin=subprocess.PIPE)
    try:
        yield found
        answer, _ = process.communicate("stop\n", timeout=60)
        vars(found).update(json.loads(answer))
    finally:
        process.kill()
        process.wait()


# -- nights at once -------------------------------------------------------------------------------


@dataclass
class Ended:
    """How one of several nights ended."""

    code: int
    stdout: str
    stderr: str
    pid: int

    @property
    def did(self) -> int:
        """Videos ingested, extracted or classified; 0 where it did nothing."""
        if self.code != 0:
            return 0
        report = json.loads(self.stdout)
        return int(report["ingested"] + report["extracted"] + report["classified"])


def nights_at_once(home: Path, options: Sequence[Sequence[str]]) -> list[Ended]:
    """Start a `vidpipe nightly` for each list of options, all at the same instant; how they ended."""
    process = _child("nights", home, json.dumps(options))
    answer, _ = process.communicate(timeout=HANG_S)
    return [Ended(**ended) for ended in json.loads(answer)]


def fork_nights(home: Path, options: Sequence[Sequence[str]]) -> list[Ended]:
    """Child process: import everything, then fork, so that the nights differ by milliseconds."""
    for name in NIGHT_IMPORTS:
        import_module(name)
    gc.freeze()  # a collection in a child would otherwise copy all that was imported

    with tempfile.TemporaryDirectory() as name:
        logs = [Path(name) / str(n) for n in range(len(options))]
        gate = os.pipe()
        pids = [_fork_night(home, more, log, gate) for more, log in zip(options, logs, strict=True)]
        os.close(gate[1])
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        said = [[log.with_suffix(s).read_text(encoding="utf-8") for s in (".out", ".err")] for log in logs]
    return [Ended(code, out, err, pid) for code, (out, err), pid in zip(codes, said, pids, strict=True)]


def _fork_night(home: Path, options: Sequence[str], log: Path, gate: tuple[int, int]) -> int:
    """A process that waits for the gate to open, then is `vidpipe nightly`."""
    if pid := os.fork():
        return pid
    from vidpipe.cli.main import app

    os.close(gate[1])
    for descriptor, suffix in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(log.with_suffix(suffix), os.O_WRONLY | os.O_CREAT), descriptor)
    os.read(gate[0], 1)
    code = 70
    try:
        app(["nightly", "--home", str(home), "--json", *options])
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:
        sys.stderr.write(f"Traceback: {error!r}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


# -- a large ledger -------------------------------------------------------------------------------


def fill_ledger(home: Path, predictions: int) -> None:
    """Synthetic videos, present and with five predictions each, straight into the ledger's tables."""
    from vidpipe.settings import load_settings
    from vidpipe.wiring import open_home

    ledger = open_home(load_settings(home)).ledger
    videos = predictions // RANKS
    with ledger.database.session() as session:
        run = session.connection.execute
        run("insert into core.model by name select 1 as model_key, 'synthetic' as model_name")
        run("""insert into core.feature_set by name
               select 1 as feature_set_key, 'synthetic' as feature_set_id, '{}' as spec,
                   current_localtimestamp() as created_at""")
        run(
            "insert into core.label by name select i as label_key, 'label ' || i as label from range(99) t(i)"
        )
        run(f"""insert into core.video by name
                select i as video_key, sha256(i::varchar) as video_id, 1000000 + hash(i) % 1000000 as bytes,
                    'mov,mp4' as container, 'h264' as video_codec, 320 as width_px, 240 as height_px,
                    'ok' as verdict
                from range({videos}) t(i)""")
        run("""insert into core.collection by name
               select 1 as collection_key, 'synthetic' as name, '/' as source,
                   current_localtimestamp() as created_at""")
        run("""insert into core.collection_serving by name
               select 1 as collection_key, 1 as model_version, current_localtimestamp() as since""")
        run(f"""insert into core.collection_video by name
                select 1 as collection_key, i || '.mp4' as path, i as video_key, true as present,
                    current_localtimestamp() as first_seen_at, current_localtimestamp() as last_seen_at
                from range({videos}) t(i)""")
        run(f"""insert into core.prediction by name
                select i // {RANKS} as video_key, 1 as model_key, 1 as model_version, 1 as feature_set_key,
                    1 + i % {RANKS} as rank, hash(i) % 99 as label_key, random()::float as score,
                    1 as run_id, current_localtimestamp() as predicted_at
                from range({videos * RANKS}) t(i)""")


def publish_cost(home: Path) -> dict[str, float]:
    """Publish in a process of its own: seconds, the memory that it took, and the file's size."""
    answer, _ = _child("publish", home).communicate(timeout=HANG_S)
    cost: dict[str, float] = json.loads(answer)
    return cost


def publish_once(home: Path) -> dict[str, float]:
    """Child process: publish, and compare the peak of memory with what it was before."""
    from vidpipe.settings import load_settings
    from vidpipe.wiring import open_home

    warehouse = open_home(load_settings(home)).warehouse
    with tempfile.TemporaryDirectory() as folder:  # whatever DuckDB needs for any file at all
        duckdb.connect(f"{folder}/small.duckdb").close()
    before = _peak_rss_mb()
    started = time.perf_counter()
    warehouse.publish()
    seconds = time.perf_counter() - started
    after = _peak_rss_mb()
    return {
        "seconds": round(seconds, 3), "peak_rss_mb": round(after, 1), "grown_by_mb": round(after - before, 1),
        "file_mb": round(warehouse.file.stat().st_size / 2**20, 1),
    }  # fmt: skip


def _peak_rss_mb() -> float:
    """Of this process alone; `getrusage` would count the parent before the exec as well."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


# -- the benchmark --------------------------------------------------------------------------------


def vidpipe(home: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """One verb on the command line: exit code, JSON, stderr."""
    command = [sys.executable, "-m", "vidpipe", *arguments, "--home", str(home), "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_S, check=False)
    return ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr


def concurrent_nights(folder: Path) -> dict[str, Any]:
    """A whole job read in a loop, then eight nights at once over new arrivals."""
    from vidpipe.adapters.media.binaries import find_tools
    from vidpipe.demo.clips import make_collection

    home, clips = folder / "home", make_collection(folder / "clips", find_tools().ffmpeg, takes=3)
    bad = vidpipe(home, "ingest", str(clips.labelled), "--collection", "clips",
                  "--manifest", str(clips.manifest))[0] != 0  # fmt: skip
    with reader(home / "warehouse.duckdb") as reading:
        for verb in (
            ("extract",),
            ("train", "--collection", "clips", "--split-column", "split", "--epochs", "2"),
            ("promote", "--force", "--reason", "a benchmark"),
            ("classify",),
            ("ingest", str(clips.incoming), "--collection", "incoming"),
        ):
            bad |= vidpipe(home, *verb)[0] != 0
        ended = nights_at_once(home, [[], ["--wait"]] * (NIGHTS // 2))
        bad |= vidpipe(home, "nightly")[0] != 0
    return {**_night_counts(home, ended, bad), **_reading_counts(reading)}


def _night_counts(home: Path, ended: Sequence[Ended], bad: bool) -> dict[str, Any]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:

        def count(query: str) -> int:
            return int((connection.execute(query).fetchone() or (0,))[0])

        lost = "select count(*) from collection_videos where video_id not in (select video_id from {})"
        return {
            "nights": len(ended),
            "nights that worked": sum(e.did > 0 for e in ended),
            "nights that exited 4": sum(e.code == 4 for e in ended),
            "nights that waited and found nothing to do": sum(e.code == 0 and e.did == 0 for e in ended),
            "nights that failed": sum(e.code not in (0, 4) for e in ended) + bad,
            "runs at once": count(
                "select count(*) from runs as a inner join runs as b on a.run_id < b.run_id"
                " where a.kind = b.kind and a.kind = 'nightly'"
                " and a.started_at < b.finished_at and b.started_at < a.finished_at"
            ),
            "rows doubled": sum(count(query) for name, query in CHECKS.items() if "twice" in name),
            "videos lost": count(lost.format("video_features")) + count(lost.format("latest_predictions")),
        }


def _reading_counts(reading: Reading) -> dict[str, Any]:
    for said in (*reading.errors[:3], *reading.inconsistent[:3]):
        print(f"reader: {said}", file=sys.stderr)
    return {
        "reader queries": reading.queries,
        "snapshots seen": reading.snapshots,
        "reader errors": len(reading.errors),
        "inconsistent snapshots": len(reading.inconsistent),
    }


def large_publish(folder: Path, predictions: int) -> dict[str, Any]:
    """Publishing at size, twice: the second replaces a snapshot as large."""
    home = folder / "large"
    fill_ledger(home, predictions)
    first, second = publish_cost(home), publish_cost(home)
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        (rows,) = connection.execute("select count(*) from predictions").fetchone() or (0,)
    return {
        "prediction rows": rows,
        "prediction rows lost": predictions // RANKS * RANKS - rows,
        "snapshot, MB": second["file_mb"],
        "publish, seconds": max(first["seconds"], second["seconds"]),
        "publish, peak RSS in MB": max(first["peak_rss_mb"], second["peak_rss_mb"]),
        "publish, RSS grown by MB": max(first["grown_by_mb"], second["grown_by_mb"]),
    }


def breaking_world(folder: Path) -> dict[str, Any]:
    """Full and read-only disks, a dead MLflow, a locked ledger, a clock set back, folders gone in mid-run.

    Each fault is a test, which asserts one clear line, that no row is lost or doubled, and that the same
    command heals.
    """
    report = folder / "faults.xml"
    command = ["-m", "pytest", "-q", "tests/night/test_world_breaks.py", f"--junit-xml={report}"]
    subprocess.run([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    ran = {case.get("name", "?"): len(case) == 0 for case in ElementTree.parse(report).iter("testcase")}
    for name in sorted(n for n, survived in ran.items() if not survived):
        print(f"not survived: {name}", file=sys.stderr)
    return {"faults of the world": len(ran), "faults not survived": len(ran) - sum(ran.values())}


def accidents(folder: Path, wanted: str = "") -> dict[str, Any]:
    """Accidents by name, each done to a copy of one prepared home: see benchmarks/accidents."""
    from benchmarks.accidents import ALL, prepare
    from benchmarks.accidents.stage import may_mount

    (folder / "accidents").mkdir()
    stage, mounts = prepare(folder / "accidents"), may_mount()
    chosen = [a for a in ALL if re.search(wanted, a.name) and (mounts or not a.needs_mount)]
    counts: Counter[str] = Counter()
    for number, accident in enumerate(chosen, start=1):
        verdict = stage.try_out(accident)
        counts.update(verdict.counts)
        print(f"{number}/{len(chosen)} {accident.name}: {verdict.total or 'well'}", file=sys.stderr)
        print("\n".join(verdict.said), end="\n" * bool(verdict.said), file=sys.stderr)
        counts["accidents not survived"] += verdict.total > 0
    return {
        "accidents": len(chosen),
        "accidents left out, since nothing may be mounted": sum(a.needs_mount for a in ALL) * (not mounts),
        "accidents not survived": counts.pop("accidents not survived", 0),
        **{f"accidents: {name}": counts[name] for name in counts},
    }  # fmt: skip


def hostile(folder: Path) -> dict[str, Any]:
    """The hostile corpus through ingest and extract, against its manifest."""
    home, crashes, hangs = folder / "hostile", 0, 0
    for verb in (
        ("ingest", str(HOSTILE), "--collection", "hostile", "--manifest", str(HOSTILE / "MANIFEST.csv")),
        ("extract",),
        ("extract",),
    ):
        try:
            code, _, stderr = vidpipe(home, *verb)
            crashes += code != 0 or "Traceback" in stderr
        except subprocess.TimeoutExpired:
            hangs += 1
    with (HOSTILE / "MANIFEST.csv").open(encoding="utf-8", newline="") as stream:
        truth = {row["path"]: int(row["ffmpeg_decoded_frames"]) for row in csv.DictReader(stream)}
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select c.path, v.verdict, coalesce(v.frames_decoded, 0)"
            " from collection_videos as c left join videos as v using (video_id)"
        ).fetchall()
    differ = [(path, verdict, frames) for path, verdict, frames in rows if truth[path] != frames]
    for path, verdict, frames in differ:
        print(f"{path}: {verdict}, {frames} frames decoded, manifest {truth[path]}", file=sys.stderr)
    verdicts = Counter(str(verdict) for _, verdict, _ in rows)
    return {
        "hostile files": len(truth),
        **{f"verdict {name}": n for name, n in sorted(verdicts.items())},
        "frames_decoded as in the manifest": len(rows) - len(differ),
        "not decoded, since forbidden": sum(verdict == "forbidden" for _, verdict, _ in differ),
        "frames_decoded unlike the manifest": sum(verdict != "forbidden" for _, verdict, _ in differ),
        "files without a row": len(truth) - len(rows),
        "files without a verdict": verdicts["None"],
        "crashes": crashes,
        "hangs": hangs,
    }


MUST_BE_ZERO = (
    "nights that failed", "runs at once", "rows doubled", "videos lost", "reader errors",
    "inconsistent snapshots", "prediction rows lost", "files without a row", "files without a verdict",
    "frames_decoded unlike the manifest", "crashes", "hangs", "faults not survived", "accidents not survived",
)  # fmt: skip


def losses(found: Mapping[str, Any]) -> list[str]:
    """The names of what must be zero and is not."""
    return [name for name in MUST_BE_ZERO if found.get(name)]


def main() -> int:
    """Measure, print; 1 when anything that must be zero is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--accidents", metavar="REGEX", help="play these accidents and nothing else")
    parser.add_argument("--predictions", type=int, default=10_000_000, help="rows of the large publish")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vidpipe-survival-") as name:
        folder = Path(name)
        found = accidents(folder, given.accidents or "")  # first: it forks, and must have opened nothing
        if given.accidents is None:
            found |= concurrent_nights(folder) | large_publish(folder, given.predictions)
            found |= breaking_world(folder)
            if HOSTILE.is_dir():
                found |= hostile(folder)
    found["losses"] = len(losses(found))
    print(json.dumps(found) if given.json else _table(found))
    return int(found["losses"] > 0)


def _table(found: Mapping[str, Any]) -> str:
    return "\n".join(f"{value:>12}  {name}" for name, value in found.items())


# -- child processes ------------------------------------------------------------------------------


def _child(role: str, *arguments: object, stdin: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.survival", "--child", role, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, text=True)


def _be_child(role: str, path: str, *more: str) -> None:
    file = Path(path)
    if role == "read":
        answer: Any = vars(read_in_a_loop(file))
    elif role == "nights":
        answer = [vars(ended) for ended in fork_nights(file, json.loads(more[0]))]
    else:
        answer = publish_once(file)
    print(json.dumps(answer))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _be_child(*sys.argv[2:])
    else:
        sys.exit(main())
