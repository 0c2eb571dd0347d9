"""MLflow on SQLite: versions and aliases, bundles that are what was registered, and no pickle anywhere."""

from __future__ import annotations

import json
import os
import pickle
import pickletools
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from conftest import certain, run_python
from privileges import without_privileges
from torch import nn

from vidpipe.adapters.models.bundle import Bundle
from vidpipe.adapters.models.bundle_files import FILES
from vidpipe.adapters.models.mlflow_store import MlflowStore
from vidpipe.adapters.models.registry import Registry
from vidpipe.errors import NotFound, UnsafeModel
from vidpipe.evaluation.model_card import TrainingRecord
from vidpipe.learning.classifier import ClassifierConfig, build
from vidpipe.learning.inference import predict
from vidpipe.learning.linear import STATISTICS, LinearHead
from vidpipe.records.models import CrossValidation, LoggedEvaluation, Scores
from vidpipe.records.videos import Floats
from vidpipe.vision.feature_specs import default_spec

D, LABELS = 4, ("cat", "dog", "été")
SPEC = replace(default_spec(4.0), feature_size=D)
SCORES = Scores(
    3, 0.87654321, 0.5, {k: {"precision": 1.0, "recall": 0.5, "f1": 0.6, "support": 1} for k in LABELS}
)
COUNTS = {"train": dict.fromkeys(LABELS, 7), "val": {"cat": 2}, "test": dict.fromkeys(LABELS, 1)}
WEIGHTS = dict.fromkeys(STATISTICS, 0.0) | {"mean_linear": 0.5, "thirds_linear": 0.25, "lstm": 0.75}
WORSE = {"mean_linear": replace(SCORES, accuracy=0.25)}
MEASURED = CrossValidation(23, 0.5, 0.25, 0.75, 1)
RECORD = TrainingRecord("yard", "split", "d1", "f1", COUNTS, SCORES, WORSE, WORSE, WEIGHTS, MEASURED)
TAGS = {"collection": "yard", "split_column": "split", "dataset_hash": "d1", "fingerprint": "f1"}
CUT_SHORT = f"{3:064d}"
"""The test video of a version whose registration is interrupted."""
METRICS = {
    "train_videos": 21, "test_videos": 3, "test_accuracy": 0.87654321, "test_macro_f1": 0.5,
    "baseline_test_accuracy": 0.25, "baseline_test_macro_f1": 0.5, "test_calibration_error": 0.0,
    "cv_accuracy": 0.5,
}  # fmt: skip


def make_bundle(seed: int) -> Bundle:
    torch.manual_seed(seed)
    lstm = ClassifierConfig("lstm", D, len(LABELS), hidden_size=3)
    splits = {"train": ["a" * 64], "val": ["b" * 64], "test": [f"{seed:064d}"]}
    return Bundle(LABELS, SPEC, splits, [], build(lstm), lstm, heads(len(LABELS)), WEIGHTS)


def heads(K: int) -> dict[str, nn.Module]:
    return {name: LinearHead(name, D, K) for name in STATISTICS}


@pytest.fixture(scope="module")
def bundles() -> dict[int, Bundle]:
    """What versions 1 and 2 were made from."""
    return {1: make_bundle(1), 2: make_bundle(2)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry") / "mlflow"


@pytest.fixture(scope="module")
def registry(home: Path, bundles: dict[int, Bundle]) -> Registry:
    """Two versions of the model `clips`; nobody is champion."""
    registry = Registry(home, "clips", None)
    for number, bundle in bundles.items():
        record = replace(RECORD, fingerprint=f"f{number}", split_column="split" if number == 1 else None)
        with registry.training_run(f"run {number}", {"seed": number}) as run:
            for epoch in range(3):
                run.log_metrics({"val_loss": 1.0 / (epoch + 1)}, step=epoch)
            given = np.eye(3, dtype=np.float32)
            table = {"accuracy": 1.0, "per_label": {k: {"recall": 1.0, "precision": 1.0} for k in LABELS}}
            run.log_scores("test", LABELS, np.arange(3), given, table)
            assert run.register(bundle, record).version == number
    return registry


@pytest.fixture
def other(registry: Registry, home: Path, request: pytest.FixtureRequest) -> Registry:
    """A model of its own on the same store, for tests that leave something behind."""
    return Registry(home, f"model of {request.node.name}", None)


@pytest.fixture(scope="module")
def sequences() -> list[Floats]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=(T, D)).astype(np.float32) for T in (5, 1, 9)]


def stored(home: Path, name: str) -> list[Path]:
    """A file of the stored bundles of version 1 and version 2, which their test videos tell apart."""
    folders = {f.parent: json.loads(f.read_bytes()) for f in home.rglob("bundle/model.json")}
    tests = {folder: found["split_ids"]["test"] for folder, found in folders.items()}
    ordered = sorted((f for f in folders if tests[f] != [CUT_SHORT]), key=lambda folder: tests[folder])
    assert len(ordered) == 2
    return [folder / name for folder in ordered]


@contextmanager
def changed(file: Path, content: bytes | None) -> Iterator[None]:
    """The file with other content, or gone; afterwards as it was."""
    before = file.read_bytes()
    try:
        file.unlink() if content is None else file.write_bytes(content)
        yield
    finally:
        file.write_bytes(before)


# -- versions and aliases -----------------------------------------------------------------------


def test_a_version_says_what_it_was_made_from(registry: Registry) -> None:
    version = registry.version("1")

    assert (version.model, version.version, version.labels) == ("clips", 1, LABELS)
    assert version.spec == SPEC
    assert (version.collection, version.split_column, version.dataset_hash) == ("yard", "split", "d1")
    assert version.metrics == pytest.approx(METRICS, abs=1e-6)
    assert abs(version.created_at_ms / 1000 - time.time()) < 3600
    assert registry.version("2").split_column is None


def test_the_newest_version_is_challenger_and_found_by_number_or_alias(registry: Registry) -> None:
    assert registry.aliases() == {"challenger": 2}
    assert registry.version("challenger") == registry.version("2")
    assert [(v.version, v.aliases) for v in registry.versions()] == [(1, ()), (2, ("challenger",))]


def test_an_alias_moves_and_goes(registry: Registry) -> None:
    registry.set_alias("champion", 1)
    try:
        assert registry.aliases() == {"challenger": 2, "champion": 1}
        assert registry.version("champion").version == 1
        registry.set_alias("champion", 2)
        assert registry.version("champion").aliases == ("challenger", "champion")
        assert registry.version("1").aliases == ()
    finally:
        registry.drop_alias("champion")
    assert registry.aliases() == {"challenger": 2}


def test_who_may_only_read_the_home_is_shown_the_versions(registry: Registry, home: Path) -> None:
    assert len(registry.versions()) == 2
    with TemporaryDirectory() as temp:  # pytest's own folders are closed to others
        Path(temp).chmod(0o755)
        copied = Path(shutil.copytree(home, Path(temp) / "mlflow"))
        for path in (copied, *copied.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o444)
        with without_privileges():
            assert [v.version for v in opened_anew(copied).versions()] == [1, 2]


@pytest.mark.parametrize("selector", ["champion", "99", "0", "-1", "²", "", "it's; drop"])
def test_a_version_that_does_not_exist_is_not_found_and_the_message_shows_what_does(
    selector: str, registry: Registry
) -> None:
    with pytest.raises(NotFound) as caught:
        registry.version(selector)

    assert repr(selector) in caught.value.message
    assert "clips" in caught.value.message
    assert "challenger = 2" in caught.value.message
    assert "vidpipe train" in caught.value.next_step


def test_before_the_first_training_there_is_nothing(other: Registry) -> None:
    assert other.aliases() == {}
    assert other.versions() == []
    assert other.find("f1") is None
    with pytest.raises(NotFound, match="aliases: none"):
        other.version("champion")


def test_looking_for_versions_before_the_first_training_makes_no_store(tmp_path: Path) -> None:
    assert Registry(tmp_path / "mlflow", "clips", None).aliases() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_version_is_found_by_the_fingerprint_of_its_inputs(registry: Registry) -> None:
    assert registry.find("f1") == registry.version("1")
    assert registry.find("f2") == registry.version("2")
    assert registry.find("f3") is None


@pytest.mark.parametrize("last", ["create_model_version", "set_registered_model_alias"])
def test_a_registration_that_was_cut_short_is_not_listed_until_the_same_training_finishes_it(
    last: str, registry: Registry, other: Registry, sequences: list[Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(int(CUT_SHORT))
    with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
        real = getattr(other.store.client, last)

        def and_then_the_end(*arguments: Any, **named: Any) -> None:
            real(*arguments, **named)
            raise KeyboardInterrupt

        cut.setattr(other.store.client, last, and_then_the_end)
        with other.training_run("cut short", {}) as run:
            run.register(bundle, replace(RECORD, fingerprint="cut short"))
    assert other.versions() == []

    found = certain(other.find("cut short"))

    assert other.versions() == [found]
    assert found.aliases == ("challenger",)
    description = other.store.client.get_model_version(other.model, str(found.version)).description
    assert certain(description).startswith("# Model card")
    assert np.array_equal(predict(other.load(found).lstm, sequences), predict(bundle.lstm, sequences))


def test_what_somebody_else_registered_with_our_fingerprint_is_not_found(other: Registry) -> None:
    other.store.client.create_registered_model(other.model)
    tags = {f"vidpipe.{k}": v for k, v in TAGS.items()}
    other.store.client.create_model_version(other.model, "file:///nowhere", tags=tags)

    assert other.find("f1") is None
    assert other.versions() == []


def test_a_run_that_a_dead_training_left_open_is_ended_by_the_next(other: Registry) -> None:
    client = other.store.client
    experiment = certain(client.get_experiment_by_name("vidpipe")).experiment_id
    with other.training_run("the next", {"seed": 1}) as run:
        ours = client.get_run(run.mlflow_run_id).data.tags["vidpipe.home"]
    dead = client.create_run(experiment, tags={"vidpipe.home": ours}).info.run_id
    elsewhere = client.create_run(experiment, tags={"vidpipe.home": "another"}).info.run_id

    with other.training_run("beside others", {}):
        assert client.get_run(dead).info.status == "RUNNING"
    with other.training_run("alone", {}, only=True) as run:
        assert client.get_run(run.mlflow_run_id).info.status == "RUNNING"
        assert client.get_run(dead).info.status == "KILLED"
        assert client.get_run(elsewhere).info.status == "RUNNING"
    client.set_terminated(elsewhere, "KILLED")


def test_a_trial_is_nested_in_its_run_and_ended_by_the_next_when_it_is_left_open(
    other: Registry, tmp_path: Path
) -> None:
    client = other.store.client
    with other.training_run("search", {"budget_s": 1}) as run:
        with run.trial("trial 1", {"head": "max"}) as trial:
            trial.log_metrics({"val_loss": 0.5}, step=1)
        run.log_metrics({"trials": 1.0})
        run.log_facts("search", {"best": {"head": "max"}})

    inner, outer = client.get_run(trial.mlflow_run_id), client.get_run(run.mlflow_run_id)
    assert inner.data.tags["mlflow.parentRunId"] == run.mlflow_run_id
    assert (inner.data.params, inner.data.metrics) == ({"head": "max"}, {"val_loss": 0.5})
    assert (outer.data.params, outer.data.metrics) == ({"budget_s": "1"}, {"trials": 1.0})
    assert {inner.info.status, outer.info.status} == {"FINISHED"}
    kept = Path(client.download_artifacts(run.mlflow_run_id, "search.json", str(tmp_path)))
    assert json.loads(kept.read_text()) == {"best": {"head": "max"}}

    client.update_run(trial.mlflow_run_id, status="RUNNING")  # as a kill would have left it
    with other.training_run("the next", {}, only=True):
        assert client.get_run(trial.mlflow_run_id).info.status == "KILLED"


def test_a_version_with_hundreds_of_labels_has_a_description_that_fits_and_a_whole_card(
    other: Registry, tmp_path: Path
) -> None:
    labels = tuple(f"label {k:03d}" for k in range(300))
    lstm = ClassifierConfig("lstm", D, len(labels), hidden_size=3)
    splits = {"train": ["a" * 64], "val": ["b" * 64], "test": [CUT_SHORT]}
    bundle = Bundle(labels, SPEC, splits, [], build(lstm), lstm, heads(len(labels)), WEIGHTS)
    scores = replace(SCORES, per_label=dict.fromkeys(labels, SCORES.per_label["cat"]))
    with other.training_run("many labels", {}) as run:
        version = run.register(
            bundle, replace(RECORD, scores=scores, baselines={"mean_linear": scores}, parts={})
        )

    found = other.store.client.get_model_version(other.model, str(version.version))
    uri = other.store.client.get_model_version_download_uri(other.model, str(version.version))
    card = (Path(uri.removeprefix("file://")) / "artifacts/MODEL_CARD.md").read_text(encoding="utf-8")
    assert version.labels == labels
    description = certain(found.description)
    assert len(description) <= 5000 < len(card)
    assert "MODEL_CARD.md" in description.splitlines()[-1]
    assert "| label 299 |" in card


@pytest.fixture
def server(tmp_path: Path) -> str:
    """Where two homes keep their models together."""
    MlflowStore(tmp_path / "server", None).client  # noqa: B018  (makes the store)
    return f"sqlite:///{tmp_path / 'server' / 'mlflow.db'}"


def train_in(home: Path, model: str, server: str) -> Registry:
    """A home with a model of one version on a server, and a run that a kill left open."""
    made = Registry(home / "mlflow", model, server)
    with made.training_run("first", {}) as run:
        run.register(make_bundle(1), RECORD)
    client, experiment = made.store.client, certain(made.store.client.get_experiment_by_name("vidpipe"))
    client.create_run(experiment.experiment_id, tags=made.home_tag)
    return made


def everything(registry: Registry) -> Any:
    """Versions with tags and aliases, and the states of all runs."""
    client, model = registry.store.client, registry.model
    experiment = certain(client.get_experiment_by_name("vidpipe"))
    runs = client.search_runs([experiment.experiment_id])
    mine = [run for run in runs if run.data.tags.items() >= registry.home_tag.items()]
    versions = client.search_model_versions(f"name = '{model}'")
    return (
        [(v.version, v.tags, v.last_updated_timestamp) for v in versions], registry.aliases(),
        sorted((run.info.run_id, run.info.status) for run in mine),
    )  # fmt: skip


def test_two_homes_on_one_server_never_touch_each_others_versions(server: str, tmp_path: Path) -> None:
    yard, gate = (train_in(tmp_path / name, f"{name}-model", server) for name in ("yard", "gate"))
    before = everything(yard)
    with gate.training_run("second", {}, only=True) as run:
        run.register(make_bundle(2), replace(RECORD, fingerprint="f2"))
    gate.set_alias("champion", 2)
    gate.drop_alias("challenger")
    gate.evaluations.log(LoggedEvaluation("promoted", 2, {}, version_tags={"vidpipe.decided_by": "ann"}))
    gate.sweep({2}, older_than_s=0.0)
    assert everything(yard) == before
    assert gate.find("f1") == gate.version("1") and yard.find("f2") is None
    assert [v.version for v in yard.versions()] == [1]


# -- MLflow runs --------------------------------------------------------------------------------


def test_the_run_holds_parameters_curves_scores_and_the_confusion_picture(
    registry: Registry, tmp_path: Path
) -> None:
    client, run_id = registry.store.client, registry.version("1").mlflow_run_id

    run = client.get_run(run_id)
    curve = client.get_metric_history(run_id, "val_loss")
    scores = Path(client.download_artifacts(run_id, "test_scores.json", str(tmp_path)))
    picture = Path(client.download_artifacts(run_id, "test_confusion.png", str(tmp_path)))

    assert (run.info.status, run.data.params["seed"]) == ("FINISHED", "1")
    assert [(m.step, m.value) for m in curve] == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    assert json.loads(scores.read_text())["accuracy"] == 1.0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_models_tab_ranks_versions_by_metrics_of_named_data(registry: Registry) -> None:
    client, run_id = registry.store.client, registry.version("1").mlflow_run_id

    run = client.get_run(run_id)
    (logged,) = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id = '{run_id}'"
    )
    given = {certain(i.tags[0]).value: i.dataset for i in certain(run.inputs).dataset_inputs}

    assert {split: (d.name, d.digest) for split, d in given.items()} == {
        split: (f"yard {split}", "d1") for split in ("train", "val", "test")
    }
    assert json.loads(certain(given["val"].profile)) == {"cat": 2}
    assert run.data.metrics == pytest.approx({**METRICS, "val_loss": 1 / 3})
    beside = {m.key: m.value for m in certain(logged.metrics) if m.key != "val_loss"}
    assert beside == pytest.approx(METRICS)
    of = {m.key: (m.dataset_name, m.dataset_digest) for m in certain(logged.metrics)}
    assert (of["test_accuracy"], of["cv_accuracy"]) == (("yard test", "d1"), ("yard train", "d1"))


def test_an_error_in_training_ends_the_run_as_failed_and_registers_nothing(other: Registry) -> None:
    with pytest.raises(ZeroDivisionError), other.training_run("broken", {}) as run:
        _ = 1 / 0

    assert other.store.client.get_run(run.mlflow_run_id).info.status == "FAILED"
    assert other.versions() == []


# -- loading ------------------------------------------------------------------------------------


def test_a_loaded_bundle_scores_as_the_one_that_was_registered(
    registry: Registry, bundles: dict[int, Bundle], sequences: list[Floats]
) -> None:
    for number, bundle in bundles.items():
        found = registry.load(registry.version(str(number)))

        assert (found.labels, found.spec) == (LABELS, SPEC)
        assert found.split_ids == bundle.split_ids
        assert np.array_equal(predict(found.lstm, sequences), predict(bundle.lstm, sequences))
        assert np.array_equal(predict(found.classifier, sequences), predict(bundle.classifier, sequences))


def test_a_bundle_is_loaded_once_and_again_when_another_was_asked_for(registry: Registry) -> None:
    one, two = (registry.version(str(n)) for n in (1, 2))
    first = registry.load(one)
    assert registry.load(one) is first
    assert registry.load(two) is not first
    assert registry.load(one) is not first


def opened_anew(home: Path) -> Registry:
    """Nothing is loaded yet."""
    return Registry(home, "clips", None)


@pytest.mark.parametrize("name", FILES)
def test_a_version_whose_files_were_tampered_with_is_refused(name: str, home: Path) -> None:
    registry = opened_anew(home)
    file = stored(home, name)[0]
    content = bytearray(file.read_bytes())
    content[-2] ^= 1

    with changed(file, bytes(content)), pytest.raises(UnsafeModel, match="the registered hash is"):
        registry.load(registry.version("1"))

    assert registry.load(registry.version("1")).labels == LABELS, "it is whole again"


def test_a_version_that_lost_a_file_is_refused(home: Path) -> None:
    registry = opened_anew(home)
    with changed(stored(home, "lstm.json")[0], None), pytest.raises(UnsafeModel, match=r"lacks lstm\.json"):
        registry.load(registry.version("1"))


def test_the_bundle_of_another_version_is_refused(home: Path) -> None:
    """Files that vidpipe itself wrote, but not for this version."""
    registry = opened_anew(home)
    ours, theirs = stored(home, "lstm.safetensors")

    with changed(ours, theirs.read_bytes()), pytest.raises(UnsafeModel):
        registry.load(registry.version("1"))


def test_a_version_that_somebody_else_registered_is_left_out_and_refused(other: Registry) -> None:
    other.store.client.create_registered_model(other.model)
    other.store.client.create_model_version(other.model, "file:///somewhere")
    other.set_alias("champion", 1)

    assert other.versions() == []
    for selector in ("1", "champion"):
        with pytest.raises(UnsafeModel, match="not registered by vidpipe") as caught:
            other.version(selector)
        assert "vidpipe train" in caught.value.next_step


class Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.canary),))


def test_a_pickle_under_our_tags_is_refused_and_never_run(
    registry: Registry, other: Registry, tmp_path: Path
) -> None:
    folder, canary = tmp_path / "model", tmp_path / "canary"
    bundle = folder / "artifacts" / "bundle"
    bundle.mkdir(parents=True)
    for file in (folder / "python_model.pkl", bundle / "lstm.safetensors", bundle / "lstm.json"):
        file.write_bytes(pickle.dumps(Bomb(canary)))
    tags = registry.store.client.get_model_version("clips", "1").tags
    other.store.client.create_registered_model(other.model)
    other.store.client.create_model_version(other.model, folder.as_uri(), tags=tags)

    with pytest.raises(UnsafeModel):
        other.load(other.version("1"))

    assert not canary.exists()
    pickle.loads((folder / "python_model.pkl").read_bytes())
    assert canary.exists(), "the bomb does work"


def is_pickle(content: bytes) -> bool:
    try:
        return bool(content) and sum(1 for _ in pickletools.genops(content)) > 1
    except Exception:
        return False


def test_no_pickle_lies_anywhere_below_the_artifacts(registry: Registry, home: Path) -> None:
    files = [f for f in (home / "artifacts").rglob("*") if f.is_file()]

    assert len(files) > 10
    assert {f.suffix for f in files} & {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".npy"} == set()
    assert [f for f in files if is_pickle(f.read_bytes())] == []
    assert is_pickle(pickle.dumps({"a": 1}))


def test_everything_of_a_store_lies_below_its_home(registry: Registry, home: Path) -> None:
    uri = registry.store.client.get_model_version_download_uri("clips", "1")

    assert registry.store.tracking_uri == f"sqlite:///{home}/mlflow.db"
    assert uri.startswith((home / "artifacts").as_uri())
    assert {f.name for f in home.iterdir()} == {"artifacts", "init.lock", "mlflow.db", "tmp"}


# -- serving ------------------------------------------------------------------------------------

SERVE = """
    import json, sys
    import mlflow, pandas as pd
    uri, weights, sequences = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    mlflow.set_tracking_uri(uri)
    table = pd.DataFrame({"features": sequences})
    print(mlflow.pyfunc.load_model("models:/clips/1").predict(table).to_json(orient="records"))
    content = bytearray(open(weights, "rb").read())
    content[-2] ^= 1
    open(weights, "wb").write(content)
    try:
        mlflow.pyfunc.load_model("models:/clips/1")
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_the_registered_model_serves_in_a_fresh_process_until_it_is_tampered_with(
    registry: Registry, home: Path, bundles: dict[int, Bundle], sequences: list[Floats], tmp_path: Path
) -> None:
    weights = stored(home, "lstm.safetensors")[0]
    given = json.dumps([s.tolist() for s in sequences])

    with changed(weights, weights.read_bytes()):
        process = run_python(SERVE, registry.store.tracking_uri, weights, given)
        out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    served, refusal = out.strip().splitlines()
    expected = predict(bundles[1].classifier, sequences)
    for row, scores in zip(json.loads(served), expected, strict=True):
        assert row["label"] == LABELS[scores.argmax()]
        assert row["score"] == pytest.approx(scores.max(), abs=1e-6)
        top = json.loads(row["top"])
        assert list(top.values()) == sorted(top.values(), reverse=True)
        assert [top[label] for label in LABELS] == pytest.approx(scores.tolist(), abs=1e-5)
    assert refusal.startswith("UnsafeModel")


def test_the_registered_model_says_what_it_takes_and_gives(registry: Registry) -> None:
    import mlflow

    signature = mlflow.models.get_model_info("models:/clips/1").signature

    assert signature.inputs.input_names() == ["path", "features"]
    assert signature.outputs.input_names() == ["label", "score", "top", "error"]
