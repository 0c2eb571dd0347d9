"""Near-duplicates: copies are found by how they change, and none straddles the splits of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from conftest import concrete, warehouse_rows
from stored import content_id, put_collection

from vidpipe.adapters.features.store import FeatureStore
from vidpipe.errors import ConfigurationError
from vidpipe.learning import near_duplicates
from vidpipe.learning.near_duplicates import LEAST_FRAMES, Frames, align, candidates
from vidpipe.ports import Ports
from vidpipe.records.features import StoredFeatures
from vidpipe.records.models import LabelledVideo
from vidpipe.records.near_duplicates import NearDuplicate
from vidpipe.records.videos import Floats
from vidpipe.splits import SPLITS, ResolvedSplit, resolve
from vidpipe.steps.forget import forget
from vidpipe.steps.freeze_eval import freeze_eval
from vidpipe.steps.near_duplicates import Vectors, find_near_duplicates, is_comparable
from vidpipe.steps.scoring import labelled
from vidpipe.steps.training_splits import near_copies, refuse_straddling, resolved
from vidpipe.steps.vectors import make_vectors
from vidpipe.vision.feature_specs import block_sizes, default_spec

SPEC = default_spec(4.0)
BLOCKS = block_sizes(SPEC)


def take(seed: int, T: int = 24) -> Floats:
    """Features of a video of one scene, moving in its own way: the scene is the same whatever the seed."""
    scene = np.abs(np.random.default_rng(0).normal(size=sum(BLOCKS))) + 1
    draw = np.random.default_rng(seed)
    moves = draw.normal(size=(T, 12)).cumsum(0) @ draw.normal(size=(12, sum(BLOCKS)))
    values = scene + 0.15 * moves / moves.std()
    values[0, -BLOCKS[-1] :] = 0  # a video's first frame has no flow
    found: Floats = values.astype(np.float32)
    return found


def noisy(values: Floats, seed: int = 9) -> Floats:
    """The same with what an encoder adds."""
    noise = 0.02 * np.random.default_rng(seed).normal(size=values.shape)
    found: Floats = (values + noise).astype(np.float32)
    return found


def trimmed(values: Floats) -> Floats:
    """From the sixth frame on, half a step later, as sampled anew."""
    found: Floats = ((values[5:-1] + values[6:]) / 2).astype(np.float32)
    found[0, -BLOCKS[-1] :] = 0
    return found


def test_a_copy_is_aligned_and_another_take_of_the_scene_is_not() -> None:
    one, other = take(1), take(2)
    copy = align(Frames.of(one, BLOCKS), Frames.of(noisy(one), BLOCKS))
    assert copy is not None and copy.similarity > 0.99
    assert (copy.first, copy.other_first, copy.frames) == (1, 1, 22)
    trim = align(Frames.of(one, BLOCKS), Frames.of(trimmed(one), BLOCKS))
    assert trim is not None and trim.similarity > 0.9 and trim.first - trim.other_first in (5, 6)
    assert trim.frames >= 0.9 * (len(trimmed(one)) - 2)
    take_two = align(Frames.of(one, BLOCKS), Frames.of(other, BLOCKS))
    assert take_two is None or take_two.similarity < 0.25


def test_the_best_shift_is_that_of_a_plain_loop() -> None:
    values = take(1, 16)
    a, b = Frames.of(values, BLOCKS), Frames.of(noisy(values[3:12]), BLOCKS)
    found = align(a, b)
    assert found is not None
    plain = [
        sum(correlation(x[s : s + 7], y[:7]) for x, y in ((a.flow, b.flow), (a.grid, b.grid)))
        for s in range(8)
    ]
    assert found.first - found.other_first == int(np.argmax(plain)) == 3
    x, y = (z - z.mean(0) for z in (a.flow[3:10], b.flow[:7]))
    deviation = np.sqrt(x.var(0) + y.var(0))  # none is far below the others here
    assert found.frames == 7 and found.facts[0] == pytest.approx(
        correlation(x / deviation, y / deviation), abs=1e-4
    )


def correlation(x: Floats, y: Floats) -> float:
    """Correlation over time of all features together."""
    return float(np.corrcoef((x - x.mean(0)).ravel(), (y - y.mean(0)).ravel())[0, 1])


def test_no_feature_that_changes_most_speaks_for_all() -> None:
    one = take(1)
    loud = noisy(one)
    loud[:, BLOCKS[0] : BLOCKS[0] + 5] += 50 * np.random.default_rng(3).normal(size=(len(loud), 5))
    plain, mixed = (align(Frames.of(one, BLOCKS), Frames.of(x, BLOCKS)) for x in (noisy(one), loud))
    assert plain is not None and mixed is not None
    assert mixed.facts[1] > 0.9 * plain.facts[1], "a grid of which five features say nothing"


def test_of_two_new_videos_it_is_enough_that_one_is_among_the_nearest_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near_duplicates, "MOST_CANDIDATES", 2)
    angles = [0.0, 0.5, 0.9, 0.95, 1.0]  # the first is near to none; of it, the second is the nearest
    vectors = np.array([[np.cos(a), np.sin(a), *[0] * 126] for a in angles], np.float32)
    ids = list("abcde")
    found = Vectors(ids, vectors, [False] * 5).candidates(["b", "a", "c", "d", "e"])
    assert "a" in found["b"] and all(found[one].count(other) == 1 for one in found for other in found[one])
    backwards = Vectors(ids, vectors, [False] * 5).candidates(["a", "b", "c", "d", "e"])
    assert "b" in backwards["a"], "the other one's list decides as well"


def test_too_few_frames_and_still_pictures_say_nothing() -> None:
    short = Frames.of(take(1, LEAST_FRAMES + 1), BLOCKS)
    assert align(short, short) is None
    still = Frames.of(np.repeat(take(1, 1), 12, axis=0), BLOCKS)
    assert align(still, still) is None


def test_candidates_are_the_nearest_and_none_far_away() -> None:
    vectors = np.eye(4, 128, dtype=np.float32)
    vectors[1] = [0.6, 0.8, *[0] * 126]
    everyone = np.arange(4)
    assert [c.tolist() for c in candidates(vectors[:2], vectors, everyone)] == [[0, 1], [0, 1]]
    assert [c.tolist() for c in candidates(vectors[:2], vectors, everyone[1:])] == [[1], [1]]


def test_candidates_are_the_same_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    some = draw.normal(size=(300, 128)) + 2
    vectors = (some / np.linalg.norm(some, axis=1, keepdims=True)).astype(np.float32)
    of_one_block = candidates(vectors[:5], vectors, np.arange(300))
    monkeypatch.setattr(near_duplicates, "BLOCK_OTHERS", 7)
    of_many = candidates(vectors[:5], vectors, np.arange(300))
    assert [sorted(c) for c in of_many] == [sorted(c) for c in of_one_block]
    assert {len(c) for c in of_many} == {near_duplicates.MOST_CANDIDATES}


def put(
    ports: Ports, name: str, videos: Mapping[str, Floats], splits: Mapping[str, str] | None = None
) -> None:
    put_collection(ports, name, videos, {p: "ab"[i % 2] for i, p in enumerate(videos)}, splits=splits)


@pytest.fixture
def yard(ports: Ports) -> Ports:
    put(ports, "yard", {f"{n}.mp4": take(n) for n in range(8)})
    return ports


def test_new_videos_are_compared_with_all_and_pairs_found_once(yard: Ports) -> None:
    spec = yard.limits.spec
    make_vectors(yard, [spec])
    assert find_near_duplicates(yard, [spec]) == 0
    put(yard, "street", {"copy.mp4": noisy(take(3)), "cut.mp4": trimmed(take(3)), "own.mp4": take(20)})
    make_vectors(yard, [spec])
    assert find_near_duplicates(yard, [spec]) == 3
    assert find_near_duplicates(yard, [spec]) == 0, "nothing is compared twice"
    yard.warehouse.publish()
    seen = "select path, other_path, start_s from near_duplicates where similarity > 0.5 order by all"
    rows = warehouse_rows(yard, seen)
    assert [set(row[:2]) for row in rows if "3.mp4" in row] == [{"3.mp4", "copy.mp4"}, {"3.mp4", "cut.mp4"}]
    assert {frozenset(row[:2]) for row in rows} > {frozenset({"copy.mp4", "cut.mp4"})}
    forget(yard, content_id("copy.mp4")[:12])
    assert [set(row[:2]) for row in warehouse_rows(yard, seen)] == [{"3.mp4", "cut.mp4"}]


def test_a_training_knows_of_pairs_that_no_night_has_compared(yard: Ports) -> None:
    spec = yard.limits.spec
    put(yard, "yard", {f"{n}.mp4": take(n) for n in range(8)} | {"copy.mp4": noisy(take(3))})
    found = near_copies(yard, spec, labelled(yard, "yard", spec))
    assert [{p.video_id, p.other_video_id} for p in found] == [{content_id("3.mp4"), content_id("copy.mp4")}]
    assert yard.ledger.near_duplicates.compared(spec.feature_set_id, [content_id("3.mp4")]) == set()
    make_vectors(yard, [spec])
    find_near_duplicates(yard, [spec])
    assert len(near_copies(yard, spec, labelled(yard, "yard", spec))) == 1


def test_feature_sets_without_flow_or_of_other_networks_are_left_out() -> None:
    assert is_comparable(SPEC)
    assert not is_comparable(default_spec(4.0, "keyframes"))
    assert not is_comparable(replace(SPEC, pooling="average"))


def video(n: int, label: str, group: str | None = None, split: str = "") -> LabelledVideo:
    video_id = content_id(str(n))
    splits = {"split": split} if split else {}
    stored = StoredFeatures(video_id, "part", 0, 1)
    return LabelledVideo(video_id, f"{n}.mp4", label, group or video_id, splits, stored)


def pair(one: int, other: int, similarity: float = 0.99) -> NearDuplicate:
    return NearDuplicate(content_id(str(one)), content_id(str(other)), similarity, 0, 1, 0, 1, 5)


VIDEOS = [
    video(n, "ab"[n % 2], f"g{n // 2}", split) for n, split in enumerate(["train"] * 8 + ["test"] * 4)
]  # fmt: skip


def test_pairs_that_straddle_are_refused_by_name_with_the_next_command() -> None:
    split = resolve(VIDEOS, None, 0)
    refuse_straddling(split, [pair(0, 2), pair(1, 9, 0.9)], "train --collection yard")
    with pytest.raises(ConfigurationError, match=r"1\.mp4 \(train\) and 9\.mp4 \(test\)") as raised:
        refuse_straddling(split, [pair(1, 9), pair(2, 10)], "train --collection yard")
    assert "vidpipe train --collection yard --group-near-duplicates" in raised.value.next_step
    assert "2.mp4 (train) and 10.mp4 (test)" in raised.value.message


def test_a_few_pairs_that_straddle_are_told_beside_the_scores(caplog: pytest.LogCaptureFixture) -> None:
    few = [video(n, "ab"[n % 2], f"g{n // 2}", ("train", "test")[n >= 40]) for n in range(80)]
    split = resolve(few, None, 0)
    refuse_straddling(split, [pair(n, n + 40) for n in range(4)], "yard")
    assert "4 of 40 test videos are near-duplicates" in caplog.text and "--group-near" in caplog.text
    with pytest.raises(ConfigurationError, match="5 of 40 test"):
        refuse_straddling(split, [pair(n, n + 40) for n in range(5)], "yard")


def test_sure_pairs_stay_together_where_no_column_says_where(yard: Ports) -> None:
    takes = {f"{n:02d}.mp4": take(n) for n in range(12)}
    copies = {f"copy{n:02d}.mp4": noisy(take(n)) for n in range(12)}
    put(yard, "yard", takes | copies)
    split = resolved(yard, "yard", yard.limits.spec, None, 0, copies="refuse", group_near_duplicates=False)
    sides = {v.path.removeprefix("copy"): name for name in SPLITS for v in split.part(name)}
    assert set(sides.values()) == {"train", "test"} and len(sides) == 12
    assert all(sides[v.path.removeprefix("copy")] == name for name in SPLITS for v in split.part(name))
    frozen = freeze_eval(yard, "yard")
    assert frozen.videos == len(split.test), "the training's own test videos"
    assert freeze_eval(yard, "yard", group_near_duplicates=True).existing


def test_a_split_that_pairs_straddle_is_not_frozen_unless_they_are_grouped(yard: Ports) -> None:
    learnt = {f"{n:02d}.mp4": take(n) for n in range(8)}
    judged = {f"{n}.mp4": take(n) for n in range(20, 22)} | {f"copy{n}.mp4": noisy(take(n)) for n in range(2)}
    put(yard, "yard", learnt | judged, dict.fromkeys(learnt, "train") | dict.fromkeys(judged, "test"))
    with pytest.raises(ConfigurationError, match="2 of 4 test") as raised:
        freeze_eval(yard, "yard")
    assert "vidpipe freeze-eval --collection yard --group-near-duplicates" in raised.value.next_step
    assert freeze_eval(yard, "yard", group_near_duplicates=True).videos == 6


def test_a_damaged_part_costs_its_own_videos_the_comparison(
    yard: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    spec = yard.limits.spec
    put(yard, "yard", {f"{n}.mp4": take(n) for n in range(4)})
    put(yard, "street", {"copy.mp4": noisy(take(3)), "other.mp4": take(9)})
    make_vectors(yard, [spec])
    (part,) = {s.part for s in yard.ledger.near_duplicates.uncompared(spec.feature_set_id)
               if s.video_id == content_id("copy.mp4")}  # fmt: skip
    file = concrete(yard.store, FeatureStore).folder(spec.feature_set_id) / part
    whole = file.read_bytes()
    file.write_bytes(whole[:-50])
    assert find_near_duplicates(yard, [spec]) == 0 and part in caplog.text
    file.write_bytes(whole)
    assert find_near_duplicates(yard, [spec]) == 1


def test_grouped_pairs_stand_on_the_strictest_side_with_their_groups() -> None:
    split = resolve(VIDEOS, None, 0, together=[(content_id("1"), content_id("9"))])
    assert {v.path for v in split.test} == {"0.mp4", "1.mp4", "8.mp4", "9.mp4", "10.mp4", "11.mp4"}
    assert {v.group for v in split.test if v.path in ("0.mp4", "9.mp4")} == {"g0"}
    refuse_straddling(split, [pair(1, 9)], "yard")
    assert resolve(VIDEOS, None, 0, together=[(content_id("0"), content_id("1"))]) == resolve(VIDEOS, None, 0)


def test_without_a_split_column_pairs_are_cut_as_one_group() -> None:
    videos = [video(n, "ab"[n % 2]) for n in range(40)]
    pairs = [(content_id(str(n)), content_id(str(n + 20))) for n in range(20)]
    for seed in range(3):
        split = resolve(videos, None, seed, together=pairs)
        refuse_straddling(split, [pair(n, n + 20) for n in range(20)], "yard")
        assert split.test and split.train
    groups = ResolvedSplit(None, split.train, (), split.test).training_groups()
    assert len(groups) == len({v.group for v in videos if v.video_id in {t.video_id for t in split.train}})
