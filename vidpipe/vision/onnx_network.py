"""Backbone networks in ONNX files, run by ONNX Runtime on the CPU (extra `vidpipe[onnx]`).

A frame, or a clip, is computed by itself, on one thread, so that its bits depend on nothing else. A graph is
data to ONNX Runtime: nothing is unpickled, no library of operators is loaded, no second file is read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidpipe import cores
from vidpipe.errors import ConfigurationError
from vidpipe.records.features import FeatureSpec
from vidpipe.records.videos import Floats, Pixels
from vidpipe.vision.backbone_table import check_hash
from vidpipe.vision.network_io import activations, as_input, stored_range

NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
EXTERNAL = b"\x0a\x08location"
"""How the first entry of a tensor's `external_data` begins.
Source: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md, with the key `location`, in protobuf."""


class OnnxNetwork:
    """A loaded ONNX backbone: frames, or clips, to activations.

    Attributes:
        workers: Batches computed side by side, one core each.
        numerics: Device, arithmetic and library that its bits depend on.
    """

    def __init__(self, file: Path, spec: FeatureSpec) -> None:
        """Load the file that a spec names.

        Raises:
            ConfigurationError: ONNX Runtime is not installed, or cannot read it.
            UnsafeModel: Its hash is not the spec's.
        """
        assert spec.network is not None
        content = file.read_bytes()
        put_back = "put the file back that these features were made with."
        check_hash(file, hashlib.sha256(content).hexdigest(), spec.weights_sha256, put_back)
        self._file, self._network, self._pooling = file, spec.network, spec.pooling
        self._session = open_session(file, content)
        self._input = self._session.get_inputs()[0]
        self.workers = cores.count()
        kind = f"cpu-{torch.backends.cpu.get_cpu_capability()}"
        self.numerics = f"{kind}-float32-onnxruntime-{_runtime().__version__}-as-float16"

    def __call__(self, frames: Pixels) -> Floats:
        """Activations of one batch, float32 (B, R), of frames uint8 (B, H, W, 3) or clips (B, T, H, W, 3)."""
        return np.stack([self._activations(frame) for frame in frames])

    def _activations(self, frame: Pixels) -> Floats:
        fed = as_input(frame, self._network).astype(NUMBERS[self._input.type])
        found = self._session.run([self._network.output], {self._input.name: fed})[0].astype(np.float32)
        return activations(stored_range(found, self._file), self._network, self._pooling)


def _runtime() -> Any:
    import onnxruntime

    return onnxruntime


def open_session(file: Path, content: bytes) -> Any:
    """ONNX Runtime session of a graph, on one thread of the CPU.

    Raises:
        ConfigurationError: ONNX Runtime is not installed, or cannot read it.
    """
    try:
        runtime = _runtime()
    except ImportError:
        raise ConfigurationError(
            f"the backbone {file} needs ONNX Runtime, of the extra vidpipe[onnx], which is not installed.",
            next_step="pip install 'vidpipe[onnx]'.",
        ) from None
    if EXTERNAL in content:
        raise ConfigurationError(
            f"the backbone {file} keeps its weights in another file, expected one file whose hash names it.",
            next_step="export it in one file: torch.onnx.export(…, external_data=False).",
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong is said once, by the error
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no base of their own
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigurationError(
            f"the backbone {file} is no graph that ONNX Runtime {runtime.__version__} can read: {said[0]}",
            next_step="export it again: see docs/backbones.md.",
        ) from None
