"""The two-sample test of feature drift on synthetic features: its size, its power, its year."""

from __future__ import annotations

import numpy as np
import pytest

from vidpipe.learning.feature_drift import (
    ALPHA,
    YEAR,
    DriftState,
    mean_distance,
    night_e_value,
    two_sample_p,
)
from vidpipe.records.videos import Floats

D = 48
MIX = np.random.default_rng(7).normal(size=(D, D))


def videos(n: int, rng: np.random.Generator, *, shift: float = 0.0, factor: float = 1.0) -> Floats:
    """Correlated features of videos; a shift is of all features, in their deviations."""
    made: Floats = (rng.normal(size=(n, D)) @ MIX * factor + shift * np.sqrt(D)).astype(np.float32)
    return made


def test_p_values_of_quiet_nights_are_no_smaller_than_chance_makes_them() -> None:
    rng = np.random.default_rng(0)
    found = np.array([two_sample_p(videos(12, rng), videos(40, rng), rng) for _ in range(150)])
    for level in (0.05, 0.2, 0.5):
        assert (found <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / len(found))
    assert (found <= 0.5).mean() > 0.35, "and hardly larger"


def test_two_nights_of_another_camera_are_an_alarm_and_one_is_none() -> None:
    rng = np.random.default_rng(1)
    state, before = DriftState(), videos(40, rng)
    for _ in range(2):
        assert not state.is_alarm
        state = state.after(night_e_value(two_sample_p(videos(20, rng, shift=1.0), before, rng), 1.0))
    assert state.is_alarm and state.e_value >= 1 / ALPHA


def test_an_e_value_is_one_on_average_and_falls_with_p() -> None:
    mean = np.mean([night_e_value(k / 20_000) for k in range(1, 20_001)])
    assert 0.8 < mean <= 1.0
    ordered = [night_e_value(x) for x in (1e-5, 1e-3, 0.1, 0.5, 1.0)]
    assert ordered == sorted(ordered, reverse=True) and ordered[-1] == 0.5
    assert night_e_value(1e-4, 1.0) == pytest.approx((night_e_value(1e-4) + 0.5) / 2)


def test_a_year_of_looking_alarms_in_one_of_twenty_at_most() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(100):
        state = DriftState()
        for p in np.maximum(rng.random(YEAR), 1e-5):
            state = state.after(night_e_value(float(p)))
            if state.is_alarm:
                alarms += 1
                break
    assert alarms <= 100 * ALPHA


def test_the_statistic_begins_anew_after_a_year() -> None:
    state = DriftState(5000.0, YEAR).after(0.5)
    assert state == DriftState(0.5, 1)


def test_features_that_never_vary_say_nothing() -> None:
    rng = np.random.default_rng(3)
    assert two_sample_p(np.ones((10, 3), np.float32), np.ones((30, 3), np.float32), rng) == 1.0


def test_the_distance_is_that_of_the_means_without_what_chance_adds() -> None:
    rng = np.random.default_rng(4)
    training = videos(400, rng)
    assert mean_distance(videos(400, rng), training) < 0.1
    assert mean_distance(training[:200] + training.std(0), training) == pytest.approx(1.0, abs=0.15)
