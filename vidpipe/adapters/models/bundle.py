"""Files of a model version: weights as safetensors, everything else as JSON, no pickle and no code.

model.json              labels, feature spec, split ids, hashes of the training groups, weights of the parts;
                        calibration and thresholds of labels where a video may have several
lstm.json               the LSTM's config
lstm.safetensors        its weights
linear.safetensors      the linear heads by name

Versions of format 1 have no linear.safetensors but mean_linear.json and mean_linear.safetensors: the LSTM
serves alone, beside one baseline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vidpipe.adapters.models.bundle_files import digest, files_of
from vidpipe.errors import IncompatibleFeatures, UnsafeModel
from vidpipe.records.features import FeatureSpec
from vidpipe.records.models import REGISTERED, CrossValidation, LabelDecisions

if (
    TYPE_CHECKING
):  # torch takes two seconds to import, and most verbs open the registry without loading a model
    from torch import nn

    from vidpipe.learning.classifier import ClassifierConfig

FORMAT = 2
BASELINES = ("mean_linear", "mean_std_linear")
"""Linear heads that every version is compared with."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained classifier with its parts and baselines, and what they were made from."""

    labels: tuple[str, ...]
    spec: FeatureSpec
    split_ids: Mapping[str, Sequence[str]]
    """Split name to video ids: the resolved split."""
    training_groups: Sequence[str]
    """Hashes of the groups in train and val: no evaluation set that holds one of them says anything."""
    lstm: nn.Module
    lstm_config: ClassifierConfig
    heads: Mapping[str, nn.Module]
    """Linear heads by name."""
    weights: Mapping[str, float] = field(default_factory=lambda: {"lstm": 1.0})
    """Of every part by name."""
    cross_validation: CrossValidation | None = None
    """None in versions of format 1."""
    decisions: LabelDecisions | None = None
    """Where a video may have several labels; None: it has one."""
    classifier: nn.Module = field(init=False)
    """What serves: all parts with a weight, joined."""

    def __post_init__(self) -> None:
        from vidpipe.learning.blend import BlendedClassifier
        from vidpipe.learning.classifier import LSTMVideoClassifier
        from vidpipe.learning.linear import LinearHead

        linear = {name: head for name, head in self.heads.items() if isinstance(head, LinearHead)}
        joined = self.lstm
        if linear and isinstance(self.lstm, LSTMVideoClassifier):
            calibration = (self.decisions.scale, self.decisions.shift) if self.decisions else None
            joined = BlendedClassifier(self.lstm, linear, self.weights, calibration).eval()
        object.__setattr__(self, "classifier", joined)

    def thresholds(self, name: str = REGISTERED) -> tuple[float, ...] | None:
        """Thresholds by which the model or a part of it decides, K; None: each video has one label."""
        return self.decisions.thresholds[name] if self.decisions else None

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Every part of the blend (LSTM and linear heads), by name."""
        return {name: head for name, head in self.heads.items() if name in self.weights} | {"lstm": self.lstm}

    @property
    def baselines(self) -> dict[str, nn.Module]:
        """Linear heads that the version is compared with, by name."""
        return {name: self.heads[name] for name in BASELINES if name in self.heads}


def save(bundle: Bundle, folder: Path) -> str:
    """Write the files of a bundle; returns their common hash."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "format": FORMAT,
        "labels": list(bundle.labels),
        "spec": json.loads(bundle.spec.to_json()),
        "split_ids": {k: list(v) for k, v in bundle.split_ids.items()},
        "training_groups": list(bundle.training_groups),
        "weights": dict(bundle.weights),
        "cross_validation": bundle.cross_validation.to_dict() if bundle.cross_validation else None,
        **({"label_decisions": asdict(bundle.decisions)} if bundle.decisions else {}),
    }
    (folder / "model.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    (folder / "lstm.json").write_text(bundle.lstm_config.to_json(), encoding="utf-8")
    save_file(bundle.lstm.state_dict(), str(folder / "lstm.safetensors"))
    tensors = {f"{name}.{k}": v for name, head in bundle.heads.items() for k, v in head.state_dict().items()}
    save_file(tensors, str(folder / "linear.safetensors"))
    return digest(folder)


def load(folder: Path, expected_digest: str) -> Bundle:
    """Read a bundle whose files are exactly those that were registered.

    Raises:
        UnsafeModel: A file is missing, or differs from what was registered.
        IncompatibleFeatures: The network does not fit its own feature spec.
    """
    missing = [name for name in files_of(folder) if not (folder / name).is_file()]
    found = "" if missing else digest(folder)
    if missing or found != expected_digest:
        what = f"lacks {', '.join(missing)}" if missing else f"has SHA-256 {found[:16]}…"
        raise UnsafeModel(
            f"the model in {folder} {what}, the registered hash is {expected_digest[:16]}….",
            next_step="train again; do not serve this version.",
        )
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    spec = FeatureSpec.from_json(json.dumps(facts["spec"]))
    lstm_config, lstm = _network(folder, "lstm")
    if lstm_config.input_size != spec.feature_size:
        raise IncompatibleFeatures(
            f"the LSTM takes {lstm_config.input_size} features, its spec gives {spec.feature_size}.",
            next_step="train again.",
        )
    about = (tuple(facts["labels"]), spec, facts["split_ids"], facts["training_groups"], lstm, lstm_config)
    if "format" not in facts:
        return Bundle(*about, heads={"mean_linear": _network(folder, "mean_linear")[1]})
    measured, decided = facts["cross_validation"], facts.get("label_decisions")
    return Bundle(
        *about,
        heads=_heads(folder, lstm_config),
        weights=facts["weights"],
        cross_validation=CrossValidation(**measured) if measured else None,
        decisions=LabelDecisions.from_dict(decided) if decided else None,
    )


def _network(folder: Path, name: str) -> tuple[ClassifierConfig, nn.Module]:
    from safetensors.torch import load_file

    from vidpipe.learning.classifier import ClassifierConfig, build

    config = ClassifierConfig.from_json((folder / f"{name}.json").read_text(encoding="utf-8"))
    network = build(config)
    network.load_state_dict(load_file(str(folder / f"{name}.safetensors")))
    network.eval()
    return config, network


def _heads(folder: Path, config: ClassifierConfig) -> dict[str, nn.Module]:
    from safetensors.torch import load_file

    from vidpipe.learning.linear import STATISTICS, LinearHead

    tensors = load_file(str(folder / "linear.safetensors"))
    found: dict[str, nn.Module] = {}
    for name in STATISTICS:
        if f"{name}.linear.weight" not in tensors:  # of an older version, which had fewer heads
            continue
        head = LinearHead(name, config.input_size, config.num_classes, config.outputs)
        head.load_state_dict({k: tensors[f"{name}.{k}"] for k in head.state_dict()})
        found[name] = head.eval()
    return found
