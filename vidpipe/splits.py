"""Train/val/test splits and cross-validation folds by group, so that near copies never leak.

The videos of one group (one camera, one patient, one original recording) never straddle a split: near
copies on both sides would make every score a lie.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidpipe.errors import ConfigurationError
from vidpipe.records.models import LabelledVideo
from vidpipe.records.videos import Span, SplitName, short_hash

log = logging.getLogger(__name__)

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
TEST_SHARE = 0.2
FOLDS, FEW_VIDEOS = (5, 3), 200
"""Cross-validation folds of a training on up to `FEW_VIDEOS` videos, and of a larger one."""


@dataclass(frozen=True, slots=True)
class ResolvedSplit:
    """Every labelled content in exactly one of train, val and test."""

    column: str | None
    """The manifest's column it follows; None when it was cut here."""
    train: tuple[LabelledVideo, ...]
    val: tuple[LabelledVideo, ...]
    test: tuple[LabelledVideo, ...]

    def part(self, name: str) -> tuple[LabelledVideo, ...]:
        """One of the three, or `all`."""
        if name == "all":
            return self.train + self.val + self.test
        chosen: tuple[LabelledVideo, ...] = getattr(self, name)
        return chosen

    def ids(self) -> dict[str, list[str]]:
        """Split name to sorted video ids, as a model version records it."""
        return {name: sorted({v.video_id for v in self.part(name)}) for name in SPLITS}

    def training_groups(self) -> list[str]:
        """Sorted hashes of the groups in train and val: group names may be people's names."""
        return sorted({group_hash(v.group) for v in (*self.train, *self.val)})


def group_hash(group: str) -> str:
    """What a model version keeps of a group's name."""
    return short_hash(group)


def one_per_content(videos: Sequence[LabelledVideo]) -> list[LabelledVideo]:
    """One entry per content, or labelled span of it; copies must agree on their label.

    Raises:
        ConfigurationError: Copies of one video carry different labels.
    """
    first: dict[tuple[str, Span | None], LabelledVideo] = {}
    for video in videos:
        known = first.setdefault((video.video_id, video.span), video)
        if known.label != video.label:
            raise ConfigurationError(
                f"{known.path} and {video.path} are copies of one video, but labelled "
                f"{known.label!r} and {video.label!r}.",
                next_step="correct the labels in the manifest and ingest it again.",
            )
    return list(first.values())


def split_columns(videos: Sequence[LabelledVideo]) -> list[str]:
    """Split columns that these videos carry."""
    return sorted({column for video in videos for column in video.splits})


def resolve(videos: Sequence[LabelledVideo], column: str | None, seed: int) -> ResolvedSplit:
    """Put every video into train, val or test.

    With a split column its values are followed. Without one, a test split is cut by group; a label of one
    group only is learnt and not tested. Val is empty unless the column names it: folds of the training videos
    do its work.

    Raises:
        ConfigurationError: No such column, an empty split, a group that straddles, or one label only.
    """
    chosen = _choose_column(videos, column)
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


def _place_given(videos: Sequence[LabelledVideo], column: str, parts: dict[str, list[LabelledVideo]]) -> None:
    """Labels given after ingest have no split in the manifest: they follow their group, else they teach."""
    of_group = {video.group: name for name in SPLITS for video in parts[name]}
    for video in videos:
        if video.given and not video.splits.get(column):
            parts[of_group.get(video.group, "train")].append(video)


def _choose_column(videos: Sequence[LabelledVideo], column: str | None) -> str | None:
    known = split_columns(videos)
    if column is None and len(known) <= 1:
        return known[0] if known else None
    if column not in known:
        said = "several split columns" if column is None else f"no split column {column!r}"
        raise ConfigurationError(
            f"{said}; the collection has {', '.join(known) or 'none'}.",
            next_step=f"pass --split-column {known[0]}." if known else "leave out --split-column.",
        )
    return column


def cut_by_group(
    videos: Sequence[LabelledVideo], share: float, seed: int
) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """Cut about `share` of the videos off, whole groups at a time, labels balanced: (kept, cut off)."""
    from sklearn.model_selection import StratifiedGroupKFold

    ordered = sorted(videos, key=lambda v: short_hash(v.video_id))
    groups = [v.group for v in ordered]
    commonest = max(Counter(v.label for v in ordered).values(), default=0)
    folds = min(round(1 / share), len(set(groups)), commonest)  # scikit-learn takes no more
    if folds < 2:
        return list(videos), []
    cutter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a label with few videos is no reason for a warning here
        warnings.simplefilter("ignore", UserWarning)
        labels = [v.label for v in ordered]
        kept, off = next(iter(cutter.split(np.zeros(len(ordered)), labels, groups)))
    return [ordered[i] for i in kept], [ordered[i] for i in off]


def _none_lost(
    train: list[LabelledVideo], test: list[LabelledVideo]
) -> tuple[list[LabelledVideo], list[LabelledVideo]]:
    """The cut with the groups back in train without which it has no video of some label."""
    lost = {v.label for v in test} - {v.label for v in train}
    back = {v.group for v in test if v.label in lost}
    if lost:
        said = ", ".join(map(repr, sorted(lost)))
        log.warning("too few groups of label %s: its videos train, none of them is tested.", said)
    return [*train, *(v for v in test if v.group in back)], [v for v in test if v.group not in back]


def folds(split: ResolvedSplit, videos: Sequence[LabelledVideo], seed: int) -> npt.NDArray[np.int64]:
    """In which fold each training video is held out, (N,), from 0; -1: in none.

    Where the manifest names val videos they are the one fold. Else groups are spread over folds, labels
    balanced. A training set of one group is spread by video, with a warning: near copies then stand on both
    sides.

    Args:
        split: Whose train and val these are.
        videos: Train and val videos, in any order.
        seed: Of the draw.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if split.val:
        held_out = {(v.video_id, v.span) for v in split.val}
        return np.array([0 if (v.video_id, v.span) in held_out else -1 for v in videos], np.int64)
    groups = [v.group for v in videos]
    if len(set(groups)) < 2:
        log.warning("all %d training videos are of one group: cross-validated scores flatter.", len(videos))
        groups = [f"{v.video_id} {v.span}" for v in videos]
    labels = [v.label for v in videos]
    count = min(FOLDS[len(videos) > FEW_VIDEOS], len(set(groups)), max(Counter(labels).values()))
    found = np.full(len(videos), -1, np.int64)
    if count < 2:
        return np.arange(len(videos)) % 2
    cutter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a label with few videos is no reason for a warning here
        warnings.simplefilter("ignore", UserWarning)
        for fold, (_, off) in enumerate(cutter.split(np.zeros(len(videos)), labels, groups)):
            found[off] = fold
    return found


def _refuse_straddling(parts: Mapping[str, Sequence[LabelledVideo]], column: str) -> None:
    where: dict[str, set[str]] = defaultdict(set)
    for name, videos in parts.items():
        for video in videos:
            where[video.group].add(name)
    bad = sorted(group for group, names in where.items() if len(names) > 1)
    if bad:
        raise ConfigurationError(
            f"in {column}, group {bad[0]!r} stands in {' and '.join(sorted(where[bad[0]]))}"
            f"{f' (and {len(bad) - 1} more groups)' if len(bad) > 1 else ''}: its scores would lie.",
            next_step="give each group one split in the manifest, then ingest it again.",
        )


def _refuse_untrainable(parts: Mapping[str, Sequence[LabelledVideo]], column: str | None) -> None:
    labels = {v.label for v in parts["train"]}
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
    if unknown := sorted({v.label for name in ("val", "test") for v in parts[name]} - labels):
        raise ConfigurationError(
            f"label {unknown[0]!r} has no training video.",
            next_step="add training videos of it, or leave it out of the manifest.",
        )
