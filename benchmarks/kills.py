"""kill -9, many times: does the next run finish the work, with nothing lost, doubled or half-made?

    python -m benchmarks.kills [--kills 200] [--seed 0] [--json]

One *story* is one home. The whole job (ingest, extract, train, promote, classify, a second batch arriving,
the night, publish) is played in a child process that SIGKILL ends, with its process group, at a chosen
instant; then again, until a run ends by itself. The instants are drawn from an uninterrupted run, half of
them by the clock, half just before, during or just after a call of a named step (`STEPS`), which the child
wraps in itself.

    template ──fork──▶ attempt 1 ✂ ──▶ attempt 2 ✂ ──▶ attempt 3, ends by itself
    (imports only)        │ inspect       │ inspect        │ compare with the uninterrupted home

After every kill the published warehouse and the parts that the ledger names are looked at, and processes
left over are waited for; after the last run all tables and all features are compared, bit by bit, with those
of the uninterrupted home, and once more after `gc`. Only run ids, times, part names and MLflow's ids may
differ.

The template imports everything and then only forks. It never opens a database, computes with torch or
talks to MLflow, so that no thread and no lock of theirs can be caught half-way by a fork.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
os.environ.update(DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true")

import argparse
import ctypes
import functools
import gc
import hashlib
import importlib
import json
import pickle
import random
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vidpipe.adapters.media.binaries import find_tools
from vidpipe.cli.display import TerminalProgress
from vidpipe.demo.clips import make_collection
from vidpipe.demo.script import LABELS
from vidpipe.ports import Ports
from vidpipe.settings import Settings
from vidpipe.wiring import open_home, open_ports

SHORT = LABELS[:2]
"""Two labels are enough: the fewer clips, the more kills an hour."""
LATE = 2
"""Clips of the second batch."""
KILLS_A_STORY = 8
DAMAGED_ENOUGH = 5
"""Stories; then it gives up."""
HANG_S = 180.0
ORPHAN_S = 2.0
PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2), /usr/include/linux/prctl.h."""

STEPS = {
    "os": "rename replace fsync",
    "shutil": "copyfile",
    "mlflow": "log_params log_metrics log_figure",
    "mlflow.MlflowClient": "create_experiment create_registered_model create_model_version "
    "set_registered_model_alias delete_registered_model_alias set_model_version_tag",
    "vidpipe.adapters.sources.folders.Catalog": "hash_file",
    "vidpipe.adapters.media.process.LimitedProcess": "__init__ finish",
    "vidpipe.adapters.database.session.Session": "run give",
    "vidpipe.adapters.database.runs.Runs": "start finish",
    "vidpipe.adapters.database.sources.Sources": "put_collection put_videos put_listing",
    "vidpipe.adapters.database.features.Features": "put_parts",
    "vidpipe.adapters.database.predictions.Predictions": "put_predictions switch_serving",
    "vidpipe.adapters.database.decisions.Decisions": "put_promotion finish_promotion put_evaluation_set "
    "put_reference",
    "vidpipe.adapters.features.part_writer.PartWriter": "append commit",
    "vidpipe.adapters.models.registry.Registry": "register set_alias drop_alias find load",
    "vidpipe.adapters.database.warehouse.Warehouse": "publish",
}
"""Where a kill may be aimed: owner, and its functions; a database's commit and close besides."""
MOMENTS = ("before", "during", "after")
DURING_S = 0.01
"""A kill during a step comes at most so long after its start."""

HEAVY = (
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "alembic.command",
    "matplotlib.figure",
    "pandas",
    "pyarrow.parquet",
    "sklearn.metrics",
    "torch",
    "vidpipe.steps.nightly",
    "vidpipe.steps.train",
    "vidpipe.adapters.models.registry",
    "vidpipe.adapters.features.store",
)
"""Imported before the first run; what else it imports, before the others."""

TABLES = {
    "videos": "select * from videos",
    "collection_videos": "select collection, path, video_id, label, group_name, splits::varchar, present "
    "from collection_videos",
    "collections": "select collection, manifest is null from collections",
    "feature_sets": "select feature_set_id, spec::varchar from feature_sets",
    "failures": "select collection, path, video_id, stage, error_class from failures",
    "predictions": "select video_id, model_version, feature_set_id, rank, label, score from predictions",
    "window_predictions": "select video_id, model_version, start_s, end_s, rank, label, score "
    "from window_predictions",
    "promotions": "select from_version, to_version, decision, eval_set_hash from promotions",
    "evaluation_videos": "select * from evaluation_videos",
    "version_videos": "select * from version_videos",
    "reference_predictions": "select * from reference_predictions",
    "collection_serving": "select collection, model_version from collection_serving",
    "latest_predictions": "select collection, path, video_id, label, score, model_version "
    "from latest_predictions",
    "unfinished": "select kind from runs where status = 'running'",
}
"""What must be equal: everything but run ids, times and part names."""
VERSION_COLUMNS = {"model_version", "from_version", "to_version"}

Row = tuple[Any, ...]


# -- the job ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clips:
    """Small real clips, made once."""

    labelled: Path
    manifest: Path
    first: tuple[Path, ...]
    late: tuple[Path, ...]


def make_clips(root: Path) -> Clips:
    """Six labelled clips of two kinds, six without a label, and one file that is no video."""
    made = make_collection(root, find_tools().ffmpeg, takes=3)
    rows = made.manifest.read_text(encoding="utf-8").splitlines()
    manifest = root / "short.csv"
    kept = [rows[0], *(row for row in rows[1:] if row.startswith(tuple(f"{label}/" for label in SHORT)))]
    manifest.write_text("\n".join(kept) + "\n", encoding="utf-8")
    broken = made.incoming / "clip_broken.mp4"
    broken.write_bytes(b"no video at all " * 64)
    incoming = sorted(made.incoming.glob("clip_00*.mp4"))[:6]
    return Clips(made.labelled, manifest, (*incoming[LATE:], broken), tuple(incoming[:LATE]))


def open_story(home: Path) -> Ports:
    """The ports of a story's home: small parts, so that there are several."""
    settings = Settings(home=home / "home", part_frames=6, sample_fps=1.0, workers=2)
    return open_ports(open_home(settings), TerminalProgress())


def play(home: Path, clips: Clips, load_backbone: Callable[..., Any] | None = None) -> None:
    """The whole job, from files to the published warehouse."""
    from vidpipe.learning.training import TrainingConfig
    from vidpipe.steps.classify import classify
    from vidpipe.steps.extract import extract
    from vidpipe.steps.freeze_eval import freeze_eval
    from vidpipe.steps.ingest import ingest
    from vidpipe.steps.nightly import nightly
    from vidpipe.steps.promote import promote
    from vidpipe.steps.train import train

    ports = open_story(home)
    if load_backbone:
        ports = replace(ports, load_backbone=load_backbone)
    incoming = home / "incoming"
    _arrive(incoming, clips.first)
    ingest(ports, "clips", clips.labelled, manifest=clips.manifest)
    ingest(ports, "incoming", incoming, window_s=1)
    extract(ports)
    train(ports, "clips", split_column="split", config=TrainingConfig(epochs=2, hidden_size=8))
    freeze_eval(ports, "clips")
    promote(ports, force=True, reason="two test clips decide nothing")
    classify(ports)
    _arrive(incoming, clips.late)
    nightly(ports)


def _arrive(folder: Path, files: Sequence[Path]) -> None:
    """Whole files only: a link is there or not."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        with suppress(FileExistsError):
            (folder / file.name).hardlink_to(file)


# -- what a home holds --------------------------------------------------------------------------


@dataclass(slots=True)
class Contents:
    """All that must not depend on kills, and what is broken in itself."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    half_parts: int = 0
    broken_warehouses: int = 0
    uncollected_files: int = 0


def read_contents(home: Path) -> Contents:
    """Tables of the published warehouse, features read back, versions and aliases."""
    import duckdb

    contents = Contents()
    root = home / "home"
    try:
        with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
            numbers, models = _versions(root)
            for name, query in TABLES.items():
                cursor = warehouse.execute(query)
                columns = [c[0] for c in cursor.description or []]
                contents.tables[name] = [_renumbered(columns, row, numbers) for row in cursor.fetchall()]
            contents.tables["models"] = models
            contents.tables["video_features"], contents.half_parts = feature_rows(root, warehouse)
    except duckdb.Error:
        traceback.print_exc()
        contents.broken_warehouses = 1
    return contents


def _versions(root: Path) -> tuple[dict[int, int], list[Row]]:
    """Version numbers without the gaps that killed trainings leave, and what each version is."""
    from vidpipe.adapters.models.registry import Registry

    settings = Settings(home=root)
    registry = Registry(root / "mlflow", settings.model_name, None)
    complete = registry.versions()
    numbers = {v.version: k for k, v in enumerate(complete, start=1)}
    rows = [(numbers[v.version], v.dataset_hash, v.metrics.get("test_accuracy")) for v in complete]
    aliases = [(alias, numbers.get(v, -v)) for alias, v in registry.aliases().items()]
    for version in complete:
        registry.load(version)  # every artifact is there, and is what was registered
    return numbers, [*rows, *aliases]


def _renumbered(columns: Sequence[str], row: Row, numbers: Mapping[int, int]) -> Row:
    """An incomplete version becomes negative, so that it equals nothing."""
    return tuple(
        numbers.get(v, -v) if c in VERSION_COLUMNS and v is not None else v
        for c, v in zip(columns, row, strict=True)
    )


def feature_rows(root: Path, database: Any) -> tuple[list[Row], int]:
    """Each video's features as a hash of their bits; how many could not be read as the ledger says."""
    from vidpipe.adapters.features.store import FeatureStore
    from vidpipe.errors import IncompatibleFeatures
    from vidpipe.records.features import StoredFeatures

    store = FeatureStore(root / "features")
    found: list[Row] = []
    bad = 0
    query = "select feature_set_id, numerics, video_id, part, row_offset, n_frames from video_features"
    for feature_set_id, numerics, *stored in database.execute(query).fetchall():
        try:
            (video,) = store.read(feature_set_id, [StoredFeatures(*stored)])
            if not stored[1].endswith(".parquet"):
                raise IncompatibleFeatures(f"{stored[1]} is no finished part.")
        except IncompatibleFeatures as error:
            print(error, file=sys.stderr)
            bad += 1
            continue
        digest = hashlib.sha256(video.values.tobytes() + video.times_s.tobytes()).hexdigest()
        found.append((feature_set_id, numerics, stored[0], stored[3], digest))
    return found, bad


def tidy(home: Path) -> Contents:
    """The same once more, after garbage has been collected; what that left lying counts."""
    from vidpipe.steps.gc import gc as collect_garbage

    ports = open_story(home)
    collect_garbage(ports, older_than_s=0.0)
    contents = read_contents(home)
    root = home / "home"
    named = ports.ledger.features.named_parts()
    parts = [(p.parent.name.rpartition("=")[2], p.name) for p in root.glob("features/*/*")]
    temporary = [p for p in root.rglob("*") if p.suffix in (".tmp", ".new")]
    temporary += root.glob("mlflow/tmp/*")
    contents.uncollected_files = sum(part not in named for part in parts) + len(temporary)
    return contents


def inspect(home: Path) -> Contents:
    """A look at what a kill left behind, changing nothing."""
    import duckdb

    contents = Contents()
    root = home / "home"
    if (home / "published").exists() or (root / "warehouse.duckdb").exists():
        (home / "published").touch()  # from here on there is always a warehouse
        try:
            with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
                warehouse.execute("select count(*) from runs").fetchall()
                _, contents.half_parts = feature_rows(root, warehouse)
                if _doubled_keys(warehouse):
                    raise duckdb.Error("half-published: a key occurs twice")
        except duckdb.Error:
            traceback.print_exc()
            contents.broken_warehouses = 1
    if (root / "state" / "ledger.duckdb").exists():
        with tempfile.TemporaryDirectory() as folder:
            for file in (root / "state").glob("ledger.duckdb*"):
                shutil.copyfile(file, Path(folder) / file.name)
            with duckdb.connect(str(Path(folder) / "ledger.duckdb")) as ledger:
                contents.half_parts += feature_rows(root, ledger)[1]
    return contents


def _doubled_keys(database: Any) -> bool:
    keys = {
        "videos": "video_id",
        "video_features": "video_id, feature_set_id",
        "predictions": "video_id, model_version, rank",
        "window_predictions": "video_id, model_version, start_s, rank",
        "latest_predictions": "collection, path",
    }
    return any(
        database.execute(f"select 1 from {table} group by {key} having count(*) > 1").fetchall()
        for table, key in keys.items()
    )


@dataclass(slots=True)
class Damage:
    """What must be zero."""

    rows_lost: int = 0
    rows_doubled: int = 0
    """Rows that the uninterrupted home does not have, or has once less."""
    half_parts: int = 0
    broken_warehouses: int = 0
    uncollected_files: int = 0
    orphaned_processes: int = 0
    hangs: int = 0
    failed_runs: int = 0
    """Runs that ended by themselves, but in an error."""

    def add(self, other: Damage) -> None:
        """Sum."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def any(self) -> bool:
        """Whether there is some."""
        return any(asdict(self).values())


def compare(expected: Contents, found: Contents) -> Damage:
    """Rows that only one of the two homes has, and what is broken in the second."""
    damage = Damage(
        half_parts=found.half_parts,
        broken_warehouses=found.broken_warehouses,
        uncollected_files=found.uncollected_files,
    )
    for name, rows in expected.tables.items():
        ours, theirs = Counter(rows), Counter(found.tables.get(name, []))
        lost, extra = ours - theirs, theirs - ours
        for word, differing in (("lost", lost), ("extra", extra)):
            for row in list(differing)[:2]:
                print(f"{name}: {word} {row}", file=sys.stderr)
        damage.rows_lost += lost.total()
        damage.rows_doubled += extra.total()
    return damage


# -- named steps --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Instant:
    """When to kill: so many seconds after the start, or at the n-th call of a step (or so long after)."""

    seconds: float = 0.0
    step: str = ""
    call: int = 0
    moment: str = ""

    @property
    def name(self) -> str:
        """For the table of counts."""
        return f"{self.moment} {self.step}" if self.step else "by the clock"


@dataclass(frozen=True, slots=True)
class Call:
    """One call in the uninterrupted run."""

    step: str
    at_s: float


class Wrapped:
    """Wraps the named steps in this process: notes their calls, and kills at the chosen one."""

    def __init__(self, instant: Instant | None) -> None:
        self.calls: list[Call] = []
        self._instant = instant
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._started = time.monotonic()

    def put_on(self) -> None:
        """Replace the functions; only for a process that will not go on to anything else."""
        import duckdb

        for owner_name, names in STEPS.items():
            owner = _resolve(owner_name)
            for name in names.split():
                label = f"{owner_name.rpartition('.')[2]}.{name.strip('_')}"
                setattr(owner, name, self._wrap(label, getattr(owner, name)))
        connect = duckdb.connect

        def watched(*args: Any, **kwargs: Any) -> Any:
            return WrappedConnection(connect(*args, **kwargs), self._wrap)

        duckdb.connect = watched

    def _wrap(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                self._counts[step] += 1
                self.calls.append(Call(step, time.monotonic() - self._started))
                ours = self._instant and (step, self._counts[step]) == (
                    self._instant.step,
                    self._instant.call,
                )
            if ours and self._instant and self._instant.moment != "after":
                self._kill_soon(self._instant)
            result = function(*arguments, **named)
            if ours:
                _kill_ourselves()
            return result

        return wrapped

    @staticmethod
    def _kill_soon(instant: Instant) -> None:
        if instant.moment == "before":
            _kill_ourselves()
        threading.Timer(instant.seconds, _kill_ourselves).start()


class WrappedConnection:
    """A database connection (whose class cannot be changed) with two named steps."""

    def __init__(
        self, connection: Any, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        self._connection = connection
        self.commit = wrap("duckdb.commit", connection.commit)
        self.close = wrap("duckdb.close", connection.close)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __enter__(self) -> WrappedConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _resolve(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    if attribute[:1].isupper():
        return getattr(importlib.import_module(module), attribute)
    return importlib.import_module(name)


def _kill_ourselves() -> None:
    os.killpg(0, signal.SIGKILL)


# -- processes ----------------------------------------------------------------------------------


def fork(target: Callable[[], None], log: Path) -> int:
    """Run `target` in a forked child that leads its own process group; its pid."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        with suppress(OSError):
            os.setpgid(pid, pid)
        return pid
    code = 1
    try:
        with suppress(OSError):
            os.setpgid(0, 0)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        target()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, limit_s: float) -> int | None:
    """The exit status, negative for a signal; None when the limit came first."""
    deadline = time.monotonic() + limit_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.003)


def in_child(function: Callable[[], Any], log: Path) -> Any:
    """The value of `function`, computed in a forked child.

    Raises:
        RuntimeError: It failed, or hung; the log tells.
    """
    reading, writing = os.pipe()

    def target() -> None:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(function(), pipe)

    pid = fork(target, log)
    os.close(writing)
    chunks: list[bytes] = []
    while select.select([reading], [], [], HANG_S)[0] and (chunk := os.read(reading, 1 << 20)):
        chunks.append(chunk)
    os.close(reading)
    status = wait(pid, 10.0)
    if status is None:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError(f"a child ended with {status}: {log.read_text(encoding='utf-8')[-2000:]}")
    return pickle.loads(b"".join(chunks))


def adopt_orphans() -> None:
    """Make the kernel hand us the children of killed children, so that none escapes the count."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def orphans() -> int:
    """Processes that outlive a killed run by more than `ORPHAN_S`; they are ended then."""
    deadline = time.monotonic() + ORPHAN_S
    while left := list(_children()):
        if time.monotonic() > deadline:
            for pid in left:
                print(f"orphan {pid}: {_command(pid)}", file=sys.stderr)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return len(left)
        time.sleep(0.02)
    return 0


def _children() -> Iterator[int]:
    """Our living children; the dead ones are buried on the way."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    yield from map(int, children.split())


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return "?"


# -- stories ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Counts:
    """What the command reports."""

    kills: int = 0
    finished_runs: int = 0
    stories: int = 0
    seconds: float = 0.0
    uninterrupted_s: float = 0.0
    by_step: dict[str, int] = field(default_factory=dict)
    damage: Damage = field(default_factory=Damage)


class Killer:
    """Plays stories in homes under `root`, and counts."""

    def __init__(self, root: Path, seed: int) -> None:
        self.counts = Counts()
        self._root, self._seed = root, seed
        self._log = root / "log.txt"
        self._untried: set[tuple[str, str]] = set()
        self._backbone: Any = None
        self._damaged = 0

    def prepare(self) -> None:
        """Clips, the uninterrupted home, and every import that it needed."""
        self._clips = make_clips(self._root / "clips")
        adopt_orphans()
        home = self._root / "uninterrupted"
        self._preload(HEAVY)
        self._calls, self._duration_s, modules = in_child(functools.partial(self._trace, home), self._log)
        self._preload(modules)
        self._expected: Contents = in_child(functools.partial(read_contents, home), self._log)
        self.counts.uninterrupted_s = self._duration_s
        self._untried = {(c.step, moment) for c in self._calls for moment in MOMENTS}

    def _trace(self, home: Path) -> tuple[list[Call], float, list[str]]:
        wrapped = Wrapped(None)
        wrapped.put_on()
        started = time.monotonic()
        self._play(home)
        return wrapped.calls, time.monotonic() - started, [m for m in sys.modules if "__m" not in m]

    def _play(self, home: Path) -> None:
        import torch

        torch.set_num_threads(1)
        tempfile.tempdir = str(_made(self._root / "tmp"))
        play(home, self._clips, (lambda spec: self._backbone) if self._backbone else None)

    def _preload(self, modules: Sequence[str]) -> None:
        """Import what a run imports, and load the CNN's weights: a fork then starts at once."""
        for name in modules:
            with suppress(Exception):
                importlib.import_module(name)
        if self._backbone is None:
            import torch

            from vidpipe.vision.backbones import load_backbone
            from vidpipe.vision.feature_specs import default_spec

            torch.set_num_threads(1)
            self._backbone = load_backbone(default_spec(1.0))
        gc.collect()
        gc.freeze()

    def run(self, kills: int, tell: Callable[[Counts], None] = lambda counts: None) -> Counts:
        """Stories until there have been so many kills."""
        started = time.monotonic()
        while self.counts.kills < kills and self._damaged < DAMAGED_ENOUGH:
            self._story(min(KILLS_A_STORY, kills - self.counts.kills))
            self.counts.seconds = time.monotonic() - started
            tell(self.counts)
        return self.counts

    def _story(self, most: int) -> None:
        """One home: kills, in the order of the job, then a run that may finish."""
        before = replace(self.counts.damage)
        rng = random.Random(f"{self._seed}:{self.counts.stories}")
        home = self._root / f"story-{self.counts.stories}"
        self.counts.stories += 1
        reached_s, ended = 0.0, False
        for _ in range(most):
            instant, then_s = self._draw(rng, reached_s)
            if ended := not self._attempt(home, instant):
                break
            reached_s = then_s
        if not ended:
            self._attempt(home, None)
        for look in (read_contents, tidy):
            self.counts.damage.add(compare(self._expected, self._look(look, home)))
        if self.counts.damage == before:
            shutil.rmtree(home)
        else:
            self._damaged += 1

    def _draw(self, rng: random.Random, reached_s: float) -> tuple[Instant, float]:
        """An instant after what has been reached, and how far into the job it lies, in seconds."""
        ahead = [k for k, call in enumerate(self._calls) if call.at_s > reached_s]
        if not ahead or rng.random() < 0.5:
            seconds = rng.uniform(0, max(0.1, self._duration_s - reached_s))
            return Instant(seconds=seconds), min(reached_s + seconds, self._duration_s)
        moments = [(k, moment) for k in ahead for moment in MOMENTS]
        untried = [(k, m) for k, m in moments if (self._calls[k].step, m) in self._untried]
        # By step first: what is called often shall not be killed most often.
        steps = sorted({(self._calls[k].step, m) for k, m in untried or moments})
        step, moment = rng.choice(steps)
        at = rng.choice([k for k in ahead if self._calls[k].step == step])
        call = sum(self._calls[k].step == step for k in ahead if k <= at)
        soon_s = rng.uniform(0, DURING_S) if moment == "during" else 0.0
        return Instant(soon_s, step, call, moment), self._calls[at].at_s

    def _attempt(self, home: Path, instant: Instant | None) -> bool:
        """One run; True if it was killed as planned, False if it ended by itself or hung."""

        def target() -> None:
            if instant and instant.step:
                Wrapped(instant).put_on()
            self._play(home)

        pid = fork(target, self._log)
        status = wait(pid, instant.seconds if instant and not instant.step else HANG_S)
        if status is None:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        clock = instant is not None and not instant.step
        if status is None and not clock:
            self.counts.damage.hangs += 1
        killed = instant is not None and (status == -signal.SIGKILL or (status is None and clock))
        if instant and killed:
            self._after_kill(home, instant)
        elif status is not None:
            self.counts.finished_runs += status == 0
            self.counts.damage.failed_runs += status != 0
        return killed

    def _after_kill(self, home: Path, instant: Instant) -> None:
        self.counts.kills += 1
        self.counts.by_step[instant.name] = self.counts.by_step.get(instant.name, 0) + 1
        self._untried.discard((instant.step, instant.moment))
        self.counts.damage.orphaned_processes += orphans()
        self.counts.damage.add(compare(Contents(), self._look(inspect, home)))

    def _look(self, function: Callable[[Path], Contents], home: Path) -> Contents:
        """What `function` sees in a home; a home that cannot be read is a broken one."""
        try:
            return in_child(functools.partial(function, home), self._log)  # type: ignore[no-any-return]
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return Contents(broken_warehouses=1)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# -- the command --------------------------------------------------------------------------------


def main() -> int:
    """Kill, count, print; 1 if anything that must be zero is not."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument(
        "--keep", type=Path, help="play here, and keep damaged homes, the uninterrupted one and the log"
    )
    given = arguments.parse_args()
    root = _made(given.keep) if given.keep else Path(tempfile.mkdtemp(prefix="vidpipe-kills-"))
    killer = Killer(root.resolve(), given.seed)
    killer.prepare()
    counts = killer.run(given.kills, _tell)
    if not given.keep:
        shutil.rmtree(root)
    print(json.dumps(asdict(counts)) if given.json else _table(counts))
    gc.unfreeze()
    return int(counts.damage.any)


def _tell(counts: Counts) -> None:
    bad = {name: n for name, n in asdict(counts.damage).items() if n}
    print(f"{counts.seconds:6.0f} s  {counts.kills:4d} kills  {bad or 'no damage'}", file=sys.stderr)


def _table(counts: Counts) -> str:
    lines = [f"{n:6d}  {name}" for name, n in sorted(counts.by_step.items())]
    lines += ["", f"{counts.kills:6d}  kills", f"{counts.finished_runs:6d}  runs that ended by themselves"]
    lines += [f"{n:6d}  {name.replace('_', ' ')}" for name, n in asdict(counts.damage).items()]
    lines.append(f"in {counts.seconds:.0f} s; an uninterrupted run takes {counts.uninterrupted_s:.1f} s")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
