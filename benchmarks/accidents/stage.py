"""The stage of accidents: a prepared home that is copied for each, verbs as processes, and the verdict."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb

from benchmarks.kills import HEAVY, TABLES, feature_rows, in_child, make_clips, wait

SETTINGS = {"VIDPIPE_SAMPLE_FPS": "1", "VIDPIPE_WORKERS": "2", "VIDPIPE_PART_FRAMES": "6"}
"""Small parts, so that there are several, and few frames."""
HANG_S = 180.0
WELL = {"ok", "degraded"}
"""How an ordinary night ends."""
SEEN = {
    "collection_videos": "select collection, path, video_id, label, group_name, splits::varchar "
    "from collection_videos where present",
    "failures": "select collection, path, video_id, stage, error_class from failures "
    "where status <> 'resolved'",
    **{name: TABLES[name] for name in ("latest_predictions", "collection_serving", "unfinished")},
}
"""What a person sees, whatever happened before."""
TWICE = {
    "videos": "video_id",
    "video_features": "video_id, feature_set_id",
    "predictions": "video_id, model_name, model_version, feature_set_id, rank",
    "latest_predictions": "collection, path",
}

Row = tuple[Any, ...]
Hook = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Accident:
    """One thing that happens to an operator."""

    name: str
    play: Callable[[Stage], object]
    same: Literal["all", "served", "files"] = "all"
    """Tables that must equal the undisturbed home's: all; those that people are served from, where the
    challenger is gone for good; or the rows of each file, where the accident changes the files themselves."""
    same_model: bool = True
    """Afterwards the prepared champion serves."""
    needs_mount: bool = False


@dataclass(slots=True)
class Ended:
    """How a verb ended."""

    verb: str
    code: int | None
    """Negative for a signal, None where it hung and was ended."""
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON object that the verb printed; empty where it printed none."""
        with suppress(ValueError):
            found: dict[str, Any] = json.loads(self.stdout)
            return found
        return {}

    @property
    def is_explained(self) -> bool:
        """Done, ended from outside, or failed with a reason and a next step."""
        if self.code is None:
            return False
        if self.code == 0 or self.code < 0 or self.code == 130:
            return True
        error = self.report.get("error") or {}
        return bool(error.get("next") or self.report.get("problems") or " Next: " in self.stderr)


@dataclass(slots=True)
class Verdict:
    """What must be zero after an accident and the next ordinary night."""

    lost: int = 0
    """Files that are there without features or a score, or rows that the undisturbed home has besides."""
    doubled: int = 0
    wrong_identity: int = 0
    """Rows under another hash than that of the file's bytes, or with features or scores of other bytes."""
    tracebacks: int = 0
    unexplained: int = 0
    said: list[str] = field(default_factory=list)
    """Each of them in words."""

    @property
    def counts(self) -> dict[str, int]:
        """All five, by name."""
        return {
            "lost": self.lost, "doubled": self.doubled, "under a wrong identity": self.wrong_identity,
            "tracebacks": self.tracebacks, "unexplained": self.unexplained,
        }  # fmt: skip

    @property
    def total(self) -> int:
        """Of all five."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Truth:
    """What an undisturbed home says."""

    tables: Mapping[str, Counter[Row]]
    features: Mapping[str, str]
    """SHA-256 of the features' bits by that of the file."""
    scores: Mapping[str, tuple[str, float]]
    """The champion's label and score by the file's hash."""


class Stage:
    """A home to which something happens; always at the same path, since MLflow notes absolute ones.

    This process imports everything and then only forks: it opens no database and computes nothing, so that no
    thread and no lock can be caught half-way by a fork.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.play = root / "play"
        self.home = self.play / "home"
        self.inbox = self.play / "inbox"
        self.prepared = root / "prepared"
        self.spare = root / "spare"
        """Whole clips that are in no source: to replace others with."""
        self.ended: list[Ended] = []
        self.environment: dict[str, str] = {}
        self.truth: Truth | None = None

    # -- what accidents do --------------------------------------------------------------------------

    def reset(self) -> None:
        """The prepared home and sources, as if nothing had happened."""
        shutil.rmtree(self.play, ignore_errors=True)
        shutil.copytree(self.prepared, self.play, symlinks=True)
        self.ended, self.environment = [], {}

    def verb(self, *arguments: str, hook: Hook | None = None, limit_s: float = HANG_S) -> Ended:
        """`vidpipe ARGUMENTS --json` in a forked process, in which `hook` is called before."""
        logs = [self.root / name for name in ("stdout", "stderr")]
        for log in logs:
            log.unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            self._be_verb(arguments, hook, logs)
        code = wait(pid, limit_s)
        if code is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        said = [log.read_text(encoding="utf-8", errors="replace") if log.exists() else "" for log in logs]
        self.ended.append(Ended(" ".join(arguments), code, *said))
        return self.ended[-1]

    def night(self, hook: Hook | None = None) -> Ended:
        """An ordinary night, or one in which `hook` has something happen."""
        return self.verb("nightly", hook=hook)

    def _be_verb(self, arguments: Sequence[str], hook: Hook | None, logs: Sequence[Path]) -> None:
        code = 70
        try:
            os.setsid()
            for descriptor, log in zip((1, 2), logs, strict=True):
                os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            os.environ.update(SETTINGS | {"VIDPIPE_HOME": str(self.home)} | self.environment)
            if hook:
                hook()
            from vidpipe.cli.main import app

            app([*arguments, "--json"])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def mlflow(self, do: Callable[[Any], object]) -> None:
        """Something that a person does by hand with MLflow's client, in a process of its own."""

        def by_hand() -> None:
            from mlflow import MlflowClient

            do(MlflowClient(f"sqlite:///{self.home}/mlflow/mlflow.db"))

        self.apart(by_hand)

    def apart(self, do: Callable[[], object]) -> None:
        """Something done in a forked process, so that this one never opens a database."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                do()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        if wait(pid, HANG_S) != 0:
            raise RuntimeError("the accident itself failed")

    # -- the verdict --------------------------------------------------------------------------------

    def try_out(self, accident: Accident) -> Verdict:
        """Let it happen to a fresh copy; then an ordinary night, and what is wrong after it."""
        self.reset()
        verdict = Verdict()
        accident.play(self)
        last = self.night()
        for ended in self.ended:
            _hear(ended, verdict)
        if last.report.get("status") not in WELL:
            verdict.unexplained += 1
            verdict.said.append(f"the next night: {last.code}, {last.stdout[-300:]}{last.stderr[-600:]}")
        seen: Verdict = in_child(functools.partial(self._looked, accident, verdict), self.root / "log")
        return seen

    def _looked(self, accident: Accident, verdict: Verdict) -> Verdict:
        """The verdict with what the tables say, in a child process: this one opens no database."""
        try:
            self._look(accident, verdict)
        except duckdb.Error as error:
            verdict.lost += 1
            verdict.said.append(f"the warehouse: {error}")
        return verdict

    def _look(self, accident: Accident, verdict: Verdict) -> None:
        assert self.truth
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as warehouse:
            tables = read_tables(warehouse, TABLES | SEEN if accident.same == "all" else SEEN)
            features, broken = feature_rows(self.home, warehouse)
            for name, key in TWICE.items():
                query = f"select count(*) from (select 1 from {name} group by {key} having count(*) > 1)"
                (count,) = warehouse.execute(query).fetchone() or (0,)
                _count(verdict, "doubled", count, f"{name}: {count} keys twice")
        _count(verdict, "lost", broken, f"{broken} features cannot be read")
        if accident.same != "files":
            _compare({name: self.truth.tables[name] for name in tables}, tables, verdict)
        self._compare_files(accident, tables, {row[2]: row[4] for row in features}, verdict)

    def _compare_files(
        self,
        accident: Accident,
        tables: Mapping[str, Counter[Row]],
        features: Mapping[str, str],
        verdict: Verdict,
    ) -> None:
        """Each file that is there against the rows about it; rows about files that are not there."""
        assert self.truth
        served = {row[1]: row for row in tables["latest_predictions"] if row[0] == "inbox"}
        there = {file.name: file for file in sorted(self.inbox.iterdir()) if file.suffix == ".mp4"}
        for name, file in there.items():
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            if digest not in self.truth.features:
                continue  # no whole clip: a failure, which the tables show
            if name not in served:
                _count(verdict, "lost", 1, f"{name} has no prediction")
                continue
            _, _, video_id, label, score, _ = served[name]
            right = video_id == digest and features.get(digest) == self.truth.features[digest]
            if accident.same_model:
                right &= (label, score) == self.truth.scores[digest]
            _count(verdict, "wrong_identity", not right, f"{name}: {served[name]}, bytes {digest}")
        gone = set(served) - set(there)
        _count(verdict, "wrong_identity", len(gone), f"rows about files that are gone: {gone}")


def _hear(ended: Ended, verdict: Verdict) -> None:
    if "Traceback" in ended.stderr + ended.stdout or ended.code == 70:
        verdict.tracebacks += 1
        verdict.said.append(f"{ended.verb}: {ended.stderr[-1500:]}")
    elif not ended.is_explained:
        verdict.unexplained += 1
        verdict.said.append(f"{ended.verb}: {ended.code} {ended.stdout[-300:]}{ended.stderr[-600:]}")


def _count(verdict: Verdict, kind: str, count: int, said: str) -> None:
    if count:
        setattr(verdict, kind, getattr(verdict, kind) + count)
        verdict.said.append(said)


def _compare(expected: Mapping[str, Counter[Row]], found: Mapping[str, Counter[Row]], to: Verdict) -> None:
    for name, rows in expected.items():
        lost, extra = rows - found[name], found[name] - rows
        _count(to, "lost", lost.total(), f"{name}: lost {list(lost)[:2]}, instead {list(extra)[:2]}")
        _count(to, "doubled", max(0, extra.total() - lost.total()), f"{name}: more {list(extra)[:2]}")


def read_tables(warehouse: duckdb.DuckDBPyConnection, queries: Mapping[str, str]) -> dict[str, Counter[Row]]:
    """The rows of each query."""
    return {name: Counter(warehouse.execute(query).fetchall()) for name, query in queries.items()}


# -- in the middle of a night -----------------------------------------------------------------------

STAGES = {
    "the listing": "vidpipe.adapters.sources.folders.Catalog.list_folder",
    "the hashes": "vidpipe.adapters.sources.folders.Catalog.hash_file",
    "the probe": "vidpipe.adapters.media.video_files.VideoFiles.probe",
    "the decoder": "vidpipe.adapters.media.video_files.VideoFiles.decode",
    "a part's rows": "vidpipe.adapters.features.part_writer.PartWriter.append",
    "a part's end": "vidpipe.adapters.features.part_writer.PartWriter.commit",
    "the model's load": "vidpipe.adapters.models.registry.Registry.load",
    "the features' read": "vidpipe.adapters.features.store.FeatureStore.read",
    "the publish": "vidpipe.adapters.database.warehouse.Warehouse.publish",
    "the page": "vidpipe.adapters.reports.Reports.write",
}
"""Where in a night something happens, by the function that is called then."""


def before(stage: str, do: Hook, *, call: int = 1) -> Hook:
    """A hook that has something done just before the stage's n-th call in this night."""

    def put_on() -> None:
        owner_name, _, name = STAGES[stage].rpartition(".")
        module, _, owner_class = owner_name.rpartition(".")
        owner = getattr(importlib.import_module(module), owner_class)
        function, calls = getattr(owner, name), 0

        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call:
                do()
            return function(*arguments, **named)

        setattr(owner, name, wrapped)

    return put_on


# -- the prepared home ------------------------------------------------------------------------------


def prepare(root: Path) -> Stage:
    """A stage with its home: made once, in a process of its own."""
    stage = Stage(root)
    clips = make_clips(root / "clips")
    stage.spare.mkdir()
    first, second, third, *others = sorted({*clips.first, *clips.late} - {clips.first[-1]})
    for file in others:
        shutil.copy2(file, stage.spare)
    stage.inbox.mkdir(parents=True)
    shutil.copy2(first, stage.inbox)
    for module in HEAVY:
        importlib.import_module(module)
    _do(stage, "ingest", str(clips.labelled), "--collection", "clips", "--manifest", str(clips.manifest))
    _do(stage, "ingest", str(stage.inbox), "--collection", "inbox")
    _do(stage, "extract")
    for seed in "01":
        _do(
            stage,
            "train",
            "--collection",
            "clips",
            "--split-column",
            "split",
            "--epochs",
            "1",
            "--seed",
            seed,
        )
        if seed == "0":
            _do(stage, "promote", "--force", "--reason", "a benchmark")
    _do(stage, "nightly")
    for file in (second, third):
        shutil.copy2(file, stage.inbox)
    for file in stage.inbox.iterdir():  # what is older than the pause for files that grow
        os.utime(file, (time.time() - 3600,) * 2)
    stage.play.rename(stage.prepared)
    stage.truth = _truth(stage)
    return stage


def _do(stage: Stage, *arguments: str) -> None:
    if (ended := stage.verb(*arguments)).code != 0:
        raise RuntimeError(f"{ended.verb}: {ended.stdout}{ended.stderr}")


def _truth(stage: Stage) -> Truth:
    """The undisturbed home's tables; and what all clips, the spare ones too, look like to its champion."""
    log = stage.root / "log"
    stage.reset()
    _do(stage, "nightly")
    tables = in_child(functools.partial(_tables_of, stage.home), log)
    _do(stage, "ingest", str(stage.spare), "--collection", "spare")
    _do(stage, "nightly")
    features, scores = in_child(functools.partial(_bits_of, stage.home), log)
    return Truth(tables, features, scores)


def _tables_of(home: Path) -> dict[str, Counter[Row]]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        return read_tables(warehouse, TABLES | SEEN)


def _bits_of(home: Path) -> tuple[dict[str, str], dict[str, tuple[str, float]]]:
    """By the file's hash: that of its features' bits, and its label and score."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        features = {row[2]: row[4] for row in feature_rows(home, warehouse)[0]}
        scores = warehouse.execute("select video_id, label, score from latest_predictions").fetchall()
    return features, {video_id: (label, score) for video_id, label, score in scores}


# -- disks ------------------------------------------------------------------------------------------


def may_mount() -> bool:
    """Whether this process may mount a file system."""
    with tempfile.TemporaryDirectory() as folder:
        if mounted := _mount(Path(folder), "size=64k"):
            subprocess.run(["umount", "--lazy", folder], check=True)
        return mounted


def _mount(folder: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return (
        shutil.which("mount") is not None and subprocess.run(command, stderr=-3, check=False).returncode == 0
    )


class Disk:
    """A disk of its own under a folder, which can be made full, read-only, and roomy again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, leave_kb: int = 0) -> None:
        """No more room than `leave_kb`."""
        found = os.statvfs(self._folder)
        used_kb = (found.f_blocks - found.f_bfree) * found.f_frsize // 1024
        self._remount(f"size={used_kb + leave_kb}k")

    def grow(self) -> None:
        """Room again, and writable."""
        if os.statvfs(self._folder).f_flag & os.ST_RDONLY:
            subprocess.run(["umount", "--lazy", str(self._folder)], check=True)
        self._remount("size=256m")

    def forbid(self) -> None:
        """Read-only from now on, as a disk with errors becomes: by a view over it, since files are open."""
        subprocess.run(["mount", "--bind", str(self._folder), str(self._folder)], check=True)
        self._remount("bind,ro")

    def _remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self._folder)], check=True)


@contextmanager
def own_disk(folder: Path) -> Iterator[Disk]:
    """The folder, with what is in it, on a disk of its own within the block; it keeps what was written."""
    kept = folder.with_name(f"{folder.name} kept")
    folder.rename(kept)
    folder.mkdir()
    if not _mount(folder, "size=256m"):
        raise RuntimeError("may not mount")
    disk = Disk(folder)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    try:
        yield disk
    finally:
        disk.grow()
        shutil.rmtree(kept)
        shutil.copytree(folder, kept)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
        kept.rename(folder)
