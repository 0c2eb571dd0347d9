"""Train/val/test splits and cross-validation folds by group, so that near copies never leak.

The videos of one group (one camera, one patient, one original recording) never straddle a split: near
copies on both sides would make every score a lie.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidpipe.errors import ConfigurationError
from vidpipe.records.labels import SplitName
from vidpipe.records.models import LabelledVideo
from vidpipe.records.names import folded
from vidpipe.records.videos import short_hash
from vidpipe.records.windows import Span
from vidpipe.stratification import stratified_label_sets

log = logging.getLogger(__name__)

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
TEST_SHARE = 0.2
Copies = Literal["refuse", "strictest"]
"""What becomes of copies of one video that disagree on split or group."""
_STRICTEST = ("test", "val", "train", None)
FOLDS, FEW_VIDEOS = (5, 3), 200
"""Cross-validation folds of a training on up to `FEW_VIDEOS` videos, and of a larger one."""


@dataclass(frozen=True, slots=True)
class ResolvedSplit:
    """Every labelled video in exactly one of train, val and test."""

    column: str | None
    """The manifest's column it follows; None when it was cut here."""
    train: tuple[LabelledVideo, ...]
    val: tuple[LabelledVideo, ...]
    test: tuple[LabelledVideo, ...]

    def part(self, name: str) -> tuple[LabelledVideo, ...]:
        """Videos of one of the three splits, or of `all`."""
        if name == "all":
            return self.train + self.val + self.test
        chosen: tuple[LabelledVideo, ...] = getattr(self, name)
        return chosen

    def ids(self) -> dict[str, list[str]]:
        """Sorted video ids of each split, as a model version records them."""
        return {name: sorted({v.video_id for v in self.part(name)}) for name in SPLITS}

    def training_groups(self) -> list[str]:
        """Sorted hashes of the groups in train and val, not their names, which may be people's."""
        return sorted({group_hash(g) for v in (*self.train, *self.val) for g in (v.group, *v.joined)})


def group_hash(group: str) -> str:
    """Hash of a group's name, which a model version records instead of the name."""
    return short_hash(group)


def one_per_content(videos: Sequence[LabelledVideo]) -> list[LabelledVideo]:
    """One entry per content, or labelled span of it, with its copies; they must agree on their label.

    Raises:
        ConfigurationError: Copies of one video carry different labels.
    """
    alike: dict[tuple[str, Span | None], list[LabelledVideo]] = defaultdict(list)
    for video in videos:
        alike[video.video_id, video.span].append(video)
    for first, *others in alike.values():
        for other in others:
            if first.label != other.label:
                raise ConfigurationError(
                    f"{first.path} and {other.path} are copies of one video, but labelled "
                    f"{first.label!r} and {other.label!r}.",
                    next_step="correct the labels in the manifest and ingest it again.",
                )
    return [replace(first, copies=tuple(others)) for first, *others in alike.values()]


def names_of(videos: Iterable[LabelledVideo]) -> set[str]:
    """Labels of these videos."""
    return {name for video in videos for name in video.names}


def split_columns(videos: Sequence[LabelledVideo]) -> list[str]:
    """Names of the split columns of these videos."""
    return sorted({column for video in videos for copy in (video, *video.copies) for column in copy.splits})


def resolve(
    videos: Sequence[LabelledVideo], column: str | None, seed: int, *, copies: Copies = "refuse",
    together: Sequence[tuple[str, str]] = (),
) -> ResolvedSplit:  # fmt: skip
    """Assign every video to train, val or test, whole groups at a time.

    With a split column its values are followed. Without one, a test split is cut by group; a label of one
    group only is learnt and not tested. Val is empty unless the column names it: folds of the training videos
    do its work.

    Args:
        videos: One entry per content.
        column: The split column; None: the only one there is.
        seed: Of the cut.
        copies: `refuse` copies of one video that disagree on split or group; or let the `strictest` split
            hold: test before val before train.
        together: Pairs of video ids whose groups become one; in a split column the strictest of theirs holds.

    Raises:
        ConfigurationError: No such column, an empty split, a group that straddles, one label only, or copies
            that disagree.
    """
    chosen = _choose_column(videos, column)
    videos = _joined(_agreed(videos, chosen, copies), together, chosen)
    parts: dict[str, list[LabelledVideo]] = {name: [] for name in SPLITS}
    for video in videos:
        where = video.splits.get(chosen) if chosen else "train"
        if where:
            parts[where].append(video)
    if chosen:
        _place_given(videos, chosen, parts)
    if chosen:
        _refuse_straddling(parts, chosen)
    else:
        parts["train"], parts["test"] = _none_lost(*cut_by_group(parts["train"], TEST_SHARE, seed))
    _refuse_untrainable(parts, chosen)
    return ResolvedSplit(chosen, *(tuple(parts[name]) for name in SPLITS))


def _agreed(videos: Sequence[LabelledVideo], column: str | None, copies: Copies) -> list[LabelledVideo]:
    """Each video with the split and the group that it and its copies agree on.

    A copy without a split, or without a group, says nothing. Where copies name several groups and the split
    is cut here, these groups become one: they share a video.
    """
    if copies == "refuse":
        for video in videos:
            _refuse_disagreeing(video, column)
    joined = _components(
        {v.group for v in (video, *video.copies) if v.group != v.video_id} for video in videos
    )
    found = []
    for video in videos:
        entries = [video, *video.copies]
        strictest = min(entries, key=lambda v: _STRICTEST.index(v.splits.get(column or "")))
        named = [v.group for v in (strictest, *entries) if v.group != v.video_id] or [video.group]
        group = named[0] if column else joined.get(named[0], named[0])
        found.append(replace(video, splits=strictest.splits, group=group))
    return found


def _refuse_disagreeing(video: LabelledVideo, column: str | None) -> None:
    entries = [video, *video.copies]
    splits = [(v.path, v.splits[column]) for v in entries if column and v.splits.get(column)]
    groups = [(v.path, v.group) for v in entries if v.group != v.video_id]
    for what, said in ((f"split column {column}", splits), ("group", groups)):
        for path, value in said[1:]:
            if value != said[0][1]:
                raise ConfigurationError(
                    f"{said[0][0]} and {path} are copies of one video, but their {what} says "
                    f"{said[0][1]!r} and {value!r}.",
                    next_step="correct the manifest and ingest it again, or pass --copies strictest: test "
                    "before val before train.",
                )


def _joined(
    videos: Sequence[LabelledVideo], together: Sequence[tuple[str, str]], column: str | None
) -> list[LabelledVideo]:
    """The videos, those of groups that are kept together in one group and, by a column, in one split."""
    if not together:
        return list(videos)
    of_video = {v.video_id: v.group for v in videos}
    name = _components({of_video[one], of_video[other]} for one, other in together)
    members: dict[str, list[LabelledVideo]] = defaultdict(list)
    for video in videos:
        members[name.get(video.group, video.group)].append(video)
    found = []
    for group, some in members.items():
        groups = tuple(sorted({v.group for v in some}))
        if len(groups) == 1:
            found += some
            continue
        split = min((v.splits.get(column or "") for v in some), key=_STRICTEST.index)
        moved = {column: split} if column and split else {}
        found += [replace(v, group=group, joined=groups, splits={**v.splits, **moved}) for v in some]
    return found


def _components(sets: Iterable[set[str]]) -> dict[str, str]:
    """Connected components of groups that belong together: group to the common name."""
    name: dict[str, str] = {}
    for groups in sets:
        known = {name.get(group, group) for group in groups}
        if len(known) > 1:
            members = known | {group for group, called in name.items() if called in known} | groups
            name |= dict.fromkeys(members, min(known))
    return name


def _place_given(videos: Sequence[LabelledVideo], column: str, parts: dict[str, list[LabelledVideo]]) -> None:
    """Split for labels given after ingest, which no manifest lists: the split of their group, else train."""
    of_group = {video.group: name for name in SPLITS for video in parts[name]}
    for video in videos:
        if video.given and not video.splits.get(column):
            parts[of_group.get(video.group, "train")].append(video)


def _choose_column(videos: Sequence[LabelledVideo], column: str | None) -> str | None:
    known = split_columns(videos)
    if column is None and len(known) <= 1:
        return known[0] if known else None
    found = column and known_column(known, column)
    if not found:
        said = "several split columns" if column is None else f"no split column {column!r}"
        raise ConfigurationError(
            f"{said}; the collection has {', '.join(known) or 'none'}.",
            next_step=f"pass --split-column {known[0]}." if known else "leave out --split-column.",
        )
    return found


def known_column(known: Sequence[str], column: str) -> str | None:
    """The column of that name, compared without case, spaces around it and invisible characters."""
    if column in known:
        return column
    return next((name for name in known if folded(name) == folded(column)), None)


def cut_by_group(
    videos: Sequence[LabelledVideo], share: float, seed: int
) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Split off about `share` of the videos by whole groups, labels balanced: (kept, split off)."""
    ordered = sorted(videos, key=lambda v: short_hash(v.video_id))
    groups = [v.group for v in ordered]
    commonest = max(Counter(name for v in ordered for name in v.names).values(), default=0)
    folds = min(round(1 / share), len(set(groups)), commonest)  # scikit-learn takes no more
    if folds < 2:
        return list(videos), []
    is_off = _stratified(ordered, groups, folds, seed) == 0
    return (
        [v for v, off in zip(ordered, is_off, strict=True) if not off],
        [v for v, off in zip(ordered, is_off, strict=True) if off],
    )


def _stratified(
    videos: Sequence[LabelledVideo], groups: Sequence[str], count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Fold of each video, (N,), whole groups at a time, labels balanced."""
    if any(v.multi_label for v in videos):
        return stratified_label_sets([v.names for v in videos], groups, count, seed)
    from sklearn.model_selection import StratifiedGroupKFold

    found = np.full(len(videos), -1, np.int64)
    cutter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a label with few videos is no reason for a warning here
        warnings.simplefilter("ignore", UserWarning)
        labels = [v.label for v in videos]
        for fold, (_, off) in enumerate(cutter.split(np.zeros(len(videos)), labels, groups)):
            found[off] = fold
    return found


def _none_lost(
    train: list[LabelledVideo], test: list[LabelledVideo]
) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Move groups back to train where train would otherwise lack a label."""
    lost = names_of(test) - names_of(train)
    back = {v.group for v in test if lost.intersection(v.names)}
    if lost:
        said = ", ".join(map(repr, sorted(lost)))
        log.warning("too few groups of label %s: its videos are all in train, none in test.", said)
    return [*train, *(v for v in test if v.group in back)], [v for v in test if v.group not in back]


def folds(split: ResolvedSplit, videos: Sequence[LabelledVideo], seed: int) -> npt.NDArray[np.int64]:
    """Group k-fold: the fold in which each training video is held out, (N,), from 0; -1: in none.

    Where the manifest names val videos they are the one fold. Else groups are spread over folds, labels
    balanced. A training set of one group is spread by video, with a warning: near copies then stand on both
    sides.

    Args:
        split: Whose train and val these are.
        videos: Train and val videos, in any order.
        seed: Of the draw.
    """
    if split.val:
        held_out = {(v.video_id, v.span) for v in split.val}
        return np.array([0 if (v.video_id, v.span) in held_out else -1 for v in videos], np.int64)
    return group_folds(videos, seed)


def group_folds(videos: Sequence[LabelledVideo], seed: int) -> npt.NDArray[np.int64]:
    """Stratified group k-fold of labelled videos: the fold in which each is held out, (N,), from 0."""
    groups = [v.group for v in videos]
    if len(set(groups)) < 2:
        log.warning("all %d training videos are of one group: cv scores are too high.", len(videos))
        groups = [f"{v.video_id} {v.span}" for v in videos]
    commonest = max(Counter(name for v in videos for name in v.names).values())
    count = min(FOLDS[len(videos) > FEW_VIDEOS], len(set(groups)), commonest)
    if count < 2:
        return np.arange(len(videos)) % 2
    return _stratified(videos, groups, count, seed)


def _refuse_straddling(parts: Mapping[str, Sequence[LabelledVideo]], column: str) -> None:
    where: dict[str, set[str]] = defaultdict(set)
    for name, videos in parts.items():
        for video in videos:
            where[video.group].add(name)
    bad = sorted(group for group, names in where.items() if len(names) > 1)
    if bad:
        raise ConfigurationError(
            f"in {column}, group {bad[0]!r} stands in {' and '.join(sorted(where[bad[0]]))}"
            f"{f' (and {len(bad) - 1} more groups)' if len(bad) > 1 else ''}: its scores would be too high.",
            next_step="give each group one split in the manifest, then ingest it again.",
        )


def _refuse_untrainable(parts: Mapping[str, Sequence[LabelledVideo]], column: str | None) -> None:
    labels = names_of(parts["train"])
    if len(labels) < 2:
        raise ConfigurationError(
            f"the train split has {len(labels)} label(s): {', '.join(sorted(labels)) or 'none'}; "
            "a classifier needs two or more.",
            next_step="ingest videos of another label, with --manifest or --label-from folder.",
        )
    if empty := [name for name in ("train", "test") if not parts[name]]:
        raise ConfigurationError(
            f"the {' and '.join(empty)} split is empty{f' in {column}' if column else ''}.",
            next_step="label more videos, in more groups, or choose another --split-column.",
        )
    if unknown := sorted(names_of((*parts["val"], *parts["test"])) - labels):
        raise ConfigurationError(
            f"label {unknown[0]!r} has no training video.",
            next_step="add training videos of it, or leave it out of the manifest.",
        )
