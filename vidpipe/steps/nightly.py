"""Nightly batch: ingest, extract, classify and publish what is new in every collection.

A collection whose source cannot be listed, or a video that cannot be read, does not stop the others. What
succeeded is published even when the night ends over its failure budget.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from vidpipe.errors import (
    IncompatibleFeatures,
    StopError,
    StorageUnreachable,
    VidpipeError,
)
from vidpipe.ports import Ports
from vidpipe.records.drift import DriftFound
from vidpipe.records.models import ModelVersion
from vidpipe.steps.champion_alias import ODD, champion
from vidpipe.steps.classify import ClassifyResult, classify, shadow
from vidpipe.steps.extract import ExtractResult, extract
from vidpipe.steps.failure_budget import parse_budget
from vidpipe.steps.feature_drift import feature_drift
from vidpipe.steps.gc import OLD_S, collect
from vidpipe.steps.ingest import IngestResult, ingest_again
from vidpipe.steps.lost_parts import forget_lost_parts
from vidpipe.steps.monitoring import write_gauges
from vidpipe.steps.report import report
from vidpipe.steps.runs import Result, RunLog, recorded
from vidpipe.steps.shots import require_shots
from vidpipe.steps.waiting_labels import write_waiting

log = logging.getLogger(__name__)

R = TypeVar("R")
BUDGET_FROM = 20
"""Fewer attempted videos than this are too few for a failure share."""


@dataclass(frozen=True, slots=True)
class NightlyResult(Result):
    """Result of `vidpipe nightly`."""

    run_id: int
    status: str
    """ok, no_champion, over_budget; degraded when all was read and scored, though the registry is away or
    broken; failed when a source was away, or there was nothing to score with."""
    ingested: int
    extracted: int
    classified: int
    shadowed: int
    """Videos that the challenger scored, for comparison only."""
    remaining: int
    """Videos of the archive that still wait for the champion."""
    failed: int
    waiting: int
    """Files that still change, left to the next night: no failures."""
    seconds: float
    problems: Sequence[str]
    drift: Sequence[DriftFound] = ()
    """Of each collection to which videos came: are they like those of the training?"""
    report: str | None = None
    """Where the night's page lies; None when it could not be written."""


@dataclass(slots=True)
class Night:
    """State of a running night: results and problems of its stages."""

    ingested: list[IngestResult] = field(default_factory=list)
    extracted: ExtractResult | None = None
    champion: ModelVersion | None = None
    classified: ClassifyResult | None = None
    shadow: Mapping[str, Any] | None = None
    drift: list[DriftFound] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What was wrong, whether or not it kept something from being done."""
    is_complete: bool = True
    """Everything was read and scored."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each stage."""

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Context manager that times a stage, without the stages within it."""
        started, before = time.monotonic(), sum(self.seconds.values())
        try:
            yield
        finally:
            within = sum(self.seconds.values()) - before
            took = time.monotonic() - started - within
            self.seconds[stage] = self.seconds.get(stage, 0.0) + took

    @contextmanager
    def without(self, *away: type[VidpipeError]) -> Iterator[None]:
        """Context manager that records a service being unreachable as a problem, and skips the work."""
        try:
            yield
        except away as error:
            log.error("%s", error)
            self.leave(str(error))

    def leave(self, problem: str) -> None:
        """Record a problem."""
        self.problems.append(problem)
        self.is_complete = False

    def extract(self, ports: Ports, collection: str | None = None, *, retry_failed: bool = False) -> None:
        """Run one more pass of extraction."""
        with self.timed("extract"):
            extracted = extract(ports, collection, retry_failed=retry_failed, alone=False)
        self.extracted = self.extracted + extracted if self.extracted else extracted

    @property
    def failed(self) -> int:
        """Videos that failed tonight, at any stage."""
        return sum(r.failed for r in self.reports)

    @property
    def waiting(self) -> int:
        """Files that were still changing tonight, at any stage."""
        return sum(r.waiting for r in self.reports)

    @property
    def newly_failed(self) -> int:
        """Videos that failed tonight for the first time."""
        return self.failed - sum(r.failed_again for r in self.reports)

    @property
    def attempted(self) -> int:
        """Videos that were read for the first time tonight, with or without success."""
        return self.newly_failed + (self.extracted.videos if self.extracted else 0)

    @property
    def reports(self) -> list[IngestResult | ExtractResult]:
        """Results of the stages that read videos."""
        return [*self.ingested, *([self.extracted] if self.extracted else [])]


class StageRunner(Protocol):
    """Interface that runs a stage of the night: directly, or as a Prefect task."""

    def __call__(self, name: str, part: Callable[..., R], /, *arguments: object) -> R:
        """Run the stage with these arguments and return its result."""
        ...


def run_here(_name: str, part: Callable[..., R], /, *arguments: object) -> R:
    """Run a stage of the night directly."""
    return part(*arguments)


def nightly(
    ports: Ports, *, failure_budget: str | None = None, run_stage: StageRunner = run_here
) -> NightlyResult:
    """Ingest, extract, classify and publish what is new in every collection.

    Args:
        ports: The outside world.
        failure_budget: Share (`0.1`) or count (`25`) of failing videos above which the night is
            `over_budget`; default from the settings.
        run_stage: Runs a part of the night, whose name comes first: a scheduler may show and retry each.

    Raises:
        LeaseHeld: Another run is at work.
    """
    budget = parse_budget(failure_budget, ports.limits.failure_budget)
    with recorded(ports, "nightly") as run:
        require_backbones(ports)
        require_shots(ports)
        night = Night()
        write_labels(ports, night)
        for collection in ports.ledger.sources.collections():
            with night.timed("ingest"):
                run_stage(f"ingest-{collection.name}", ingest_collection, ports, night, collection.name)
        with night.without(StorageUnreachable, IncompatibleFeatures):
            forget_lost_parts(ports)
        with night.without(StorageUnreachable):
            night.extract(ports, retry_failed=True)
        well = len(night.problems)
        with night.without(*ODD), night.timed("classify"):
            run_stage("classify", classify_news, ports, night)
        if len(night.problems) == well:  # else the same wait again, for the challenger
            with night.timed("shadow"):
                run_stage("shadow", shadow_challenger, ports, night, run)
        look_for_drift(ports, night, run.run_id)
        collect(ports, OLD_S)
        ended = conclude(run, night, budget)
    tell_monitoring(ports)
    return replace(ended, report=run_stage("report", write_report, ports, ended.run_id))


def write_labels(ports: Ports, night: Night) -> None:
    """Write the labels that a person gave while the lease was taken; a file of them that is odd waits on."""
    try:
        write_waiting(ports)
    except StopError as error:
        log.error("%s", error)
        night.problems.append(str(error))


def require_backbones(ports: Ports) -> None:
    """Check the backbones of the setting and of what serves before anything is read.

    Raises:
        ConfigurationError: One is missing, or lacks a package.
        UnsafeModel: One is another file than features were made with.
    """
    for spec in dict.fromkeys([ports.limits.spec, *ports.ledger.predictions.serving_specs()]):
        ports.require_backbone(spec)


def write_report(ports: Ports, run_id: int) -> str | None:
    """Write the HTML report of a published night; a failure is only logged."""
    try:
        return report(ports.warehouse, ports.videos, ports.reports, run_id, staging=ports.staging).report
    except Exception as error:  # any error: the night itself is done, and its numbers are in the warehouse
        log.warning("no report of run %s: %s: %s", run_id, type(error).__name__, error)
        return None


def tell_monitoring(ports: Ports) -> None:
    """Write the gauges of a published night; a failure is only logged."""
    try:
        write_gauges(ports.warehouse, ports.monitoring)
    except VidpipeError as error:
        log.warning("no metrics: %s", error)


def night_since(ports: Ports, due: datetime) -> int | None:
    """A later run that did the work of a night due at that time (UTC); None when it is still to be done.

    A night that could not list a source or reach MLflow is no excuse for another.
    """
    return ports.ledger.runs.night_since(due)


def ingest_collection(ports: Ports, night: Night, name: str) -> None:
    """Ingest one collection from its recorded source; a source that cannot be listed becomes a problem.

    New objects that do not fit on the disk together are extracted in between: each is downloaded once.
    """
    try:
        night.ingested.append(ingest_again(ports, name, between=lambda: night.extract(ports, name)))
    except (StopError, StorageUnreachable) as error:
        log.error("%s: %s", name, error)
        night.leave(f"{name}: {error.message}")


def classify_news(ports: Ports, night: Night) -> None:
    """Classify with the champion: new videos, and the archive within the time budget; nothing without one."""
    found, problems = champion(ports)
    if found is None:
        night.problems += problems
        return
    night.champion = found
    night.classified = classify(ports, budget_s=ports.limits.backfill_s, resolved=(found, problems))
    night.problems += night.classified.problems
    night.is_complete &= night.classified.is_complete


def shadow_challenger(ports: Ports, night: Night, run: RunLog) -> None:
    """Score with the challenger in shadow; one that cannot be used becomes a problem."""
    try:
        night.shadow = shadow(ports, run, ports.limits.backfill_s)
    except ODD as error:
        log.warning("the challenger was left out: %s", error)
        night.problems.append(f"the challenger was left out: {error}")


def look_for_drift(ports: Ports, night: Night, run_id: int) -> None:
    """Compare the night's videos with the champion's training; what keeps it from that becomes a problem."""
    if night.champion is None:
        return
    try:
        with night.timed("drift"):
            night.drift = feature_drift(ports, night.champion, run_id)
    except (*ODD, StorageUnreachable) as error:
        log.warning("feature drift was left out: %s", error)
        night.problems.append(f"feature drift was left out: {error}")


def conclude(run: RunLog, night: Night, budget: float | int) -> NightlyResult:
    """Write the night's status and counts into its row of `runs` and its result."""
    run.status = _status(night, budget)
    ingested = sum(r.new for r in night.ingested)
    extracted = night.extracted.videos if night.extracted else 0
    classified = night.classified.classified if night.classified else 0
    run.videos, run.failed, run.waiting = ingested, night.failed, night.waiting
    run.frames = night.extracted.frames if night.extracted else 0
    run.read_bytes = sum(r.read_bytes for r in night.ingested)
    run.written_bytes = night.extracted.written_bytes if night.extracted else 0
    run.detail = {
        "ingested": ingested, "extracted": extracted, "classified": classified, "problems": night.problems,
        "version": night.classified.version if night.classified else None,
        "remaining": night.classified.remaining if night.classified else 0, "shadow": night.shadow,
        "stage_seconds": {stage: round(seconds, 3) for stage, seconds in night.seconds.items()},
    }  # fmt: skip
    return NightlyResult(
        run.run_id,
        run.status,
        ingested,
        extracted,
        classified,
        night.shadow["videos"] if night.shadow else 0,
        night.classified.remaining if night.classified else 0,
        night.failed,
        night.waiting,
        run.seconds,
        night.problems,
        night.drift,
    )


def _status(night: Night, budget: float | int) -> str:
    if not night.is_complete:
        return "failed"
    if _over(night, budget):
        return "over_budget"
    if night.problems:
        return "degraded"
    return "ok" if night.classified else "no_champion"


def _over(night: Night, budget: float | int) -> bool:
    if isinstance(budget, int):
        return night.newly_failed > budget
    return night.attempted >= BUDGET_FROM and night.newly_failed > budget * night.attempted
