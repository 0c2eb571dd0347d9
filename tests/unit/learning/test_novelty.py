"""Novelty: distances from the training videos, calibrated out of fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from conftest import warehouse_rows
from safetensors.numpy import load, save
from stored import clouds, content_id, put_collection

from vidpipe.learning.novelty import NoveltyModel, fit_novelty
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.videos import Floats
from vidpipe.steps.classify import classify
from vidpipe.steps.forget import forget
from vidpipe.steps.train import train

D, BLOCKS = 60, (40, 20)


def around(centres: npt.NDArray[np.float64], each: int, seed: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Videos about the centres of their labels."""
    draw = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(centres)), each)
    return (centres[targets] + draw.normal(size=(len(targets), D))).astype(np.float32), targets


def test_another_label_and_another_world_are_novel() -> None:
    centres = np.random.default_rng(0).normal(size=(4, D)) * 3
    means, targets = around(centres[:3], 60, seed=1)
    model = fit_novelty(means, targets, np.arange(len(means)) % 5, BLOCKS)
    assert model is not None
    known, _ = around(centres[:3], 300, seed=2)
    another, _ = around(centres[3:], 50, seed=3)
    assert (model.novelty(another) > 1).mean() > 0.95
    assert (model.novelty((known[:50] * 40).astype(np.float32)) > 1).all()
    again = NoveltyModel.from_bytes(model.to_bytes())
    assert np.array_equal(again.novelty(known), model.novelty(known))


@pytest.mark.parametrize("each", [15, 60, 200])
def test_five_in_a_hundred_known_videos_are_novel_however_many_there_are(each: int) -> None:
    """A threshold from few videos is uncertain, so that it is looked at on average."""
    rejected = []
    for seed in range(12):
        centres = np.random.default_rng(seed).normal(size=(3, D)) * 3
        means, targets = around(centres, each, seed=100 + seed)
        model = fit_novelty(means, targets, np.arange(len(means)) % 5, BLOCKS)
        assert model is not None
        known, _ = around(centres, 300, seed=200 + seed)
        rejected.append((model.novelty(known) > 1).mean())
    assert 0.02 < np.mean(rejected) < 0.08


def many_features(decay: float, seed: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """120 videos of two labels; the sizes of 400 features fall off by a power law."""
    draw = np.random.default_rng(seed)
    targets = np.arange(120) % 2
    sizes = draw.permutation(np.arange(1, 401) ** -decay)
    return ((draw.normal(size=(120, 400)) + targets[:, None]) * sizes).astype(np.float32), targets


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.8])
def test_training_videos_are_no_more_novel_than_later_ones(decay: float) -> None:
    """Axes lie along few videos of many features, which seemed far out on them: 23 in 100 without decay."""
    share, later = [], []
    for seed in range(6):
        means, targets = many_features(decay, seed)
        model = fit_novelty(means[:80], targets[:80], np.arange(80) % 5, (300, 100))
        assert model is not None
        share.append((model.novelty(means[:80]) > 1).mean())
        later.append((model.novelty(means[80:]) > 1).mean())
    assert np.mean(share) < 0.07 and np.mean(later) < 0.08


def test_a_model_from_before_the_residual_counted_scores_as_it_did() -> None:
    means, targets = many_features(0.3, seed=0)
    model = fit_novelty(means[:80], targets[:80], np.arange(80) % 5, (300, 100))
    assert model is not None
    tensors = load(model.to_bytes())
    del tensors["rest_weight"]
    before = NoveltyModel.from_bytes(save(tensors))
    assert np.array_equal(before.novelty(means), model.weighing_rest(0.0).novelty(means))
    assert not np.array_equal(before.novelty(means), model.novelty(means))


def test_few_videos_or_one_fold_tell_nothing() -> None:
    means, targets = around(np.zeros((2, D)), 9, seed=0)
    assert fit_novelty(means, targets, np.arange(18) % 3, BLOCKS) is None
    means, targets = around(np.zeros((2, D)), 20, seed=0)
    assert fit_novelty(means, targets, np.zeros(40, np.int64), BLOCKS) is None


def test_classify_says_which_videos_are_like_the_training(ports: Ports, tmp_path: Path) -> None:
    size = ports.limits.spec.feature_size
    labels = {f"{n:02d}.mp4": ("cat", "dog")[n % 2] for n in range(60)}
    videos = clouds(labels, size)
    put_collection(ports, "yard", dict(list(videos.items())[:48]), labels)
    put_collection(ports, "inbox", dict(list(videos.items())[48:]))
    put_collection(ports, "street", clouds({"fight.mp4": "fight", "train.mp4": "train"}, size, apart=4.0))
    version = train(ports, "yard", config=TrainingConfig(epochs=1)).version
    report = classify(ports, model=str(version))
    ports.ledger.predictions.switch_serving(version)
    ports.warehouse.publish()
    assert report.classified == 62
    rows = warehouse_rows(ports, "select collection, path, is_known, novelty from latest_predictions")
    known = {path: is_known for _, path, is_known, _ in rows}
    assert (known["fight.mp4"], known["train.mp4"]) == (False, False)
    assert sum(is_known for collection, _, is_known, _ in rows if collection == "inbox") >= 10
    assert all(novelty is not None for *_, novelty in rows)
    forget(ports, content_id("fight.mp4")[:12])
    left = "select count(*) from latest_predictions where novelty is not null"
    assert warehouse_rows(ports, left) == [(61,)]
