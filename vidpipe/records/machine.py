"""Value types of `vidpipe doctor` and of monitoring: binaries, weights, disk, services, gauges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """Version, start-up time and decoders of ffmpeg or ffprobe."""

    path: str
    version: str
    start_ms: float
    """From call to end of `-version`: what each video pays at least."""
    decoders: frozenset[str] = frozenset()
    """Names of its video decoders; ffprobe is not asked."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """PyTorch and the CNN's weights, as this machine has them."""

    torch: str
    device: str
    """Such as `cpu-AVX512`, or the GPU's name."""
    dtype: str
    """What `VIDPIPE_CNN_DTYPE` comes to here."""
    fused: bool
    threads: int
    weights_sha256: str | None
    """Of the installed file; None where there is none."""
    expected_sha256: str
    engine: str = "torch"
    """What `VIDPIPE_ENGINE` comes to here, or what is wrong with it."""
    engine_repair: str = ""
    """Empty where nothing is."""
    backbone: str = "efficientnet-lite0"
    """What `VIDPIPE_BACKBONE` names."""
    repair: str = ""
    """How its weights are installed."""
    problem: str = ""
    """Why it cannot be used, where something else than its weights is wrong."""


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """State of the home's disk: path, free space, file system."""

    home: Path
    exists: bool
    writable: bool
    mount: str
    file_system: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class StagingFacts:
    """State of the staging folder, where objects from buckets are downloaded to be read."""

    limit_bytes: int
    """What it may hold."""
    held_bytes: int
    free_bytes: int
    """On its disk."""


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A service that a run needs: embedded in the home, or a server."""

    where: str
    problem: str | None
    """Why it does not answer; None when it does, or when nothing of it is needed yet."""
    note: str = ""
    repair: str = ""
    """The command that mends it, where it answers and is not well."""


@dataclass(frozen=True, slots=True)
class ModelFault:
    """A reason why a model version cannot be served."""

    message: str
    repair: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Unfinished work in the ledger (open runs and promotions), and the parts that it names."""

    schema: int
    known_schema: int
    """The newest one that this vidpipe knows."""
    open_runs: Sequence[tuple[int, str]]
    """Number and kind."""
    open_intents: Sequence[tuple[int, str, int | None]]
    """Decisions whose alias may not have moved: number, decision, version."""
    parts: frozenset[tuple[str, str]]
    """Every part in use, as (feature_set_id, part)."""
    sources: Sequence[str] = ()
    """Of all collections, each once."""
    champions: Mapping[str, int | None] = field(default_factory=dict)
    """By registered model, as the history of decisions has them."""
    serving: frozenset[int] = frozenset()
    """Versions that collections serve."""
    digests: Mapping[int, str] = field(default_factory=dict)
    """Of the versions that numbers stand for, where they are known."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that monitoring reads, by Prometheus' rules of naming."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
