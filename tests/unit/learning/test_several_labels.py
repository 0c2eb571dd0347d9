"""Several labels a video: sigmoids and log loss in every part, calibration and thresholds of each label."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vidpipe.label_set_metrics import mean_average_precision
from vidpipe.learning.cross_fitting import CrossFit, Fitted
from vidpipe.learning.inference import predict
from vidpipe.learning.label_decisions import best_thresholds, calibrated, platt
from vidpipe.learning.linear import PENALTIES, LinearProblem
from vidpipe.learning.objectives import Sigmoid, Softmax, objective_of
from vidpipe.learning.training import TrainingConfig
from vidpipe.learning.windows import scores_over_windows
from vidpipe.records.models import REGISTERED, Sequences

RNG = np.random.default_rng(0)
K, D = 3, 6
TRUTH = (RNG.random((90, K)) < [0.5, 0.4, 0.2]).astype(np.int64)
CENTRES = np.eye(K, D) * 2.5
FEATURES = [(t @ CENTRES + RNG.normal(size=(4, D))).astype(np.float32) for t in TRUTH]
LABELS = ("cat", "dog", "emu")


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    data = Sequences(tuple(map(str, range(60))), tuple(FEATURES[:60]), TRUTH[:60], LABELS)
    config = TrainingConfig(epochs=6, batch_videos=8, hidden_size=16, projection=16)
    training = CrossFit(data, np.arange(60) % 3, config)
    assert sum(metrics is not None for metrics in training.epochs()) == 6
    return training.fitted


def test_targets_say_which_kind_it_is() -> None:
    assert isinstance(objective_of(TRUTH), Sigmoid) and isinstance(objective_of(TRUTH[:, 0]), Softmax)


def test_every_part_gives_each_label_a_probability_of_its_own(fitted: Fitted) -> None:
    for name, part in {**fitted.parts(), REGISTERED: fitted.classifier}.items():
        given = predict(part, FEATURES[60:])
        assert mean_average_precision(TRUTH[60:], given) > (0.6 if name == "lstm" else 0.9)
        assert np.abs(given.sum(1) - 1).max() > 0.05, f"{name} gives no distribution"
    assert fitted.lstm_config.outputs == "sigmoid" and '"outputs": "sigmoid"' in fitted.lstm_config.to_json()


def test_decisions_are_of_each_label_and_each_part(fitted: Fitted) -> None:
    decisions = fitted.decisions
    assert decisions is not None and fitted.decided is not None
    assert set(decisions.thresholds) == {*fitted.parts(), REGISTERED}
    assert all(len(values) == K for values in decisions.thresholds.values())
    right = (fitted.decided == TRUTH[:60]).all(1).mean()
    assert right > 0.6, "out of fold, all labels of a video"


def test_a_video_s_scores_have_the_same_bits_whatever_it_is_scored_with(fitted: Fitted) -> None:
    together = predict(fitted.classifier, FEATURES[60:])
    alone = np.concatenate([predict(fitted.classifier, [f]) for f in FEATURES[60:]])
    assert together.tobytes() == alone.tobytes()


def test_the_linear_part_is_logistic_regression_of_each_label() -> None:
    from sklearn.linear_model import LogisticRegression

    problem = LinearProblem("mean_linear", FEATURES, TRUTH, K, balance=0.5)
    _, fits = problem.cross_fit(np.arange(90) % 3)
    number = PENALTIES.index(1e-2)
    given = predict(problem.head(fits[number]), FEATURES)
    x = np.stack([f.mean(0) for f in FEATURES])
    x = (x - x.mean(0)) / (x.std(0) + 1e-3)
    for k in range(K):
        theirs = LogisticRegression(C=1 / (2 * PENALTIES[number] * 90), tol=1e-8).fit(x, TRUTH[:, k])
        assert np.abs(theirs.predict_proba(x)[:, 1] - given[:, k]).max() < 0.02


@pytest.mark.parametrize("objective", [Softmax(), Sigmoid()])
def test_the_slope_is_the_loss_s(objective: Softmax | Sigmoid) -> None:
    logits, step = torch.tensor(RNG.normal(size=(5, K))), 1e-6
    truth = torch.tensor(np.eye(K)[[0, 1, 2, 0, 1]])
    _, slope = objective.losses(logits.clone(), truth)
    for row, column in np.ndindex(5, K):
        moved = torch.zeros_like(logits)
        moved[row, column] = step
        above, below = (objective.losses(logits + by, truth)[0].sum() for by in (moved, -moved))
        assert float(above - below) / (2 * step) == pytest.approx(float(slope[row, column]), abs=1e-6)


def test_thresholds_have_the_best_f1_of_all() -> None:
    p = np.round(RNG.random((40, K)) * 0.7 + 0.2 * TRUTH[:40], 2).astype(np.float64)

    def f1(threshold: float, k: int) -> float:
        over = p[:, k] >= threshold
        return float(2 * (over & (TRUTH[:40, k] > 0)).sum() / (over.sum() + TRUTH[:40, k].sum()))

    for k, found in enumerate(best_thresholds(p, TRUTH[:40])):
        assert f1(found, k) == pytest.approx(max(f1(t, k) for t in np.arange(0, 1, 0.005)))
    assert best_thresholds(p, np.zeros_like(TRUTH[:40])).tolist() == [0.5] * K


def test_platt_scaling_mends_overconfident_scores_and_leaves_few_videos_alone() -> None:
    logits = RNG.normal(size=(400, 2)) * 2
    truth = (RNG.random((400, 2)) < 1 / (1 + np.exp(-logits / 3 - 1))).astype(np.int64)
    scale, shift = platt(logits, truth)
    assert scale == pytest.approx([1 / 3] * 2, abs=0.12) and shift == pytest.approx([1.0] * 2, abs=0.3)
    assert calibrated(logits, (scale, shift)).mean(0) == pytest.approx(truth.mean(0), abs=0.03)
    few, shifts = platt(logits[:2], truth[:2])
    assert np.abs(few - 1).max() < 0.5 and np.abs(shifts).max() < 0.7


def test_a_video_has_the_labels_that_one_of_its_windows_has() -> None:
    several, one = scores_over_windows(True), scores_over_windows(False)
    for scores in ([0.9, 0.1, 0.0], [0.1, 0.8, 0.1]):
        several.add(np.array(scores, np.float32))
        one.add(np.array(scores, np.float32))
    assert several.value().tolist() == pytest.approx([0.9, 0.8, 0.1])
    assert one.value().tolist() == pytest.approx([0.5, 0.45, 0.05])
