"""Linear heads, out-of-fold scores and the weights that join the parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from vidpipe import cores
from vidpipe.learning import cross_fitting
from vidpipe.learning.blend import BlendedClassifier
from vidpipe.learning.calibration import EpochMetrics
from vidpipe.learning.classifier import ClassifierConfig, LSTMVideoClassifier
from vidpipe.learning.cross_fitting import (
    NOT_WORSE,
    CrossFit,
    OutOfFold,
    choose_weights,
    chosen_penalty,
    cross_fitted,
    fit_weights,
    linear_parts,
    order_gain,
)
from vidpipe.learning.inference import predict
from vidpipe.learning.linear import (
    PENALTIES,
    STATISTICS,
    LinearHead,
    LinearName,
    LinearProblem,
    Weights,
    of_crops,
    over_time,
    thirds,
)
from vidpipe.learning.prior import PRIOR, Prior
from vidpipe.learning.training import LSTMTrainer, TrainingConfig, side_by_side
from vidpipe.records.models import FeatureLayout, Sequences
from vidpipe.records.videos import Floats

N, D, K = 30, 5, 3


@pytest.fixture
def data() -> Sequences:
    """Videos of 1 to 6 frames whose mean tells their label, one feature being constant."""
    rng = np.random.default_rng(0)
    targets = np.arange(N) % K
    features = []
    for n, label in enumerate(targets):
        x = rng.normal(size=(n % 6 + 1, D)).astype(np.float32)
        x[:, label] += 3
        x[:, 4] = 7
        features.append(x)
    return Sequences(tuple(f"{n:064d}" for n in range(N)), tuple(features), targets, ("a", "b", "c"))


def scores_of(targets: np.ndarray, right: float, seed: int) -> np.ndarray:
    """Log probabilities (n, K) that name the truth in this share of videos."""
    rng = np.random.default_rng(seed)
    given = np.where(rng.random(len(targets)) < right, targets, rng.integers(K, size=len(targets)))
    return np.log(np.eye(K)[given] * 0.8 + 0.2 / K)


def test_thirds_see_order_and_the_deviation_does_not() -> None:
    up = np.arange(9, dtype=np.float32)[:, None]
    assert thirds(up).tolist() == [1, 4, 7]
    assert thirds(up[::-1]).tolist() == [7, 4, 1]
    assert over_time(up, 2).tolist() == over_time(up[::-1], 2).tolist()


def test_the_change_tells_restless_videos_from_slow_ones_of_the_same_deviation() -> None:
    slow = np.array([0, 0, 0, 1, 1, 1], np.float32)[:, None]
    restless = np.array([0, 1, 0, 1, 0, 1], np.float32)[:, None]
    assert over_time(slow, 2).tolist() == over_time(restless, 2).tolist()
    assert over_time(slow, 3).tolist() == pytest.approx([0.5, 0.5, 0.2])
    assert over_time(restless, 3).tolist() == pytest.approx([0.5, 0.5, 1.0])
    assert over_time(slow[:1], 3).tolist() == [0, 0, 0], "one frame has no change"


def test_the_trend_turns_with_the_video_and_the_rest_does_not() -> None:
    up = np.arange(9, dtype=np.float32)[:, None]
    forwards, backwards = over_time(up, 4), over_time(up[::-1], 4)
    assert forwards[:3].tolist() == backwards[:3].tolist()
    assert (forwards[3], backwards[3]) == (6, -6)


@pytest.mark.parametrize("T", [1, 2, 4])
def test_videos_of_few_frames_have_thirds_and_a_trend_too(T: int) -> None:
    ones = np.ones((T, 2), np.float32)
    assert np.isfinite(thirds(ones)).all()
    assert over_time(ones, 4)[-2:].tolist() == [0, 0]


def on_all(problem: LinearProblem) -> list[Weights]:
    """Weights fitted on all videos, for each penalty."""
    return problem.cross_fit(np.full(N, -1))[1]


@pytest.mark.parametrize("penalty", [1.0, 1e-2])
def test_the_optimum_is_that_of_logistic_regression(data: Sequences, penalty: float) -> None:
    problem = LinearProblem("mean_linear", data.features, data.targets, K, 0.0)
    found = on_all(problem)[PENALTIES.index(penalty)]
    x = np.stack([f.mean(0) for f in data.features])
    x = (x - x.mean(0)) / (x.std(0) + 1e-3)
    theirs = LogisticRegression(C=1 / (2 * penalty * N), tol=1e-8, max_iter=2000).fit(x, data.targets)
    mine = np.exp(problem.scores(found, np.arange(N)))
    assert np.abs(mine - theirs.predict_proba(x)).max() < 2e-3  # the bias has a small penalty here


def test_the_head_gives_what_the_solution_gives_and_a_label_without_a_video_stays_finite(
    data: Sequences,
) -> None:
    problem = LinearProblem("thirds_linear", data.features, data.targets, K, 0.5)
    found = [fits[0] for fits in problem.path(data.targets[None] != 2)][2]
    scores = problem.scores(found, np.arange(N))
    assert np.isfinite(scores).all()
    given = predict(problem.head(found), data.features)
    assert np.abs(given - np.exp(scores)).max() < 1e-4


def test_a_small_kind_of_features_is_heard_beside_a_large_one() -> None:
    """Two features tell the label among 400 of noise; as a kind they have half of the variance."""
    rng = np.random.default_rng(0)
    targets = np.arange(60) % 2
    x = rng.normal(size=(60, 402))
    x[:, 400:] += 1.5 * targets[:, None]
    features = [row[None].astype(np.float32) for row in x]

    def accuracy(*blocks: int) -> float:
        problem = LinearProblem("mean_linear", features, targets, 2, 0.0, layout=FeatureLayout(blocks))
        scores = problem.cross_fit(np.arange(60) // 2 % 5)[0]
        return float((scores.argmax(2) == targets).mean(1).max())

    assert accuracy(400, 2) > accuracy(402) + 0.1


def test_the_head_of_several_kinds_gives_what_the_solution_gives(data: Sequences) -> None:
    problem = LinearProblem(
        "mean_std_linear", data.features, data.targets, K, 0.5, layout=FeatureLayout((4, 1))
    )
    found = on_all(problem)[2]
    given = predict(problem.head(found), data.features)
    assert np.abs(given - np.exp(problem.scores(found, np.arange(N)))).max() < 1e-4


def placed(N: int, seed: int, *, wandering: bool) -> tuple[list[Floats], npt.NDArray[np.int64]]:
    """Videos of two labels, four cells of ten numbers: a thing is in any cell, or in the upper left one."""
    rng = np.random.default_rng(seed)
    targets = np.arange(N) % 2
    x = rng.normal(size=(N, 1, 4, 10)).astype(np.float32)
    cell = rng.integers(4, size=N) if wandering else np.zeros(N, int)
    x[np.arange(N), 0, cell, 0] += 4.0 * targets - 2.0
    return [v.reshape(1, 40) for v in x], targets


def test_what_cells_have_in_common_counts_more_and_what_is_in_one_is_still_learnt() -> None:
    layout = FeatureLayout((40,), cells=(4,))

    def loss(common: float, *, wandering: bool) -> float:
        features, targets = placed(60, 0, wandering=wandering)
        prior = Prior(common=common)
        problem = LinearProblem("mean_linear", features, targets, 2, 0.0, layout=layout, prior=prior)
        scores = problem.cross_fit(np.arange(60) // 2 % 5)[0]
        return float(-scores[:, np.arange(60), targets].mean(1).max())

    assert loss(2.0, wandering=True) < loss(1.0, wandering=True)
    assert loss(2.0, wandering=False) < 0.5 * np.log(2)


def test_each_map_of_the_prior_is_symmetric_and_they_commute() -> None:
    layout = FeatureLayout((1, 4), MIRRORED, cells=(1, 2))
    one = np.eye(4 * 5)

    def matrix(prior: Prior) -> npt.NDArray[np.float64]:
        x = one.copy()
        prior.weigh(x, layout)
        return x

    whole = matrix(Prior(0.3, 1.4, 0.5))
    parts = [matrix(Prior(directed=0.3)), matrix(Prior(common=1.4)), matrix(Prior(trend=0.5))]
    for first, second, third in permutations(parts):
        assert np.allclose(first @ second @ third, whole)
    for found in (*parts, whole):
        assert np.allclose(found, found.T)
    assert np.array_equal(matrix(Prior()), one)
    assert np.allclose(np.diag(parts[2]), [1.0] * 15 + [0.5] * 5)
    both_cells = one[1] + one[3]
    assert np.allclose(both_cells @ parts[1], 1.4 * both_cells), "what cells share is 1.4 times itself"
    assert np.allclose((one[1] - one[3]) @ parts[1], one[1] - one[3]), "what they do not is as it was"


@pytest.mark.parametrize(
    ("means", "standard_errors", "chosen"),
    [
        ((1.0, 0.9, 0.8), 0.0, 2),
        ((1.0, 0.9, 0.8), 0.5, 2),
        ((0.81, 0.9, 0.8), 0.5, 0),
        ((1.0, 0.81, 0.8, 0.81), 0.5, 1),
    ],
)
def test_the_strongest_penalty_that_is_not_surely_worse_is_chosen(
    means: tuple[float, ...], standard_errors: float, chosen: int
) -> None:
    """Of 100 videos, with differences of 0.3 one way or the other: a standard error of 0.03."""
    rng = np.random.default_rng(0)
    noise = rng.permuted(np.tile(np.repeat([-0.3, 0.3], 50), (len(means), 1)), axis=1)
    losses = np.array(means, np.float64)[:, None] + noise * np.arange(len(means))[:, None]
    assert chosen_penalty(losses, standard_errors) == chosen


def test_a_part_that_sees_nothing_does_not_guess_with_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise of a seed at which a weak penalty has the least of six out-of-fold losses, by luck."""
    features = np.random.default_rng(8).normal(size=(120, 4, 100)).astype(np.float32)
    blind = Sequences(tuple(map(str, range(80))), tuple(features[:80]), np.arange(80) % 2, ("a", "b"))

    def confidence(standard_errors: float) -> float:
        monkeypatch.setattr(cross_fitting, "NOT_WORSE", standard_errors)
        (head,) = linear_parts(
            blind, np.arange(80) // 2 % 5, TrainingConfig(), None, ["mean_std_change_linear"]
        )[0].values()
        return float(predict(head, [*features[80:]]).max(1).mean()) - 0.5

    assert confidence(NOT_WORSE) < 0.5 * confidence(0.0)


def test_a_statistic_without_a_trend_is_not_taken_for_one() -> None:
    x = np.ones((2, 3 * 5))
    Prior(trend=0.5).weigh(x, FeatureLayout((5,)))
    assert (x == 1).all()


MIRRORED = np.array([0, 3, 4, 1, 2])
"""One feature that does not say where, two of the left, the same two of the right."""


def sided(right: bool, N: int = 60) -> tuple[list[Floats], npt.NDArray[np.int64]]:
    """Videos of two labels: something stands left or right, whatever the label; or its side is the label."""
    rng = np.random.default_rng(0)
    targets = np.arange(N) % 2
    x = rng.normal(size=(N, 1, 5)).astype(np.float32)
    side = targets if right else rng.integers(2, size=N)
    x[np.arange(N), 0, 1 + 2 * side] += 2.0 if right else 3.0 * targets - 1.5
    return list(x), targets


def test_on_videos_and_their_mirrored_copies_the_odd_half_has_no_weight() -> None:
    """So a head without it is the one that such copies teach."""
    features, targets = sided(right=False)
    both, twice = features + [x[:, MIRRORED] for x in features], np.tile(targets, 2)
    layout = FeatureLayout((1, 4), MIRRORED)

    def scores(directed: float) -> Floats:
        problem = LinearProblem(
            "mean_linear", both, twice, 2, 0.5, layout=layout, prior=Prior(directed=directed)
        )
        return predict(problem.head(problem.cross_fit(np.full(120, -1))[1][4]), both)

    assert np.abs(scores(0.0) - scores(1.0)).max() < 2e-3
    assert np.abs(scores(0.0)[:60] - scores(0.0)[60:]).max() < 1e-4


def test_a_head_that_knows_the_mirror_learns_from_fewer_videos_and_still_tells_left_from_right() -> None:
    layout = FeatureLayout((5,), MIRRORED)

    def loss(directed: float, *, right: bool) -> float:
        features, targets = sided(right=right, N=40)
        problem = LinearProblem(
            "mean_linear", features, targets, 2, 0.0, layout=layout, prior=Prior(directed=directed)
        )
        scores = problem.cross_fit(np.arange(40) // 2 % 5)[0]
        return float(-scores[:, np.arange(40), targets].mean(1).max())

    assert loss(PRIOR.directed, right=False) < loss(1.0, right=False)
    assert loss(PRIOR.directed, right=True) < 0.5 * loss(0.0, right=True)


@pytest.mark.parametrize("name", ["mean_linear", "trend_linear"])
def test_the_head_that_knows_the_mirror_gives_what_the_solution_gives(name: LinearName) -> None:
    features, targets = sided(right=False)
    layout = FeatureLayout((1, 4), MIRRORED)
    problem = LinearProblem(name, features, targets, 2, 0.5, layout=layout, prior=PRIOR)
    found = problem.cross_fit(np.full(60, -1))[1][2]
    given = predict(problem.head(found), features)
    assert np.abs(given - np.exp(problem.scores(found, np.arange(60)))).max() < 1e-4


def wandering(N: int = 40, T: int = 12) -> tuple[list[Floats], npt.NDArray[np.int64]]:
    """Videos of two labels that every frame shows, among features that drift from frame to frame."""
    rng = np.random.default_rng(0)
    targets = np.arange(N) % 2
    x = rng.normal(size=(N, 1, 60)) * 0.3 + rng.normal(size=(N, T, 60)).cumsum(1)
    x[:, :, :20] = 0.5 * targets[:, None, None] + 0.5 * rng.normal(size=(N, 1, 20))
    return list(x.astype(np.float32)), targets


def test_crops_teach_what_holds_all_the_time() -> None:
    features, targets = wandering()

    def loss(crop_share: float) -> float:
        problem = LinearProblem("mean_std_linear", features, targets, 2, 0.0, crop_share=crop_share)
        scores = problem.cross_fit(np.arange(40) // 2 % 5)[0]
        return float(-scores[:, np.arange(40), targets].mean(1).max())

    assert loss(0.75) < 0.95 * loss(1.0)


def test_crops_leave_the_order_of_the_whole_video() -> None:
    """One label rises, the other falls: means of halves, but the trend of the whole."""
    rng = np.random.default_rng(0)
    targets = np.arange(40) % 2
    ramp = np.linspace(-1, 1, 12)[:, None]
    features = [(rng.normal(size=(12, 5)) * 0.5 + (2 * y - 1) * ramp).astype(np.float32) for y in targets]
    whole = np.stack([over_time(x, 4) for x in features])
    first, last = of_crops("trend_linear", features, whole, 0.5)
    assert np.array_equal(first[:, 15:], whole[:, 15:]) and np.array_equal(last[:, 15:], whole[:, 15:])
    assert np.allclose(first[:, :5], [x[:6].mean(0) for x in features], atol=1e-6)
    assert np.allclose(last[:, :5], [x[6:].mean(0) for x in features], atol=1e-6)
    scores = LinearProblem("trend_linear", features, targets, 2, 0.0, crop_share=0.5).cross_fit(
        np.arange(40) // 2 % 5
    )[0]
    assert (scores[2].argmax(1) == targets).all()


@pytest.mark.parametrize("frames", [1, 2, 12])
def test_the_head_of_crops_gives_what_the_solution_gives(frames: int) -> None:
    features, targets = wandering(T=frames)
    problem = LinearProblem("trend_linear", features, targets, 2, 0.5, crop_share=0.75)
    found = problem.cross_fit(np.full(40, -1))[1][2]
    given = predict(problem.head(found), features)
    assert np.abs(given - np.exp(problem.scores(found, np.arange(40)))).max() < 1e-4


def test_many_videos_are_trained_on_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidpipe.learning.linear.BASIS_VIDEOS", 39)
    features, targets = wandering()
    with_crops, without = (
        LinearProblem("mean_linear", features, targets, 2, 0.5, crop_share=share) for share in (0.75, 1.0)
    )
    assert np.array_equal(with_crops.coordinates, without.coordinates)


def test_weights_from_few_videos_are_nearer_to_equal_than_from_many() -> None:
    targets = np.random.default_rng(1).integers(K, size=900)
    parts = {"one": scores_of(targets, 0.9, 2), "other": scores_of(targets, 0.2, 3)}

    def share(n: int) -> float:
        some = OutOfFold({name: z[:n] for name, z in parts.items()}, targets[:n], np.arange(n) % 5)
        weights = fit_weights(some)
        return weights["one"] / sum(weights.values())

    assert 0.5 < share(30) < share(900) - 0.05


def test_weights_are_equal_until_learnt_ones_are_surely_better() -> None:
    targets = np.random.default_rng(1).integers(K, size=100)
    folds = np.arange(100) % 5

    def weights(*knowledge: float) -> list[float]:
        parts = {f"part {n}": scores_of(targets, share, n) for n, share in enumerate(knowledge)}
        return list(choose_weights(OutOfFold(parts, targets, folds)).values())

    alike = weights(0.75, 0.7, 0.7)
    assert max(alike) - min(alike) < 1e-3
    wins = weights(0.98, 0.2, 0.2)
    assert wins[0] > 0.6 * sum(wins)


@pytest.mark.parametrize(("lstm", "first", "share"), [(0.5, 0.75, 0.0), (0.0, 0.9, 0.0), (0.75, 0.75, 1 / 3)])
def test_the_lstm_joins_the_linear_parts_where_they_forecast_better_with_it(
    lstm: float, first: float, share: float
) -> None:
    targets, folds = np.random.default_rng(1).integers(K, size=150), np.arange(150) % 5
    knowledge = {"mean_std_change_linear": first, "trend_linear": 0.7, "lstm": lstm}
    parts = {name: scores_of(targets, share, n) for n, (name, share) in enumerate(knowledge.items())}
    weights = choose_weights(OutOfFold(parts, targets, folds))
    assert list(weights) == list(knowledge) and weights["mean_std_change_linear"] > 0
    assert weights["lstm"] / sum(weights.values()) == pytest.approx(share, abs=1e-3)


def test_an_lstm_that_alone_sees_what_matters_has_most_of_the_weight() -> None:
    targets, folds = np.random.default_rng(1).integers(K, size=150), np.arange(150) % 5
    knowledge = {"mean_std_change_linear": 0.1, "trend_linear": 0.1, "lstm": 0.97}
    parts = {name: scores_of(targets, share, n) for n, (name, share) in enumerate(knowledge.items())}
    weights = choose_weights(OutOfFold(parts, targets, folds))
    assert weights["lstm"] > 0.6 * sum(weights.values())
    alone = choose_weights(OutOfFold({"lstm": parts["lstm"]}, targets, folds))
    assert set(alone) == {"lstm"} and alone["lstm"] > 0


@pytest.mark.parametrize(("lstm", "matters"), [(0.95, True), (0.6, False), (0.1, False)])
def test_order_matters_where_a_part_that_sees_it_forecasts_surely_better(lstm: float, matters: bool) -> None:
    targets = np.random.default_rng(1).integers(K, size=120)
    knowledge = {"mean_linear": 0.2, "mean_std_change_linear": 0.6, "trend_linear": 0.55, "lstm": lstm}
    parts = {name: scores_of(targets, share, n) for n, (name, share) in enumerate(knowledge.items())}
    gain, error = order_gain(OutOfFold(parts, targets, np.arange(120) % 5))
    assert error > 0 and (gain > 2 * error) == matters


def test_a_part_that_knows_nothing_has_no_weight_and_two_alike_share() -> None:
    targets = np.random.default_rng(1).integers(K, size=400)
    good, noise = scores_of(targets, 0.9, 2), scores_of(targets, 0.0, 3)
    folds = np.arange(400) % 5
    weights = fit_weights(OutOfFold({"good": good, "noise": noise}, targets, folds))
    assert weights["noise"] == 0
    assert weights["good"] > 0.5
    alike = fit_weights(OutOfFold({"one": good, "other": good.copy()}, targets, folds))
    assert alike["one"] == pytest.approx(alike["other"], rel=1e-3)


def test_out_of_fold_scores_of_the_blend_never_use_their_own_fold() -> None:
    targets = np.random.default_rng(1).integers(K, size=60)
    parts = {"one": scores_of(targets, 0.8, 2), "other": scores_of(targets, 0.5, 3)}
    folds = np.arange(60) % 3
    before = cross_fitted(OutOfFold(parts, targets, folds))
    other_truth = np.where(folds == 0, (targets + 1) % K, targets)
    after = cross_fitted(OutOfFold(parts, other_truth, folds))
    assert np.array_equal(before[folds == 0], after[folds == 0])
    assert not np.array_equal(before[folds == 1], after[folds == 1])


def blended(features: tuple[Floats, ...]) -> BlendedClassifier:
    torch.manual_seed(0)
    lstm = LSTMVideoClassifier(ClassifierConfig("lstm", features[0].shape[1], K, hidden_size=4))
    heads: dict[str, LinearHead] = {name: LinearHead(name, features[0].shape[1], K) for name in STATISTICS}
    weights = dict.fromkeys(STATISTICS, 0.0) | {"mean_std_linear": 0.7, "thirds_linear": 0.4, "lstm": 0.5}
    return BlendedClassifier(lstm, heads, weights).eval()


def test_scores_of_a_blend_have_the_same_bits_whoever_else_is_asked_for(data: Sequences) -> None:
    model = blended(data.features)
    together = predict(model, data.features)
    assert np.array_equal(together, np.concatenate([predict(model, [f]) for f in data.features]))
    assert np.allclose(together.sum(1), 1, atol=1e-5)
    assert set(model.heads) == {"mean_std_linear", "thirds_linear"}, "a weight of 0 costs nothing"


def test_a_cross_fit_scores_every_video_once_and_gives_the_same_for_a_seed(data: Sequences) -> None:
    config = TrainingConfig(epochs=2, hidden_size=4, projection=0, shortcut=False, head="last")
    found = []
    for _ in range(2):
        training = CrossFit(data, np.arange(N) // 3 % 3, config)
        assert len(list(training.epochs())) == training.planned == 8
        found.append(training.fitted)
    assert found[0].held_out.tolist() == list(range(N))
    assert (found[0].probabilities.argmax(1) == data.targets).mean() > 0.8
    assert found[0].weights == found[1].weights
    one, other = (predict(f.classifier, data.features) for f in found)
    assert np.array_equal(one, other)


def test_a_cross_fit_has_the_same_bits_on_any_number_of_cores(data: Sequences) -> None:
    config = TrainingConfig(epochs=2, hidden_size=4, projection=3)

    def scores() -> Floats:
        training = CrossFit(data, np.arange(N) // 3 % 3, config)
        list(training.epochs())
        return predict(training.fitted.classifier, data.features)

    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.rand(threads)  # the state that others leave behind must not matter
            found.append(scores())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_an_error_in_one_training_stops_all_and_is_raised(
    data: Sequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []

    def epochs(trainer: LSTMTrainer) -> Iterator[EpochMetrics]:
        for epoch in range(1, 10_000):
            shown.append(trainer)
            if trainer.config.seed == 1:
                raise MemoryError("no more")
            yield EpochMetrics(epoch, 0.0, 1.0)

    monkeypatch.setattr(LSTMTrainer, "epochs", epochs)
    small = TrainingConfig(hidden_size=4, projection=0)
    trainers = [LSTMTrainer(data, None, replace(small, seed=seed)) for seed in (0, 1, 2)]
    with pytest.raises(MemoryError, match="no more"):
        list(side_by_side(trainers))
    assert len(shown) < 20_000, "the others go on no longer"


def test_a_given_val_split_chooses_and_nothing_else_is_held_out(data: Sequences) -> None:
    folds = np.full(N, -1)
    folds[:9] = 0
    config = TrainingConfig(epochs=1, hidden_size=4, projection=0, shortcut=False, head="last")
    training = CrossFit(data, folds, config, linear=False)
    list(training.epochs())
    assert training.fitted.held_out.tolist() == list(range(9))
    assert {k for k, w in training.fitted.weights.items() if w > 0} == {"lstm"}


def test_linear_heads_have_the_same_bits_for_any_number_of_threads(data: Sequences) -> None:
    def head() -> np.ndarray:
        with cores.one_thread():
            problem = LinearProblem("mean_std_linear", data.features, data.targets, K, 0.5)
            return problem.head(on_all(problem)[2]).linear.weight.detach().numpy()

    before = torch.get_num_threads()
    found = head()
    torch.set_num_threads(1 if before > 1 else 2)
    try:
        assert np.array_equal(found, head())
    finally:
        torch.set_num_threads(before)
