"""Composition root: the one place where ports are bound to adapters.

`open_home` is fast and enough for reading; `open_ports` adds what computing needs (torch, ffmpeg).
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidpipe.adapters.backbones import BackboneFolder
from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.database.warehouse import Warehouse
from vidpipe.adapters.home_archive import HomeArchive
from vidpipe.adapters.locks.file_lease import FileLease
from vidpipe.adapters.pictures import Pictures
from vidpipe.adapters.prometheus_file import PrometheusFile
from vidpipe.adapters.reports import Reports
from vidpipe.adapters.sources.buckets import BucketFolder, Objects
from vidpipe.adapters.sources.folders import Catalog
from vidpipe.adapters.sources.staging import Staging
from vidpipe.adapters.waiting_labels import WaitingLabels
from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Limits, Ports
from vidpipe.ports.coordination import Lease, Progress, ShardExecutor
from vidpipe.ports.doctor import Probes
from vidpipe.settings import Settings
from vidpipe.shards import InProcessExecutor
from vidpipe.uris import checked_uri, is_uri

if TYPE_CHECKING:
    from vidpipe.adapters.features.store import FeatureStore
    from vidpipe.adapters.media.video_files import VideoFiles
    from vidpipe.evaluation.gate import Policy
    from vidpipe.records.features import FeatureSpec
    from vidpipe.vision.backbones import Backbone


@dataclass(frozen=True)
class Home:
    """Databases, lease and reports of one installation, each opened on first use."""

    settings: Settings

    @cached_property
    def ledger(self) -> Ledger:
        """The working database, `state/ledger.duckdb`."""
        return Ledger(self._ledger_file, max_attempts=self.settings.nightly_attempts)

    @cached_property
    def lease(self) -> Lease:
        """The lock that lets one run write at a time."""
        return open_lease(self.settings)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The published read-only database, `warehouse.duckdb`."""
        file = self.settings.home / "warehouse.duckdb"
        return Warehouse(file, self._ledger_file, self.ledger.database.exclusive)

    @cached_property
    def reports(self) -> Reports:
        """The folder of HTML reports."""
        return Reports(self.settings.home / "reports")

    @property
    def _ledger_file(self) -> Path:
        return self.settings.home / "state" / "ledger.duckdb"


def open_home(settings: Settings) -> Home:
    """Open a home: databases and lease, created on first use."""
    know_user_folder(settings.home)
    stand_somewhere()
    return Home(settings)


def open_lease(settings: Settings) -> Lease:
    """Open the lease: a file lock on this host, or a PostgreSQL lock that several hosts share."""
    if settings.lease_uri is None:
        return FileLease(settings.home / "state" / "lease")
    from vidpipe.adapters.locks.postgres_lease import PostgresLease

    return PostgresLease(settings.lease_uri.get_secret_value())


def open_archive(home: Home) -> HomeArchive:
    """Open the backups of a home."""
    return HomeArchive(
        home.settings.home, home.ledger.database.copy_to, lambda file: Ledger(file).features.named_parts()
    )


FORMATS = ("label-studio", "webvtt", "fiftyone", "activitynet", "camtrap-dp")
"""Of `export_as`."""
RELATION_FORMATS = ("parquet", "delta")
"""Of `export_relations`."""


def export_relations(
    home: Home, folder: Path, format_name: str, relations: Sequence[str] | None
) -> list[dict[str, Any]]:
    """Export public relations, as Parquet files or as Delta Lake tables; returns what was written.

    Raises:
        ConfigurationError: Delta Lake's library is not installed.
        NotFound: No such relation, or nothing has been published yet.
        StorageFailed: The folder cannot be written.
    """
    from vidpipe.adapters.database.exports import write_delta, write_parquet

    write = dict(zip(RELATION_FORMATS, (write_parquet, write_delta), strict=True))[format_name]
    return home.warehouse.export(folder, relations, write)


def export_as(home: Home, folder: Path, format_name: str, collection: str | None) -> list[dict[str, Any]]:
    """Export what is known and predicted of videos in another tool's format; returns the files.

    Raises:
        ConfigurationError: No such format, or a video lacks what it needs.
        NotFound: No such collection, or nothing has been published yet.
        StorageFailed: The folder cannot be written.
    """
    from vidpipe.adapters.exchange.formats import WRITERS

    writer = WRITERS.get(format_name)
    if writer is None:
        known = ", ".join(RELATION_FORMATS + FORMATS)
        raise ConfigurationError(f"no format {format_name!r}; there are {known}.")
    with home.warehouse.reading() as read:
        if collection is not None and all(c["collection"] != collection for c in read("browse_collections")):
            raise NotFound(f"no collection {collection!r}.", next_step="vidpipe collections lists them.")
        return writer(read, folder, collection)


def open_catalog() -> Catalog:
    """Open the reader of folders and manifests, which needs no home."""
    return Catalog()


def open_staging(settings: Settings) -> Staging:
    """Open the staging folder, where objects from buckets are downloaded to be read."""
    return Staging(settings.home / "staging", settings.staging_bytes, Objects().download)


def open_videos(settings: Settings) -> VideoFiles:
    """Open the video reader: ffmpeg and ffprobe; `ConfigurationError` where faces cannot be blurred."""
    from vidpipe.adapters.media.binaries import find_tools
    from vidpipe.adapters.media.video_files import VideoFiles

    blur = None
    if settings.blur_faces:
        from vidpipe.vision.faces import FaceBlur

        blur = FaceBlur()
    return VideoFiles(
        find_tools(settings.ffmpeg, settings.ffprobe),
        min_wait_s=settings.decode_min_s,
        wait_s_per_s=settings.decode_s_per_s,
        blur=blur,
    )


def open_store(settings: Settings) -> FeatureStore:
    """Open the feature store: in the home, in another folder, or in a bucket."""
    from vidpipe.adapters.features.store import FeatureStore

    root = settings.home / "features"
    if settings.features_uri is None:
        return FeatureStore(root)
    where = checked_uri(settings.features_uri)
    return FeatureStore(root, BucketFolder(where)) if is_uri(where) else FeatureStore(Path(where))


def open_probes(home: Home) -> Probes:
    """Open the probes that `doctor` runs on a home and on this machine."""
    from vidpipe.adapters import machine
    from vidpipe.adapters.media.binaries import find_tool, tool_facts

    settings = home.settings
    return Probes(
        ffmpeg=lambda: tool_facts(find_tool("ffmpeg", settings.ffmpeg), decoders=True),
        ffprobe=lambda: tool_facts(find_tool("ffprobe", settings.ffprobe)),
        network=partial(machine.network, settings.cnn_dtype, settings.backbone, settings.engine),
        disk=partial(machine.disk, settings.home),
        mlflow=partial(machine.mlflow, settings.home / "mlflow", settings.mlflow_uri),
        models=partial(machine.models, settings.home / "mlflow", settings.mlflow_uri, settings.model_name),
        prefect=partial(machine.prefect, settings.home / "prefect"),
        version_conflicts=machine.version_conflicts,
        lease_holder=home.lease.holder,
        unfinished=home.ledger.unfinished,
        unnamed_parts=lambda named: open_store(settings).unnamed_ages_s(named),
        gone_parts=lambda named: len(open_store(settings).gone(named)),
        features=lambda: open_store(settings).try_out(),
        reach=partial(machine.reach, Objects().reach),
        staging=partial(machine.staging, settings.home / "staging", settings.staging_bytes),
        snapshot=partial(machine.snapshot, home.warehouse.file),
    )


def open_ports(
    home: Home, progress: Progress, *, executor: ShardExecutor | None = None, wait_for_lease: bool = False
) -> Ports:
    """Open all ports of the steps; by default, shards are computed in this process."""
    from vidpipe.adapters.models.bundle import Bundle
    from vidpipe.adapters.models.registry import Registry

    settings = home.settings
    backbones = BackboneFolder(settings.home / "backbones")
    spec, keep = chosen_backbone(settings, backbones)
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
        pictures=Pictures(settings.home / "pictures", variant=".blurred" if settings.blur_faces else ""),
        waiting_labels=WaitingLabels(settings.home / "labels" / "waiting.csv"),
        monitoring=PrometheusFile(settings.home / "metrics.prom"),
        lease=home.lease,
        progress=progress,
        executor=executor or InProcessExecutor(),
        limits=Limits(
            spec=spec,
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
        load_backbone=cache(partial(_load, backbones, settings)),
        require_backbone=partial(_require, keep, backbones, settings),
        actor=user_name(),
    )


def chosen_backbone(
    settings: Settings, folder: BackboneFolder
) -> tuple[FeatureSpec, Callable[[FeatureSpec], None]]:
    """Spec of the setting's backbone, and what keeps a copy of its file before features are made.

    Raises:
        ConfigurationError: No such backbone, or a file that is none.
        UnsafeModel: Features of this home were made with another file at this path.
    """
    from vidpipe.vision.backbone_choice import named_file, timm_name
    from vidpipe.vision.feature_specs import default_spec

    file = named_file(settings.backbone)
    if file is None:
        spec = default_spec(settings.sample_fps, settings.sampling, settings.backbone)
        return spec, lambda _spec: None
    from vidpipe.vision.backbone_files import read_backbone  # torch takes two seconds to import

    found = read_backbone(file, timm_name(settings.backbone))
    folder.check(file, found.sha256)

    def keep(wanted: FeatureSpec) -> None:
        if wanted.weights_sha256 == found.sha256:
            folder.keep(file, found.sha256)

    return default_spec(settings.sample_fps, settings.sampling, found), keep


def list_backbones(home: Home) -> list[dict[str, Any]]:
    """Backbones with a name, the setting's file and the files that features were made with."""
    from vidpipe.steps.backbones import backbones, files_among, named
    from vidpipe.vision.backbone_choice import named_file
    from vidpipe.vision.backbones import load_backbone

    settings, folder = home.settings, BackboneFolder(home.settings.home / "backbones")
    file = named_file(settings.backbone)
    files = [*([file] if file else []), *folder.files()]
    candidates = [*named(settings.sample_fps), *files_among(files, settings.sample_fps, settings.backbone)]
    chosen = str(file) if file else settings.backbone
    return backbones(
        candidates, chosen, partial(load_backbone, dtype=settings.cnn_dtype, engine=settings.engine)
    )


def _load(folder: BackboneFolder, settings: Settings, spec: FeatureSpec) -> Backbone:
    from vidpipe.vision.backbones import load_backbone  # torch takes two seconds to import

    return load_backbone(spec, dtype=settings.cnn_dtype, engine=settings.engine, find_file=folder.find)


def _require(
    keep: Callable[[FeatureSpec], None], folder: BackboneFolder, settings: Settings, spec: FeatureSpec
) -> None:
    from vidpipe.vision.backbones import require_backbone

    keep(spec)
    require_backbone(spec, dtype=settings.cnn_dtype, engine=settings.engine, find_file=folder.find)


def user_name() -> str:
    """Name of the user who runs this; in containers a user may have a number and no name.

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


def stand_somewhere() -> None:
    """Leave a working folder that was removed: MLflow asks for it, and fails."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")


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
