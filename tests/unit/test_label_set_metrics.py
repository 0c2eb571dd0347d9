"""Multi-label metrics are scikit-learn's, also with weights, ties and labels that no video has."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from vidpipe.label_set_metrics import average_precisions, label_set_scores, mean_average_precision

RNG = np.random.default_rng(0)
TRUTH = (RNG.random((80, 4)) < [0.5, 0.3, 0.1, 0.05]).astype(np.int64)
GIVEN = np.round(0.6 * RNG.random((80, 4)) + 0.3 * TRUTH, 1).astype(np.float32)
"""With many ties."""
LABELS = ("a", "b", "c", "d")
THRESHOLDS = (0.5, 0.4, 0.6, 0.55)


def test_average_precision_with_ties_and_weights_is_scikit_learn_s() -> None:
    weights = RNG.integers(0, 4, (3, 80)).astype(float)
    found = average_precisions(TRUTH, GIVEN, weights)
    for draw, w in enumerate(weights):
        expected = [average_precision_score(TRUTH[:, k], GIVEN[:, k], sample_weight=w) for k in range(4)]
        assert found[draw] == pytest.approx(expected)


def test_scores_of_label_sets_are_scikit_learn_s() -> None:
    found = label_set_scores(TRUTH, GIVEN, THRESHOLDS, LABELS)
    over = np.asarray(np.asarray(THRESHOLDS, np.float32) <= GIVEN)
    assert found.macro_f1 == pytest.approx(f1_score(TRUTH, over, average="macro"))
    assert found.micro_f1 == pytest.approx(f1_score(TRUTH, over, average="micro"))
    assert found.mean_average_precision == pytest.approx(average_precision_score(TRUTH, GIVEN))
    assert found.accuracy == pytest.approx((over == TRUTH).all(1).mean())
    assert (found.headline, found.measure) == (found.mean_average_precision, "mAP")
    assert found.per_label["c"]["support"] == TRUTH[:, 2].sum()


def test_labels_that_no_video_has_do_not_count() -> None:
    truth = TRUTH.copy()
    truth[:, 3] = 0
    found = label_set_scores(truth, GIVEN, THRESHOLDS, LABELS)
    assert found.mean_average_precision == pytest.approx(mean_average_precision(truth[:, :3], GIVEN[:, :3]))
    assert found.per_label["d"]["average_precision"] == 0.0
