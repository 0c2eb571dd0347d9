"""Backbone that the setting names: a built-in one, a file, or a network of timm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidpipe.errors import ConfigurationError
from vidpipe.records.features import NetworkSpec

TIMM = "timm:"
SAFETENSORS = ".safetensors"
READ = (".onnx", SAFETENSORS)
REFUSED = (".pt", ".pth", ".pt2", ".ckpt", ".bin", ".pkl", ".h5", ".tflite", ".xml", ".toml")
"""Kinds that people may try; most of them are pickled, and unpickling runs code."""


@dataclass(frozen=True, slots=True)
class FileBackbone:
    """A backbone in a file, as its graph and its TOML describe it."""

    file: Path
    kind: str
    sha256: str
    size_px: int
    pooling: str
    network: NetworkSpec
    fps: float | None
    """Sampling rate that it wants; None: the setting's."""
    license: str | None


def named_file(backbone: str) -> Path | None:
    """The file that a setting names; None where it is the name of a built-in backbone.

    Raises:
        ConfigurationError: A file of a kind that is not read, or a network of timm without its weights here.
    """
    if backbone.startswith(TIMM):
        from vidpipe.vision.timm_network import cached_weights  # torch takes two seconds to import

        return cached_weights(backbone.removeprefix(TIMM))
    if backbone.startswith("torchvision:"):
        raise ConfigurationError(
            f"the backbone {backbone}: torchvision's weights are pickled; expected timm:NAME or a file.",
            next_step="export it to ONNX: see docs/backbones.md.",
        )
    file = Path(backbone).expanduser()
    if file.suffix.lower() in READ:
        return file
    if "/" in backbone or file.suffix.lower() in REFUSED:
        got = f"a file of the kind {file.suffix}" if file.suffix else "a file of no kind"
        raise ConfigurationError(
            f"the backbone {file}: got {got}; expected one that ends in {' or '.join(READ)}.",
            next_step="see docs/backbones.md.",
        )
    return None


def timm_name(backbone: str) -> str | None:
    """The network of timm that a setting names, if it does."""
    return backbone.removeprefix(TIMM) if backbone.startswith(TIMM) else None
