"""What is picked: the useful first, and of what looks alike few."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidpipe.evaluation.active_learning import pick


def test_the_most_useful_comes_first_and_its_copy_last() -> None:
    means = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], np.float32)

    assert pick([0.9, 0.8, 0.3, 0.4], means, 4)[:3] == [0, 3, 2]
    assert pick([0.9, 0.8, 0.3, 0.4], means, 4)[3] == 1


def test_where_all_look_alike_usefulness_decides_and_where_all_are_useful_distance_does() -> None:
    assert pick([0.1, 0.5, 0.3], np.ones((3, 4), np.float32), 2) == [1, 2]
    line = np.array([[0.0, 1], [0.1, 1], [5, 1], [0.2, 1]], np.float32)
    assert set(pick([0.5] * 4, line, 2)) == {0, 2}


@given(st.lists(st.floats(0.01, 1.5), min_size=1, max_size=12), st.integers(1, 20), st.integers(0, 999))
def test_as_many_as_asked_for_each_once(usefulness: list[float], limit: int, seed: int) -> None:
    means = np.random.default_rng(seed).random((len(usefulness), 3), np.float32)

    picked = pick(usefulness, means, limit)

    assert len(picked) == len(set(picked)) == min(limit, len(usefulness))
    assert usefulness[picked[0]] == max(usefulness)
