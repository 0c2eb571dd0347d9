"""Tuning: trials on train and val only, in nested MLflow runs; the best becomes the challenger."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import warehouse_rows

from vidpipe.errors import NotFound
from vidpipe.learning import calibration, hyperparameters
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.models import Sequences
from vidpipe.steps import scoring
from vidpipe.steps import tune as tune_step
from vidpipe.steps.train import train
from vidpipe.steps.tune import Trial, TuneResult, tune

SHORT = TrainingConfig(epochs=3, seed=1)
TRIALS = 4


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tune") / "home"


@pytest.fixture(scope="module")
def ports(home: Path, home_of_clips: Callable[[Path, int], Ports]) -> Ports:
    return home_of_clips(home, 1)


class Watched:
    """What was read while the trials went on, and what afterwards."""

    def __init__(self) -> None:
        self.by_trials: set[str] = set()
        self.judged: set[str] = set()


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched()


@pytest.fixture(scope="module")
def report(ports: Ports, watched: Watched) -> TuneResult:
    """Four trials of three epochs."""
    in_trials = True
    load, validate = scoring.load, calibration.validate

    def seen_load(ports: Ports, spec: Any, videos: Sequence[Any], labels: Sequence[str]) -> Sequences:
        if in_trials:
            watched.by_trials |= {v.video_id for v in videos}
        return load(ports, spec, videos, labels)

    def seen_validate(model: torch.nn.Module, data: Sequences) -> tuple[float, float]:
        watched.judged |= set(data.video_ids)
        return validate(model, data)

    def first_four(budget_s: float, configs: Iterator[TrainingConfig]) -> Iterator[TrainingConfig]:
        nonlocal in_trials
        yield from islice(configs, TRIALS)
        in_trials = False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "load", seen_load)
        patch.setattr(tune_step, "validate", seen_validate)
        patch.setattr(hyperparameters, "within", first_four)
        return tune(ports, "clips", split_column="split", config=SHORT)


@pytest.fixture
def client(ports: Ports) -> Any:
    return ports.registry.store.client  # type: ignore[attr-defined]


def nested(client: Any, parent: str) -> list[Any]:
    experiment = client.get_experiment_by_name("vidpipe").experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    return sorted(runs, key=lambda r: r.info.run_name)


def facts(client: Any, run_id: str, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        Path(client.download_artifacts(run_id, "search.json", str(folder))).read_text()
    )
    return found


def test_the_best_trial_is_registered_as_challenger(ports: Ports, report: TuneResult) -> None:
    version = ports.registry.version("challenger")
    assert (report.model, report.version) == (version.model, version.version)
    assert report.mlflow_run_id == version.mlflow_run_id != report.search_mlflow_run_id
    assert report.trials == TRIALS and not report.existing
    assert report.metrics["test_videos"] == 8
    assert report.val_loss <= report.default_val_loss
    bundle: Any = ports.registry.load(version)
    best = replace(SHORT, **report.best)
    assert (bundle.lstm.config.head, bundle.lstm.config.hidden_size) == (best.head, best.hidden_size)


def test_each_trial_is_an_mlflow_run_nested_in_the_search(report: TuneResult, client: Any) -> None:
    runs = nested(client, report.search_mlflow_run_id)
    configs = list(islice(hyperparameters.configs(SHORT), TRIALS))
    assert [r.info.run_name for r in runs] == [f"trial {n}" for n in (1, 2, 3, 4)]
    for run, config in zip(runs, configs, strict=True):
        assert run.info.status == "FINISHED"
        assert run.data.params == {name: str(value) for name, value in config.parameters().items()}
        assert {"val_loss", "val_accuracy"} <= set(run.data.metrics)
        assert len(client.get_metric_history(run.info.run_id, "lstm_val_loss")) == 3
        assert "vidpipe.home" in run.data.tags, "a kill leaves it to the next training to end"


def test_the_search_logs_its_budget_its_trials_and_the_best(
    report: TuneResult, client: Any, tmp_path: Path
) -> None:
    parent = client.get_run(report.search_mlflow_run_id)
    assert (parent.info.status, parent.data.params["budget_s"]) == ("FINISHED", "600.0")
    assert parent.data.metrics["trials"] == TRIALS
    assert parent.data.metrics["val_loss"] == pytest.approx(report.val_loss)
    found = facts(client, report.search_mlflow_run_id, tmp_path)
    runs = {r.info.run_id: r for r in nested(client, report.search_mlflow_run_id)}
    assert [t["mlflow_run_id"] for t in found["trials"]] == [r.info.run_id for r in runs.values()]
    for trial in found["trials"]:
        assert runs[trial["mlflow_run_id"]].data.metrics["val_loss"] == pytest.approx(trial["val_loss"])
    assert found["trials"][0]["differs"] == {}
    assert found["best"]["differs"] == report.best
    losses = [t["val_loss"] for t in found["trials"]]
    assert found["best"]["val_loss"] == min(losses) == report.val_loss
    assert losses[0] == report.default_val_loss


def test_trials_never_see_the_test_split(ports: Ports, report: TuneResult, watched: Watched) -> None:
    split = ports.registry.load(ports.registry.version(str(report.version))).split_ids
    assert watched.by_trials == {*split["train"], *split["val"]}
    assert watched.judged == set(split["val"])
    assert not watched.by_trials & set(split["test"]) and len(split["test"]) == 8


def test_the_config_that_was_tried_is_the_one_that_is_registered(
    report: TuneResult, client: Any, tmp_path: Path
) -> None:
    best = facts(client, report.search_mlflow_run_id, tmp_path)["best"]
    tried, registered = (
        client.get_run(run).data.params for run in (best["mlflow_run_id"], report.mlflow_run_id)
    )
    assert {k: registered[k] for k in tried if k != "epochs"} == {
        k: v for k, v in tried.items() if k != "epochs"
    }, "the version learns from more videos, and may take another number of epochs"
    assert best["differs"] == report.best


def test_runs_holds_the_search_and_its_training(ports: Ports, report: TuneResult) -> None:
    columns = "run_id, status, videos, detail ->> '$.trials', detail ->> '$.version'"
    rows = warehouse_rows(ports, f"select {columns} from runs where kind = 'tune'")
    assert rows[0] == (report.run_id, "ok", 16, str(TRIALS), str(report.version))
    kinds = warehouse_rows(ports, "select kind, status from runs where run_id >= 3 order by run_id")
    assert kinds[:2] == [("tune", "ok"), ("train", "ok")]


def test_the_same_best_config_is_the_version_that_exists(ports: Ports, report: TuneResult) -> None:
    best = replace(SHORT, **report.best)
    assert train(ports, "clips", split_column="split", config=best).version == report.version
    again = tune(ports, "clips", split_column="split", config=best, budget_s=0)
    assert (again.version, again.existing, again.trials, again.best) == (report.version, True, 1, {})
    assert (again.val_loss, again.default_val_loss) == (report.val_loss, report.val_loss)
    assert again.metrics == report.metrics


def test_the_lowest_loss_wins_then_accuracy_then_the_earliest() -> None:
    def trial(loss: float, accuracy: float) -> Trial:
        return Trial(SHORT, f"{loss} {accuracy}", loss, accuracy, 1.0)

    best = tune_step._best
    trials = [trial(0.5, 0.9), trial(0.4, 0.7), trial(0.4, 0.8), trial(0.4, 0.8), trial(float("nan"), 1.0)]
    assert best(trials) is trials[2]
    assert best(trials[::-1]) is trials[3]
    assert best(trials[:1]) is trials[0]


def test_an_interrupted_search_registers_nothing_and_says_failed(
    ports: Ports, report: TuneResult, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(model: torch.nn.Module, data: Sequences) -> tuple[float, float]:
        raise KeyboardInterrupt

    before = ports.registry.versions()
    monkeypatch.setattr(tune_step, "validate", stop)
    with pytest.raises(KeyboardInterrupt):
        tune(ports, "clips", split_column="split", config=replace(SHORT, seed=9))
    assert ports.registry.versions() == before
    last = warehouse_rows(ports, "select kind, status from runs order by run_id desc limit 1")
    assert last == [("tune", "failed")]
    experiment = client.get_experiment_by_name("vidpipe").experiment_id
    assert client.search_runs([experiment], "attributes.status = 'RUNNING'") == []


def test_an_unknown_collection_is_not_found(ports: Ports) -> None:
    with pytest.raises(NotFound, match="no collection 'nobody'"):
        tune(ports, "nobody")


def test_the_command_line_tunes_within_a_tiny_budget(
    program: Callable[[str], list[str]], home: Path, ports: Ports, report: TuneResult
) -> None:
    ended = subprocess.run(
        [*program("tune"), "tune", "--collection", "clips", "--budget-s", "0", "--json"],
        env={**os.environ, "VIDPIPE_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    promised = (
        "run_id model version mlflow_run_id trials best val_loss val_accuracy default_val_loss "
        "default_val_accuracy metrics seconds"
    )
    assert set(promised.split()) <= set(said)
    assert (said["trials"], said["best"], said["val_loss"]) == (1, {}, said["default_val_loss"])
    assert ports.registry.aliases()["challenger"] == said["version"] != report.version
    assert "trial 1: validation loss" in ended.stderr
