"""The simulation of benchmarks/executors.py obeys arithmetic where arithmetic knows the answer."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.executors import Costs, cut, made_up, simulate

CALM = Costs(sample_s=0.01, commit_s=0, task_s=0, straggle_share=0, deaths_an_hour=0)


def test_twice_the_workers_take_half_the_time_until_there_are_no_more_cores() -> None:
    shards = np.full(2000, 100.0)  # a second each
    one, two, four = (simulate(shards, n, CALM).seconds for n in (1, 2, 4))
    assert one == pytest.approx(2000, rel=0.02)
    assert two == pytest.approx(one / 2, rel=0.02) and four == pytest.approx(one / 4, rel=0.02)
    assert simulate(shards, 4, CALM, cores=2).seconds == pytest.approx(two, rel=0.02)


def test_a_run_that_hands_out_slower_than_workers_compute_is_what_all_wait_for() -> None:
    slow = Costs(sample_s=0.01, commit_s=0.5, task_s=0.5, straggle_share=0, deaths_an_hour=0)
    night = simulate(np.full(500, 100.0), 10, slow)  # a second to compute, a second to handle
    assert night.seconds == pytest.approx(501, rel=0.02)
    assert night.run_busy > 0.98 and night.workers_busy == pytest.approx(0.1, rel=0.1)


def test_deaths_and_stragglers_cost_time_and_are_counted() -> None:
    shards = np.full(400, 100.0)
    calm = simulate(shards, 20, CALM)
    rough = simulate(shards, 20, Costs(0.01, 0, 0, straggle_share=0.1, deaths_an_hour=100))
    assert rough.lost > 0 and rough.second_copies > 0 and calm.lost == calm.second_copies == 0
    assert calm.seconds < rough.seconds < 3 * calm.seconds


def test_shards_hold_all_videos_and_made_up_ones_cost_what_videos_cost() -> None:
    videos = made_up(10_000)
    shards = cut(videos, 4096)
    assert shards.sum() == pytest.approx(videos.sum())
    assert np.median(shards) == pytest.approx(4096, rel=0.3)
    assert 4 < np.median(videos) / 60 < 30, "a minute: 240 samples, and 700 to 1,500 megapixels"
