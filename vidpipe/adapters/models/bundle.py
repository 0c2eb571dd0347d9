"""A model version on disk: weights as safetensors, everything else as JSON. No pickle, no code.

model.json              labels, feature spec, split ids, hashes of the training groups
lstm.json               the network's config      ┐ and the same two
lstm.safetensors        its weights               ┘ for mean_linear
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

from vidpipe.errors import IncompatibleFeatures, UnsafeModel
from vidpipe.learning.classifier import ClassifierConfig, build
from vidpipe.records.features import FeatureSpec
from vidpipe.records.videos import canonical_json

FILES = (
    "model.json",
    "lstm.json",
    "lstm.safetensors",
    "mean_linear.json",
    "mean_linear.safetensors",
)


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained LSTM, its baseline, and what both were made from."""

    labels: tuple[str, ...]
    spec: FeatureSpec
    split_ids: Mapping[str, Sequence[str]]
    """Split name to video ids: the resolved split."""
    training_groups: Sequence[str]
    """Hashes of the groups in train and val: no evaluation set that holds one of them says anything."""
    lstm: nn.Module
    lstm_config: ClassifierConfig
    baseline: nn.Module
    baseline_config: ClassifierConfig


def save(bundle: Bundle, folder: Path) -> str:
    """Write the files; their common hash."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "labels": list(bundle.labels),
        "spec": json.loads(bundle.spec.to_json()),
        "split_ids": {k: list(v) for k, v in bundle.split_ids.items()},
        "training_groups": list(bundle.training_groups),
    }
    (folder / "model.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    networks = {
        "lstm": (bundle.lstm, bundle.lstm_config),
        "mean_linear": (bundle.baseline, bundle.baseline_config),
    }
    for name, (network, config) in networks.items():
        (folder / f"{name}.json").write_text(config.to_json(), encoding="utf-8")
        save_file(network.state_dict(), str(folder / f"{name}.safetensors"))
    return digest(folder)


def digest(folder: Path) -> str:
    """SHA-256 over the names and contents of the bundle's files."""
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    return hashlib.sha256(canonical_json(hashes).encode()).hexdigest()


def load(folder: Path, expected_digest: str) -> Bundle:
    """Read a bundle whose files are exactly those that were registered.

    Raises:
        UnsafeModel: A file is missing, or differs from what was registered.
        IncompatibleFeatures: The network does not fit its own feature spec.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    found = "" if missing else digest(folder)
    if missing or found != expected_digest:
        what = f"lacks {', '.join(missing)}" if missing else f"has SHA-256 {found[:16]}…"
        raise UnsafeModel(
            f"the model in {folder} {what}, registered was {expected_digest[:16]}….",
            next_step="train again; do not serve this version.",
        )
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    spec = FeatureSpec.from_json(json.dumps(facts["spec"]))
    lstm_config, lstm = _network(folder, "lstm")
    baseline_config, baseline = _network(folder, "mean_linear")
    if lstm_config.input_size != spec.feature_size:
        raise IncompatibleFeatures(
            f"the LSTM takes {lstm_config.input_size} features, its spec gives {spec.feature_size}.",
            next_step="train again.",
        )
    return Bundle(
        tuple(facts["labels"]),
        spec,
        facts["split_ids"],
        facts["training_groups"],
        lstm,
        lstm_config,
        baseline,
        baseline_config,
    )


def _network(folder: Path, name: str) -> tuple[ClassifierConfig, nn.Module]:
    config = ClassifierConfig.from_json((folder / f"{name}.json").read_text(encoding="utf-8"))
    network = build(config)
    network.load_state_dict(load_file(str(folder / f"{name}.safetensors")))
    network.eval()
    return config, network
