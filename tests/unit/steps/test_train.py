"""The train step: what goes on from a version keeps what that one knew."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import certain, concrete

from vidpipe.adapters.models.registry import Registry
from vidpipe.errors import NotFound
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.settings import load_settings
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.train import train
from vidpipe.wiring import Home, open_home

CONFIG = TrainingConfig(epochs=2, hidden_size=8, projection=8)
PICTURES = ("confusion", "labels", "calibration")


@pytest.fixture(scope="module")
def labels(clips: Any) -> list[str]:
    """The four labels of the clips, in order."""
    with clips.manifest.open(encoding="utf-8", newline="") as stream:
        return sorted({row["label"] for row in csv.DictReader(stream)})


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    make_ports: Callable[[Path], Ports],
    clips: Any,
    labels: list[str],
) -> Path:
    """A home with the first three labels as `three`, which version 1 knows, and all as `all`: version 2."""
    folder = tmp_path_factory.mktemp("trained")
    ports, three = make_ports(folder / "home"), folder / "three.csv"
    header, *rows = clips.manifest.read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if f",{labels[-1]}," not in row]
    assert len(kept) == len(rows) * 3 / 4
    three.write_text("\n".join([header, *kept]), encoding="utf-8")
    ingest(ports, "all", clips.labelled, manifest=clips.manifest)
    ingest(ports, "three", clips.labelled, manifest=three)
    extract(ports)
    for version, collection in enumerate(("three", "all"), start=1):
        assert train(ports, collection, split_column="split", config=CONFIG).version == version
    return folder / "home"


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Home:
    """A copy of it; MLflow says where its artifacts lie."""
    copy = shutil.copytree(trained, tmp_path / "home", ignore=shutil.ignore_patterns("artifacts"))
    return open_home(load_settings(copy))


def test_a_warm_start_keeps_network_labels_and_history(ports: Ports, labels: list[str]) -> None:
    warm = train(ports, "all", split_column="split", config=TrainingConfig(epochs=2), warm_start="1")

    assert (warm.version, warm.existing) == (3, False)
    old, new = (ports.registry.load(ports.registry.version(v)) for v in ("1", "3"))
    assert list(old.labels) == labels[:3] and list(new.labels) == labels
    assert new.lstm_config.hidden_size == 8, "the network that it went on from, not the default"
    assert set(new.training_groups) >= set(old.training_groups)
    client = concrete(ports.registry, Registry).store.client
    run = client.get_run(warm.mlflow_run_id)
    assert (run.data.params["warm_start"], run.data.params["hidden_size"]) == ("1", "8")
    card = client.get_model_version(ports.registry.model, "3").description
    assert "Warm start from version 1" in certain(card)


def test_what_taught_a_version_is_recorded_once_with_what_taught_its_start(ports: Ports, home: Home) -> None:
    def made_from(version: int, split: str) -> set[str]:
        asked = f"from version_videos where model_version = {version} and split = '{split}'"
        found = [video_id for (video_id,) in home.warehouse.query(f"select video_id {asked}").rows]
        assert len(found) == len(set(found)) > 0
        return set(found)

    for _ in range(2):
        train(ports, "three", split_column="split", config=CONFIG, warm_start="2")

    whole, part = (ports.registry.load(ports.registry.version(v)).split_ids for v in ("2", "3"))
    for split in ("train", "val", "test"):
        assert made_from(2, split) == set(whole[split])
    for split in ("val", "test"):
        assert made_from(3, split) == set(part[split])
    assert made_from(3, "train") == {*part["train"], *whole["train"], *whole["val"]}
    assert not made_from(3, "train") <= set(part["train"]), "the fourth label's taught the start alone"
    assert ports.ledger.decisions.versions_taught(part["test"][0]) == []
    (of_the_fourth_label, *_) = set(whole["val"]) - made_from(1, "val")
    assert ports.ledger.decisions.versions_taught(of_the_fourth_label) == [2, 3]


def test_the_start_is_one_of_the_inputs(ports: Ports) -> None:
    cold = train(ports, "all", split_column="split", config=CONFIG)
    warm = train(ports, "all", split_column="split", config=CONFIG, warm_start="1")
    again = train(ports, "all", split_column="split", config=CONFIG, warm_start="1")
    assert (cold.version, cold.existing) == (2, True)
    assert (warm.version, warm.existing) == (3, False)
    assert (again.version, again.existing) == (3, True)


def test_a_start_that_is_not_there_is_an_error(ports: Ports) -> None:
    with pytest.raises(NotFound, match="'7'"):
        train(ports, "all", config=CONFIG, warm_start="7")


def test_the_mlflow_run_has_pictures_of_what_was_learnt_and_where_the_model_looks(ports: Ports) -> None:
    run_id = train(ports, "three", split_column="split", config=CONFIG).mlflow_run_id  # that of version 1
    names = {file.path for file in concrete(ports.registry, Registry).store.client.list_artifacts(run_id)}
    assert names >= {f"registered_{what}.png" for what in PICTURES} | {"attention.png"}


def test_a_video_that_is_gone_costs_its_pictures_and_nothing_else(
    ports: Ports, clips: Any, tmp_path: Path
) -> None:
    source = shutil.copytree(clips.labelled, tmp_path / "clips")
    ingest(ports, "here", source, manifest=clips.manifest)
    extract(ports)
    shutil.rmtree(source)
    found = train(ports, "here", config=CONFIG)
    client = concrete(ports.registry, Registry).store.client
    assert "attention.png" not in {file.path for file in client.list_artifacts(found.mlflow_run_id)}
