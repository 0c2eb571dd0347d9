"""Labelled clips cut into trainings and tests: what benchmarks/accuracy.py trains on.

split       the manifest's own train and test split
folds       group K-fold: every group is tested once, by a model that saw none of it
5, 10       only 5 or 10 training videos of each label, one of each group; the whole test split
uneven      60, 30, 15, 8, 5 and 3 training videos of the labels; the whole test split
order       a video of one label followed by one of another, or the other way round; groups disjoint
arrow       forwards against backwards, the clips reversed by ffmpeg
movement    which of five ways a video's picture is moved: a stand-in for classes that differ in motion
            alone; made here, from the clips, and decoded like any other
"""

from __future__ import annotations

import csv
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpipe.adapters.media.binaries import find_tools
from vidpipe.metrics import Indices
from vidpipe.ports import Ports
from vidpipe.records.models import FeatureLayout, LabelledVideo, Sequences
from vidpipe.records.videos import Floats
from vidpipe.splits import ResolvedSplit, cut_by_group, folds, resolve
from vidpipe.steps import scoring
from vidpipe.vision.feature_specs import layout_of

VAL_SHARE = 0.15
"""Cut off the training videos for a network that is trained with val videos, as before cross-fitting."""
UNEVEN = (60, 30, 15, 8, 5, 3)
"""Training videos of the labels."""
MOVEMENTS = {
    "up and down": "crop=iw*0.75:ih*0.75:iw*0.125:ih*(0.125+0.09*{a}*sin({w}*t+{p}))",
    "to and fro": "crop=iw*0.75:ih*0.75:iw*(0.125+0.09*{a}*sin({w}*t+{p})):ih*0.125",
    "nearer and farther": "zoompan=z='1.25*(1+0.16*{a}*sin({w}*in_time+{p}))':d=1:x='iw/2-iw/zoom/2'"
    ":y='ih/2-ih/zoom/2':s=240x180:fps={fps}",
    "tilting": "rotate='0.16*{a}*sin({w}*t+{p})',crop=iw*0.75:ih*0.75",
    "hopping": "crop=iw*0.75:ih*0.75:iw*0.125:ih*(0.2-0.18*{a}*abs(sin({w}*t+{p})))",
}
"""ffmpeg filters: amplitude a, angular speed w and phase p are drawn for each video."""
ENCODED = ("-an", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-y")


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One training and its test."""

    data: Sequences
    """Videos to learn from: train and val."""
    folds: Indices
    """In which fold each is held out, (N,); -1: in none."""
    val: Indices
    """Which of them a network that is trained with val videos may use as these."""
    test: Sequences
    groups: tuple[str, ...]
    """Of the test videos."""
    layout: FeatureLayout


Task = Callable[[int], list[Trial]]
"""A seed to trainings; their tests are pooled."""


class Clips:
    """A labelled collection with features, and its official split."""

    def __init__(self, ports: Ports, collection: str, split_column: str | None) -> None:
        self.spec = ports.limits.spec
        videos = scoring.labelled(ports, collection, self.spec)
        self.labels = tuple(sorted({v.label for v in videos}))
        self.split = resolve(videos, split_column, 0)
        found = scoring.load(ports, self.spec, videos, self.labels)
        self.features = dict(zip(found.video_ids, found.features, strict=True))

    @property
    def learnt(self) -> tuple[LabelledVideo, ...]:
        """Train and val."""
        return self.split.train + self.split.val

    def sequences(self, videos: Iterable[LabelledVideo]) -> Sequences:
        """Their features and labels."""
        chosen = list(videos)
        targets = np.array([self.labels.index(v.label) for v in chosen], np.int64)
        ids = tuple(v.video_id for v in chosen)
        return Sequences(ids, tuple(self.features[i] for i in ids), targets, self.labels)

    def trial(self, train: Sequence[LabelledVideo], test: Sequence[LabelledVideo], seed: int) -> Trial:
        """Learn from these videos, in folds as `vidpipe train` draws them, and be tested by those."""
        return self.trial_of(ResolvedSplit(None, tuple(train), (), tuple(test)), seed)

    def trial_of(self, split: ResolvedSplit, seed: int) -> Trial:
        """A split as `vidpipe train` takes it."""
        videos = scoring.in_order([*split.train, *split.val])
        cut = {v.video_id for v in split.val or cut_by_group(videos, VAL_SHARE, seed)[1]}
        val = np.flatnonzero([v.video_id in cut for v in videos])
        groups, layout = tuple(v.group for v in split.test), layout_of(self.spec)
        data, test = self.sequences(videos), self.sequences(split.test)
        return Trial(data, folds(split, videos, seed), val, test, groups, layout)


def by_label(videos: Iterable[LabelledVideo]) -> dict[str, list[LabelledVideo]]:
    """Label to videos."""
    found: dict[str, list[LabelledVideo]] = defaultdict(list)
    for video in videos:
        found[video.label].append(video)
    return found


def whole_split(clips: Clips) -> Task:
    """The manifest's split."""
    return lambda seed: [clips.trial_of(clips.split, seed)]


def group_folds(clips: Clips) -> Task:
    """All labelled videos in group K-fold, whatever the manifest's split: each is tested once."""

    def draw(seed: int) -> list[Trial]:
        videos = scoring.in_order(clips.split.part("all"))
        of_video = folds(ResolvedSplit(None, tuple(videos), (), ()), videos, seed)
        found = []
        for fold in range(int(of_video.max()) + 1):
            train = [v for v, f in zip(videos, of_video, strict=True) if f != fold]
            test = [v for v, f in zip(videos, of_video, strict=True) if f == fold]
            found.append(clips.trial(train, test, seed))
        return found

    return draw


def few(clips: Clips, count: int) -> Task:
    """Few training videos of each label, each of another group where there are enough."""

    def draw(seed: int) -> list[Trial]:
        rng = np.random.default_rng(seed)
        chosen = []
        for of_label in by_label(clips.learnt).values():
            for group in rng.permutation(sorted({v.group for v in of_label}))[:count]:
                members = [v for v in of_label if v.group == group]
                chosen.append(members[rng.integers(len(members))])
        return [clips.trial(chosen, clips.split.test, seed)]

    return draw


def uneven(clips: Clips) -> Task:
    """Some labels with few videos beside others with many; the seed says which."""

    def draw(seed: int) -> list[Trial]:
        rng, chosen = np.random.default_rng(seed), []
        for k, (_, members) in enumerate(sorted(by_label(clips.learnt).items())):
            count = UNEVEN[(k + seed) % len(UNEVEN)]
            chosen += [members[i] for i in rng.permutation(len(members))[:count]]
        return [clips.trial(chosen, clips.split.test, seed)]

    return draw


def order(clips: Clips, pairs: int = 300) -> Task:
    """A then B against B then A, of the first two labels: any mean of frames is the same for both.

    A fifth of the pairs, of groups that the others have none of, is the one fold.
    """

    def draw(seed: int) -> list[Trial]:
        rng = np.random.default_rng(seed)
        kept, off = cut_by_group(clips.learnt, VAL_SHARE, seed)
        made = [
            _pairs(clips, videos, count, rng)
            for videos, count in ((kept, pairs), (off, pairs // 5), (clips.split.test, pairs // 2))
        ]
        features, targets = made[0][0] + made[1][0], made[0][1] + made[1][1]
        held_out = np.repeat([-1, 0], [len(made[0][0]), len(made[1][0])])
        data, test = (_two(f, t, ("A then B", "B then A")) for f, t in ((features, targets), made[2]))
        val = np.flatnonzero(held_out == 0)
        return [Trial(data, held_out, val, test, tuple(test.video_ids), layout_of(clips.spec))]

    return draw


def _pairs(
    clips: Clips, videos: Sequence[LabelledVideo], count: int, rng: np.random.Generator
) -> tuple[list[Floats], list[int]]:
    first, second = (by_label(videos)[label] for label in clips.labels[:2])
    features, targets = [], []
    for _ in range(count // 2):
        a = clips.features[first[rng.integers(len(first))].video_id]
        b = clips.features[second[rng.integers(len(second))].video_id]
        features += [np.concatenate([a, b]), np.concatenate([b, a])]
        targets += [0, 1]
    return features, targets


def _two(features: list[Floats], targets: list[int], labels: tuple[str, str]) -> Sequences:
    ids = tuple(f"{n:064x}" for n in range(len(features)))
    return Sequences(ids, tuple(features), np.array(targets, np.int64), labels)


# -- videos that are made -------------------------------------------------------------------------


def make_movements(clips: Clips, source: Path, folder: Path, train: int = 250, test: int = 200) -> Path:
    """Videos of moving pictures from the clips, and their manifest; groups stay on their side."""
    rng = np.random.default_rng(7)
    rows = []
    for split, videos, count in (("train", clips.learnt, train), ("test", clips.split.test, test)):
        for n in range(count):
            label = list(MOVEMENTS)[n % len(MOVEMENTS)]
            video = videos[rng.integers(len(videos))]
            values = {
                "a": round(rng.uniform(0.5, 1), 3), "w": round(6.283 * rng.uniform(0.5, 1.2), 3),
                "p": round(rng.uniform(0, 6.283), 3), "fps": 25,
            }  # fmt: skip
            name = f"{split}-{n:03d}.mp4"
            graph = f"fps=25,{MOVEMENTS[label].format(**values)},scale=240:180"
            _filtered(source / video.path, folder / name, ("-t", "6", "-vf", graph))
            rows.append(_row(name, label, video, split))
    return _manifest(folder, rows)


def make_arrows(clips: Clips, source: Path, folder: Path) -> Path:
    """Every clip forwards and backwards, encoded alike, and their manifest: motion and flow are measured."""
    rows = []
    for split, videos in (("train", clips.learnt), ("test", clips.split.test)):
        for n, video in enumerate(videos):
            for label, options in (("forwards", ()), ("backwards", ("-vf", "reverse"))):
                name = f"{split}-{n:04d}-{label}.mp4"
                _filtered(source / video.path, folder / name, options)
                rows.append(_row(name, label, video, split))
    return _manifest(folder, rows)


def _filtered(video: Path, made: Path, options: Sequence[str]) -> None:
    ffmpeg = find_tools().ffmpeg
    command = [ffmpeg, "-loglevel", "error", "-i", str(video), *options, *ENCODED, str(made)]
    subprocess.run(command, check=True)


def _row(name: str, label: str, video: LabelledVideo, split: str) -> dict[str, str]:
    return {"path": name, "label": label, "group": f"{video.label} {video.group}", "split": split}


def _manifest(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    manifest = folder / "made.csv"
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return manifest
