"""The composition root: the only place where ports meet adapters. No logic.

`open_home` is quick and enough to look around; `open_ports` adds what computing needs (torch, ffmpeg).
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidpipe import ports
from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.database.warehouse import Warehouse
from vidpipe.adapters.locks.file_lease import Lease
from vidpipe.adapters.reports import Reports
from vidpipe.adapters.sources.buckets import BucketFolder, Objects
from vidpipe.adapters.sources.folders import Catalog
from vidpipe.adapters.sources.staging import Staging
from vidpipe.ports import Limits, Ports, Probes, Progress, ShardExecutor
from vidpipe.settings import Settings
from vidpipe.shards import Here
from vidpipe.uris import checked_uri, is_uri

if TYPE_CHECKING:
    from vidpipe.adapters.features.store import FeatureStore
    from vidpipe.adapters.media.video_files import VideoFiles
    from vidpipe.evaluation.gate import Policy


@dataclass(frozen=True)
class Home:
    """What one installation keeps in its home; each part is opened when it is first asked for."""

    settings: Settings

    @cached_property
    def ledger(self) -> Ledger:
        """The database of record."""
        return Ledger(self._ledger_file, max_attempts=self.settings.nightly_attempts)

    @cached_property
    def lease(self) -> ports.Lease:
        """Who writes: one run at a time."""
        return open_lease(self.settings)

    @cached_property
    def warehouse(self) -> Warehouse:
        """What analysts read."""
        file = self.settings.home / "warehouse.duckdb"
        return Warehouse(file, self._ledger_file, self.ledger.exclusive)

    @cached_property
    def reports(self) -> Reports:
        """The nights' pages."""
        return Reports(self.settings.home / "reports")

    @property
    def _ledger_file(self) -> Path:
        return self.settings.home / "state" / "ledger.duckdb"


def open_home(settings: Settings) -> Home:
    """The databases and the lease of a home; nothing is created before it is used."""
    know_user_folder(settings.home)
    return Home(settings)


def open_lease(settings: Settings) -> ports.Lease:
    """A file's lock on this host, or a lock that hosts share."""
    if settings.lease_uri is None:
        return Lease(settings.home / "state" / "lease")
    from vidpipe.adapters.locks.postgres_lease import PostgresLease

    return PostgresLease(settings.lease_uri.get_secret_value())


def open_catalog() -> Catalog:
    """File trees and manifests alone: what needs no home."""
    return Catalog()


def open_staging(settings: Settings) -> Staging:
    """Where objects lie while they are read."""
    return Staging(settings.home / "staging", settings.staging_bytes, Objects().download)


def open_videos(settings: Settings) -> VideoFiles:
    """ffmpeg and ffprobe alone."""
    from vidpipe.adapters.media.binaries import find_tools
    from vidpipe.adapters.media.video_files import VideoFiles

    return VideoFiles(
        find_tools(settings.ffmpeg, settings.ffprobe),
        min_wait_s=settings.decode_min_s,
        wait_s_per_s=settings.decode_s_per_s,
    )


def open_store(settings: Settings) -> FeatureStore:
    """Features: in the home, in another folder, or in a bucket."""
    from vidpipe.adapters.features.store import FeatureStore

    root = settings.home / "features"
    if settings.features_uri is None:
        return FeatureStore(root)
    where = checked_uri(settings.features_uri)
    return FeatureStore(root, BucketFolder(where)) if is_uri(where) else FeatureStore(Path(where))


def open_probes(home: Home) -> Probes:
    """What `doctor` asks of a home and of this machine."""
    from vidpipe.adapters import machine
    from vidpipe.adapters.media.binaries import find_tool, tool_facts

    settings = home.settings
    return Probes(
        ffmpeg=lambda: tool_facts(find_tool("ffmpeg", settings.ffmpeg), decoders=True),
        ffprobe=lambda: tool_facts(find_tool("ffprobe", settings.ffprobe)),
        network=partial(machine.network, settings.cnn_dtype),
        disk=partial(machine.disk, settings.home),
        mlflow=partial(machine.mlflow, settings.home / "mlflow", settings.mlflow_uri),
        models=partial(machine.models, settings.home / "mlflow", settings.mlflow_uri, settings.model_name),
        prefect=partial(machine.prefect, settings.home / "prefect"),
        version_conflicts=machine.version_conflicts,
        lease_holder=home.lease.holder,
        unfinished=home.ledger.unfinished,
        unnamed_parts=lambda named: open_store(settings).unnamed_ages_s(named),
        features=lambda: open_store(settings).try_out(),
        reach=partial(machine.reach, Objects().reach),
        staging=partial(machine.staging, settings.home / "staging", settings.staging_bytes),
        snapshot=partial(machine.snapshot, home.warehouse.file),
    )


def open_ports(
    home: Home, progress: Progress, *, executor: ShardExecutor | None = None, wait_for_lease: bool = False
) -> Ports:
    """Everything that the steps may touch; by default, this process computes what there is to compute."""
    from vidpipe.adapters.models.bundle import Bundle
    from vidpipe.adapters.models.registry import Registry
    from vidpipe.vision.backbones import default_spec, load_backbone

    settings = home.settings
    return Ports(
        catalog=open_catalog(),
        objects=Objects(),
        staging=open_staging(settings),
        videos=open_videos(settings),
        store=open_store(settings),
        registry=Registry(settings.home / "mlflow", settings.model_name, settings.mlflow_uri),
        ledger=home.ledger,
        warehouse=home.warehouse,
        reports=home.reports,
        lease=home.lease,
        progress=progress,
        executor=executor or Here(),
        limits=Limits(
            spec=default_spec(settings.sample_fps),
            workers=settings.workers,
            part_frames=settings.part_frames,
            top_k=settings.top_k,
            failure_budget=settings.failure_budget,
            policy=_policy(settings),
            backfill_s=settings.backfill_s,
            staging_bytes=settings.staging_bytes,
            wait_for_lease=wait_for_lease,
        ),
        make_bundle=Bundle,
        load_backbone=cache(partial(load_backbone, dtype=settings.cnn_dtype)),
        actor=user_name(),
    )


def user_name() -> str:
    """Who runs this; in containers a user may have a number and no name.

    MLflow and PyTorch ask for the name too, and fail without one: they find the same in the environment.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return os.environ.setdefault("USER", f"uid {os.getuid()}")


def know_user_folder(home: Path) -> None:
    """Give a user who has no folder of their own that of `home`: MLflow asks for one on import, and fails."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(home)


def _policy(settings: Settings) -> Policy:
    from vidpipe.evaluation.gate import Policy

    return Policy(
        rule=settings.gate_policy,
        margin=settings.gate_margin,
        min_videos=settings.gate_min_videos,
        label_floor=settings.gate_label_floor,
        label_drop=settings.gate_label_drop,
        shadow_nights=settings.gate_shadow_nights,
        strict=settings.gate_strict,
    )
