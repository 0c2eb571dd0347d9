"""A model version on disk: what was saved comes back, and nothing else is ever loaded."""

import contextlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vidpipe.adapters.models.bundle import Bundle, load, save
from vidpipe.adapters.models.bundle_files import FILES, digest
from vidpipe.errors import IncompatibleFeatures, UnsafeModel
from vidpipe.learning.classifier import ClassifierConfig, build
from vidpipe.learning.inference import predict
from vidpipe.learning.linear import STATISTICS, LinearHead
from vidpipe.records.features import FeatureSpec, FrameTransform
from vidpipe.records.models import CrossValidation

D, LABELS = 6, ("dog", "été", "zebra")
SPEC = FeatureSpec(4.0, "efficientnet_lite0", "ab" * 32, FrameTransform(224, 0.875, "bicubic"), "average", D)
SPLIT_IDS = {"train": ["01" * 32, "02" * 32], "val": ["03" * 32], "test": []}
GROUPS = ["0123456789abcdef"]


@pytest.fixture
def bundle() -> Bundle:
    torch.manual_seed(0)
    config = ClassifierConfig("lstm", D, len(LABELS), hidden_size=4, num_layers=2, dropout=0.3)
    lstm = build(config).train()
    lstm.get_buffer("mean").copy_(torch.randn(D))
    heads: dict[str, nn.Module] = {name: LinearHead(name, D, len(LABELS)).train() for name in STATISTICS}
    weights = dict.fromkeys(STATISTICS, 0.0) | {"mean_std_linear": 0.6, "thirds_linear": 0.3, "lstm": 0.4}
    measured = CrossValidation(20, 0.5, 0.25, 0.75, 5)
    return Bundle(LABELS, SPEC, SPLIT_IDS, GROUPS, lstm, config, heads, weights, measured)


def save_format_1(bundle: Bundle, folder: Path) -> str:
    """As versions were written before they had parts: the LSTM, and mean + linear beside it."""
    save(bundle, folder)
    (folder / "linear.safetensors").unlink()
    facts = json.loads((folder / "model.json").read_text())
    kept = {k: facts[k] for k in ("labels", "spec", "split_ids", "training_groups")}
    (folder / "model.json").write_text(json.dumps(kept))
    config = ClassifierConfig("mean_linear", D, len(LABELS))
    (folder / "mean_linear.json").write_text(config.to_json())
    save_file(build(config).state_dict(), str(folder / "mean_linear.safetensors"))
    return digest(folder)


def test_a_version_with_fewer_heads_gives_the_scores_that_it_gave(bundle: Bundle, tmp_path: Path) -> None:
    video = [np.random.default_rng(0).normal(size=(5, D)).astype(np.float32)]
    expected = predict(bundle.classifier, video)
    kept = {name: head for name, head in bundle.heads.items() if name != "mean_std_change_linear"}
    weights = {name: bundle.weights[name] for name in (*kept, "lstm")}
    older = replace(bundle, heads=kept, weights=weights)
    again = load(tmp_path, save(older, tmp_path))
    assert set(again.parts) == {*kept, "lstm"}
    assert np.array_equal(predict(again.classifier, video), expected)


@pytest.fixture
def saved(bundle: Bundle, tmp_path: Path) -> tuple[Path, str]:
    folder = tmp_path / "deep" / "model"
    return folder, save(bundle, folder)


def test_a_bundle_comes_back_as_it_was_saved(bundle: Bundle, saved: tuple[Path, str]) -> None:
    again = load(*saved)
    assert again.labels == LABELS
    assert again.spec == SPEC
    assert again.spec.feature_set_id == SPEC.feature_set_id
    assert again.split_ids == SPLIT_IDS
    assert again.training_groups == GROUPS
    assert (again.weights, again.cross_validation) == (bundle.weights, bundle.cross_validation)
    assert again.lstm_config == bundle.lstm_config
    assert set(again.parts) == {*STATISTICS, "lstm"}
    assert set(again.baselines) == {"mean_linear", "mean_std_linear"}
    for name, before in bundle.parts.items():
        after = again.parts[name]
        kept, found = before.state_dict(), after.state_dict()
        assert set(kept) == set(found) >= {"mean", "deviation"}
        assert all(torch.equal(kept[name], found[name]) for name in kept)


def test_a_loaded_network_gives_the_same_scores_and_is_ready_to_serve(
    bundle: Bundle, saved: tuple[Path, str]
) -> None:
    again = load(*saved)
    assert not again.lstm.training
    assert not any(head.training for head in again.heads.values())
    features = [np.random.default_rng(k).normal(size=(k + 1, D)).astype(np.float32) for k in range(4)]
    for before, after in ((bundle.classifier, again.classifier), *zip(
        bundle.parts.values(), again.parts.values(), strict=True)):  # fmt: skip
        assert np.array_equal(predict(before, features), predict(after, features))


def test_a_bundle_from_before_the_heads_loads_and_scores_alike(
    bundle: Bundle, saved: tuple[Path, str]
) -> None:
    """Older versions did not write `head`, `blocks` and their like; theirs was the plain network."""
    folder = saved[0].parent / "old"
    save_format_1(bundle, folder)
    later = {"kind_dropout", "head", "bidirectional", "blocks", "projection", "shortcut"}
    for name in ("lstm.json", "mean_linear.json"):
        raw = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({k: v for k, v in raw.items() if k not in later}))
    old = load(folder, digest(folder))
    features = [np.random.default_rng(k).normal(size=(k + 1, D)).astype(np.float32) for k in range(4)]
    assert old.lstm_config == bundle.lstm_config
    assert np.array_equal(predict(old.classifier, features), predict(bundle.lstm, features))
    assert (set(old.baselines), old.weights, old.cross_validation) == ({"mean_linear"}, {"lstm": 1.0}, None)
    weights = set(old.lstm.state_dict())
    of_layer = {f"lstm.{w}_l{n}" for w in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") for n in (0, 1)}
    assert weights == {"mean", "deviation", "linear.weight", "linear.bias", *of_layer}


def test_a_bundle_is_exactly_its_files(saved: tuple[Path, str]) -> None:
    assert sorted(f.name for f in saved[0].iterdir()) == sorted(FILES)


def test_the_same_bundle_has_the_same_digest_and_another_another(
    bundle: Bundle, saved: tuple[Path, str], tmp_path: Path
) -> None:
    assert save(bundle, tmp_path / "again") == saved[1] == digest(saved[0])
    renamed = replace(bundle, labels=("dog", "cat", "zebra"))
    assert save(renamed, tmp_path / "renamed") != saved[1]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0, 0.5, -1])
def test_one_changed_byte_is_refused(name: str, where: float, saved: tuple[Path, str]) -> None:
    file = saved[0] / name
    content = bytearray(file.read_bytes())
    content[-1 if where == -1 else int(where * len(content))] ^= 1
    file.write_bytes(content)
    with pytest.raises(UnsafeModel, match=saved[1][:16]) as caught:
        load(*saved)
    assert caught.value.next_step


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(name: str, saved: tuple[Path, str]) -> None:
    (saved[0] / name).unlink()
    with pytest.raises(UnsafeModel, match=f"lacks {name}"):
        load(*saved)


def test_files_that_changed_places_are_refused(saved: tuple[Path, str]) -> None:
    one, other = saved[0] / "lstm.json", saved[0] / "model.json"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(UnsafeModel):
        load(*saved)


class _Payload:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (os.mkdir, (str(self._target),))


@pytest.mark.parametrize("write", [torch.save, lambda value, file: file.write_bytes(pickle.dumps(value))])
def test_a_pickle_in_place_of_the_weights_is_refused_and_never_run(
    write: Callable[[object, Path], object], saved: tuple[Path, str], tmp_path: Path
) -> None:
    trap = tmp_path / "the pickle has run"
    write(_Payload(trap), saved[0] / "lstm.safetensors")
    with pytest.raises(UnsafeModel):
        load(*saved)
    with contextlib.suppress(Exception):
        load(saved[0], digest(saved[0]))  # not even when somebody has registered it
    assert not trap.exists()


def test_the_trap_of_the_test_above_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(_Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").is_dir()


def test_a_network_that_does_not_fit_its_feature_spec_is_refused_with_both_sizes(
    bundle: Bundle, tmp_path: Path
) -> None:
    wider = replace(bundle, spec=replace(SPEC, feature_size=D + 1))
    fingerprint = save(wider, tmp_path)
    with pytest.raises(IncompatibleFeatures, match="takes 6 features, its spec gives 7"):
        load(tmp_path, fingerprint)


def test_everything_but_the_weights_is_json_that_people_can_read(saved: tuple[Path, str]) -> None:
    facts = json.loads((saved[0] / "model.json").read_text(encoding="utf-8"))
    assert facts["labels"] == list(LABELS)
    assert facts["spec"]["sample_fps"] == 4.0
    assert json.loads((saved[0] / "lstm.json").read_text(encoding="utf-8"))["hidden_size"] == 4
