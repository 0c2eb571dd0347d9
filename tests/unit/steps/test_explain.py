"""Explaining: the label that `classify` gives, and when the model looked; from stored features, read-only."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from conftest import warehouse_rows

from vidpipe.adapters.models.bundle import Bundle
from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.learning.inference import attention, predict
from vidpipe.learning.training import TrainingConfig
from vidpipe.learning.windows import windows_of
from vidpipe.ports import Ports
from vidpipe.records.features import VideoFeatures
from vidpipe.records.windows import Windows
from vidpipe.steps.classify import classify
from vidpipe.steps.explain import ExplainResult, explain, stretches
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.train import train

LAST, ATTENTION = 1, 2
"""Versions by their head; the second is the challenger, and nobody is champion."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain") / "home"


@pytest.fixture(scope="module")
def ports(home: Path, home_of_clips: Callable[[Path, int], Ports]) -> Ports:
    """Two versions, both of which have scored all videos."""
    ports = home_of_clips(home, 2)
    for version, head in ((LAST, "last"), (ATTENTION, "attention")):
        config = TrainingConfig(epochs=15, head=head)  # type: ignore[arg-type]
        assert train(ports, "clips", config=config).version == version
        classify(ports, model=str(version))
    return ports


@pytest.fixture(scope="module")
def ids(ports: Ports) -> list[str]:
    return [i for (i,) in ask(ports, "select distinct video_id from video_features order by video_id")]


def ask(ports: Ports, query: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = warehouse_rows(ports, query)
    return rows


def bundle_of(ports: Ports) -> Bundle:
    """The challenger's."""
    bundle = ports.registry.load(ports.registry.version(str(ATTENTION)))
    assert isinstance(bundle, Bundle)
    return bundle


def stored(ports: Ports, video_id: str) -> VideoFeatures:
    """Features of one video."""
    spec = ports.limits.spec.feature_set_id
    (video,) = ports.store.read(spec, ports.ledger.features.stored_features(spec, [video_id]))
    return video


def test_label_and_scores_are_to_the_bit_those_that_classify_stored(ports: Ports, ids: list[str]) -> None:
    for version in (LAST, ATTENTION):
        predicted = ask(
            ports,
            f"select video_id, label, score from predictions where model_version = {version} order by rank",
        )
        for video_id in ids[:5]:
            report = explain(ports, video_id, model=str(version))
            assert report.version == version
            mine = [(label, score) for video, label, score in predicted if video == video_id]
            assert [(k, np.float32(v)) for k, v in report.top.items()] == [
                (k, np.float32(v)) for k, v in mine
            ]
            assert (report.label, report.score) == next(iter(report.top.items()))


def test_every_frame_has_its_true_time_and_the_weight_that_the_network_gave_it(
    ports: Ports, ids: list[str]
) -> None:
    report, bundle = explain(ports, ids[0]), bundle_of(ports)
    video = stored(ports, ids[0])
    assert [f.time_s for f in report.frames] == video.times_s.tolist()
    assert [f.weight for f in report.frames] == attention(bundle.lstm, [video.values])[0].tolist()
    assert sum(f.weight for f in report.frames) == pytest.approx(1, abs=1e-5)
    assert len({f.weight for f in report.frames}) > 1
    assert report.head == "attention"


def test_an_lstm_without_a_weight_says_so_and_one_with_a_weight_does_not(
    ports: Ports, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(ports)
    weights = dict.fromkeys(bundle.weights, 1.0)
    for lstm in (1.0, 0.0):
        known = replace(bundle, weights={**weights, "lstm": lstm})
        monkeypatch.setattr(type(ports.registry), "load", lambda *_, known=known: known)
        note = explain(ports, ids[0]).note
        assert (note is None) == (lstm > 0)
    assert note and "no weight in version 2" in note and "says nothing about this label" in note


def test_the_label_scores_without_a_stretch_what_the_model_makes_of_the_other_frames(
    ports: Ports, ids: list[str]
) -> None:
    report, bundle = explain(ports, ids[0]), bundle_of(ports)
    video = stored(ports, ids[0])
    T, column = len(video.times_s), bundle.labels.index(report.label)
    cuts = stretches(T)
    assert len(cuts) == 10 and [n for cut in cuts for n in range(T)[cut]] == [*range(T)]
    assert len(report.without) == len(cuts)
    for cut, found in zip(cuts, report.without, strict=True):
        assert (found.start_s, found.end_s) == (video.times_s[cut.start], video.times_s[min(cut.stop, T - 1)])
        (scores,) = predict(bundle.classifier, [np.delete(video.values, cut, 0)])
        assert found.score == pytest.approx(float(scores[column]), abs=1e-6)
    assert len({one.score for one in report.without}) > 1


@pytest.mark.parametrize(
    ("frames", "lengths"), [(1, [1]), (3, [1, 2]), (9, [2, 2, 2, 3]), (25, [2] * 5 + [3] * 5)]
)
def test_stretches_are_of_nearly_equal_length(frames: int, lengths: list[int]) -> None:
    assert sorted(cut.stop - cut.start for cut in stretches(frames)) == sorted(lengths)


def test_a_head_that_weighs_no_frames_says_so(ports: Ports, ids: list[str]) -> None:
    report = explain(ports, ids[0], model=str(LAST))
    assert report.head == "last"
    (weight,) = {f.weight for f in report.frames}
    assert weight == pytest.approx(1 / len(report.frames))
    assert report.note and "'last'" in report.note and "does not weigh frames" in report.note


def test_the_champion_explains_where_there_is_one_else_the_challenger(ports: Ports, ids: list[str]) -> None:
    assert explain(ports, ids[0]).version == ATTENTION
    ports.registry.set_alias("champion", LAST)
    try:
        assert explain(ports, ids[0]).version == LAST
        assert explain(ports, ids[0], model="challenger").version == ATTENTION
    finally:
        ports.registry.drop_alias("champion")


def test_eight_digits_name_a_video(ports: Ports, ids: list[str]) -> None:
    assert explain(ports, ids[3][:8]).video_id == ids[3]
    with pytest.raises(ConfigurationError, match="too short"):
        explain(ports, ids[3][:7])


def test_nothing_is_decoded_written_or_published(ports: Ports, ids: list[str], home: Path) -> None:
    runs = ask(ports, "select count(*) from runs")
    ledger, published = (home / "state/ledger.duckdb").read_bytes(), (home / "warehouse.duckdb").stat()
    explain(replace(ports, videos=None, catalog=None, lease=None), ids[0])  # type: ignore[arg-type]
    assert (home / "state/ledger.duckdb").read_bytes() == ledger
    assert (home / "warehouse.duckdb").stat() == published
    assert ask(ports, "select count(*) from runs") == runs


def test_a_video_that_is_not_known_is_not_found(ports: Ports) -> None:
    with pytest.raises(NotFound, match="no video 0000000000") as caught:
        explain(ports, "0" * 10)
    assert "collection_videos" in caught.value.next_step


def test_a_version_that_does_not_exist_is_not_found(ports: Ports, ids: list[str]) -> None:
    with pytest.raises(NotFound, match="'99'"):
        explain(ports, ids[0], model="99")


def test_a_video_without_features_of_the_versions_set_asks_for_them(
    ports: Ports, clips: Any, tmp_path: Path
) -> None:
    source = tmp_path / "new"
    source.mkdir()
    file = sorted(clips.incoming.glob("*.mp4"))[0]
    (source / file.name).write_bytes(file.read_bytes())
    ingest(ports, "new", source)
    ((video_id,),) = ask(ports, "select video_id from collection_videos where collection = 'new'")
    with pytest.raises(ConfigurationError, match=f"{video_id[:12]} has no features of set") as caught:
        explain(ports, video_id)
    assert caught.value.next_step.startswith("vidpipe extract")


def test_a_long_video_is_explained_window_by_window_as_it_is_scored(
    ports: Ports, clips: Any, tmp_path: Path
) -> None:
    source = tmp_path / "cameras"
    source.mkdir()
    file = sorted(clips.incoming.glob("*.mp4"))[-1]
    (source / file.name).write_bytes(file.read_bytes())
    ingest(ports, "cameras", source, window_s=1.0, stride_s=0.5)
    extract(ports, "cameras")
    classify(ports, "cameras", model=str(ATTENTION))
    ((video_id,),) = ask(ports, "select video_id from collection_videos where collection = 'cameras'")
    predicted = ask(
        ports, f"select label, score from predictions where video_id = '{video_id}' order by rank"
    )

    report = explain(ports, video_id)

    assert [(k, np.float32(v)) for k, v in report.top.items()] == [(k, np.float32(v)) for k, v in predicted]
    video, bundle = stored(ports, video_id), bundle_of(ports)
    windows = windows_of(video.times_s, Windows(1.0, 0.5), ports.limits.spec.sample_fps)
    expected = np.zeros(len(video.times_s))
    for window in windows:
        span = slice(window.first, window.last)
        expected[span] += attention(bundle.lstm, [video.values[span]])[0] / len(windows)
    assert len(windows) > 2
    for cut, found in zip(stretches(len(video.times_s)), report.without, strict=True):
        kept = [w for w in windows if (w.first + w.last - 1) // 2 not in range(cut.start, cut.stop)]
        scores = predict(bundle.classifier, [video.values[w.first : w.last] for w in kept])
        counts = [w.last - w.first for w in kept]
        mean = np.average(np.array([*scores]), axis=0, weights=counts)
        assert found.score == pytest.approx(float(mean[bundle.labels.index(report.label)]), abs=1e-5)
    assert [f.time_s for f in report.frames] == video.times_s.tolist()
    assert [f.weight for f in report.frames] == pytest.approx(expected.tolist(), rel=1e-5)


# -- the command line ---------------------------------------------------------------------------


@pytest.fixture
def called(program: Callable[[str], list[str]], home: Path) -> Callable[..., CompletedProcess[str]]:
    def call(*arguments: str) -> CompletedProcess[str]:
        command = [*program("explain"), "explain", *arguments]
        environment = {**os.environ, "VIDPIPE_HOME": str(home)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="module")
def report(ports: Ports, ids: list[str]) -> ExplainResult:
    return explain(ports, ids[0])


def test_json_has_every_frame(report: ExplainResult, called: Any) -> None:
    ended = called(report.video_id[:12], "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == report.to_dict()
    assert set(report.to_dict()) >= {
        "model", "version", "video_id", "label", "score", "top", "head", "frames", "without",
    }  # fmt: skip
    assert set(json.loads(ended.stdout)["frames"][0]) == {"time_s", "weight"}


def test_a_person_sees_the_label_and_what_it_hangs_on(report: ExplainResult, called: Any) -> None:
    lines = called(report.video_id).stdout.splitlines()
    assert lines[0].endswith(f"version {ATTENTION}: {report.label} {report.score:.3f}")
    shown = [line for line in lines if " to " in line]
    assert [line.split()[4] for line in shown] == [f"{one.score:.3f}" for one in report.without]
    assert any("no weight" in line or "looks at" in line for line in lines)


def test_a_person_is_told_of_a_head_without_weights(report: ExplainResult, called: Any) -> None:
    said = called(report.video_id, "--model", str(LAST)).stdout
    assert "does not weigh frames" in said and "looks at" not in said
