"""MLflow model registry: training runs, model versions, and the aliases champion and challenger."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidpipe.adapters.models import bundle as bundles
from vidpipe.adapters.models import logged_model, plots
from vidpipe.adapters.models.bundle import Bundle
from vidpipe.adapters.models.evaluation_log import EvaluationLog
from vidpipe.adapters.models.local_copies import LocalCopies
from vidpipe.adapters.models.mlflow_store import EXPERIMENT, MlflowStore
from vidpipe.errors import NotFound, UnsafeModel
from vidpipe.evaluation import model_card
from vidpipe.evaluation.model_card import TrainingRecord
from vidpipe.records.features import FeatureSpec
from vidpipe.records.models import AttentionStrip, ModelVersion, ScoredVideos
from vidpipe.records.videos import Floats

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.tracking import MlflowClient

_PREFIX = "vidpipe."
_COMPLETE = f"{_PREFIX}complete"
_DECIDED = ("decision", "decided_by", "decided_at", "promotion_id")
_DESCRIPTION_LENGTH = 5000
"""Source: the column `description` of mlflow/store/model_registry/dbmodels/models.py."""


class TrainingRun:
    """An open MLflow run."""

    def __init__(self, registry: Registry, run_id: str) -> None:
        self._registry = registry
        self.mlflow_run_id = run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log one step of each metric."""
        import mlflow

        mlflow.log_metrics(dict(metrics), step=step)

    def log_scores(
        self,
        name: str,
        labels: Sequence[str],
        truth: npt.NDArray[np.int64],
        given: Floats,
        table: Mapping[str, Any],
    ) -> None:
        """Log scores as JSON, and confusion matrix, per-label scores and reliability as figures.

        Args:
            name: What the files are called by.
            labels: K label names.
            truth: Indices into them, (N,), or which of them a video has, (N, K).
            given: Probability of each label, (N, K).
            table: The scores.
        """
        import mlflow

        mlflow.log_dict(dict(table), f"{name}_scores.json")
        figures = plots.of_scores(ScoredVideos(tuple(labels), truth, given))
        for kind, figure in (figures | {"labels": plots.per_label(table["per_label"])}).items():
            mlflow.log_figure(figure, f"{name}_{kind}.png")

    def log_attention(self, strips: Sequence[AttentionStrip]) -> None:
        """Log attention weights of some videos as a figure with pictures of their frames."""
        import mlflow

        mlflow.log_figure(plots.attention(strips), "attention.png")

    def log_facts(self, name: str, facts: Mapping[str, Any]) -> None:
        """Log other values as JSON."""
        import mlflow

        mlflow.log_dict(dict(facts), f"{name}.json")

    @contextmanager
    def trial(self, name: str, parameters: Mapping[str, Any]) -> Iterator[TrainingRun]:
        """Context manager of a nested MLflow run; until it ends, this one logs nothing."""
        import mlflow

        with mlflow.start_run(run_name=name, nested=True, tags=self._registry.home_tag) as run:
            mlflow.log_params(dict(parameters))
            yield TrainingRun(self._registry, run.info.run_id)

    def register(self, bundle: Bundle, record: TrainingRecord) -> ModelVersion:
        """Log the bundle as a pyfunc, register it as a version and set the alias challenger."""
        return self._registry.register(self.mlflow_run_id, bundle, record)


class Registry:
    """One registered model on one MLflow store."""

    def __init__(self, home: Path, model: str, tracking_uri: str | None) -> None:
        self.model = model
        self.store = MlflowStore(home, tracking_uri)
        self.copies = LocalCopies(home.parent / "models", model)
        self.evaluations = EvaluationLog(self.store, model, self.home_tag)
        self._loaded: dict[tuple[int, str, bool], Bundle] = {}
        """The bundle that was loaded last, by version and hash."""

    @property
    def home_tag(self) -> dict[str, str]:
        """Tag on every MLflow run of this home, by which runs left open by a kill are found."""
        return {f"{_PREFIX}home": f"{socket.gethostname()}:{self.store.home}"}

    @contextmanager
    def training_run(
        self, name: str, parameters: Mapping[str, Any], *, only: bool = False
    ) -> Iterator[TrainingRun]:
        """Context manager of an MLflow run that ends FINISHED, or FAILED after an error.

        With `only`, no other training of this home is alive: runs that it left open are ended as KILLED.
        """
        client = self.store.client  # sets the tracking URI
        import mlflow

        with self.store.errors():
            experiment = mlflow.set_experiment(EXPERIMENT)
            if only:
                _end_open_runs(client, experiment.experiment_id, self.home_tag)
            with mlflow.start_run(run_name=name, tags=self.home_tag) as run:
                mlflow.log_params(dict(parameters))
                yield TrainingRun(self, run.info.run_id)

    def register(self, mlflow_run_id: str, bundle: Bundle, record: TrainingRecord) -> ModelVersion:
        """Register a bundle from an open MLflow run and set the alias challenger.

        Card and tags are there as soon as the version is, so that a kill leaves nothing but `_finish` to do.
        """
        client = self.store.client
        from vidpipe.adapters.models.datasets import log_training

        with self.store.folder() as folder, self.store.errors():
            logged = logged_model.log(bundle, record, folder)
            log_training(record, logged.model_id)
            _ensure_model(client, self.model)
            created = client.create_model_version(
                self.model,
                logged.uri,
                run_id=mlflow_run_id,
                model_id=logged.model_id,
                tags=_version_tags(bundle, logged.digest, record) | self.home_tag,
                description=model_card.shortened(logged.card, _DESCRIPTION_LENGTH),
            )
            self._finish(str(created.version))
        return self.version(str(created.version))

    def find(self, fingerprint: str) -> ModelVersion | None:
        """Find the newest version by the fingerprint of its inputs; finish a half-done registration."""
        with self.store.errors():
            found = self.store.client.search_model_versions(
                f"name = '{self.model}' and tag.`{_PREFIX}fingerprint` = '{fingerprint}'"
            )
            ours = [v for v in found if f"{_PREFIX}digest" in v.tags]
            if not ours:
                return None
            newest = max(ours, key=lambda v: int(v.version))
            if newest.tags.get(_COMPLETE) != "true":
                self._finish(str(newest.version))
        return self.version(str(newest.version))

    def _finish(self, version: str) -> None:
        """Finish a registration: mark the version complete and set the alias."""
        if self.aliases().get("champion") != int(version):
            self.store.client.set_registered_model_alias(self.model, "challenger", version)
        self.store.client.set_model_version_tag(self.model, version, _COMPLETE, "true")

    # -- versions and aliases -------------------------------------------------------------------

    def aliases(self) -> dict[str, int]:
        """Map aliases to version numbers; empty when there is no model yet."""
        if self.store.is_unborn:
            return {}
        from mlflow.exceptions import MlflowException

        with self.store.errors():
            try:
                found = self.store.client.get_registered_model(self.model).aliases
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return {}
                raise
        return {alias: int(version) for alias, version in found.items()}

    def set_alias(self, alias: str, version: int) -> None:
        """Set an alias to a version."""
        with self.store.errors():
            self.store.client.set_registered_model_alias(self.model, alias, str(version))

    def drop_alias(self, alias: str) -> None:
        """Delete an alias."""
        with self.store.errors():
            self.store.client.delete_registered_model_alias(self.model, alias)

    def version(self, selector: str) -> ModelVersion:
        """Get a version by number or alias.

        Raises:
            NotFound: No such version or alias.
        """
        aliases = self.aliases()
        number = aliases.get(selector) if not selector.isdecimal() else int(selector)
        known = ", ".join(f"{a} = {v}" for a, v in sorted(aliases.items())) or "none"
        missing = NotFound(
            f"the model {self.model} has no version or alias {selector!r} (aliases: {known}).",
            next_step="vidpipe models lists the versions; vidpipe train makes one.",
        )
        if number is None:
            raise missing
        from mlflow.exceptions import MlflowException

        with self.store.errors():
            try:
                return self._version(self.store.client.get_model_version(self.model, str(number)), aliases)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise missing from None
                raise

    def versions(self) -> list[ModelVersion]:
        """List all complete versions, oldest first."""
        aliases = self.aliases()
        with self.store.errors():
            found = self.store.client.search_model_versions(f"name = '{self.model}'")
        ours = [v for v in found if v.tags.get(_COMPLETE) == "true"]
        return [self._version(v, aliases) for v in sorted(ours, key=lambda v: int(v.version))]

    def load(self, version: ModelVersion) -> Bundle:
        """Load a version's bundle, verified against its registered hash, without running its code.

        The one that was loaded last is at hand, as long as that hash stands. What the registry gives stays in
        the home as a copy.

        Raises:
            UnsafeModel: The files are not those that were registered.
        """
        if version.is_copy:
            return self._at_hand(version, self.copies.load)
        with self.store.errors():
            found = self.store.client.get_model_version(self.model, str(version.version))
        if (digest := found.tags.get(f"{_PREFIX}digest", "")) != version.digest:
            raise UnsafeModel(
                f"version {version.version} of {self.model} was replaced since it was looked up: its digest "
                f"was {version.digest[:12]} and is {digest[:12]}.",
                next_step="run the same command again.",
            )
        return self._at_hand(version, self._download)

    def kept(self, number: int, digest: str | None = None) -> ModelVersion:
        """Get a version from its local copy; without a digest, the newest of that number.

        Raises:
            NotFound: There is none.
        """
        return self.copies.find(number, digest)

    def _at_hand(self, version: ModelVersion, load: Callable[[ModelVersion], Bundle]) -> Bundle:
        key = version.version, version.digest, version.is_copy
        if key not in self._loaded:
            self._loaded = {key: load(version)}
        return self._loaded[key]

    def _download(self, version: ModelVersion) -> Bundle:
        with self.store.errors():
            uri = self.store.client.get_model_version_download_uri(self.model, str(version.version))
        with self.store.download(f"{uri.rstrip('/')}/{logged_model.BUNDLE}") as folder:
            bundle = bundles.load(folder, version.digest)
            self.copies.put(version, folder)
        return bundle

    def sweep(self, serving: Iterable[int], older_than_s: float) -> tuple[int, int]:
        """Delete temporary folders and local copies of versions that no longer serve: (files, bytes)."""
        swept = self.store.sweep(older_than_s), self.copies.drop_others(set(serving), older_than_s)
        return sum(files for files, _ in swept), sum(size_bytes for _, size_bytes in swept)

    def _version(self, found: MlflowVersion, aliases: Mapping[str, int] | None = None) -> ModelVersion:
        tags = {k.removeprefix(_PREFIX): v for k, v in found.tags.items() if k.startswith(_PREFIX)}
        number = int(found.version)
        if "spec" not in tags:
            raise UnsafeModel(
                f"version {number} of {self.model} was not registered by vidpipe.",
                next_step="vidpipe train makes a version that can be served.",
            )
        known = self.aliases() if aliases is None else aliases
        return ModelVersion(
            model=self.model,
            version=number,
            mlflow_run_id=str(found.run_id),
            labels=tuple(json.loads(tags["labels"])),
            spec=FeatureSpec.from_json(tags["spec"]),
            collection=tags["collection"],
            split_column=tags["split_column"] or None,
            dataset_hash=tags["dataset_hash"],
            created_at_ms=int(found.creation_timestamp),
            metrics=json.loads(tags["metrics"]),
            figures=json.loads(tags.get("figures", "{}")),
            aliases=tuple(sorted(a for a, v in known.items() if v == number)),
            digest=tags.get("digest", ""),
            multi_label="multi_label" in tags,
            # somebody may have written or deleted one by hand
            decided={name: tags[name] for name in _DECIDED} if tags.keys() >= set(_DECIDED) else {},
        )


def _end_open_runs(client: MlflowClient, experiment_id: str, tag: Mapping[str, str]) -> None:
    ((name, value),) = tag.items()
    ours = f"attributes.status = 'RUNNING' and tags.`{name}` = '{value}'"
    for run in client.search_runs([experiment_id], ours):
        client.set_terminated(run.info.run_id, "KILLED")


def _ensure_model(client: MlflowClient, model: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _version_tags(bundle: Bundle, digest: str, record: TrainingRecord) -> dict[str, str]:
    tags = {
        "collection": record.collection,
        "split_column": record.split_column or "",
        "dataset_hash": record.dataset_hash,
        "fingerprint": record.fingerprint,
        "digest": digest,
        "labels": json.dumps(bundle.labels),
        "spec": bundle.spec.to_json(),
        "metrics": json.dumps({k: round(v, 6) for k, v in record.metrics().items()}),
        "figures": json.dumps(record.figures()),
        **({"multi_label": "true"} if bundle.decisions else {}),
    }
    return {_PREFIX + name: value for name, value in tags.items()}
