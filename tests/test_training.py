"""Training: repeatable, keeps the best weights, stops in time, and learns what only order tells."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from vidpipe.classifier import Kind
from vidpipe.inference import predict
from vidpipe.records import Sequences
from vidpipe.training import EpochMetrics, Trainer, TrainingConfig

D = 12
SMALL = TrainingConfig(epochs=6, hidden_size=12, batch_videos=16)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sequences(features: list[np.ndarray], targets: list[int]) -> Sequences:
    ids = tuple(f"{k:064x}" for k in range(len(features)))
    return Sequences(ids, tuple(features), np.array(targets, np.int64), ("first", "second"))


def noise(count: int, seed: int) -> Sequences:
    """Nothing to learn: random frames with random labels."""
    dice = np.random.default_rng(seed)
    frames = [dice.normal(size=(T, D)).astype(np.float32) for T in dice.integers(1, 9, count)]
    return sequences(frames, dice.integers(0, 2, count).tolist())


def order_only(pairs: int, seed: int) -> Sequences:
    """Twins: event A then B is one label, the very same frames as B then A the other.

    A and B are two fixed random vectors; each video adds noise of its own.
    """
    A, B = np.random.default_rng(99).normal(size=(2, D))
    dice = np.random.default_rng(seed)
    features, targets = [], []
    for _ in range(pairs):
        T = int(dice.integers(2, 6))
        first, second = (e + dice.normal(0, 0.3, (T, D)) for e in (A, B))
        features += [np.concatenate(p).astype(np.float32) for p in ((first, second), (second, first))]
        targets += [0, 1]
    return sequences(features, targets)


def trained(
    kind: Kind, train: Sequences, val: Sequences, config: TrainingConfig
) -> tuple[Trainer, list[EpochMetrics]]:
    trainer = Trainer(kind, train, val, config)
    return trainer, list(trainer.epochs())


def val_loss(model: torch.nn.Module, val: Sequences) -> float:
    """Cross entropy, in plain numpy."""
    scores = predict(model, val.features).astype(np.float64)
    return float(-np.log(scores[np.arange(len(val)), val.targets]).mean())


@pytest.mark.parametrize("kind", ["lstm", "mean_linear"])
def test_one_seed_gives_the_same_metrics_and_the_same_weights(kind: Kind) -> None:
    train, val = noise(40, 1), noise(20, 2)
    torch.rand(7)  # the state that others leave behind must not matter
    one, first = trained(kind, train, val, SMALL)
    torch.rand(3)
    other, second = trained(kind, train, val, SMALL)
    assert first == second
    weights = other.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in one.model.state_dict().items())


def test_another_seed_gives_other_weights() -> None:
    train, val = noise(40, 1), noise(20, 2)
    _, first = trained("lstm", train, val, SMALL)
    _, second = trained("lstm", train, val, replace(SMALL, seed=1))
    assert first != second


@pytest.mark.parametrize("kind", ["lstm", "mean_linear"])
def test_the_model_at_the_end_is_the_best_one_by_validation_loss(kind: Kind) -> None:
    train, val = noise(40, 1), noise(40, 2)
    config = replace(SMALL, epochs=30, learning_rate=0.03, dropout=0.0, patience=30)
    trainer, metrics = trained(kind, train, val, config)
    losses = [m.val_loss for m in metrics]
    best = min(losses)
    assert losses[-1] > best + 0.05, "the last epoch must not be the best one, or this proves nothing"
    assert val_loss(trainer.model, val) == pytest.approx(best, abs=1e-6)
    assert not trainer.model.training


def test_training_stops_when_patience_ends() -> None:
    config = replace(SMALL, epochs=60, learning_rate=0.03, dropout=0.0, patience=4)
    _, metrics = trained("lstm", noise(40, 1), noise(40, 2), config)
    losses = [m.val_loss for m in metrics]
    assert len(metrics) == losses.index(min(losses)) + 1 + 4
    assert len(metrics) < 60


def test_training_goes_to_the_last_epoch_while_it_gets_better() -> None:
    data = order_only(20, 1)
    _, metrics = trained("lstm", data, data, replace(SMALL, epochs=10, patience=4))
    assert [m.epoch for m in metrics] == list(range(1, 11))
    assert metrics[-1].train_loss < metrics[0].train_loss


def test_what_only_the_order_tells_is_learnt_by_the_lstm_and_not_by_the_mean() -> None:
    train, val, test = order_only(60, 1), order_only(15, 2), order_only(40, 3)
    config = TrainingConfig(epochs=40, hidden_size=32, learning_rate=3e-3)
    accuracy = {}
    for kind in ("lstm", "mean_linear"):
        trainer, _ = trained(kind, train, val, config)
        guessed = predict(trainer.model, test.features).argmax(1)
        accuracy[kind] = float((guessed == test.targets).mean())
    assert accuracy["lstm"] >= 0.95
    assert 0.4 <= accuracy["mean_linear"] <= 0.6


def test_the_yielded_validation_numbers_are_those_of_the_model_at_that_moment() -> None:
    val = noise(20, 2)
    trainer = Trainer("lstm", noise(40, 1), val, SMALL)
    for metrics in trainer.epochs():
        assert val_loss(trainer.model, val) == pytest.approx(metrics.val_loss, abs=1e-6)
        hits = predict(trainer.model, val.features).argmax(1) == val.targets
        assert metrics.val_accuracy == pytest.approx(hits.mean())


@pytest.mark.parametrize("kind", ["lstm", "mean_linear"])
def test_features_are_standardised_by_the_frames_of_the_training_videos(kind: Kind) -> None:
    train, val = noise(40, 1), noise(20, 2)
    shifted = sequences([f * 3 + 50 for f in train.features], train.targets.tolist())
    model = Trainer(kind, shifted, val, SMALL).model
    frames = np.concatenate(shifted.features).astype(np.float64)
    np.testing.assert_allclose(model.get_buffer("mean").numpy(), frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.get_buffer("deviation").numpy(), frames.std(0), rtol=1e-3)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    def frozen(data: Sequences) -> Sequences:
        features = [f.copy() for f in data.features]
        for f in features:
            f[:, 0] = 7.0
        return sequences(features, data.targets.tolist())

    trainer, metrics = trained("lstm", frozen(noise(40, 1)), frozen(noise(20, 2)), SMALL)
    assert all(np.isfinite([m.train_loss, m.val_loss]).all() for m in metrics)
    assert np.isfinite(predict(trainer.model, noise(5, 3).features)).all()


def test_the_network_has_the_size_that_data_and_config_ask_for() -> None:
    architecture = Trainer("lstm", noise(4, 1), noise(4, 2), replace(SMALL, num_layers=2)).architecture
    assert (architecture.input_size, architecture.num_classes) == (D, 2)
    assert (architecture.hidden_size, architecture.num_layers) == (12, 2)


def test_all_parameters_of_a_training_are_logged() -> None:
    logged = replace(SMALL, seed=5).parameters()
    assert logged["seed"] == 5
    assert set(logged) == set(TrainingConfig.__dataclass_fields__)
