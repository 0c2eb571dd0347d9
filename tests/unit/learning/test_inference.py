"""Scores of many sequences: the network's own, the same bits in any company and on any number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from conftest import certain, concrete
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe import cores
from vidpipe.learning import inference
from vidpipe.learning.classifier import ClassifierConfig, LSTMVideoClassifier, build, pad
from vidpipe.learning.inference import attention, predict
from vidpipe.learning.linear import LinearHead
from vidpipe.records.videos import Floats

D, K = 5, 3
deterministic = settings(derandomize=True, deadline=None, max_examples=30)


def network(kind: str, layers: int = 1, size: int = D, hidden: int = 4, **options: object) -> torch.nn.Module:
    torch.manual_seed(layers)
    config = ClassifierConfig(kind, size, K, hidden_size=hidden, num_layers=layers, **options)  # type: ignore[arg-type]
    made = build(config)
    made.get_buffer("mean").normal_()
    made.get_buffer("deviation").uniform_(0.5, 2)
    return made.eval()


MODELS = {
    "lstm": network("lstm"),
    "two layers": network("lstm", 2),
    "mean_linear": network("mean_linear"),
    "mean": network("lstm", head="mean"),
    "max": network("lstm", head="max", bidirectional=True),
    "attention": network("lstm", head="attention"),
    "both directions": network("lstm", 2, bidirectional=True),
    "projected": network("lstm", projection=8, blocks=(3, 2)),
    "shortcut without a projection": network("lstm", shortcut=True),
    "everything": network(
        "lstm", 2, head="attention", bidirectional=True, projection=8, blocks=(1, 4), shortcut=True
    ),
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
lengths_of_videos = st.lists(st.integers(1, 20), min_size=1, max_size=12)


def sequences(lengths: list[int], size: int = D) -> list[Floats]:
    rng = np.random.default_rng(len(lengths))
    return [rng.normal(size=(length, size)).astype(np.float32) for length in lengths]


@pytest.fixture(autouse=True, scope="module")
def in_float32() -> Iterator[None]:
    """Whatever the CPU can do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "have_bfloat16", lambda: False)
        yield


@each_model
@deterministic
@given(lengths=lengths_of_videos)
def test_the_scores_are_those_of_the_network_itself(model: torch.nn.Module, lengths: list[int]) -> None:
    features = sequences(lengths)
    with torch.inference_mode():
        expected = torch.softmax(model(*pad(features)), dim=1).numpy()
    found = predict(model, features)
    assert found.shape == (len(lengths), K) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@each_model
def test_in_bfloat16_they_differ_in_the_third_digit(
    model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = sequences([7, 20, 3, 1])
    exact = predict(model, features)
    monkeypatch.setattr(cores, "have_bfloat16", lambda: True)
    rounded = predict(model, features)
    np.testing.assert_allclose(rounded, exact, rtol=0, atol=0.02)
    assert np.array_equal(rounded, exact) == (model is MODELS["mean_linear"])


@each_model
@deterministic
@given(lengths=lengths_of_videos)
def test_a_score_has_the_same_bits_whoever_else_is_asked_for(
    model: torch.nn.Module, lengths: list[int]
) -> None:
    features = sequences(lengths)
    alone = np.concatenate([predict(model, [f]) for f in features])
    np.testing.assert_array_equal(predict(model, features), alone)


FULL_SIZE = {
    "plain": {"hidden": 256},
    "everything": {
        "hidden": 128, "head": "attention", "bidirectional": True, "projection": 128, "blocks": (1000, 280),
        "shortcut": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("options", FULL_SIZE.values(), ids=FULL_SIZE)
def test_at_full_size_neither_company_nor_blocks_nor_threads_change_a_bit(
    options: dict[str, Any], bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "have_bfloat16", lambda: bfloat16)
    model, rng = network("lstm", size=1280, **options), np.random.default_rng(0)
    features = sequences([int(n) for n in rng.integers(1, 40, 150)], 1280)
    scores, before = predict(model, features), torch.get_num_threads()
    order = rng.permutation(150)
    np.testing.assert_array_equal(predict(model, [features[i] for i in order]), scores[order])
    for i in (0, 75, 149):
        np.testing.assert_array_equal(predict(model, [features[i]]), scores[i : i + 1])
    try:
        torch.set_num_threads(1)
        np.testing.assert_array_equal(predict(model, features), scores)
    finally:
        torch.set_num_threads(before)
    monkeypatch.setattr(inference, "BATCH_FRAMES", 100)
    np.testing.assert_array_equal(predict(model, features), scores)


@pytest.mark.parametrize("K", [2, 7, 70])
def test_a_linear_head_gives_the_same_bits_whoever_else_is_asked_for(K: int) -> None:
    torch.manual_seed(0)
    head = LinearHead("trend_linear", 60, K).eval()
    draw = np.random.default_rng(0)
    videos = [draw.normal(size=(T, 60)).astype(np.float32) for T in [*range(1, 80), 1, 2, 3]]
    together = predict(head, videos)
    assert np.array_equal(together, np.concatenate([predict(head, [video]) for video in videos]))
    with torch.inference_mode():
        itself = torch.stack([head(video).softmax(0) for video in videos]).numpy()
    assert np.allclose(together, itself, atol=1e-6)


@deterministic
@given(st.permutations(range(10)))
def test_scores_come_back_in_the_order_of_the_videos(order: list[int]) -> None:
    features = sequences([3, 9, 1, 4, 20, 4, 2, 7, 5, 9])
    straight = predict(MODELS["lstm"], features)
    assert len({tuple(row) for row in straight.round(5)}) == 10
    np.testing.assert_array_equal(predict(MODELS["lstm"], [features[i] for i in order]), straight[order])


def test_a_long_video_has_a_batch_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "BATCH_FRAMES", 50)
    lengths = [3, 200, 20, 20, 20, 4]
    blocks = list(inference._batches(lengths))
    assert blocks[0] == [1]
    assert sorted(i for block in blocks for i in block) == list(range(6))
    assert all(len(block) == 1 or sum(lengths[i] for i in block) <= 50 for block in blocks)


def test_attention_weighs_each_frame_and_the_weighted_states_are_what_is_scored() -> None:
    """By hand: PyTorch's states of one video, the attention layer's softmax over them."""
    model, features = concrete(MODELS["attention"], LSTMVideoClassifier), sequences([7, 1, 4])
    weights = attention(model, features)
    for f, found in zip(features, weights, strict=True):
        x = (torch.from_numpy(f) - model.mean) / model.deviation * model.config.input_scale
        with torch.no_grad():
            states = model.lstm(x[None])[0][0]
            expected = certain(model.attention)(states)[:, 0].softmax(0)
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
        assert found.sum() == pytest.approx(1, abs=1e-5)


def test_without_an_attention_head_all_frames_weigh_the_same() -> None:
    for name in ("lstm", "mean_linear"):
        assert [w.tolist() for w in attention(MODELS[name], sequences([4, 2]))] == [[0.25] * 4, [0.5] * 2]
    assert attention(MODELS["lstm"], []) == []


def test_no_video_gives_no_scores() -> None:
    assert len(predict(MODELS["lstm"], [])) == 0


def test_read_only_features_are_scored_and_left_alone() -> None:
    (features,) = sequences([4])
    before = features.copy()
    features.setflags(write=False)
    predict(MODELS["lstm"], [features])
    assert np.array_equal(features, before)
