"""Training: repeatable, keeps the best weights, stops in time, and learns what only order tells."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import certain

from vidpipe.learning import baseline, calibration, objectives, training
from vidpipe.learning.baseline import BaselineTrainer
from vidpipe.learning.calibration import EpochMetrics, Trainer, calibrate
from vidpipe.learning.classifier import Kind
from vidpipe.learning.inference import predict
from vidpipe.learning.training import LSTMTrainer, Start, TrainingConfig
from vidpipe.records.models import Sequences

D = 12
SMALL = TrainingConfig(epochs=6, hidden_size=12, projection=8, batch_videos=16, label_smoothing=0.0)


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
    rng = np.random.default_rng(seed)
    frames = [rng.normal(size=(T, D)).astype(np.float32) for T in rng.integers(1, 9, count)]
    return sequences(frames, rng.integers(0, 2, count).tolist())


def order_only(pairs: int, seed: int) -> Sequences:
    """Twins: event A then B is one label, the very same frames as B then A the other.

    A and B are two fixed random vectors; each video adds noise of its own.
    """
    A, B = np.random.default_rng(99).normal(size=(2, D))
    rng = np.random.default_rng(seed)
    features, targets = [], []
    for _ in range(pairs):
        T = int(rng.integers(2, 6))
        first, second = (e + rng.normal(0, 0.3, (T, D)) for e in (A, B))
        features += [np.concatenate(p).astype(np.float32) for p in ((first, second), (second, first))]
        targets += [0, 1]
    return sequences(features, targets)


def trained(
    kind: Kind, train: Sequences, val: Sequences, config: TrainingConfig
) -> tuple[Trainer, list[EpochMetrics]]:
    trainer = make_trainer(kind, train, val, config)
    return trainer, list(trainer.epochs())


def make_trainer(kind: Kind, train: Sequences, val: Sequences, config: TrainingConfig) -> Trainer:
    return BaselineTrainer(train, val) if kind == "mean_linear" else LSTMTrainer(train, val, config)


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


def test_the_baseline_at_the_end_is_the_best_one_by_validation_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LEAST_TO_CALIBRATE", 1000)
    monkeypatch.setattr(baseline, "PENALTIES", (1e-2, 1.0, 1e-4))
    val = noise(40, 2)
    trainer, metrics = trained("mean_linear", noise(40, 1), val, SMALL)
    losses = [certain(m.val_loss) for m in metrics]
    assert losses[-1] > min(losses) + 0.05, "the last one must not be the best, or this proves nothing"
    assert val_loss(trainer.model, val) == pytest.approx(min(losses), abs=1e-6)
    assert not trainer.model.training


def test_the_lstm_at_the_end_is_that_of_the_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LEAST_TO_CALIBRATE", 1000)
    val = noise(40, 2)
    config = replace(SMALL, epochs=30, learning_rate=0.03, dropout=0.0)
    trainer, metrics = trained("lstm", noise(40, 1), val, config)
    losses = [certain(m.val_loss) for m in metrics]
    assert losses[-1] > min(losses) + 0.05, "the last one must not be the best, or this proves nothing"
    assert val_loss(trainer.model, val) == pytest.approx(losses[-1], abs=1e-6)
    assert not trainer.model.training


def test_few_videos_are_shown_more_often() -> None:
    config = TrainingConfig()
    assert [config.epochs_for(n) for n in (6, 64, 529, 100_000)] == [120, 60, 40, 40]
    assert replace(config, epochs=3).epochs_for(6) == 3
    assert [m.epoch for m in trained("lstm", noise(20, 1), noise(10, 2), SMALL)[1]] == [1, 2, 3, 4, 5, 6]


def test_training_learns() -> None:
    data = order_only(20, 1)
    _, metrics = trained("lstm", data, data, replace(SMALL, epochs=60))
    assert metrics[-1].train_loss < metrics[0].train_loss


def test_a_crop_is_a_span_of_the_frames_and_never_too_short() -> None:
    rng = np.random.default_rng(0)
    lengths = set()
    for _ in range(200):
        frames = np.arange(20, dtype=np.float32)[:, None]
        crop = training._crop(frames, 0.5, rng)[:, 0]
        assert np.array_equal(crop, np.arange(crop[0], crop[0] + len(crop)))
        lengths.add(len(crop))
    assert min(lengths) == 10 and max(lengths) == 20
    assert len(training._crop(frames[:2], 0.1, rng)) == 2
    assert len(training._crop(frames[:4], 0.1, rng)) >= 3


def test_the_baseline_reaches_the_optimum_that_scikit_learn_reaches() -> None:
    from sklearn.linear_model import LogisticRegression

    train, val = order_only(30, 1), order_only(20, 2)
    labels = np.array([i % 3 == 0 for i in range(60)], np.int64)  # not the order: something the mean can tell
    shifted = [f + 2.0 * label for f, label in zip(train.features, labels, strict=True)]
    train = sequences([f.astype(np.float32) for f in shifted], labels.tolist())
    x = np.stack([f.mean(0) for f in train.features])
    x = (x - x.mean(0)) / (x.std(0) + 1e-3)
    best = min(
        baseline.PENALTIES,
        key=lambda p: val_loss(_fitted(train, p), val),
    )
    # loss + p |w|^2 over both rows is, with w = w1 - w0 = 2 w1, loss + p/2 |w|^2: C = 1 / (N p)
    theirs = LogisticRegression(C=1 / (60 * best), max_iter=1000, tol=1e-8).fit(x, labels)
    mine = predict(_fitted(train, best), train.features)[:, 1]
    np.testing.assert_allclose(mine, theirs.predict_proba(x)[:, 1], atol=0.01)


def _fitted(train: Sequences, penalty: float) -> torch.nn.Module:
    """The baseline with this penalty, not calibrated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baseline, "PENALTIES", (penalty,))
        patch.setattr(calibration, "LEAST_TO_CALIBRATE", 1000)
        return trained("mean_linear", train, train, SMALL)[0].model


def test_the_temperature_is_that_of_the_lowest_loss_and_changes_no_label() -> None:
    val = order_only(30, 2)
    val.targets[::5] ^= 1  # a fifth of the truth is wrong: nobody can be sure
    trainer, _ = trained("lstm", order_only(40, 1), val, replace(SMALL, epochs=30))
    model = trainer.model
    linear = model.get_submodule("linear")
    with torch.no_grad():
        linear.get_parameter("weight").mul_(3)  # too sure of itself by three times
        linear.get_parameter("bias").mul_(3)
    sure = predict(model, val.features)
    before = val_loss(model, val)
    temperature = calibrate(model, val)
    after = predict(model, val.features)
    assert temperature == pytest.approx(3.0, rel=0.06), "it was calibrated before"
    assert val_loss(model, val) < before
    assert np.array_equal(after.argmax(1), sure.argmax(1))
    assert calibrate(model, sequences(list(val.features[:4]), [0, 1, 0, 1])) == 1.0, "four say nothing"


def test_labels_with_few_videos_count_more_and_equal_ones_the_same() -> None:
    ten_and_forty = sequences([np.zeros((2, D), np.float32)] * 50, [0] * 10 + [1] * 40)
    rare, common = objectives.label_weights(ten_and_forty.targets, 2, 0.5).tolist()
    assert rare / common == pytest.approx(2), "the root of four"
    assert 10 * rare + 40 * common == pytest.approx(50)
    assert objectives.label_weights(ten_and_forty.targets, 2, 0.0).tolist() == [1, 1]
    half = sequences([np.zeros((2, D), np.float32)] * 6, [0, 1] * 3)
    assert objectives.label_weights(half.targets, 2, 1.0).tolist() == [1, 1]


def test_a_rare_label_is_found_more_often_the_more_it_counts() -> None:
    def uneven(seed: int, rare: int) -> Sequences:
        rng = np.random.default_rng(seed)
        targets = [1] * rare + [0] * (100 - rare)
        return sequences([rng.normal(t, 2, (4, D)).astype(np.float32) for t in targets], targets)

    train, val, test = uneven(1, 10), uneven(2, 10), uneven(3, 50)
    found = []
    for balance in (0.0, 1.0):
        model = trained("lstm", train, val, replace(SMALL, balance=balance, epochs=8))[0].model
        found.append(predict(model, test.features)[:50].argmax(1).mean())
    assert found[1] > found[0] + 0.1


def test_a_warm_start_knows_what_it_knew_and_takes_new_labels() -> None:
    train, val = order_only(60, 1), order_only(15, 2)
    old, _ = trained("lstm", train, val, replace(SMALL, epochs=30))
    labels = ("first", "second", "third")
    more = Sequences(train.video_ids, train.features, train.targets, labels)
    start = Start(old.model, old.architecture, ("first", "second"))
    new = LSTMTrainer(more, more, SMALL, start=start)
    assert new.architecture.num_classes == 3
    ours, theirs = (t.model.get_parameter("linear.weight") for t in (new, old))
    assert torch.equal(ours[:2], theirs) and not ours[2].any()
    for name, weight in old.model.state_dict().items():
        if not name.startswith("linear"):
            assert torch.equal(weight, new.model.state_dict()[name]), name
    known = predict(new.model, val.features)[:, :2]
    assert np.array_equal(known.argmax(1), predict(old.model, val.features).argmax(1))


def test_what_only_the_order_tells_is_learnt_by_the_lstm_and_not_by_the_mean() -> None:
    train, val, test = order_only(60, 1), order_only(15, 2), order_only(40, 3)
    config = TrainingConfig(epochs=40, hidden_size=32, projection=16)
    accuracy = {}
    for kind in ("lstm", "mean_linear"):
        trainer, _ = trained(kind, train, val, config)
        guessed = predict(trainer.model, test.features).argmax(1)
        accuracy[kind] = float((guessed == test.targets).mean())
    assert accuracy["lstm"] >= 0.95
    assert 0.4 <= accuracy["mean_linear"] <= 0.6


def test_the_yielded_validation_numbers_are_those_of_the_model_at_that_moment() -> None:
    val = noise(20, 2)
    trainer = make_trainer("lstm", noise(40, 1), val, SMALL)
    for metrics in trainer.epochs():
        assert val_loss(trainer.model, val) == pytest.approx(metrics.val_loss, abs=1e-6)
        hits = predict(trainer.model, val.features).argmax(1) == val.targets
        assert metrics.val_accuracy == pytest.approx(hits.mean())


@pytest.mark.parametrize("kind", ["lstm", "mean_linear"])
def test_features_are_standardised_by_the_frames_of_the_training_videos(kind: Kind) -> None:
    train, val = noise(40, 1), noise(20, 2)
    shifted = sequences([f * 3 + 50 for f in train.features], train.targets.tolist())
    model = make_trainer(kind, shifted, val, SMALL).model
    frames = np.concatenate(shifted.features).astype(np.float64)
    if kind == "mean_linear":
        frames = np.stack([f.mean(0) for f in shifted.features]).astype(np.float64)
    np.testing.assert_allclose(model.get_buffer("mean").numpy(), frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.get_buffer("deviation").numpy(), frames.std(0), rtol=1e-3)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    def frozen(data: Sequences) -> Sequences:
        features = [f.copy() for f in data.features]
        for f in features:
            f[:, 0] = 7.0
        return sequences(features, data.targets.tolist())

    trainer, metrics = trained("lstm", frozen(noise(40, 1)), frozen(noise(20, 2)), SMALL)
    assert all(np.isfinite([m.train_loss, certain(m.val_loss)]).all() for m in metrics)
    assert np.isfinite(predict(trainer.model, noise(5, 3).features)).all()


def test_the_network_has_the_size_that_data_and_config_ask_for() -> None:
    architecture = make_trainer("lstm", noise(4, 1), noise(4, 2), replace(SMALL, num_layers=2)).architecture
    assert (architecture.input_size, architecture.num_classes) == (D, 2)
    assert (architecture.hidden_size, architecture.num_layers) == (12, 2)


def test_all_parameters_of_a_training_are_logged() -> None:
    logged = replace(SMALL, seed=5).parameters()
    assert logged["seed"] == 5
    assert set(logged) == set(TrainingConfig.__dataclass_fields__)
