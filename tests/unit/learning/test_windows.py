"""Windows of long videos: which there are, what they are scored, that memory does not grow with the video."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import certain, run_python, warehouse_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe.adapters.sources.folders import Catalog
from vidpipe.errors import ConfigurationError
from vidpipe.learning.inference import predict
from vidpipe.learning.training import TrainingConfig
from vidpipe.learning.windows import MeanScores, Window, frames_of, windows_of
from vidpipe.ports import Ports
from vidpipe.records.labels import LabelledSpan
from vidpipe.records.videos import Floats
from vidpipe.records.windows import Windows
from vidpipe.steps import score_shards, scoring, window_scores
from vidpipe.steps.classify import classify
from vidpipe.steps.evaluate import evaluate
from vidpipe.steps.forget import forget
from vidpipe.steps.freeze_eval import freeze_eval
from vidpipe.steps.gc import gc
from vidpipe.steps.ingest import ingest, ingest_again
from vidpipe.steps.nightly import nightly
from vidpipe.steps.promote import promote, rollback
from vidpipe.steps.train import train

TEN = Windows(10, 5)


def spans(times_s: Any, wanted: Windows = TEN, sample_fps: float = 4.0) -> list[tuple[float, float]]:
    found = windows_of(np.asarray(times_s, np.float64), wanted, sample_fps)
    return [(w.start_s, w.end_s) for w in found]


# -- which windows there are ----------------------------------------------------------------------


def test_windows_start_every_stride_and_the_last_one_ends_with_the_video() -> None:
    assert spans(np.arange(0, 32, 0.25)) == [(0, 10), (5, 15), (10, 20), (15, 25), (20, 30), (22, 32)]
    assert spans(np.arange(0, 30, 0.25)) == [(0, 10), (5, 15), (10, 20), (15, 25), (20, 30)]


def test_a_video_no_longer_than_a_window_is_one_window() -> None:
    assert spans([0.0]) == [(0, 0.25)]
    assert spans(np.arange(0, 7, 0.25)) == [(0, 7)]
    assert spans(np.arange(0, 10, 0.25)) == [(0, 10)]


def test_nothing_is_said_of_what_was_not_seen() -> None:
    gap = [*np.arange(0, 12, 0.25), *np.arange(61, 90, 0.25)]
    assert spans(gap, Windows(10, 10)) == [(0, 10), (10, 20), (60, 70), (70, 80), (80, 90)]


def test_a_leap_in_the_times_costs_nothing() -> None:
    assert spans([0.0, 0.25, 1e9], Windows(1, 0.1))[-1] == (999999999.25, 1000000000.25)


def test_neighbours_meet_to_the_bit() -> None:
    found = spans(np.arange(0, 700, 0.25), Windows(1.1, 1.1))
    assert len(found) == 637
    assert all(a[1] == b[0] for a, b in pairwise(found[:-1]))


@pytest.mark.parametrize("window_s", [1.1563834937939559, 1 / 3 + 1, 7.000000499])
def test_no_frame_lies_between_a_window_and_its_neighbour(window_s: float) -> None:
    times_s = np.sort([k * window_s - e for k in range(1, 400) for e in (0.0, 4e-7, 0.5)])
    found = windows_of(times_s, Windows(window_s, window_s), 4.0)
    assert all(a.end_s == b.start_s for a, b in pairwise(found[:-1]))
    assert {n for w in found for n in range(w.first, w.last)} == set(range(len(times_s)))


lengths = st.floats(1, 30).flatmap(
    lambda w: st.floats(w / 10, w).map(lambda s: Windows(w, min(max(s, w / 10), w)))
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.001, 9), min_size=1, max_size=200), lengths, st.floats(-0.5, 20))
def test_every_frame_is_in_a_window_and_every_window_has_its_frames(
    steps: list[float], wanted: Windows, first_s: float
) -> None:
    times_s = first_s + np.cumsum(steps)
    found = windows_of(times_s, wanted, 4.0)
    seen: set[int] = set()
    for w in found:
        inside = np.flatnonzero((np.maximum(times_s, 0) >= w.start_s) & (np.maximum(times_s, 0) < w.end_s))
        assert list(inside) == list(range(w.first, w.last)) != []
        assert w.end_s - w.start_s <= wanted.window_s + 2e-6
        seen |= set(range(w.first, w.last))
    assert seen == set(range(len(times_s)))
    assert found == sorted(found, key=lambda w: w.start_s)
    assert len({w.start_s for w in found}) == len(found)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), lengths)
def test_a_window_has_the_same_frames_however_the_video_comes_in_pieces(
    sizes: list[int], wanted: Windows
) -> None:
    T = sum(sizes)
    features = np.arange(T, dtype=np.float32)[:, None]
    pieces = np.split(features, np.cumsum(sizes)[:-1])
    found = windows_of(np.arange(T) / 4, wanted, 4.0)
    for window, frames in frames_of(found, pieces):
        assert np.array_equal(frames, features[window.first : window.last])


def test_no_more_is_read_ahead_than_a_window_needs() -> None:
    drawn: list[int] = []

    def pieces() -> Iterator[Floats]:
        for n in range(100):
            drawn.append(n)
            yield np.zeros((10, 1), np.float32)

    windows = [Window(0, 1, 0, 15), Window(1, 2, 15, 30), Window(2, 3, 30, 31)]
    read = [len(drawn) for _ in frames_of(windows, pieces())]
    assert read == [2, 3, 4]


def test_the_mean_is_one_score_if_there_is_one_and_a_distribution_if_there_are_many() -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(5), 1000).astype(np.float32)
    one, many = MeanScores(), MeanScores()
    one.add(scores[0])
    for row in scores:
        many.add(row)
    assert one.value().tobytes() == scores[0].tobytes()
    assert many.value().sum() == pytest.approx(1, abs=1e-6)
    assert np.allclose(many.value(), scores.mean(0), atol=1e-6)


@pytest.mark.parametrize("wrong", [(0.5, 0.5), (601, 300), (10, 0.9), (10, 11), (10, 0)], ids=str)
def test_windows_that_cannot_be_right_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ConfigurationError, match="window_s"):
        Windows(*wrong)


@given(st.lists(st.floats(0.01, 2000), max_size=8), st.floats(0.5, 3000))
def test_shots_are_windows_that_touch_and_none_is_longer_than_ten_minutes(
    begins_s: list[float], length_s: float
) -> None:
    wanted = Windows.of(0.0, 0.0, [0.0, *sorted(set(begins_s))])
    assert wanted is not None and wanted.are_shots
    times_s = np.arange(0, length_s, 0.5)
    found = windows_of(times_s, wanted, 2.0)
    assert [(w.first, w.last) for w in found] == [
        (a.last, b.last) for a, b in pairwise([Window(0, 0, 0, 0), *found])
    ]
    assert found[0].first == 0 and found[-1].last == len(times_s)
    assert all(0 < w.end_s - w.start_s <= 600 + 1e-6 for w in found)


def test_a_shot_s_score_counts_by_its_frames() -> None:
    mean = MeanScores()
    mean.add(np.array([1, 0], np.float32), 30)
    mean.add(np.array([0, 1], np.float32), 10)
    assert mean.value().tolist() == [0.75, 0.25]


# -- what a home makes of them --------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, home_of_clips: Callable[[Path, int], Ports]
) -> tuple[Path, Path]:
    """A home with two versions, the first of them champion, and the clips' folder."""
    home = tmp_path_factory.mktemp("windows") / "home"
    ports = home_of_clips(home, 4)
    train(ports, "clips", config=TrainingConfig(epochs=15))
    promote(ports, "1", force=True, reason="a test")
    train(ports, "clips", config=TrainingConfig(epochs=15, seed=1), linear=False)
    known = ports.ledger.sources.collection("clips")
    assert known is not None
    return home, Path(known.source)


@pytest.fixture
def told(made: tuple[Path, Path], tmp_path: Path, make_ports: Callable[[Path], Ports]) -> Ports:
    """A copy of that home, with a second collection of two of its clips."""
    import shutil

    home, source = made
    shutil.copytree(home, tmp_path / "home")
    ports = make_ports(tmp_path / "home")
    known = ports.ledger.sources.collection("clips")
    paths = sorted(ports.ledger.sources.present_paths("clips"))[:2]
    manifest = tmp_path / "few.csv"
    manifest.write_text("path\n" + "\n".join(paths) + "\n")
    assert known is not None
    ingest(ports, "few", source, manifest=manifest)
    return ports


def ask(ports: Ports, query: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = warehouse_rows(ports, query)
    return rows


def want(ports: Ports, name: str, window_s: float, stride_s: float | None = None) -> None:
    """The collection's windows, changed by the verb."""
    known = ports.ledger.sources.collection(name)
    assert known is not None
    manifest = Path(known.manifest) if known.manifest else None
    ingest(ports, name, Path(known.source), manifest=manifest, window_s=window_s, stride_s=stride_s)


SCORED = "select video_id, label, score, window_s from predictions where model_version = {} and rank = 1"
WINDOWS = (
    "select video_id, start_s, end_s, rank, label, score from window_predictions where model_version = {} "
    "order by all"
)


def test_a_window_is_scored_as_if_it_were_a_video_and_the_video_is_their_mean(told: Ports) -> None:
    want(told, "few", 2, 1)
    classify(told)

    bundle = told.registry.load(told.registry.version("1"))
    spec = bundle.spec
    expected, means = [], {}
    stored = told.ledger.features.stored_features(spec.feature_set_id, [v for (v,) in ask(told, FEW)])
    for video in told.store.read(spec.feature_set_id, stored):
        found = windows_of(video.times_s, Windows(2, 1), spec.sample_fps)
        assert len(found) > 1
        scores = [predict(bundle.classifier, [video.values[w.first : w.last]])[0] for w in found]
        for w, row in zip(found, scores, strict=True):
            order = np.argsort(-row, kind="stable")[:3]
            expected += [
                (video.video_id, w.start_s, w.end_s, rank, bundle.labels[k], float(row[k]))
                for rank, k in enumerate(order, start=1)
            ]
        mean = np.mean(np.array(scores, np.float64), axis=0)
        means[video.video_id] = (bundle.labels[int(mean.argmax())], pytest.approx(mean.max(), abs=1e-6), 2.0)

    assert ask(told, WINDOWS.format(1)) == sorted(expected)
    found_now = {row[0]: row[1:] for row in ask(told, SCORED.format(1)) if row[3]}
    assert found_now == means


FEW = "select distinct video_id from collection_videos where collection = 'few'"


def test_company_pieces_and_shards_change_no_bit(told: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    want(told, "clips", 2, 1)
    monkeypatch.setattr(window_scores, "SCORE_FRAMES", 7)
    monkeypatch.setattr(score_shards, "SHARD_FRAMES", 30)
    monkeypatch.setattr("vidpipe.adapters.features.part_reader.PIECE_FRAMES", 3)
    classify(told, model="1")
    alone = ask(told, WINDOWS.format(1)), sorted(ask(told, SCORED.format(1)))
    monkeypatch.undo()

    want(told, "clips", 0)
    want(told, "few", 0)
    classify(told, model="1")
    assert ask(told, WINDOWS.format(1)) == []
    want(told, "clips", 2, 1)
    classify(told, model="1")

    assert (ask(told, WINDOWS.format(1)), sorted(ask(told, SCORED.format(1)))) == alone


def test_a_short_video_scores_as_it_would_without_windows(told: Ports) -> None:
    classify(told)
    whole = {row[:3] for row in ask(told, SCORED.format(1))}
    want(told, "clips", 600)
    classify(told)

    assert {row[:3] for row in ask(told, SCORED.format(1))} == whole
    assert {n for (n,) in ask(told, "select windows from timeline")} == {1}


def test_only_what_has_other_windows_is_scored_again_and_nothing_twice(told: Ports) -> None:
    everything = classify(told).classified
    assert everything > 2 and ask(told, "from timeline") == []

    want(told, "few", 2, 1)
    again = classify(told)
    assert (again.classified, again.skipped) == (2, everything - 2)
    assert classify(told).classified == 0
    assert ingest_again(told, "few").new == 0, "the night remembers"
    assert nightly(told).classified == 0

    want(told, "few", 3)
    assert [c.windows for c in told.ledger.sources.collections()] == [None, Windows(3, 1.5)]
    assert classify(told).classified == 2
    assert {row[3] for row in ask(told, SCORED.format(1))} == {None, 3.0}
    lengths = {round(end - start, 3) for _, start, end, *_ in ask(told, WINDOWS.format(1))}
    assert lengths == {3.0}, "the windows of two seconds are gone"
    doubled = (
        "select 1 from window_predictions group by video_id, model_version, start_s, rank having count(*) > 1"
    )
    assert ask(told, doubled) == []

    want(told, "few", 0)
    assert classify(told).classified == 2
    assert ask(told, WINDOWS.format(1)) == []


def test_of_several_collections_the_finest_windows_hold(told: Ports) -> None:
    want(told, "clips", 4)
    want(told, "few", 2)
    classify(told)

    of_few = ask(told, f"select distinct window_s from predictions where video_id in ({FEW})")
    others = ask(told, f"select distinct window_s from predictions where video_id not in ({FEW})")
    assert (of_few, others) == ([(2.0,)], [(4.0,)])
    assert {c for (c,) in ask(told, "select distinct collection from timeline")} == {"clips", "few"}


def test_shots_are_scored_each_for_itself(told: Ports, caplog: pytest.LogCaptureFixture) -> None:
    known = told.ledger.sources.collection("few")
    assert known is not None and known.manifest is not None
    ingest(told, "few", Path(known.source), manifest=Path(known.manifest), windows="shots")
    classify(told)
    assert ask(told, WINDOWS.format(1)) == [], "as a whole, until its shots are known"
    first, second = sorted(v for (v,) in ask(told, FEW))
    told.ledger.shots.put(first, [0.0, 1.0])
    told.ledger.shots.put(first, [0.0])
    assert [v.video_id for v in told.ledger.shots.lacking()] == [second]
    assert classify(told).classified == 1
    spans = [(v, start) for v, start, _, rank, *_ in ask(told, WINDOWS.format(1)) if rank == 1]
    assert spans == [(first, 0.0), (first, 1.0)]
    assert nightly(told).classified == 1, "the night finds the other's, and remembers"
    assert told.ledger.shots.lacking() == [] and classify(told).classified == 0
    assert {row[3] for row in ask(told, SCORED.format(1)) if row[0] in (first, second)} == {0.0}
    forget(told, first)
    assert ask(told, f"from window_predictions where video_id = '{first}'") == []


def test_what_is_not_said_is_remembered_and_a_stride_alone_says_nothing(told: Ports) -> None:
    known = told.ledger.sources.collection("few")
    assert known is not None and known.windows is None and known.manifest is not None
    with pytest.raises(ConfigurationError, match="has no effect without windows"):
        ingest(told, "few", Path(known.source), stride_s=5)
    ingest(told, "few", Path(known.source), window_s=10, stride_s=5)
    ingest(told, "few", Path(known.source), stride_s=2)
    assert told.ledger.sources.collection("few") == replace(known, windows=Windows(10, 2))
    ingest(told, "few", Path(known.source), window_s=6)
    assert told.ledger.sources.collection("few") == replace(known, windows=Windows(6, 3))


def test_versions_keep_their_windows_the_shadow_has_them_and_a_rollback_brings_them_back(told: Ports) -> None:
    want(told, "clips", 2)
    assert nightly(told).shadowed > 0
    (one, two) = (ask(told, WINDOWS.format(v)) for v in (1, 2))
    assert len(one) == len(two) > 0 and one != two
    before = ask(told, "from timeline order by all")

    promote(told, "2", force=True, reason="a test")
    nightly(told)
    assert {v for (v,) in ask(told, "select distinct model_version from timeline")} == {2}
    rollback(told)

    assert ask(told, "from timeline order by all") == before
    assert classify(told).classified == 0


def test_a_kill_between_two_shards_leaves_each_video_old_or_new(
    told: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    want(told, "clips", 4)
    everything = classify(told).classified
    want(told, "clips", 2)
    monkeypatch.setattr(score_shards, "SHARD_VIDEOS", 5)
    put, shards = type(told.ledger.predictions).put_predictions, count(1)

    def dying(self: Any, *given: Any, **more: Any) -> None:
        put(self, *given, **more)
        if next(shards) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(type(told.ledger.predictions), "put_predictions", dying)
    with pytest.raises(KeyboardInterrupt):
        classify(told)
    monkeypatch.undo()
    told.warehouse.publish()

    assert sorted(ask(told, "select window_s, count(*) from predictions where rank = 1 group by all")) == [
        (2.0, 10), (4.0, everything - 10),
    ]  # fmt: skip
    odd = """
        select 1 from window_predictions w join predictions p using (video_id, model_version, feature_set_id)
        where p.rank = 1 and w.end_s - w.start_s > p.window_s + 0.001
    """
    assert ask(told, odd) == []
    assert classify(told).classified == everything - 10


def test_a_transaction_that_fails_leaves_no_window_without_its_video(
    told: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidpipe.adapters.database.session import Session

    want(told, "few", 2)
    run = Session.run

    def failing(self: Any, name: str, /, **more: Any) -> None:
        if name == "predictions_put":
            raise RuntimeError("killed")
        run(self, name, **more)

    monkeypatch.setattr(Session, "run", failing)
    with pytest.raises(RuntimeError):
        classify(told)
    monkeypatch.undo()
    told.warehouse.publish()
    assert ask(told, "from window_predictions") == []


def test_a_forgotten_video_has_no_windows_and_gc_leaves_the_others(told: Ports) -> None:
    want(told, "few", 2)
    classify(told)
    ((one,), (other,)) = sorted(ask(told, FEW))

    forget(told, one)
    gc(told, older_than_s=0)

    assert {v for (v,) in ask(told, "select distinct video_id from window_predictions")} == {other}
    assert {v for (v,) in ask(told, "select distinct video_id from timeline")} == {other}
    want(told, "few", 3)
    assert classify(told).classified == 1, "the part that was written anew is read"


def test_the_verb_takes_windows_and_refuses_wrong_ones(vidpipe: Any, clips: Any) -> None:
    source = ("ingest", str(clips.incoming), "--collection", "incoming")
    assert vidpipe(*source, "--window-s", "10", "--stride-s", "5").returncode == 0
    query = "select collection, window_s, stride_s from collections"
    assert "5.0" in vidpipe("sql", query, "--csv").stdout
    refused = vidpipe(*source, "--window-s", "10", "--stride-s", "20")
    assert refused.returncode == 1 and "--stride-s" in refused.stderr


# -- labelled parts of long videos ----------------------------------------------------------------


def spanned(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "long.mp4").write_bytes(b"x")
    file = folder / "spans.csv"
    file.write_text("path,start_s,end_s,label,group,split\n" + "\n".join(lines) + "\n")
    return file


def test_a_manifest_may_label_parts_of_a_video(tmp_path: Path) -> None:
    file = spanned(tmp_path, "long.mp4,10,20,b,g,train", "long.mp4,0,10,a,g,train")
    ((listed,), missing) = Catalog().list_manifest(tmp_path, file)
    assert (listed.label, listed.group, dict(listed.splits), missing) == (None, "g", {"split": "train"}, [])
    assert listed.spans == (LabelledSpan(0, 10, "a"), LabelledSpan(10, 20, "b"))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["long.mp4,0,10,a,g,train", "long.mp4,9,20,b,g,train"], "two labels from 9 s on"),
        (["long.mp4,0,10,a,g,train", "long.mp4,,,b,g,train"], "twice"),
        (["long.mp4,0,10,a,g,train", "long.mp4,10,20,b,h,train"], "differ in more than their label"),
        (["long.mp4,5,5,a,g,train"], "no labelled span"),
        (["long.mp4,-1,5,a,g,train"], "no labelled span"),
        (["long.mp4,0,inf,a,g,train"], "no labelled span"),
        (["long.mp4,0,,a,g,train"], "no labelled span"),
        (["long.mp4,0,5,,g,train"], "no labelled span"),
    ],
)
def test_spans_that_cannot_be_right_are_refused(lines: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Catalog().list_manifest(tmp_path, spanned(tmp_path, *lines))


@pytest.fixture
def taught(told: Ports, tmp_path: Path) -> tuple[Ports, Path, list[list[str]]]:
    """The clips once more, as a collection whose manifest labels both halves of each."""
    known = told.ledger.sources.collection("clips")
    assert known is not None and known.manifest is not None
    rows = []
    with Path(known.manifest).open(newline="") as stream:
        for row in csv.DictReader(stream):
            half = f"{row['label']} early", f"{row['label']} late"
            for (start_s, end_s), label in zip([(0, 1.0), (1.0, 60)], half, strict=True):
                rows.append([row["path"], str(start_s), str(end_s), label, row["group"], row["split"]])
    manifest = tmp_path / "halves.csv"
    write(manifest, rows)
    ingest(told, "halves", Path(known.source), manifest=manifest)
    return told, manifest, rows


def write(manifest: Path, rows: list[list[str]]) -> None:
    with manifest.open("w", newline="") as stream:
        csv.writer(stream).writerows([["path", "start_s", "end_s", "label", "group", "split"], *rows])


def test_spans_teach_and_judge_with_the_frames_that_they_hold(taught: Any) -> None:
    ports, _, rows = taught
    spec = ports.limits.spec
    labelled = scoring.labelled(ports, "halves", spec)
    assert len(labelled) == len(rows) == ports.ledger.sources.count_labelled("halves")
    names = sorted({row[3] for row in rows})
    data = scoring.load(ports, spec, labelled, names)
    whole = {v.video_id: v for v in ports.store.read(spec.feature_set_id, {v.stored for v in labelled})}
    of_label = {(v.video_id, v.label): v.span for v in labelled}
    for video_id, values, target in zip(data.video_ids, data.features, data.targets, strict=True):
        start_s, end_s = certain(of_label[video_id, names[target]])
        times_s = whole[video_id].times_s
        assert np.array_equal(values, whole[video_id].values[(times_s >= start_s) & (times_s < end_s)])
    assert sum(len(x) for x in data.features) == sum(len(v.values) for v in whole.values())

    version = train(ports, "halves", split_column="split", config=TrainingConfig(epochs=2)).version
    assert train(ports, "halves", split_column="split", config=TrainingConfig(epochs=2)).existing
    tests = sum(row[5] == "test" for row in rows)
    report = evaluate(ports, model=str(version))
    assert (report.n, report.groups) == (tests, len({row[4] for row in rows if row[5] == "test"}))
    frozen = freeze_eval(ports, "halves", split_column="split")
    assert frozen.videos == tests and freeze_eval(ports, "halves", split_column="split").existing
    eval_set = ports.ledger.decisions.evaluation_set()
    assert eval_set is not None and eval_set.set_hash == frozen.eval_set_hash
    decided = promote(ports, str(version), force=True, reason="a test")
    assert decided.evidence["eval_set"]["videos"] == tests
    assert len(ask(ports, "select distinct video_id, start_s, end_s from evaluation_videos")) == tests
    assert len(ask(ports, "from labelled_spans")) == len(rows)


def test_other_spans_are_another_dataset_and_those_without_a_frame_are_an_error(taught: Any) -> None:
    ports, manifest, rows = taught
    known = ports.ledger.sources.collection("halves")
    config = TrainingConfig(epochs=1)
    first = train(ports, "halves", split_column="split", config=config).version
    write(manifest, [[row[0], row[1], "1.5" if row[2] == "1.0" else row[2], *row[3:]] for row in rows[::2]])
    ingest_again(ports, "halves")
    assert train(ports, "halves", split_column="split", config=config).version != first
    write(manifest, [*rows[1:], [rows[0][0], "5000", "5001", *rows[0][3:]]])
    ingest(ports, "halves", Path(known.source))
    with pytest.raises(ConfigurationError, match="shows nothing from 5000 s"):
        train(ports, "halves", split_column="split", config=config)


# -- memory ---------------------------------------------------------------------------------------

WRITE = """
    import resource, sys
    from dataclasses import replace
    from pathlib import Path
    import numpy as np
    from vidpipe.adapters.features.store import FeatureStore
    from vidpipe.records.features import VideoFeatures
    from vidpipe.vision.feature_specs import default_spec

    frames, D = int(sys.argv[2]), 1000
    with FeatureStore(Path(sys.argv[1])).new_part(replace(default_spec(4.0), feature_size=D), "cpu") as part:
        for first in range(0, frames, 480):
            values = np.random.default_rng(first).normal(size=(480, D)).astype(np.float32)
            part.append(VideoFeatures("v", np.arange(first, first + 480) / 4, values), first)
        print(part.commit())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
MEMORY = """
    import resource, sys
    from contextlib import nullcontext
    from dataclasses import replace
    from pathlib import Path
    from types import SimpleNamespace
    from vidpipe.adapters.features.store import FeatureStore
    from vidpipe.vision.feature_specs import default_spec
    from vidpipe.learning.blend import BlendedClassifier
    from vidpipe.learning.classifier import ClassifierConfig, build
    from vidpipe.learning.linear import STATISTICS, LinearHead
    from vidpipe.records.features import Unscored
    from vidpipe.records.videos import Windows
    from vidpipe.steps.window_scores import score_windows

    frames, part_name, D = int(sys.argv[2]), sys.argv[3], 1000
    spec, store = replace(default_spec(4.0), feature_size=D), FeatureStore(Path(sys.argv[1]))
    lstm = build(ClassifierConfig("lstm", D, 5, 64)).eval()
    heads = {name: LinearHead(name, D, 5) for name in STATISTICS}
    classifier = BlendedClassifier(lstm, heads, dict.fromkeys((*STATISTICS, "lstm"), 0.25)).eval()
    bundle = SimpleNamespace(
        lstm=lstm, classifier=classifier, labels=tuple("abcde"), decisions=None, thresholds=lambda: None,
    )
    video = Unscored("v", part_name, 0, frames, Windows(10, 5))
{work}
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
SCORE = """
    predictions, windows = score_windows(store, bundle, spec, [video], 5)
    assert len(predictions) == 5 and len(windows) // 3 == frames // 20 - 1
"""
EXPLAIN = """
    from vidpipe.steps.explain import explain
    version = SimpleNamespace(spec=spec, model="m", version=1)
    bundle.lstm_config = bundle.lstm.config
    report = explain(SimpleNamespace(
        store=store, registry=SimpleNamespace(version=lambda name: version, load=lambda version: bundle),
        ledger=SimpleNamespace(
            sources=SimpleNamespace(videos_at=lambda *asked: [("v", "long", True)]),
            features=SimpleNamespace(stored_features=lambda *asked: [video]),
            predictions=SimpleNamespace(windows_of=lambda video_id: video.windows),
        ),
    ), "long.mp4", model="1")
    assert len(report.frames) == frames
"""
QUEUE = """
    from vidpipe.steps.label import label_queue
    row = dict.fromkeys(("path", "predicted", "runner_up", "newer_predicted", "collection"), "a")
    row |= dict(
        video_id="v", part=part_name, row_offset=0, n_frames=frames, score=0.5, margin=0.1, usefulness=1.0,
        candidates=1, feature_set_id=spec.feature_set_id,
    )
    written = []
    label_queue(SimpleNamespace(
        store=store, warehouse=SimpleNamespace(reading=lambda: nullcontext(lambda *a, **k: [row])),
        catalog=SimpleNamespace(write_manifest=lambda file, columns, rows, overwrite: written.extend(rows)),
    ), Path("todo.csv"))
    assert len(written) == 1
"""


LONG = 9600, 57_600
"""Frames of forty minutes and of four hours: from half an hour on, all the batches held at once are full."""
FEATURES_MB = 96
"""Half of the features of the other three hours and more, which are 192 MB."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, tuple[str, float]]]:
    """A store with a video of each length; its part, and the memory that writing it took, by its frames."""
    root = tmp_path_factory.mktemp("long")
    return root, {frames: printed(WRITE, root, frames) for frames in LONG}


def printed(script: str, *arguments: object) -> tuple[Any, ...]:
    """The lines that a script of its own process prints, the last one as a number."""
    process = run_python(script, *arguments)
    out, err = process.communicate()
    assert process.returncode == 0, err
    *lines, number = out.splitlines()
    return *lines, float(number)


def test_writing_four_hours_takes_no_more_memory_than_forty_minutes(written: Any) -> None:
    short, long = (memory for _, memory in written[1].values())
    assert long < short + FEATURES_MB


@pytest.mark.parametrize("work", [SCORE, EXPLAIN, QUEUE], ids=["score", "explain", "label-queue"])
def test_four_hours_take_no_more_memory_than_forty_minutes(work: str, written: Any) -> None:
    root, parts = written
    script = MEMORY.replace("{work}", work)
    ((short,), (long,)) = (printed(script, root, frames, part) for frames, (part, _) in parts.items())
    assert long < short + FEATURES_MB
