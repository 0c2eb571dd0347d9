"""Scores, held to scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from vidpipe.metrics import calibration_error, confusion_matrix, graded, scores

deterministic = settings(derandomize=True, deadline=None, max_examples=60)

answers = st.integers(2, 6).flatmap(
    lambda K: st.tuples(
        st.just(K),
        st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, K - 1)), min_size=1, max_size=60),
    )
)
"""(K, pairs of true and predicted index); some labels may occur on one side only, or on none."""


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = np.array(pairs, np.int64).reshape(-1, 2).T
    return truth, predicted


@deterministic
@given(answers)
def test_the_confusion_matrix_is_that_of_scikit_learn(answer: tuple[int, list[tuple[int, int]]]) -> None:
    K, (truth, predicted) = answer[0], columns(answer[1])
    expected = sklearn_metrics.confusion_matrix(truth, predicted, labels=range(K))
    assert np.array_equal(confusion_matrix(truth, predicted, K), expected)


@deterministic
@given(answers)
def test_accuracy_and_scores_of_each_label_are_those_of_scikit_learn(
    answer: tuple[int, list[tuple[int, int]]],
) -> None:
    K, (truth, predicted) = answer[0], columns(answer[1])
    labels = [f"label {k}" for k in range(K)]
    found = scores(truth, predicted, labels)
    expected = sklearn_metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(K), zero_division=0
    )
    assert list(found.per_label) == labels
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [found.per_label[label][name] for label in labels] == pytest.approx(list(values))
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert found.n == len(truth)


@deterministic
@given(answers)
def test_macro_f1_is_the_mean_over_the_labels_that_occur_in_truth(
    answer: tuple[int, list[tuple[int, int]]],
) -> None:
    K, (truth, predicted) = answer[0], columns(answer[1])
    expected = sklearn_metrics.f1_score(
        truth, predicted, labels=np.unique(truth), average="macro", zero_division=0
    )
    assert scores(truth, predicted, [str(k) for k in range(K)]).macro_f1 == pytest.approx(expected)


def test_a_label_that_is_absent_from_truth_is_listed_but_does_not_lower_macro_f1() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    found = scores(truth, predicted, ["a", "b", "never seen"])
    assert found.macro_f1 == 1.0
    assert found.per_label["never seen"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_guessing_an_absent_label_costs_the_label_that_was_missed() -> None:
    found = scores(np.array([0, 0, 1, 1]), np.array([2, 0, 1, 1]), ["a", "b", "c"])
    assert found.per_label["a"]["recall"] == 0.5
    assert found.accuracy == 0.75
    assert found.macro_f1 == pytest.approx((2 / 3 + 1) / 2)


def test_rows_of_the_matrix_are_true_labels_and_columns_predicted_ones() -> None:
    matrix = confusion_matrix(np.array([0, 0, 0]), np.array([1, 1, 0]), 2)
    assert matrix.tolist() == [[1, 2], [0, 0]]


def test_no_video_scores_zero_and_is_not_a_crash() -> None:
    nothing = np.zeros(0, np.int64)
    found = scores(nothing, nothing, ["a", "b"])
    assert (found.n, found.accuracy, found.macro_f1) == (0, 0.0, 0.0)


def test_scores_are_plain_numbers_that_json_takes() -> None:
    found = scores(np.array([0, 1]), np.array([0, 0]), ["a", "b"])
    values = [found.accuracy, found.macro_f1, *(v for s in found.per_label.values() for v in s.values())]
    assert {type(v) for v in values} == {float, int}


def test_calibration_error_is_the_gap_between_score_and_share_of_right_answers() -> None:
    right = np.array([True, True, False, False, True])
    scores = np.array([0.95, 0.95, 0.95, 0.95, 0.55], np.float32)
    assert calibration_error(right, scores) == pytest.approx(0.8 * 0.45 + 0.2 * 0.45, abs=1e-6)
    assert calibration_error(np.ones(4, bool), np.ones(4, np.float32)) == 0
    assert calibration_error(np.zeros(0, bool), np.zeros(0, np.float32)) == 0


def test_graded_probabilities_are_scored_by_their_best_and_their_three_best() -> None:
    rng = np.random.default_rng(0)
    given = rng.dirichlet(np.ones(6), 200).astype(np.float32)
    truth = rng.integers(0, 6, 200)
    labels = list("abcdef")
    found = graded(truth, given, labels)
    assert found.accuracy == scores(truth, given.argmax(1), labels).accuracy
    expected = sklearn_metrics.top_k_accuracy_score(truth, given, k=3, labels=range(6))
    assert found.top_3 == pytest.approx(expected)
    assert found.calibration_error == calibration_error(given.argmax(1) == truth, given.max(1))
    assert graded(truth % 2, given[:, :2], ["a", "b"]).top_3 == 1.0
