"""The search: its draws are valid, distinct and reproducible, and it keeps to its budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe.learning.classifier import ClassifierConfig, build
from vidpipe.learning.hyperparameters import CHOICES, CROP_SHARES, LEARNING_RATES, configs, difference, within
from vidpipe.learning.training import TrainingConfig
from vidpipe.records.videos import canonical_json

DEFAULT = TrainingConfig(seed=5)


def drawn(count: int, default: TrainingConfig = DEFAULT) -> list[TrainingConfig]:
    return list(islice(configs(default), count))


def test_the_default_comes_first_and_no_config_comes_twice() -> None:
    found = drawn(500)
    assert found[0] == DEFAULT
    assert len(set(found)) == 500


def test_a_draw_that_comes_again_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = [replace(DEFAULT, hidden_size=h) for h in (64, 128, 64, 256)]  # 128 is the default's
    monkeypatch.setattr("vidpipe.learning.hyperparameters._draw", lambda default, rng: draws.pop(0))
    assert [c.hidden_size for c in drawn(3)] == [128, 64, 256]


def test_one_seed_gives_one_search_and_a_longer_one_begins_with_the_shorter() -> None:
    assert drawn(40)[:10] == drawn(10)
    others = drawn(10, replace(DEFAULT, seed=6))
    assert [replace(c, seed=5) for c in others[1:]] != drawn(10)[1:]


def test_every_draw_is_in_the_space_and_leaves_the_rest_as_it_was() -> None:
    default = replace(DEFAULT, epochs=7, batch_videos=9)
    varied = {*CHOICES, "learning_rate", "crop_share"}
    for config in drawn(300, default)[1:]:
        assert all(getattr(config, name) in values for name, values in CHOICES.items())
        assert LEARNING_RATES[0] <= config.learning_rate <= LEARNING_RATES[1]
        assert CROP_SHARES[0] <= config.crop_share <= CROP_SHARES[1]
        for field in fields(TrainingConfig):
            if field.name not in varied:
                assert getattr(config, field.name) == getattr(default, field.name)
        canonical_json(config.parameters())  # plain values: fingerprints are made of them


def test_the_default_lies_in_the_space_and_every_choice_is_met() -> None:
    found = drawn(300)[1:]
    for name, values in CHOICES.items():
        assert getattr(DEFAULT, name) in values
        assert {getattr(c, name) for c in found} == set(values)
    rates = np.log([c.learning_rate for c in found])
    assert np.mean(rates < np.mean(np.log(LEARNING_RATES))) == pytest.approx(0.5, abs=0.1), "log-uniform"


def test_every_head_and_size_of_the_space_can_be_built() -> None:
    for c in drawn(30):
        build(
            ClassifierConfig(
                "lstm", 12, 3, hidden_size=c.hidden_size, head=c.head, bidirectional=c.bidirectional,
                blocks=(8, 4), projection=c.projection, shortcut=c.shortcut,
            )
        )  # fmt: skip


def test_the_difference_names_what_differs_and_nothing_else() -> None:
    assert difference(DEFAULT, DEFAULT) == {}
    other = replace(DEFAULT, head="max", dropout=0.1)
    assert difference(other, DEFAULT) == {"head": "max", "dropout": 0.1}


# -- the budget ---------------------------------------------------------------------------------


class Clock:
    """Stands still but for what is spent."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def spent(durations: list[float], budget_s: float) -> list[float]:
    """How long each of the trials was that a budget let begin."""
    clock, done = Clock(), []

    def items() -> Iterator[float]:
        yield from durations

    for duration in within(budget_s, items(), clock):
        clock.now += duration
        done.append(duration)
    return done


@pytest.mark.parametrize(
    ("durations", "budget_s", "trials"),
    [
        ([5, 5, 5], 0, 1),  # one at least
        ([5, 5, 5], 9.9, 1),
        ([5, 5, 5], 10, 2),
        ([5, 5, 5], 100, 3),  # all there are
        ([1, 8, 1, 1], 16, 2),  # after 9 s, another of 8 s would not fit
        ([1, 8, 1, 1, 1], 18, 4),
        ([], 10, 0),
    ],
)
def test_a_trial_begins_when_one_as_long_as_the_longest_would_fit(
    durations: list[float], budget_s: float, trials: int
) -> None:
    assert spent(durations, budget_s) == durations[:trials]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(0.01, 50), min_size=1, max_size=20), st.floats(0, 200))
def test_the_budget_is_kept_but_for_a_last_trial_longer_than_any_before(
    durations: list[float], budget_s: float
) -> None:
    done = spent(durations, budget_s)
    assert done
    if len(done) > 1:
        before = sum(done[:-1])
        assert before + max(done[:-1]) <= budget_s + 1e-6
