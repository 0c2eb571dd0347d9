"""The choice of what computes a built-in backbone: PyTorch's fused operators, or OpenVINO."""

from __future__ import annotations

import platform
from importlib import import_module
from typing import Literal

from vidpipe import cores
from vidpipe.errors import ConfigurationError
from vidpipe.records.features import FeatureSpec

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Engine = Literal["auto", "torch", "openvino", "onnxruntime"]


def chosen_engine(engine: Engine, dtype: Dtype) -> Literal["torch", "openvino"]:
    """Engine of the built-in backbones; `auto` is the fastest one installed whose features are in the class.

    On x86-64 that is OpenVINO where it is installed: by benchmarks/cnn.py 1.3 times as fast as the fused
    operators in bfloat16, 1.1 in float32. On a GPU, on other processors, and in a bfloat16 that the CPU has
    to emulate, it is PyTorch.

    Raises:
        ConfigurationError: An engine that does not compute them.
    """
    if engine == "onnxruntime":
        raise ConfigurationError(
            "VIDPIPE_ENGINE=onnxruntime: got a backbone of EfficientNet-Lite, expected one in an .onnx file.",
            next_step="set VIDPIPE_ENGINE to auto: files are computed by ONNX Runtime then, too.",
        )
    if engine != "auto":
        return engine
    import torch

    emulated = dtype == "bfloat16" and not cores.have_bfloat16()
    fits = platform.machine() in ("x86_64", "AMD64") and not torch.cuda.is_available() and not emulated
    return "openvino" if fits and _imports("openvino") else "torch"


def _imports(library: str) -> bool:
    """Whether a library is installed and loads on this machine."""
    try:
        import_module(library)
    except (ImportError, OSError):
        return False
    return True


def check_engine_of_file(engine: Engine, spec: FeatureSpec) -> None:
    """Check that an engine computes a file's network, which only one does.

    Raises:
        ConfigurationError: It does not.
    """
    own = "onnxruntime" if spec.backbone == "onnx" else "torch"
    if engine not in ("auto", own):
        raise ConfigurationError(
            f"VIDPIPE_ENGINE={engine}: got a backbone of the kind {spec.backbone}, which {own} computes.",
            next_step=f"set VIDPIPE_ENGINE to auto or {own}.",
        )
