"""The train step: what goes on from a version keeps what that one knew."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from vidpipe.errors import NotFound
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.train import train

CONFIG = TrainingConfig(epochs=2, hidden_size=8, projection=8)
PICTURES = ("confusion", "labels", "calibration")


@pytest.fixture
def taught(ports: Ports, clips: Any, tmp_path: Path) -> list[str]:
    """A home with all four labels as `all`, the first three of them as `three`; the labels."""
    with clips.manifest.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    labels = sorted({row["label"] for row in rows})
    three = tmp_path / "three.csv"
    with three.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["label"] != labels[-1])
    ingest(ports, "all", clips.labelled, manifest=clips.manifest)
    ingest(ports, "three", clips.labelled, manifest=three)
    extract(ports)
    return labels


def test_a_warm_start_keeps_network_labels_and_history(ports: Ports, taught: list[str]) -> None:
    first = train(ports, "three", split_column="split", config=CONFIG)
    second = train(ports, "all", split_column="split", config=TrainingConfig(epochs=2), warm_start="1")

    assert (first.version, second.version) == (1, 2)
    old, new = (ports.registry.load(ports.registry.version(v)) for v in ("1", "2"))
    assert list(old.labels) == taught[:3] and list(new.labels) == taught
    assert new.lstm_config.hidden_size == 8, "the network that it went on from, not the default"
    assert set(new.training_groups) >= set(old.training_groups)
    run = ports.registry.store.client.get_run(second.mlflow_run_id)  # type: ignore[attr-defined]
    assert (run.data.params["warm_start"], run.data.params["hidden_size"]) == ("1", "8")
    card = ports.registry.store.client.get_model_version(ports.registry.model, "2").description  # type: ignore[attr-defined]
    assert "Went on from version 1" in card


def test_what_taught_a_version_is_recorded_once_with_what_taught_its_start(
    ports: Ports, home: Any, taught: list[str], clips: Any
) -> None:
    def made_from(version: int, split: str) -> set[str]:
        asked = f"from version_videos where model_version = {version} and split = '{split}'"
        found = [video_id for (video_id,) in home.warehouse.query(f"select video_id {asked}").rows]
        assert len(found) == len(set(found)) > 0
        return set(found)

    train(ports, "all", split_column="split", config=CONFIG)
    train(ports, "three", split_column="split", config=CONFIG, warm_start="1")
    train(ports, "three", split_column="split", config=CONFIG, warm_start="1")

    first, second = (ports.registry.load(ports.registry.version(v)).split_ids for v in ("1", "2"))
    for split in ("train", "val", "test"):
        assert made_from(1, split) == set(first[split])
    for split in ("val", "test"):
        assert made_from(2, split) == set(second[split])
    assert made_from(2, "train") == {*second["train"], *first["train"], *first["val"]}
    assert not made_from(2, "train") <= set(second["train"]), "the fourth label's taught the start alone"
    (video_id,) = second["test"][:1]
    assert ports.ledger.decisions.versions_taught(video_id) == []
    assert ports.ledger.decisions.versions_taught(first["val"][0]) == [1, 2]


def test_the_start_is_one_of_the_inputs(ports: Ports, taught: list[str]) -> None:
    train(ports, "three", split_column="split", config=CONFIG)
    cold = train(ports, "all", split_column="split", config=CONFIG)
    warm = train(ports, "all", split_column="split", config=CONFIG, warm_start="1")
    again = train(ports, "all", split_column="split", config=CONFIG, warm_start="1")
    assert (cold.version, warm.version) == (2, 3)
    assert (again.version, again.existing) == (3, True)


def test_a_start_that_is_not_there_is_an_error(ports: Ports, taught: list[str]) -> None:
    with pytest.raises(NotFound, match="'7'"):
        train(ports, "all", config=CONFIG, warm_start="7")


def test_the_mlflow_run_has_pictures_of_what_was_learnt_and_where_the_model_looks(
    ports: Ports, taught: list[str]
) -> None:
    found = train(ports, "three", config=CONFIG)
    client = ports.registry.store.client  # type: ignore[attr-defined]
    names = {file.path for file in client.list_artifacts(found.mlflow_run_id)}
    assert names >= {f"registered_{what}.png" for what in PICTURES} | {"attention.png"}


def test_a_video_that_is_gone_costs_its_pictures_and_nothing_else(
    ports: Ports, clips: Any, tmp_path: Path
) -> None:
    source = shutil.copytree(clips.labelled, tmp_path / "clips")
    ingest(ports, "here", source, manifest=clips.manifest)
    extract(ports)
    shutil.rmtree(source)
    found = train(ports, "here", config=CONFIG)
    client = ports.registry.store.client  # type: ignore[attr-defined]
    assert "attention.png" not in {file.path for file in client.list_artifacts(found.mlflow_run_id)}
