"""Small data is the normal case: few videos, one group, a label of one video, one frame, constants."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pytest

from vidpipe.errors import ConfigurationError
from vidpipe.learning.cross_fitting import CrossFit
from vidpipe.learning.inference import predict
from vidpipe.learning.training import TrainingConfig
from vidpipe.records.features import StoredFeatures
from vidpipe.records.models import LabelledVideo, Sequences
from vidpipe.splits import ResolvedSplit, folds, resolve
from vidpipe.steps import scoring

D = 6
CONFIG = TrainingConfig(epochs=2, hidden_size=4, projection=3)


@dataclass(frozen=True)
class Case:
    labels: str
    """One letter a training video."""
    groups: str = ""
    """One letter a training video; default: a group each."""
    frames: int = 5
    constant: bool = False
    val: int = 0
    """So many of the last videos are named as val videos."""


CASES = {
    "two labels of five videos": Case("aaaaabbbbb"),
    "two videos": Case("ab"),
    "three videos, two labels": Case("aab"),
    "one group": Case("aaabbb", "xxxxxx"),
    "a group a label": Case("aaabbb", "xxxyyy"),
    "a label of one video": Case("aaaabbbbc"),
    "one frame": Case("aaabbb", frames=1),
    "constant features": Case("aaabbb", constant=True),
    "one frame and constant": Case("aabb", frames=1, constant=True),
    "one val video": Case("aaabbb", val=1),
    "val of one label": Case("aaaabbbb", val=3),
}


def videos_of(case: Case) -> list[LabelledVideo]:
    return [
        LabelledVideo(
            f"{n:064d}", f"{n}.mp4", label, (case.groups or "abcdefghijkl")[n], {},
            StoredFeatures(f"{n:064d}", "part", 0, case.frames),
        )
        for n, label in enumerate(case.labels)
    ]  # fmt: skip


def data_of(case: Case) -> Sequences:
    rng = np.random.default_rng(0)
    labels = tuple(sorted(set(case.labels)))
    targets = np.array([labels.index(label) for label in case.labels])
    features = rng.normal(size=(len(targets), case.frames, D)) + targets[:, None, None]
    if case.constant:
        features[:] = 7
    ids = tuple(v.video_id for v in videos_of(case))
    return Sequences(ids, tuple(features.astype(np.float32)), targets, labels)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_training_on_next_to_nothing_ends_with_scores_that_are_probabilities(case: Case) -> None:
    videos, data = videos_of(case), data_of(case)
    first_val = len(videos) - case.val
    split = ResolvedSplit(None, tuple(videos[:first_val]), tuple(videos[first_val:]), ())
    training = CrossFit(data, folds(split, videos, 0), CONFIG)
    assert len(list(training.epochs())) == training.planned
    fitted = training.fitted
    unseen = [np.zeros((1, D), np.float32), np.full((3, D), 1e4, np.float32)]
    for scores in (fitted.probabilities, predict(fitted.classifier, [*data.features, *unseen])):
        assert np.isfinite(scores).all() and scores.sum(1) == pytest.approx(1, abs=1e-4)
    assert sum(fitted.weights.values()) > 0 and len(fitted.held_out) == (case.val or len(videos))


def test_one_group_says_that_its_scores_are_too_high(caplog: pytest.LogCaptureFixture) -> None:
    videos = videos_of(CASES["one group"])
    found = folds(ResolvedSplit(None, tuple(videos), (), ()), videos, 0)
    assert sorted(found) == [0, 0, 1, 1, 2, 2] and "too high" in caplog.text


@pytest.mark.parametrize("seed", range(8))
def test_a_label_of_one_video_trains_whatever_the_seed_and_says_so(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    videos = videos_of(CASES["a label of one video"])
    split = resolve(videos, None, seed)
    assert "c" in {v.label for v in split.train} and split.test
    if caplog.records:
        assert "'c': its videos are all in train, none in test" in caplog.text


def test_some_seed_would_have_tested_the_label_of_one_video(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for seed in range(30):
            resolve(videos_of(CASES["a label of one video"]), None, seed)
    assert caplog.records, "or the tests above prove nothing"


def test_groups_that_are_labels_leave_nothing_to_test_and_the_error_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="the test split is empty") as caught:
        resolve(videos_of(CASES["a group a label"]), None, 0)
    assert "in more groups" in (caught.value.next_step or "")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused_by_the_video_s_path(bad: float) -> None:
    videos = videos_of(CASES["two videos"])
    features = [np.zeros((2, D), np.float32), np.array([[bad] + [0] * (D - 1)], np.float32)]
    with pytest.raises(ConfigurationError, match=r"the features of 1\.mp4 .* hold NaN or infinity"):
        scoring.refuse_not_finite(videos, features)
