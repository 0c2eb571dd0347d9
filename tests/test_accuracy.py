"""The tasks of benchmarks/accuracy.py are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy import Clips, arrow, few, order
from vidpipe.records.features import StoredFeatures
from vidpipe.records.models import LabelledVideo
from vidpipe.vision.backbones import block_sizes, default_spec

SPEC = default_spec(4.0)
MOTION = slice(sum(block_sizes(SPEC)[:2]), SPEC.feature_size)


class Made(Clips):
    """Three labels, eight groups of two videos each, features that say whose frame it is."""

    def __init__(self) -> None:
        self.spec, self.labels, self.features = SPEC, ("a", "b", "c"), {}
        videos = {"train": [], "val": [], "test": []}
        for k, label in enumerate(self.labels):
            for n in range(16):
                group, name = n // 2, f"{label}{n}"
                frames = np.zeros((3 + n % 4, SPEC.feature_size), np.float32)
                frames[:, 0], frames[:, 1] = k * 100 + n, np.arange(len(frames))
                frames[1:, MOTION] = np.arange(1, len(frames))[:, None]
                self.features[name] = frames
                split = "test" if group > 6 else "val" if group > 5 else "train"
                where = StoredFeatures(name, "part", 0, len(frames))
                videos[split].append(LabelledVideo(name, name, label, f"{group}", {}, where))
        self.train, self.val, self.test = (tuple(videos[name]) for name in ("train", "val", "test"))


def test_few_takes_one_video_of_each_group_and_all_of_the_test_split() -> None:
    clips = Made()
    train, _, test = few(clips, 4)(0)
    assert len(train) == 12 and len(test) == len(clips.test)
    group = {v.video_id: (v.label, v.group) for v in clips.train}
    assert len({group[i] for i in train.video_ids}) == 12
    assert few(clips, 4)(1)[0].video_ids != train.video_ids


def test_order_has_the_same_frames_on_both_sides_and_keeps_splits_apart() -> None:
    clips = Made()
    train, _, test = order(clips, 20)(0)
    for there, back in zip(train.features[::2], train.features[1::2], strict=True):
        assert np.allclose(there.mean(0), back.mean(0))
        assert (there[0, 0] < 100) and (100 <= back[0, 0] < 200), "A then B, B then A"
    first_column = [{x for f in data.features for x in f[:, 0]} for data in (train, test)]
    assert not first_column[0] & first_column[1]


def test_backwards_turns_frames_and_leaves_motion_between_the_same_two() -> None:
    clips = Made()
    _, _, test = arrow(clips)(0)
    forwards, backwards = test.features[:2]
    T = len(forwards)
    assert backwards[:, 1].tolist() == forwards[::-1, 1].tolist()
    assert backwards[0, MOTION].max() == 0
    for t in range(1, T):  # between frames T - t - 1 and T - t of the original
        assert backwards[t, MOTION] == pytest.approx(forwards[T - t, MOTION])
