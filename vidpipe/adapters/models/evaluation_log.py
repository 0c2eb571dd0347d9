"""MLflow runs of evaluations and gate decisions, so that MLflow's own pages say why a version serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vidpipe.adapters.models import plots
from vidpipe.adapters.models.mlflow_store import EXPERIMENT, MlflowStore
from vidpipe.records.models import LoggedEvaluation

if TYPE_CHECKING:
    from mlflow.entities import Run


class EvaluationLog:
    """Log of what was measured of versions and decided about them."""

    def __init__(self, store: MlflowStore, model: str, tags: Mapping[str, str]) -> None:
        """`tags`: of every run."""
        self._store, self._model, self._tags = store, model, dict(tags)

    def log(self, found: LoggedEvaluation) -> str:
        """Log an MLflow run with metrics, the data they are of, figures, and facts as JSON; tag the version.

        Metrics are linked with the version's logged model and with the dataset, so that the Models tab ranks
        versions by them.

        Returns:
            Id of the MLflow run.

        Raises:
            RegistryUnreachable: MLflow does not answer.
        """
        client = self._store.client  # sets the tracking URI
        import mlflow

        with self._store.errors():
            experiment_id = str(mlflow.set_experiment(EXPERIMENT).experiment_id)
            begun = self._begun(found, experiment_id)
            if begun and begun.info.status == "FINISHED":
                run_id = str(begun.info.run_id)
            else:
                run_id = self._log_run(found, experiment_id, begun.info.run_id if begun else None)
            for key, value in found.version_tags.items():
                client.set_model_version_tag(self._model, str(found.version), key, value)
        return run_id

    def _log_run(self, found: LoggedEvaluation, experiment_id: str, begun: str | None) -> str:
        """Log a run, or go on with one that was begun; returns its id."""
        import mlflow

        from vidpipe.adapters.models.datasets import LabelledVideos

        model_id = self._logged_model(found.version, experiment_id)
        tags = {**self._tags, **self._about(found), **found.run_tags}
        with mlflow.start_run(begun, run_name=self._name(found), tags=tags) as run:
            dataset = LabelledVideos(found.dataset, found.dataset_hash) if found.dataset_hash else None
            if dataset:
                mlflow.log_input(dataset, context=found.name)
            if found.metrics:
                mlflow.log_metrics(dict(found.metrics), model_id=model_id, dataset=dataset)
            mlflow.log_dict(dict(found.facts), "evidence.json")
            for kind, figure in (plots.of_scores(found.scored) if found.scored else {}).items():
                mlflow.log_figure(figure, f"{kind}.png")
        return str(run.info.run_id)

    def _begun(self, found: LoggedEvaluation, experiment_id: str) -> Run | None:
        """The run of the same thing that a process has begun, and perhaps not ended."""
        if not found.run_tags:
            return None
        same = [
            f"tags.`{key}` = '{value}'" for key, value in {**self._about(found), **found.run_tags}.items()
        ]
        runs = self._store.client.search_runs([experiment_id], " and ".join(same), max_results=1)
        return runs[0] if runs else None

    def _about(self, found: LoggedEvaluation) -> dict[str, str]:
        return {"vidpipe.model": self._model, "vidpipe.version": str(found.version)}

    @staticmethod
    def _name(found: LoggedEvaluation) -> str:
        return f"{found.name} version {found.version}"

    def _logged_model(self, version: int, experiment_id: str) -> str | None:
        """Id of the logged model that was registered as a version; the SQL registry does not keep it."""
        run_id = self._store.client.get_model_version(self._model, str(version)).run_id
        found = self._store.client.search_logged_models(
            [experiment_id], filter_string=f"source_run_id = '{run_id}'", max_results=1
        )
        return found[0].model_id if found else None
