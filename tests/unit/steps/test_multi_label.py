"""Several labels a video, from the manifest to `latest_labels`: input rules, verbs, and the other kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import rows_of, warehouse_rows
from stored import clouds, content_id, put_collection

from vidpipe.adapters.exchange.label_studio import label_studio
from vidpipe.adapters.exchange.webvtt import webvtt
from vidpipe.errors import ConfigurationError
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.videos import Floats
from vidpipe.report.evidence import evidence_rows
from vidpipe.steps.classify import classify
from vidpipe.steps.evaluate import evaluate
from vidpipe.steps.explain import explain
from vidpipe.steps.freeze_eval import freeze_eval
from vidpipe.steps.ingest import ingest
from vidpipe.steps.label import label, label_queue
from vidpipe.steps.label_issues import label_issues
from vidpipe.steps.promote import promote
from vidpipe.steps.train import train
from vidpipe.steps.tune import tune

CONFIG = TrainingConfig(epochs=2, hidden_size=4, projection=4)
NAMES = ("cat", "dog", "emu")


def mixtures(size: int, count: int = 60, labelled: int = 50) -> tuple[dict[str, Floats], dict[str, str]]:
    """Features (4, D) of videos that show a sum of their labels' centres, and the labels of most."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(len(NAMES), size))
    features: dict[str, Floats] = {}
    labels: dict[str, str] = {}
    for n in range(count):
        has = draw.random(len(NAMES)) < [0.5, 0.4, 0.3]
        has[n % 3] |= not has.any()
        path = f"{n:02d}.mp4"
        features[path] = (has @ centres + draw.normal(size=(4, size))).astype(np.float32)
        labels[path] = "|".join(name for name, there in zip(NAMES, has, strict=True) if there)
    return features, {path: labels[path] for path in sorted(labels)[:labelled]}


# -- the rules of the input ------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, clips: Any) -> Path:
    """Two videos of the shared clips."""
    source = tmp_path / "source"
    source.mkdir()
    for name, file in zip(("a.mp4", "b.mp4"), sorted(clips.labelled.rglob("*.mp4")), strict=False):
        (source / name).write_bytes(file.read_bytes())
    return source


def manifest(folder: Path, *lines: str) -> Path:
    file = folder / "m.csv"
    file.write_text("\n".join(["path,label", *lines]) + "\n")
    return file


@pytest.mark.slow
def test_labels_are_stored_sorted_and_counted_one_by_one(ports: Ports, folder: Path) -> None:
    file = manifest(folder, "a.mp4,rain | crowd", "b.mp4,rain")
    report = ingest(ports, "yard", folder, manifest=file, multi_label=True)
    assert report.labels == 2
    seen = "select path, label, labels from collection_videos order by path"
    assert warehouse_rows(ports, seen) == [
        ("a.mp4", "crowd|rain", ["crowd", "rain"]), ("b.mp4", "rain", ["rain"]),
    ]  # fmt: skip
    assert warehouse_rows(ports, "select labels, labelled from collection_summary") == [(2, 2)]
    assert warehouse_rows(ports, "select multi_label from collections") == [(True,)]
    again = ingest(ports, "yard", folder, manifest=file)
    assert (again.labels, again.unchanged) == (2, 2), "remembered"
    single = ingest(ports, "yard", folder, manifest=file, multi_label=False)
    assert single.labels == 2 and warehouse_rows(ports, seen)[0] == (
        "a.mp4",
        "rain | crowd",
        ["rain | crowd"],
    )


def test_in_a_collection_with_one_label_a_video_a_bar_is_a_character(ports: Ports, folder: Path) -> None:
    file = manifest(folder, "a.mp4,dog | wolf", "b.mp4,dog||")
    assert ingest(ports, "yard", folder, manifest=file).labels == 2
    seen = "select label, labels from collection_videos order by path"
    assert warehouse_rows(ports, seen) == [("dog | wolf", ["dog | wolf"]), ("dog||", ["dog||"])]


@pytest.mark.parametrize("cell", ["crowd||rain", "crowd|", "crowd|crowd"])
def test_a_set_that_is_none_is_refused_with_its_line_and_nothing_is_written(
    ports: Ports, folder: Path, cell: str
) -> None:
    file = manifest(folder, "a.mp4,rain", f"b.mp4,{cell}")
    with pytest.raises(ConfigurationError, match="line 3") as caught:
        ingest(ports, "yard", folder, manifest=file, multi_label=True)
    assert repr(cell) in caught.value.message
    assert ports.ledger.sources.collection("yard") is None


def test_given_labels_follow_the_same_rules(ports: Ports, tmp_path: Path) -> None:
    features, labels = mixtures(ports.limits.spec.feature_size, 4, 2)
    put_collection(ports, "yard", features, labels, multi_label=True)
    file = tmp_path / "given.csv"
    file.write_text("path,label\n02.mp4,emu | cat\n03.mp4,cat||dog\n")
    with pytest.raises(ConfigurationError, match=r"given\.csv line 3"):
        label(ports, file, collection="yard")
    file.write_text("path,label\n02.mp4,emu | cat\n")
    assert label(ports, file, collection="yard").labelled == 1
    assert label(ports, file, collection="yard").unchanged == 1
    seen = "select label from collection_videos where path = '02.mp4'"
    assert warehouse_rows(ports, seen) == [("cat|emu",)]


# -- the verbs -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_ports: Callable[[Path], Ports]) -> Ports:
    """A home with a multi-label champion on `yard`, and `street`, whose videos have one label."""
    ports = make_ports(tmp_path_factory.mktemp("several"))
    size = ports.limits.spec.feature_size
    put_collection(ports, "yard", *mixtures(size), multi_label=True)
    one = {f"s{n:02d}.mp4": NAMES[n % 2] for n in range(16)}
    put_collection(ports, "street", clouds(one, size), one)
    train(ports, "yard", config=CONFIG)
    return ports


@pytest.mark.slow
def test_train_says_map_and_f1_and_registers_decisions(trained: Ports) -> None:
    again = train(trained, "yard", config=CONFIG)
    assert again.existing
    for name in (
        "test_mean_average_precision",
        "test_macro_f1",
        "test_micro_f1",
        "cv_mean_average_precision",
    ):
        assert 0.9 <= again.metrics[name] <= 1, name
    version = trained.registry.version("challenger")
    bundle = trained.registry.load(version)
    assert version.multi_label and version.labels == NAMES
    thresholds = bundle.thresholds()
    assert thresholds is not None and len(thresholds) == 3
    assert again.metrics["train_videos"] + again.metrics["test_videos"] == 50, "videos, not labels"


@pytest.mark.slow
def test_evaluate_says_map_f1_and_thresholds(trained: Ports) -> None:
    found = evaluate(trained).to_dict()
    json.dumps(found)
    assert found["mean_average_precision"] > 0.9 and found["micro_f1"] > 0.9 and found["confusion"] == {}
    assert set(found["per_label"]["cat"]) == {
        "precision", "recall", "f1", "average_precision", "threshold", "support",
    }  # fmt: skip
    assert {"mean_average_precision", "micro_f1"} <= set(found["baselines"]["mean_linear"])


@pytest.mark.slow
def test_the_gate_decides_by_map_and_classify_fills_latest_labels(trained: Ports, tmp_path: Path) -> None:
    frozen = freeze_eval(trained, "street", split="all").eval_set_hash
    with pytest.raises(ConfigurationError, match=f"evaluation set {frozen} of 'street' has one label"):
        promote(trained)
    of_yard = freeze_eval(trained, "yard")
    assert set(of_yard.labels) == set(NAMES), "names, not sets of them"
    decision = promote(trained)
    assert decision.decision == "promoted", decision.reasons
    evidence = decision.evidence
    assert evidence["challenger"]["mean_average_precision"] > 0.9 and evidence["p_chance"] < 0.01
    shown = [row[0] for row in evidence_rows(evidence)]
    assert shown[1:5] == ["mAP", "accuracy", "macro F1", "micro F1"] and "recall of emu" in shown

    done = classify(trained)
    assert done.classified == 60, "street's videos have one label: passed over"
    rows = warehouse_rows(trained, "select path, label from latest_labels")
    held: dict[str, set[str]] = {}
    for path, name in rows:
        held.setdefault(path, set()).add(name)
    _, truth = mixtures(trained.limits.spec.feature_size, 60, 60)
    right = sum(held.get(path, set()) == set(names.split("|")) for path, names in truth.items())
    assert right > 50
    assert warehouse_rows(trained, "select count(*) from latest_predictions") == [(60,)]
    assert warehouse_rows(trained, "select count(*) from predictions where over_threshold is null") == [(0,)]
    unequal = "select count(*) from predictions where rank = 1"
    assert warehouse_rows(trained, unequal) == [(60,)], "rank 1 is always there"

    video = content_id("00.mp4")
    said = explain(trained, video)
    assert set(said.labels) == held["00.mp4"]
    label_queue(trained, tmp_path / "queue.csv", collection="yard", limit=5)
    assert len(rows_of(tmp_path / "queue.csv")) == 5
    with trained.warehouse.reading() as read:
        label_studio(read, tmp_path / "studio", "yard")
        webvtt(read, tmp_path / "vtt", "yard")
    tasks = json.loads((tmp_path / "studio/tasks.json").read_text())
    (several,) = [task for task in tasks if task["data"]["path"] == "00.mp4"]
    (result,) = several["predictions"][0]["result"]
    assert set(result["value"]["choices"]) == held["00.mp4"]
    assert 'choice="multiple"' in (tmp_path / "studio/config.xml").read_text()
    cues = (tmp_path / "vtt/yard/00.mp4.vtt").read_text().split("\n\n")[1:]
    assert {cue.splitlines()[1].split()[0] for cue in cues} == held["00.mp4"]


@pytest.mark.slow
def test_the_other_kind_is_refused_with_the_next_command(trained: Ports, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="gives several labels a video") as caught:
        evaluate(trained, model="1", collection="street", split="all")
    assert caught.value.next_step.startswith("vidpipe train --collection street")
    with pytest.raises(ConfigurationError, match="'street' has one label a video"):
        train(trained, "street", config=CONFIG, warm_start="1")
    with pytest.raises(ConfigurationError, match="'street' has one label a video"):
        classify(trained, "street", model="1")
    with pytest.raises(ConfigurationError, match="vidpipe train --collection yard"):
        raise_with_next(lambda: tune(trained, "yard", config=CONFIG, budget_s=0))
    with pytest.raises(ConfigurationError, match="vidpipe label-queue"):
        raise_with_next(lambda: label_issues(trained, tmp_path / "issues.csv", collection="yard"))


def raise_with_next(work: Callable[[], object]) -> None:
    """Let the next step be part of the message."""
    try:
        work()
    except ConfigurationError as error:
        raise ConfigurationError(f"{error.message} {error.next_step}") from None
