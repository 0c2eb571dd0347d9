"""Health checks of `vidpipe doctor`: binaries, services, disk, versions, unfinished work; read-only.

Checks run in parallel and fail by themselves: a check that cannot be made is a line, too.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from vidpipe.errors import LedgerLocked, StorageUnreachable, VidpipeError
from vidpipe.ports.doctor import Probes
from vidpipe.records.machine import (
    DiskFacts,
    ModelFault,
    NetworkFacts,
    ServiceFacts,
    StagingFacts,
    ToolFacts,
    Unfinished,
)
from vidpipe.steps.gc import OLD_S
from vidpipe.steps.runs import Result
from vidpipe.steps.status import lease_in_words
from vidpipe.uris import is_uri

State = Literal["ok", "warning", "fix"]

WAIT_S = 4.5
"""What has not answered by then is reported as such."""
DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4")
ALSO_DECODE = {"av1": frozenset({"libdav1d", "libaom-av1"}), "vp9": frozenset({"libvpx-vp9"})}
"""Decoders of other names for the same codec."""
SLOW_START_MS = 500.0
LITTLE_BYTES, TOO_LITTLE_BYTES = 5 << 30, 200 << 20
REMOTE = ("nfs", "cifs", "smb", "fuse.sshfs", "9p")
"""File systems whose locks and renames cannot be relied on."""
BUSY = "run it again: the machine may be busy."
BUCKET_IS_SILENT = "check AWS_ENDPOINT_URL and the network."
SILENT = {
    "lease": "check VIDPIPE_LEASE_URI, the server and the network.", "features": BUCKET_IS_SILENT,
    "sources": BUCKET_IS_SILENT, "parts": BUCKET_IS_SILENT,
}  # fmt: skip
"""What to do where nothing answers in time, beside a machine that is busy."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """Result of one check."""

    check: str
    state: State
    message: str
    next: str | None = None
    """The command or action that comes next."""


@dataclass(frozen=True, slots=True)
class DoctorResult(Result):
    """Result of `vidpipe doctor`: one line for each check."""

    lines: Sequence[Line]
    seconds: float

    @property
    def is_well(self) -> bool:
        """Whether no line asks for a repair."""
        return all(line.state != "fix" for line in self.lines)


Check = Callable[[], Iterable[Line]]


def doctor(probes: Probes, *, wait_s: float = WAIT_S) -> DoctorResult:
    """Run all checks, for at most `wait_s` seconds."""
    started = time.monotonic()
    probes = replace(probes, unfinished=_once(probes.unfinished))
    checks: dict[str, Check] = {
        "ffmpeg": lambda: _ffmpeg(probes.ffmpeg()),
        "ffprobe": lambda: [_starts("ffprobe", probes.ffprobe())],
        "torch": lambda: _network(probes.network()),
        "packages": lambda: _packages(probes.version_conflicts()),
        "home": lambda: _home(probes.disk()),
        "mlflow": lambda: [_service("mlflow", probes.mlflow(), "start it, or correct VIDPIPE_MLFLOW_URI.")],
        "models": lambda: _named(probes, lambda found: _models(probes.models(found))),
        "prefect": lambda: [_service("prefect", probes.prefect(), "start it, or unset PREFECT_API_URL.")],
        "lease": lambda: [_lease(probes.lease_holder())],
        "ledger": lambda: _ledger(probes.unfinished()),
        "runs": lambda: _named(probes, lambda found: [_open_runs(found, probes)]),
        "decisions": lambda: _named(probes, lambda found: [_open_intents(found)]),
        "parts": lambda: _named(probes, lambda found: [_parts(found.parts, probes)]),
        "features": lambda: _features(probes.features()),
        "sources": lambda: _named(probes, lambda found: _sources(found.sources, probes)),
        "staging": lambda: _named(probes, lambda found: _staging(found.sources, probes)),
        "warehouse": lambda: [_service("warehouse", probes.snapshot(), "vidpipe nightly publishes it anew.")],
    }
    found = _side_by_side(checks, wait_s)
    lines = [line for name in checks for line in found[name]]
    return DoctorResult(lines, round(time.monotonic() - started, 3))


def _side_by_side(checks: Mapping[str, Check], wait_s: float) -> dict[str, list[Line]]:
    """Run all checks in parallel daemon threads, so that one that hangs does not keep the process alive."""
    answers: queue.SimpleQueue[tuple[str, list[Line]]] = queue.SimpleQueue()
    for name, check in checks.items():
        threading.Thread(
            target=lambda name=name, check=check: answers.put((name, _safely(name, check))), daemon=True
        ).start()
    said = f"no answer within {wait_s:.1f} s"
    late = {name: [Line(name, "warning", said, SILENT.get(name, BUSY))] for name in checks}
    deadline = time.monotonic() + wait_s
    found: dict[str, list[Line]] = {}
    while len(found) < len(checks):
        try:
            name, lines = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[name] = lines
    return late | found


def _safely(name: str, check: Check) -> list[Line]:
    """Run a check; its own failure becomes a line."""
    try:
        return list(check())
    except LedgerLocked as error:
        return [Line(name, "warning", error.message, error.next_step or None)]
    except VidpipeError as error:
        return [Line(name, "fix", error.message, error.next_step or None)]
    except Exception as error:  # any error: the other checks are still shown
        return [Line(name, "warning", f"could not be checked: {type(error).__name__}: {error}")]


# -- interpretation of probes ----------------------------------------------------------------------


def _ffmpeg(tool: ToolFacts) -> list[Line]:
    missing = [c for c in DECODERS if not ({c} | ALSO_DECODE.get(c, frozenset())) & tool.decoders]
    if missing:
        line = Line(
            "decoders", "fix", f"{tool.path} cannot decode {', '.join(missing)}",
            "unset VIDPIPE_FFMPEG: the packaged ffmpeg decodes them.",
        )  # fmt: skip
    else:
        line = Line("decoders", "ok", ", ".join(DECODERS))
    return [_starts("ffmpeg", tool), line]


def _starts(name: str, tool: ToolFacts) -> Line:
    says = f"{tool.version}, starts in {tool.start_ms:.0f} ms, {tool.path}"
    if tool.start_ms > SLOW_START_MS:
        return Line(name, "warning", f"{says}: slow, and every video pays it", "try a static build.")
    return Line(name, "ok", says)


def _network(found: NetworkFacts) -> list[Line]:
    own = "fused" if found.fused else "eager"
    engine = own if found.engine == "torch" else found.engine
    says = f"{found.torch} on {found.device}, {found.dtype}, {engine}, {found.threads} threads"
    state: State = "fix" if found.engine_repair else "ok"
    lines = [Line("torch", state, says, found.engine_repair or None)]
    return [*lines, _weights(found)]


def _weights(found: NetworkFacts) -> Line:
    if found.problem:
        return Line("weights", "fix", found.problem, found.repair)
    if found.weights_sha256 == found.expected_sha256:
        return Line("weights", "ok", f"{found.backbone}, SHA-256 {found.weights_sha256[:16]}…")
    is_there = f"have SHA-256 {found.weights_sha256[:16]}…" if found.weights_sha256 else "are missing"
    message = f"the weights of {found.backbone} {is_there}, expected {found.expected_sha256[:16]}…"
    return Line("weights", "fix", message, found.repair)


def _packages(version_conflicts: Sequence[str]) -> list[Line]:
    if not version_conflicts:
        return [Line("packages", "ok", "all in their supported ranges")]
    repair = "pip install -c constraints.txt vidpipe"
    return [Line("packages", "warning", text, repair) for text in version_conflicts]


def _home(disk: DiskFacts) -> list[Line]:
    where = f"{disk.home}{'' if disk.exists else ' (not made yet)'}"
    if not disk.writable:
        line = Line(
            "home", "fix", f"{where} cannot be written", "grant write access, or pass another --home."
        )
    else:
        line = Line("home", "ok", where)
    return [line, _disk(disk)]


def _disk(disk: DiskFacts) -> Line:
    says = f"{disk.free_bytes / 2**30:.1f} GiB free on {disk.mount} ({disk.file_system})"
    if disk.free_bytes < TOO_LITTLE_BYTES:
        return Line("disk", "fix", says, "free space before the next run.")
    if disk.free_bytes < LITTLE_BYTES:
        return Line("disk", "warning", says, "free space soon: a frame takes 13 kB.")
    if disk.file_system.startswith(REMOTE):
        advice = "move the home to a local disk: locks do not hold everywhere."
        return Line("disk", "warning", f"{says}, a network file system", advice)
    return Line("disk", "ok", says)


def _service(name: str, found: ServiceFacts, repair: str) -> Line:
    if found.problem:
        if found.repair:
            return Line(name, "fix", found.problem, found.repair)
        return Line(name, "fix", f"{found.where} does not answer: {found.problem}", repair)
    return Line(name, "ok", f"{found.where}{f' ({found.note})' if found.note else ''}")


def _models(faults: Sequence[ModelFault]) -> list[Line]:
    ill = [Line("models", "fix", fault.message, fault.repair) for fault in faults]
    return ill or [Line("models", "ok", "champion, challenger and what collections serve are there")]


def _lease(holder: Mapping[str, object] | None) -> Line:
    following = None if holder is None else "another run waits for it with --wait."
    return Line("lease", "ok", lease_in_words(holder), following)


def _ledger(found: Unfinished | None) -> list[Line]:
    if found is None:
        return [Line("ledger", "ok", "none yet", "vidpipe ingest SOURCE --collection NAME")]
    if found.schema > found.known_schema:
        message = f"its schema {found.schema} is newer than {found.known_schema}, which this vidpipe knows"
        return [Line("ledger", "fix", message, "use the newer vidpipe that wrote it.")]
    note = "" if found.schema == found.known_schema else ", the next run brings it up to date"
    return [Line("ledger", "ok", f"schema {found.schema}{note}")]


def _once(ask: Callable[[], T]) -> Callable[[], T]:
    """Memoise a query of the ledger for all checks, since it opens for one at a time."""
    lock, answers = threading.Lock(), list[T]()

    def asked() -> T:
        with lock:
            if not answers:
                answers.append(ask())
            return answers[0]

    return asked


def _named(probes: Probes, look: Callable[[Unfinished], Iterable[Line]]) -> Iterable[Line]:
    """Lines of checks that need the ledger; none where it cannot be read, which has a line of its own."""
    try:
        found = probes.unfinished()
    except VidpipeError:
        return []
    return look(found) if found and found.schema <= found.known_schema else []


def _open_runs(found: Unfinished, probes: Probes) -> Line:
    if not found.open_runs:
        return Line("runs", "ok", "none open")
    named = ", ".join(f"{kind} {run_id}" for run_id, kind in found.open_runs)
    if probes.lease_holder():
        return Line("runs", "ok", f"at work: {named}")
    return Line(
        "runs", "warning", f"open, but no run holds the lease: {named} (training and promotion hold none)",
        "run the same verb again: it continues and closes the run.",
    )  # fmt: skip


def _open_intents(found: Unfinished) -> Line:
    if not found.open_intents:
        return Line("decisions", "ok", "none open")
    named = ", ".join(
        f"{number} ({decision.replace('_', ' ')}, version {version})"
        for number, decision, version in found.open_intents
    )
    return Line(
        "decisions", "warning", f"promotion {named} was interrupted",
        "vidpipe nightly finishes it, or closes it where the version is gone.",
    )  # fmt: skip


def _parts(named: frozenset[tuple[str, str]], probes: Probes) -> Line:
    """Parts that are gone; else parts that nothing names."""
    gone = probes.gone_parts(named)
    if not gone:
        return _orphans(probes.unnamed_parts(named))
    if gone == len(named):
        message = f"none of the {gone} feature parts that the ledger names is there"
        repair = "mount or restore the features' folder; lost for good: vidpipe gc --lost-parts"
        return Line("parts", "fix", message, repair)
    message = f"{gone} of the {len(named)} that the ledger names are gone or cut off"
    return Line("parts", "warning", message, "vidpipe nightly computes them again.")


def _orphans(ages_s: Sequence[float]) -> Line:
    old = sum(age_s >= OLD_S for age_s in ages_s)
    if old:
        return Line("parts", "warning", f"{old} that nothing names, older than a day", "vidpipe gc")
    young = f"{len(ages_s)} that nothing names yet, younger than a day" if ages_s else "none orphaned"
    return Line("parts", "ok", young)


# -- object storage -----------------------------------------------------------------------------


def _features(bucket: str | None) -> list[Line]:
    return [Line("features", "ok", f"{bucket} can be written")] if bucket else []


def _sources(sources: Sequence[str], probes: Probes) -> list[Line]:
    """One line for each missing source, and one for all sources of storage that does not answer."""
    ill: list[Line] = []
    for source in sources:
        try:
            probes.reach(source)
        except StorageUnreachable as error:
            return [*ill, Line("sources", "fix", error.message, error.next_step or None)]
        except VidpipeError as error:
            ill.append(Line("sources", "fix", error.message, error.next_step or None))
    return ill or [Line("sources", "ok", f"all there ({len(sources)})" if sources else "none yet")]


def _staging(sources: Sequence[str], probes: Probes) -> list[Line]:
    return [_room(probes.staging())] if any(is_uri(source) for source in sources) else []


def _room(found: StagingFacts) -> Line:
    lacking = found.limit_bytes - found.held_bytes - found.free_bytes
    says = f"up to {found.limit_bytes / 2**30:.1f} GiB of objects, {found.free_bytes / 2**30:.1f} GiB free"
    if lacking > 0:
        return Line("staging", "warning", says, "free space, or lower VIDPIPE_STAGING_BYTES.")
    return Line("staging", "ok", says)
