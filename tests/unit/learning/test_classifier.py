"""The networks, held to their equations in plain numpy; padding and neighbours change nothing."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch.nn.utils.rnn import pack_padded_sequence

from vidpipe.learning.classifier import (
    ClassifierConfig,
    LSTMVideoClassifier,
    MeanLinearClassifier,
    build,
    pack,
    pad,
)
from vidpipe.learning.inference import predict

deterministic = settings(derandomize=True, deadline=None, max_examples=25)

D, H, K = 5, 7, 3


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def lstm(num_layers: int = 1, dropout: float = 0.0) -> LSTMVideoClassifier:
    """A network with random weights and statistics, ready to score."""
    torch.manual_seed(num_layers)
    config = ClassifierConfig("lstm", D, K, hidden_size=H, num_layers=num_layers, dropout=dropout)
    model = LSTMVideoClassifier(config)
    _draw_statistics(model)
    return model.eval()


def mean_linear() -> MeanLinearClassifier:
    torch.manual_seed(0)
    model = MeanLinearClassifier(D, K)
    _draw_statistics(model)
    return model.eval()


def _draw_statistics(model: torch.nn.Module) -> None:
    model.get_buffer("mean").copy_(torch.randn(D))
    model.get_buffer("deviation").copy_(0.5 + torch.rand(D))


def sequences(lengths: Sequence[int], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0.3, 2.0, (T, D)).astype(np.float32) for T in lengths]


# -- the equations --------------------------------------------------------------------------------


def logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def last_hidden_state_of_one_layer(xs: np.ndarray, model: LSTMVideoClassifier, layer: int) -> np.ndarray:
    """h_1 … h_T, step by step, as the equations in the module docstring say.

    PyTorch keeps the weights of x and of h apart, its gates in the order i, f, g, o, and two biases.
    """
    weights = {n: p.detach().numpy() for n, p in model.lstm.named_parameters()}
    of_x, of_h = weights[f"weight_ih_l{layer}"], weights[f"weight_hh_l{layer}"]
    W_i, W_f, W_c, W_o = np.split(np.concatenate([of_h, of_x], axis=1), 4)  # each (H, H + inputs)
    b_i, b_f, b_c, b_o = np.split(weights[f"bias_ih_l{layer}"] + weights[f"bias_hh_l{layer}"], 4)
    h, c, states = np.zeros(H), np.zeros(H), []
    for x in xs:
        hx = np.concatenate([h, x])
        f = logistic(W_f @ hx + b_f)
        i = logistic(W_i @ hx + b_i)
        g = np.tanh(W_c @ hx + b_c)
        c = f * c + i * g
        o = logistic(W_o @ hx + b_o)
        h = o * np.tanh(c)
        states.append(h)
    return np.array(states)


def logits_by_hand(features: np.ndarray, model: LSTMVideoClassifier) -> np.ndarray:
    xs = (features - model.mean.numpy()) / model.deviation.numpy() * model.config.input_scale
    for layer in range(model.lstm.num_layers):
        xs = last_hidden_state_of_one_layer(xs, model, layer)
    return np.asarray(model.linear.weight.detach().numpy() @ xs[-1] + model.linear.bias.detach().numpy())


@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_lstm_follows_its_equations_up_to_the_last_valid_step(num_layers: int) -> None:
    model = lstm(num_layers, dropout=0.4).double()  # eval: dropout is off
    features = [f.astype(np.float64) for f in sequences([1, 4, 9, 2, 9])]
    x = torch.full((5, 9, D), 1e3, dtype=torch.float64)  # padding that would be noticed
    for row, one in zip(x, features, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    with torch.inference_mode():
        logits = model(x, torch.tensor([len(f) for f in features])).numpy()
    expected = np.array([logits_by_hand(f, model) for f in features])
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-12)
    assert np.ptp(expected, axis=0).min() > 1e-3  # the five are not all the same


def test_scores_are_the_softmax_of_the_logits() -> None:
    model, features = lstm(), sequences([3, 8])
    logits = np.array([logits_by_hand(f.astype(np.float64), model) for f in features])
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(
        predict(model, features), expected, rtol=0, atol=1e-4
    )  # bfloat16, where the CPU has it


def test_the_lstm_hears_the_order_of_frames() -> None:
    (features,) = sequences([6])
    one, other = predict(lstm(), [features, features[::-1].copy()])
    assert np.abs(one - other).max() > 1e-3


def test_dropout_acts_in_training_only() -> None:
    model, (x, lengths) = lstm(dropout=0.5), pad(sequences([6, 3]))
    with torch.inference_mode():
        assert torch.equal(model(x, lengths), model(x, lengths))
        model.train()
        assert not torch.equal(model(x, lengths), model(x, lengths))


# -- mean + linear --------------------------------------------------------------------------------


def test_mean_linear_is_a_linear_layer_on_the_standardised_mean() -> None:
    model, features = mean_linear(), sequences([1, 4, 9])
    x, lengths = pad(features)
    x[1, 4:] = 1e3  # padding that would be noticed
    means = np.array([f.mean(0, dtype=np.float64) for f in features])
    standard = (means - model.mean.numpy()) / model.deviation.numpy()
    expected = standard @ model.linear.weight.detach().numpy().T + model.linear.bias.detach().numpy()
    with torch.inference_mode():
        np.testing.assert_allclose(model(x, lengths).numpy(), expected, rtol=0, atol=1e-5)


def test_mean_linear_ignores_the_order_of_frames() -> None:
    features = sequences([12, 7])
    shuffled = [np.random.default_rng(1).permutation(f) for f in features]
    assert not np.array_equal(shuffled[0], features[0])
    np.testing.assert_allclose(
        predict(mean_linear(), shuffled), predict(mean_linear(), features), rtol=0, atol=1e-6
    )


# -- padding, neighbours, order -------------------------------------------------------------------


def test_padding_lies_behind_and_is_zero() -> None:
    features = sequences([2, 4])
    x, lengths = pad(features)
    assert lengths.tolist() == [2, 4]
    assert np.array_equal(x[0, :2].numpy(), features[0])
    assert not x[0, 2:].any()


def test_input_dropout_drops_the_same_features_in_all_frames_of_a_video() -> None:
    config = ClassifierConfig("lstm", 400, K, hidden_size=H, input_dropout=0.25)
    model = LSTMVideoClassifier(config).train()
    torch.manual_seed(3)
    kept = model._kept(torch.tensor([3, 2, 2]))  # three videos of 3, 3 and 1 frames
    first = [kept[0], kept[3], kept[5]]
    assert all(torch.equal(mask, first[0]) for mask in first)
    assert not torch.equal(kept[0], kept[1])
    assert torch.unique(kept).tolist() == pytest.approx([0.0, 1 / 0.75])
    assert (kept == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)


def test_kind_dropout_drops_whole_kinds_but_never_the_first() -> None:
    config = ClassifierConfig(
        "lstm", 9, K, hidden_size=H, input_dropout=0.0, kind_dropout=0.4, blocks=(4, 3, 2)
    )
    model = LSTMVideoClassifier(config).train()
    torch.manual_seed(0)
    kept = model._kept(torch.tensor([500, 500]))
    assert torch.equal(kept[:500], kept[500:]) and set(torch.unique(kept).tolist()) == {0.0, 1.0}
    assert (kept[:, :4] == 1).all()
    for span in (slice(4, 7), slice(7, 9)):
        assert torch.equal(kept[:, span].amin(1), kept[:, span].amax(1)), "a kind stays or goes as a whole"
        assert (kept[:, span] == 0).float().mean().item() == pytest.approx(0.4, abs=0.06)


def test_packed_is_what_pytorch_packs_of_the_padded() -> None:
    features = sequences([2, 5, 1, 5, 3])
    packed, lengths = pack(features)
    x, expected_lengths = pad(features)
    expected = pack_padded_sequence(x, expected_lengths, batch_first=True, enforce_sorted=False)
    assert torch.equal(lengths, expected_lengths)
    assert torch.equal(packed.batch_sizes, expected.batch_sizes)
    model = lstm()
    assert torch.equal(model.logits(packed, lengths), model(x, lengths))


# -- the config -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        ClassifierConfig("mean_linear", D, K),
        ClassifierConfig("lstm", D, K, hidden_size=H, num_layers=2, dropout=0.1, input_scale=0.7),
        ClassifierConfig(
            "lstm",
            D,
            K,
            hidden_size=H,
            head="attention",
            bidirectional=True,
            blocks=(2, 3),
            projection=8,
            shortcut=True,
        ),
    ],
)
def test_a_config_survives_json_and_builds_a_network_that_takes_the_weights(config: ClassifierConfig) -> None:
    again = ClassifierConfig.from_json(config.to_json())
    assert again == config
    torch.manual_seed(0)
    network, twin = build(config), build(again)
    twin.load_state_dict(network.state_dict())
    features = sequences([4, 2])
    assert np.array_equal(predict(network, features), predict(twin, features))


def test_each_kind_builds_its_own_network_in_the_configured_size() -> None:
    config = ClassifierConfig("lstm", D, K, hidden_size=H, num_layers=2, dropout=0.1, input_scale=0.7)
    network = build(config)
    assert isinstance(network, LSTMVideoClassifier)
    assert (network.lstm.input_size, network.lstm.hidden_size, network.lstm.num_layers) == (D, H, 2)
    assert network.linear.out_features == K
    assert (network.config.dropout, network.config.input_scale) == (0.1, 0.7)
    assert isinstance(build(ClassifierConfig("mean_linear", D, K)), MeanLinearClassifier)


def test_an_unknown_field_in_the_config_is_not_swallowed() -> None:
    text = ClassifierConfig("lstm", D, K).to_json().replace("hidden_size", "hiden_size")
    with pytest.raises(TypeError, match="hiden_size"):
        ClassifierConfig.from_json(text)
