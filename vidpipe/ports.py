"""What the steps need from outside, as Protocols, and the bundle in which they get it.

Adapters fulfil them without knowing; `wiring.py` is where they meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from vidpipe.records.features import (
    FeatureSpec,
    FlowSpec,
    PartResult,
    StoredFeatures,
    Unscored,
    VideoFeatures,
    View,
)
from vidpipe.records.globs import Globs
from vidpipe.records.machine import (
    DiskFacts,
    ModelFault,
    NetworkFacts,
    ServiceFacts,
    StagingFacts,
    ToolFacts,
    Unfinished,
)
from vidpipe.records.models import (
    AttentionStrip,
    CrossValidation,
    EvaluationSet,
    LabelledVideo,
    ModelVersion,
    VersionId,
)
from vidpipe.records.videos import (
    Collection,
    Failure,
    Floats,
    GivenLabel,
    Listing,
    MediaFacts,
    PendingVideo,
    Place,
    Prediction,
    ProbedVideo,
    Promotion,
    SourceFile,
    Stage,
    StoredObject,
    WindowPrediction,
    Windows,
)

if TYPE_CHECKING:  # torch takes a second to load and numpy 0.1, which `vidpipe status` does not have
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from vidpipe.evaluation.gate import Policy
    from vidpipe.evaluation.model_card import TrainingRecord
    from vidpipe.learning.classifier import ClassifierConfig
    from vidpipe.vision.backbones import Backbone
    from vidpipe.vision.extraction import Decoding


class Catalog(Protocol):
    """File trees and manifests."""

    def list_folder(self, source: Path, *, label_from: str | None = None, globs: Globs = ...) -> Listing: ...
    def list_manifest(self, source: Path, manifest: Path) -> tuple[list[SourceFile], list[str]]: ...
    def pick_videos(
        self, objects: Sequence[SourceFile], *, label_from: str | None = None, globs: Globs = ...
    ) -> Listing: ...
    def pick_named(
        self, source: str, objects: Sequence[SourceFile], manifest: Path
    ) -> tuple[list[SourceFile], list[str]]: ...
    def write_manifest(
        self, manifest: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], *, overwrite: bool
    ) -> bool: ...
    def read_labels(self, file: Path) -> list[GivenLabel]: ...
    def hash_file(self, file: Path) -> str: ...


class Objects(Protocol):
    """Object storage."""

    def list(self, source: str) -> list[SourceFile]: ...
    def find(self, uri: str) -> StoredObject: ...


class Staging(Protocol):
    """Videos as local files, wherever they lie."""

    def local(
        self, place: Place, *, has_room: Callable[[], None] = lambda: None
    ) -> AbstractContextManager[Path]: ...
    def drop(self, place: Place) -> None: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...


class Videos(Protocol):
    """Probing and decoding."""

    @property
    def decoder(self) -> str: ...
    def probe(self, file: Path) -> MediaFacts: ...
    def decode(
        self,
        file: Path,
        sample_fps: float,
        views: Sequence[View],
        duration_s: float | None,
        flow: FlowSpec | None = None,
        stream_index: int | None = None,
    ) -> Decoding: ...
    def thumbnail(self, file: Path, duration_s: float | None) -> bytes: ...
    def picture(self, file: Path, at_s: float) -> bytes: ...


class Part(Protocol):
    """A part in the making."""

    name: str
    rows: int
    size_bytes: int

    def __enter__(self) -> Part: ...
    def __exit__(self, *details: Any) -> None: ...
    def append(self, features: VideoFeatures, first_frame: int = 0) -> None: ...
    def commit(self) -> str | None: ...


class FeatureStore(Protocol):
    """Parquet parts."""

    def new_part(self, spec: FeatureSpec, numerics: str) -> Part: ...
    def read(self, feature_set_id: str, wanted: Iterable[StoredFeatures]) -> Iterator[VideoFeatures]: ...
    def times(self, feature_set_id: str, stored: StoredFeatures) -> npt.NDArray[np.float64]: ...
    def pieces(self, feature_set_id: str, stored: StoredFeatures) -> Iterator[VideoFeatures]: ...
    def rewrite(self, feature_set_id: str, kept: Sequence[StoredFeatures]) -> list[StoredFeatures]: ...
    def sweep(self, named: set[tuple[str, str]], older_than_s: float) -> tuple[int, int]: ...


class ModelBundle(Protocol):
    """A trained classifier with its parts and baselines, and what they were made from; read-only."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def spec(self) -> FeatureSpec: ...
    @property
    def split_ids(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def training_groups(self) -> Sequence[str]: ...
    @property
    def lstm(self) -> nn.Module: ...
    @property
    def lstm_config(self) -> ClassifierConfig: ...
    @property
    def classifier(self) -> nn.Module: ...
    @property
    def parts(self) -> Mapping[str, nn.Module]: ...
    @property
    def weights(self) -> Mapping[str, float]: ...
    @property
    def baselines(self) -> Mapping[str, nn.Module]: ...
    @property
    def cross_validation(self) -> CrossValidation | None: ...


class TrainingRun(Protocol):
    """An open MLflow run."""

    mlflow_run_id: str

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None: ...
    def log_scores(
        self,
        name: str,
        labels: Sequence[str],
        truth: npt.NDArray[np.int64],
        given: Floats,
        table: Mapping[str, Any],
    ) -> None: ...
    def log_attention(self, strips: Sequence[AttentionStrip]) -> None: ...
    def log_facts(self, name: str, facts: Mapping[str, Any]) -> None: ...
    def trial(self, name: str, parameters: Mapping[str, Any]) -> AbstractContextManager[TrainingRun]: ...
    def register(self, bundle: Any, record: TrainingRecord) -> ModelVersion: ...


class Registry(Protocol):
    """Training runs, model versions, aliases."""

    model: str

    def training_run(
        self, name: str, parameters: Mapping[str, Any], *, only: bool = False
    ) -> AbstractContextManager[TrainingRun]: ...
    def find(self, fingerprint: str) -> ModelVersion | None: ...
    def aliases(self) -> dict[str, int]: ...
    def set_alias(self, alias: str, version: int) -> None: ...
    def drop_alias(self, alias: str) -> None: ...
    def version(self, selector: str) -> ModelVersion: ...
    def versions(self) -> list[ModelVersion]: ...
    def load(self, version: ModelVersion) -> ModelBundle: ...
    def kept(self, number: int, digest: str | None = None) -> ModelVersion: ...
    def sweep(self, serving: Iterable[int], older_than_s: float) -> tuple[int, int]: ...


class Ledger(Protocol):
    """What is done."""

    def recognise(self, version: VersionId) -> bool: ...
    def digest_of(self, number: int) -> str | None: ...
    def last_model(self) -> str | None: ...

    def start_run(self, kind: str, *, ended: Sequence[str] = ()) -> int: ...
    def finish_run(
        self, run_id: int, *, status: str, videos: int, frames: int, failed: int, seconds: float,
        detail: Mapping[str, Any],
    ) -> None: ...  # fmt: skip

    def night_since(self, moment: datetime) -> int | None: ...

    def collection(self, name: str) -> Collection | None: ...
    def collections(self) -> list[Collection]: ...
    def put_collection(self, collection: Collection) -> None: ...
    def present_paths(self, collection: str) -> set[str]: ...
    def changed_paths(
        self, collection: str, listing: Sequence[SourceFile], *, retry_failed: bool
    ) -> set[str]: ...
    def known_videos(
        self, video_ids: Iterable[str], *, retry_failed: bool
    ) -> dict[str, tuple[Stage, str, str] | None]: ...
    def put_videos(
        self, collection: str, files: Sequence[tuple[SourceFile, str | None]],
        videos: Sequence[ProbedVideo], failures: Sequence[Failure],
    ) -> None: ...  # fmt: skip
    def put_listing(self, collection: str, listing: Sequence[SourceFile]) -> int: ...
    def put_failures(self, failures: Sequence[Failure]) -> None: ...
    def reset_failures(self, collection: str | None) -> int: ...

    def pending_videos(
        self, feature_set_id: str, collection: str | None, *, retry_failed: bool
    ) -> list[PendingVideo]: ...
    def count_features(self, feature_set_id: str, collection: str | None) -> int: ...
    def put_parts(self, run_id: int, results: Sequence[PartResult]) -> None: ...
    def place_of(self, collection: str, path: str) -> Place | None: ...
    def labelled_videos(self, collection: str, feature_set_id: str) -> list[LabelledVideo]: ...
    def count_labelled(self, collection: str) -> int: ...
    def items_at(self, collection: str, paths: Iterable[str]) -> dict[str, tuple[str, str | None]]: ...
    def give_labels(self, collection: str, labels: Mapping[str, str], source: str) -> None: ...
    def stored_features(self, feature_set_id: str, video_ids: Iterable[str]) -> list[StoredFeatures]: ...
    def windows_of(self, video_id: str) -> Windows | None: ...

    def unscored(
        self, version: VersionId, feature_set_id: str, collections: Sequence[str] | None
    ) -> list[Unscored]: ...
    def count_scored(self, version: VersionId, collection: str | None) -> int: ...
    def count_other_features(self, feature_set_id: str, collection: str | None) -> int: ...
    def put_predictions(
        self,
        run_id: int,
        version: VersionId,
        feature_set_id: str,
        predictions: Sequence[Prediction],
        windows: Sequence[WindowPrediction] = (),
    ) -> None: ...
    def unscored_collections(
        self, version: VersionId, feature_set_id: str, collection: str | None
    ) -> list[tuple[str, int | None, int]]: ...
    def switch_serving(self, version: int, collection: str | None = None) -> None: ...
    def serving_versions(self) -> dict[str, int]: ...
    def feature_specs(self, collection: str | None) -> list[FeatureSpec]: ...
    def serving_specs(self) -> list[FeatureSpec]: ...
    def table(self, statement: str) -> list[dict[str, Any]]: ...

    def named_parts(self) -> set[tuple[str, str]]: ...
    def videos_starting(self, prefix: str) -> list[str]: ...
    def parts_of_video(self, video_id: str) -> list[tuple[str, str]]: ...
    def features_of_part(self, feature_set_id: str, part: str) -> list[StoredFeatures]: ...
    def forget(self, video_id: str, moved: Sequence[tuple[str, Sequence[StoredFeatures]]]) -> None: ...

    def put_promotion(
        self, model: str, promotion: Promotion, *, evidence: Mapping[str, Any], eval_set_hash: str | None,
        reason: str | None, actor: str, final: bool, to: VersionId | None = None,
    ) -> int: ...  # fmt: skip
    def finish_promotion(self, promotion_id: int, *, serve: int | None = None) -> None: ...
    def abandon_promotion(self, promotion_id: int, *, why: str) -> None: ...
    def open_promotions(self, model: str) -> list[Promotion]: ...
    def promotion_history(self, model: str) -> list[Promotion]: ...

    def put_evaluation_set(self, exam: EvaluationSet) -> bool: ...
    def evaluation_set(self, set_hash: str | None = None) -> EvaluationSet | None: ...
    def evaluation_sets(self) -> list[str]: ...
    def put_version_videos(
        self,
        version: VersionId,
        split_ids: Mapping[str, Sequence[str]],
        *,
        warm_start: VersionId | None = None,
    ) -> None: ...
    def versions_taught(self, video_id: str) -> list[int]: ...
    def has_reference(self, version: VersionId) -> bool: ...
    def put_reference(self, version: VersionId, answers: Mapping[tuple[str, int], int]) -> None: ...
    def shadow_agreement(
        self, run_id: int, challenger: VersionId, champion: VersionId
    ) -> tuple[int, int]: ...
    def agreeing_nights(self, challenger: VersionId, champion: VersionId, agreement: float) -> int: ...


class Reader(Protocol):
    """Answers a named statement with rows."""

    def __call__(self, name: str, /, **parameters: Any) -> list[dict[str, Any]]: ...


class Warehouse(Protocol):
    """The published snapshot."""

    def publish(self) -> None: ...
    def reading(self) -> AbstractContextManager[Reader]: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...


class Reports(Protocol):
    """The pages that people open."""

    def write(self, run_id: int, page: str) -> Path: ...
    def forget(self, video_id: str) -> int: ...
    def sweep(self, older_than_s: float) -> tuple[int, int]: ...


class Lease(Protocol):
    """One writing run at a time."""

    @property
    def is_mine(self) -> bool: ...
    def hold(self, verb: str, *, wait: bool = False) -> AbstractContextManager[None]: ...
    def beside(
        self, room: str, *, shared: bool = False, wait: bool = True
    ) -> AbstractContextManager[bool]: ...
    def holder(self) -> Mapping[str, object] | None: ...


class Progress(Protocol):
    """Shows how far the open stage is. Stages come one after the other.

    The context's value takes how much of the total is done since the last call, and how many of the unit that
    was; `in_progress` takes what of the next call is under way, and nothing where no stage is open.
    """

    def stage(
        self, name: str, total: float, unit: str
    ) -> AbstractContextManager[Callable[[float, int], None]]: ...
    def in_progress(self, amount: float, count: int) -> None: ...


class Shard(Protocol):
    """A piece of a run's work that needs nothing of the others."""

    @property
    def cost(self) -> float: ...


S = TypeVar("S", bound=Shard)
R = TypeVar("R")


class ShardExecutor(Protocol):
    """Who computes shards: this process, or workers; `work` is a function that they can import."""

    def compute(
        self, ports: Ports, work: Callable[[Ports, S], R], shards: Sequence[S]
    ) -> Iterator[tuple[S, R]]: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that steps follow."""

    spec: FeatureSpec
    """For features made before any model asks for another spec."""
    workers: int
    part_frames: int
    top_k: int
    failure_budget: float
    policy: Policy
    """What the gate asks for."""
    backfill_s: float
    """Seconds that a night may spend on scoring the archive again."""
    staging_bytes: int
    """Room on the local disk for objects on their way."""
    wait_for_lease: bool = False


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a step may touch."""

    catalog: Catalog
    objects: Objects
    staging: Staging
    videos: Videos
    store: FeatureStore
    registry: Registry
    ledger: Ledger
    warehouse: Warehouse
    reports: Reports
    lease: Lease
    progress: Progress
    executor: ShardExecutor
    limits: Limits
    make_bundle: Callable[..., ModelBundle]
    load_backbone: Callable[[FeatureSpec], Backbone]
    actor: str = field(default="unknown")


@dataclass(frozen=True, slots=True)
class Probes:
    """What `doctor` asks. Each may fail by itself, may take long, and leaves everything as it was."""

    ffmpeg: Callable[[], ToolFacts]
    ffprobe: Callable[[], ToolFacts]
    network: Callable[[], NetworkFacts]
    disk: Callable[[], DiskFacts]
    mlflow: Callable[[], ServiceFacts]
    models: Callable[[Unfinished], Sequence[ModelFault]]
    """What keeps the versions that serve from being served."""
    prefect: Callable[[], ServiceFacts]
    version_conflicts: Callable[[], Sequence[str]]
    """Packages out of their supported range, in words."""
    lease_holder: Callable[[], Mapping[str, object] | None]
    unfinished: Callable[[], Unfinished | None]
    """None while there is no ledger."""
    unnamed_parts: Callable[[frozenset[tuple[str, str]]], Sequence[float]]
    """Ages in seconds of the parts that are not among these."""
    features: Callable[[], str | None]
    """The bucket where parts lie, once it has been written to; None for a folder."""
    reach: Callable[[str], None]
    """Raises unless a source is there."""
    staging: Callable[[], StagingFacts]
    snapshot: Callable[[], ServiceFacts]
