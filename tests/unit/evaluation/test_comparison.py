"""Paired comparison: known probabilities, intervals that hold what they promise, groups as witnesses."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm
from sklearn.metrics import f1_score

from vidpipe.evaluation.comparison import accuracy_interval, mcnemar, paired_bootstrap

Classes = npt.NDArray[np.int64]
Triple = tuple[Classes, Classes, Classes]
"""Truth, the challenger's predictions, the champion's."""

RNG = np.random.default_rng(7)


def answered(truth: Classes, accuracy: float, K: int, seed: int) -> Classes:
    """Predictions that are right with the given probability."""
    rng = np.random.default_rng(seed)
    wrong = (truth + rng.integers(1, K, len(truth))) % K
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong)


@pytest.fixture(scope="module")
def predictions() -> Triple:
    """(truth, challenger, champion) of 600 videos with three labels."""
    truth = RNG.integers(0, 3, 600)
    return truth, answered(truth, 0.9, 3, 1), answered(truth, 0.8, 3, 2)


@pytest.mark.parametrize(
    ("mine", "theirs", "p"),
    [(8, 2, 112 / 1024), (0, 0, 1.0), (1, 1, 1.0), (5, 0, 2 / 32), (0, 10, 2 / 1024)],
)
def test_mcnemars_test_is_the_exact_two_sided_coin(mine: int, theirs: int, p: float) -> None:
    truth = np.zeros(20, np.int64)
    challenger, champion = np.zeros(20, np.int64), np.zeros(20, np.int64)
    champion[:mine] = 1
    challenger[mine : mine + theirs] = 1
    found = mcnemar(truth, challenger, champion)
    assert (found.only_challenger, found.only_champion) == (mine, theirs)
    assert found.p == pytest.approx(p)


def test_the_differences_are_those_of_scikit_learn(predictions: Triple) -> None:
    truth, challenger, champion = predictions
    found = paired_bootstrap(truth, challenger, champion, np.arange(600), 3)
    assert found.accuracy.value == pytest.approx((challenger == truth).mean() - (champion == truth).mean())
    macro = [f1_score(truth, p, average="macro") for p in (challenger, champion)]
    assert found.macro_f1.value == pytest.approx(macro[0] - macro[1])
    assert found.groups == 600


def test_labels_that_do_not_occur_do_not_count_in_macro_f1() -> None:
    truth = np.array([0, 0, 1, 1])
    found = paired_bootstrap(truth, np.array([0, 0, 1, 2]), truth, np.arange(4), 5)
    assert found.macro_f1.value == pytest.approx((1 + 2 / 3) / 2 - 1)


def test_the_interval_is_that_of_the_normal_approximation(predictions: Triple) -> None:
    truth, challenger, champion = predictions
    found = paired_bootstrap(truth, challenger, champion, np.arange(600), 3).accuracy
    gains = (challenger == truth).astype(float) - (champion == truth)
    half = norm.ppf(0.975) * gains.std() / np.sqrt(600)
    assert (found.low, found.high) == pytest.approx((gains.mean() - half, gains.mean() + half), abs=0.006)


@pytest.mark.slow
def test_the_interval_holds_the_truth_as_often_as_it_promises() -> None:
    held = 0
    for seed in range(100):
        truth = np.random.default_rng(seed).integers(0, 2, 200)
        challenger, champion = answered(truth, 0.85, 2, 1000 + seed), answered(truth, 0.8, 2, 2000 + seed)
        found = paired_bootstrap(truth, challenger, champion, np.arange(200), 2, seed=seed).accuracy
        held += found.low <= 0.05 <= found.high
    assert 89 <= held <= 100


def test_copies_within_a_group_are_no_new_witnesses(predictions: Triple) -> None:
    truth, challenger, champion = predictions
    alone = paired_bootstrap(truth, challenger, champion, np.arange(600), 3)
    a, b, c, groups = (np.repeat(x, 4) for x in (truth, challenger, champion, np.arange(600)))
    assert paired_bootstrap(a, b, c, groups, 3) == alone
    apart = paired_bootstrap(a, b, c, np.arange(2400), 3)
    width = alone.accuracy.high - alone.accuracy.low
    assert apart.accuracy.high - apart.accuracy.low == pytest.approx(width / 2, rel=0.15)


def test_the_same_seed_gives_the_same_interval(predictions: Triple) -> None:
    truth, challenger, champion = predictions
    groups = np.arange(600) % 40
    once, again = (paired_bootstrap(truth, challenger, champion, groups, 3, seed=s) for s in (1, 1))
    assert once == again
    assert once != paired_bootstrap(truth, challenger, champion, groups, 3, seed=2)


def test_a_model_against_itself_differs_by_nothing(predictions: Triple) -> None:
    truth, challenger, _ = predictions
    found = paired_bootstrap(truth, challenger, challenger, np.arange(600), 3)
    assert (found.accuracy.low, found.accuracy.high, found.macro_f1.low) == (0, 0, 0)


def test_no_videos_say_nothing() -> None:
    none = np.zeros(0, np.int64)
    found = paired_bootstrap(none, none, none, none, 2)
    assert (found.accuracy.low, found.accuracy.high, found.groups) == (-1, 1, 0)


def test_an_interval_reads_as_people_write_it(predictions: Triple) -> None:
    truth, challenger, champion = predictions
    found = paired_bootstrap(truth, champion, challenger, np.arange(600), 3).accuracy
    assert str(found) == f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    assert str(found).startswith("-0.1")


def test_the_interval_of_an_accuracy_is_wilsons_where_every_video_is_a_group_of_its_own() -> None:
    from scipy.stats import binomtest

    found = accuracy_interval(np.arange(200) % 5 > 0, np.arange(200))
    wilson = binomtest(160, 200).proportion_ci(method="wilson")
    assert found.value == 0.8
    assert [found.low, found.high] == pytest.approx([wilson.low, wilson.high], abs=0.012)


def test_the_interval_of_an_accuracy_is_wider_where_videos_come_in_groups() -> None:
    right = np.repeat(np.arange(20) % 5 > 0, 10)
    alone = accuracy_interval(right, np.arange(200))
    grouped = accuracy_interval(right, np.repeat(np.arange(20), 10))
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    assert accuracy_interval(np.ones(3, bool), np.zeros(3, np.int64)).low == 1.0
