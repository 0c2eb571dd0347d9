"""Groups never straddle, every video has one place, and what cannot teach is refused."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe.errors import ConfigurationError
from vidpipe.records.features import StoredFeatures
from vidpipe.records.models import LabelledVideo
from vidpipe.splits import (
    SPLITS,
    ResolvedSplit,
    cut_by_group,
    folds,
    group_hash,
    one_per_content,
    resolve,
    split_columns,
)

deterministic = settings(derandomize=True, deadline=None, max_examples=40)


def video(
    number: int, label: str, group: str | None = None, splits: Mapping[str, str] | None = None, path: str = ""
) -> LabelledVideo:
    video_id = f"{number:064x}"
    stored = StoredFeatures(video_id, "part", number, 1)
    name = path or f"{number}.mp4"
    return LabelledVideo(video_id, name, label, group or video_id, splits or {}, stored)


def ids(videos: Sequence[LabelledVideo]) -> list[str]:
    return sorted(v.video_id for v in videos)


def groups_of(videos: Sequence[LabelledVideo]) -> set[str]:
    return {v.group for v in videos}


def assert_each_video_has_one_place(split: ResolvedSplit, videos: Sequence[LabelledVideo]) -> None:
    assert ids(split.part("all")) == ids(videos)


def assert_no_group_straddles(split: ResolvedSplit) -> None:
    parts = [groups_of(split.part(name)) for name in SPLITS]
    assert sum(map(len, parts)) == len(set().union(*parts))


any_videos = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=60).map(
    lambda rows: [video(i, label, f"g{group}") for i, (label, group) in enumerate(rows)]
)
"""Any labels in any groups, also groups that hold several labels."""


@st.composite
def trainable(draw: st.DrawFn) -> list[LabelledVideo]:
    """Two to four labels, each with 8 to 12 groups of one to three videos."""
    videos: list[LabelledVideo] = []
    for label in "abcd"[: draw(st.integers(2, 4))]:
        for group in range(draw(st.integers(8, 12))):
            for _ in range(draw(st.integers(1, 3))):
                videos.append(video(len(videos), label, f"{label}{group}"))
    return videos


# -- what always holds ----------------------------------------------------------------------------


@deterministic
@given(any_videos, st.sampled_from([0.15, 0.2, 0.5]), st.integers(0, 5))
def test_a_cut_keeps_every_video_and_never_parts_a_group(
    videos: list[LabelledVideo], share: float, seed: int
) -> None:
    kept, off = cut_by_group(videos, share, seed)
    assert ids([*kept, *off]) == ids(videos)
    assert not groups_of(kept) & groups_of(off)
    assert kept


@deterministic
@given(trainable(), st.integers(0, 5))
def test_a_group_never_straddles_a_split(videos: list[LabelledVideo], seed: int) -> None:
    assert_no_group_straddles(resolve(videos, None, seed))


@deterministic
@given(trainable(), st.integers(0, 5))
def test_every_video_is_in_train_or_test_and_neither_is_empty(videos: list[LabelledVideo], seed: int) -> None:
    split = resolve(videos, None, seed)
    assert_each_video_has_one_place(split, videos)
    assert split.val == (), "folds of the training videos do its work"
    assert len(split.train) > len(split.test) > 0
    assert split.column is None


@deterministic
@given(trainable(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_the_videos_decides_nothing(
    videos: list[LabelledVideo], seed: int, rng: random.Random
) -> None:
    shuffled = list(videos)
    rng.shuffle(shuffled)
    assert resolve(shuffled, None, seed).ids() == resolve(videos, None, seed).ids()


def test_the_seed_decides_the_cut() -> None:
    videos = [video(i, "ab"[i % 2]) for i in range(60)]
    cuts = {tuple(resolve(videos, None, seed).ids()["test"]) for seed in range(5)}
    assert len(cuts) > 1
    assert resolve(videos, None, 3).ids() == resolve(videos, None, 3).ids()


def test_labels_are_balanced_between_the_parts() -> None:
    videos = [video(i, "abcd"[i % 4]) for i in range(200)]
    split = resolve(videos, None, 0)
    for name, share in (("test", 0.2), ("train", 0.8)):
        for label in "abcd":
            count = sum(v.label == label for v in split.part(name))
            assert abs(count - 50 * share) <= 2, (name, label, count)


@pytest.mark.parametrize("per_label", [3, 4, 5, 6])
def test_a_few_videos_of_each_label_are_enough(per_label: int) -> None:
    # scikit-learn refuses more folds than the commonest label has videos.
    videos = [video(i, "ab"[i % 2]) for i in range(2 * per_label)]
    split = resolve(videos, None, 0)
    assert_each_video_has_one_place(split, videos)
    assert split.train
    assert split.test


@pytest.mark.parametrize("groups", [4, 40])
def test_folds_hold_every_training_video_out_once_and_no_group_straddles_them(groups: int) -> None:
    videos = [video(i, "ab"[i % 2], f"g{i // 2 % groups}") for i in range(120)]
    split = resolve(videos, None, 0)
    found = folds(split, split.train, 0)
    assert set(found.tolist()) == set(range(len(set(found.tolist()))))
    of_group = {(v.group, int(fold)) for v, fold in zip(split.train, found, strict=True)}
    assert len(of_group) == len({v.group for v in split.train})


def test_val_videos_of_the_manifest_are_the_one_fold() -> None:
    split = resolve(with_column(), "split", 0)
    videos = [*split.train, *split.val]
    assert folds(split, videos, 0).tolist() == [-1] * len(split.train) + [0] * len(split.val)


# -- a split column -------------------------------------------------------------------------------


def with_column(column: str = "split", val: bool = True) -> list[LabelledVideo]:
    """Ten videos of each of two labels: six or seven to train, none or one to validate, three to test."""
    places = ["train"] * 6 + ["val" if val else "train"] + ["test"] * 3
    return [
        video(10 * k + i, label, splits={column: where})
        for k, label in enumerate("ab")
        for i, where in enumerate(places)
    ]


def test_a_column_is_followed_to_the_letter() -> None:
    videos = with_column()
    for column in ("split", None):  # the only column need not be named
        split = resolve(videos, column, seed=1)
        assert split.column == "split"
        for name in SPLITS:
            assert ids(split.part(name)) == ids([v for v in videos if v.splits["split"] == name])


@deterministic
@given(trainable(), st.integers(0, 5))
def test_a_missing_val_stays_missing_and_test_stays(videos: list[LabelledVideo], seed: int) -> None:
    tests = {f"{label}{k}" for label in "abcd" for k in (0, 1)}
    placed = [
        video(int(v.video_id, 16), v.label, v.group, {"s": "test" if v.group in tests else "train"})
        for v in videos
    ]
    split = resolve(placed, "s", seed)
    assert ids(split.test) == ids([v for v in placed if v.splits["s"] == "test"])
    assert split.val == ()
    assert_each_video_has_one_place(split, placed)
    assert_no_group_straddles(split)


def test_a_column_with_val_does_not_depend_on_the_seed() -> None:
    assert resolve(with_column(), "split", 0).ids() == resolve(with_column(), "split", 7).ids()


def test_a_video_without_a_value_in_the_chosen_column_takes_no_part() -> None:
    videos = [*with_column(), video(99, "a")]
    assert ids(resolve(videos, "split", 0).part("all")) == ids(videos[:-1])


def test_all_columns_that_occur_are_known() -> None:
    videos = [
        video(1, "a", splits={"split2": "train"}),
        video(2, "a", splits={"split1": "test"}),
        video(3, "a"),
    ]
    assert split_columns(videos) == ["split1", "split2"]


def test_the_recorded_ids_are_sorted_and_complete() -> None:
    split = resolve(with_column(), "split", 0)
    assert list(split.ids()) == ["train", "val", "test"]
    assert all(listed == sorted(listed) for listed in split.ids().values())
    assert split.ids()["test"] == ids(split.test)


# -- refusals -------------------------------------------------------------------------------------


def refusal(videos: Sequence[LabelledVideo], column: str | None = None) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        resolve(videos, column, seed=0)
    assert caught.value.next_step
    return caught.value


def test_a_group_that_straddles_the_column_is_refused_by_name() -> None:
    videos = with_column()
    straddling = [video(90, "a", "cam7", {"split": "train"}), video(91, "a", "cam7", {"split": "test"})]
    message = refusal([*videos, *straddling], "split").message
    assert "'cam7'" in message
    assert "test and train" in message
    assert "more groups" not in message
    more = [video(92, "b", "cam8", {"split": "val"}), video(93, "b", "cam8", {"split": "test"})]
    assert "1 more groups" in refusal([*videos, *straddling, *more], "split").message


def test_an_unknown_column_is_refused_with_the_known_ones() -> None:
    error = refusal(with_column("official"), "splitt")
    assert "'splitt'" in error.message
    assert "official" in error.message
    assert error.next_step == "pass --split-column official."
    assert "none" in refusal([video(i, "ab"[i % 2]) for i in range(20)], "splitt").message


def test_one_of_several_columns_must_be_named() -> None:
    both = [
        video(int(v.video_id, 16), v.label, splits=dict.fromkeys(("split1", "split2"), v.splits["split"]))
        for v in with_column()
    ]
    error = refusal(both)
    assert "split1, split2" in error.message
    assert "--split-column split1" in error.next_step
    assert resolve(both, "split2", 0).column == "split2"


@pytest.mark.parametrize("column", ["split", None])
def test_one_label_is_not_enough_to_teach(column: str | None) -> None:
    videos = [v for v in with_column() if v.label == "a"]
    if column is None:
        videos = [video(int(v.video_id, 16), "a") for v in videos]
    assert "1 label(s): a" in refusal(videos, column).message


def test_no_video_at_all_is_refused_and_not_a_crash() -> None:
    assert "0 label(s): none" in refusal([]).message


def test_an_empty_test_split_is_refused_by_name() -> None:
    message = refusal([v for v in with_column() if v.splits["split"] != "test"], "split").message
    assert message == "the test split is empty in split."


def test_too_few_groups_leave_a_split_empty_and_are_refused() -> None:
    videos = [video(i, "ab"[i % 2], "only one camera") for i in range(30)]
    assert "the test split is empty" in refusal(videos).message


def test_a_label_without_a_training_video_is_refused_by_name() -> None:
    message = refusal([*with_column(), video(80, "c", splits={"split": "test"})], "split").message
    assert message == "label 'c' has no training video."


# -- copies ---------------------------------------------------------------------------------------


def test_copies_count_once() -> None:
    videos = [video(1, "a", path="x.mp4"), video(2, "b"), video(1, "a", path="copy.mp4")]
    assert [v.path for v in one_per_content(videos)] == ["x.mp4", "2.mp4"]


def test_copies_with_different_labels_are_refused_with_both_paths_and_labels() -> None:
    videos = [video(1, "a", path="x.mp4"), video(1, "b", path="copy.mp4")]
    with pytest.raises(ConfigurationError, match=r"x\.mp4 and copy\.mp4.*'a' and 'b'"):
        one_per_content(videos)


def with_copy(group: str | None = None, split: str | None = None) -> list[LabelledVideo]:
    """Videos in their splits; the first test video, of group `here`, has a copy that says this."""
    videos = with_column()
    number = next(i for i, v in enumerate(videos) if v.splits["split"] == "test")
    known = videos[number] = replace(videos[number], group="here")
    splits = {"split": split} if split else {}
    copy = replace(known, path="copy.mp4", group=group or known.video_id, splits=splits)
    return one_per_content([copy, *videos])


@pytest.mark.parametrize(
    ("group", "split", "what"),
    [(None, "train", "'train' and 'test'"), ("elsewhere", "test", "'elsewhere' and 'here'")],
)
def test_copies_that_disagree_on_split_or_group_are_refused_with_both_paths(
    group: str | None, split: str, what: str
) -> None:
    error = refusal(with_copy(group, split), "split")
    assert "copy.mp4 and " in error.message and what in error.message
    assert "--copies strictest" in error.next_step


def test_a_copy_that_names_no_split_and_no_group_disagrees_with_nothing() -> None:
    assert resolve(with_copy(), "split", 0).ids() == resolve(with_column(), "split", 0).ids()


@pytest.mark.parametrize("split", ["train", "val"])
def test_of_copies_in_two_splits_the_strictest_holds(split: str) -> None:
    found = resolve(with_copy("elsewhere", split), "split", 0, copies="strictest")
    assert found.ids() == resolve(with_column(), "split", 0).ids()
    assert_no_group_straddles(found)


def test_copies_that_disagree_in_a_column_that_is_not_asked_for_disturb_nobody() -> None:
    videos = [replace(v, splits={**v.splits, "other": v.splits["split"]}) for v in with_column()]
    copy = replace(videos[0], path="copy.mp4", splits={**videos[0].splits, "other": "val"})
    assert resolve(one_per_content([*videos, copy]), "split", 0).ids() == resolve(videos, "split", 0).ids()


@deterministic
@given(trainable(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_groups_that_share_a_video_stay_on_one_side_of_a_cut(
    videos: list[LabelledVideo], seed: int, rng: random.Random
) -> None:
    copied = rng.sample(videos, 3)
    others = [replace(v, path=f"copy{i}", group=rng.choice(videos).group) for i, v in enumerate(copied)]
    split = resolve(one_per_content([*videos, *others]), None, seed, copies="strictest")
    sides = {v.group: name for name in SPLITS for v in split.part(name)}
    where = {v.video_id: name for name in SPLITS for v in split.part(name)}
    assert_no_group_straddles(split)
    assert len(sides) <= len(groups_of(videos))
    of_group = {v.group: v for v in videos}
    for first, other in zip(copied, others, strict=True):
        assert where[first.video_id] == where[of_group[other.group].video_id]


@pytest.mark.parametrize("name", ["Split", " split", "SPLIT\u200b"])
def test_a_split_column_is_found_however_its_name_is_spelt(name: str) -> None:
    assert resolve(with_column(), name, 0).column == "split"


def test_the_training_groups_are_those_of_train_and_val_without_their_names() -> None:
    split = resolve(with_column(), "split", 0)
    known = {group_hash(v.group) for v in (*split.train, *split.val)}
    assert split.training_groups() == sorted(known)
    assert not known & {v.group for v in split.part("all")}
