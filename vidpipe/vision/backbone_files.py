"""Backbones in files: an ONNX graph, or safetensors for timm, with a TOML file beside it on how to feed it.

    /models/dinov2_vits14.onnx          the graph and its weights, in one file
    /models/dinov2_vits14.onnx.toml     input_px, mean, std, layout, output, stride, fps, license

Each key is optional. What the graph says needs no TOML: input size, layout, frames of a clip, output. The
pooling follows from the output's shape: a map (average, grid, motion), tokens (class token, grid of patches)
or a vector.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from vidpipe.errors import ConfigurationError
from vidpipe.records.features import ClipRule, NetworkSpec
from vidpipe.records.videos import Floats
from vidpipe.vision.backbone_choice import SAFETENSORS, TIMM, FileBackbone
from vidpipe.vision.network_io import GREATEST, as_input
from vidpipe.vision.onnx_network import NUMBERS, open_session
from vidpipe.vision.sidecars import Sidecar, read_sidecar
from vidpipe.vision.timm_network import TimmModel

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Source: https://pytorch.org/vision/stable/models.html, what most published weights were trained with."""
LAYOUTS = {4: ("NCHW", "NHWC"), 5: ("NCTHW", "NTCHW", "NTHWC")}
EXPECTED = "(batch, 3, height, width) or (batch, 3, frames, height, width)"
SIZES_PX = range(16, 1025)


def read_backbone(file: Path, timm: str | None = None) -> FileBackbone:
    """Read a backbone file, and compute one frame or clip with it, to know what comes out.

    Args:
        file: An ONNX graph, or safetensors.
        timm: The network of timm whose weights it has; None: the TOML file beside it says it.

    Raises:
        ConfigurationError: It is missing, cannot be read, or has a shape or a dtype that is no backbone's.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the backbone {file} cannot be read: {error.strerror}; expected a file.",
            next_step="correct VIDPIPE_BACKBONE, or put the file there.",
        ) from None
    said = read_sidecar(file)
    sha256 = hashlib.sha256(content).hexdigest()
    if file.suffix.lower() == SAFETENSORS:
        return _read_timm(file, content, sha256, said, timm or said.timm)
    session = open_session(file, content)
    fed = _Input.of(session, file, said)
    network = NetworkSpec(
        said.mean or IMAGENET_MEAN, said.std or IMAGENET_STD, fed.layout, _output(session, file, said),
        channels=0, clip=fed.clip,
    )  # fmt: skip
    output = _tried(session, file, fed, network)
    pooling, channels, side = _read_as(output, file, said, is_clip=fed.clip is not None)
    network = replace(network, channels=channels, side=side)
    return FileBackbone(file, "onnx", sha256, fed.size_px, pooling, network, said.fps, said.license)


def _read_timm(file: Path, content: bytes, sha256: str, said: Sidecar, name: str | None) -> FileBackbone:
    if name is None:
        _wrong(file, "weights alone", f'the name of their network, timm = "resnet18", in {file.name}.toml')
    if said.stride is not None or said.layout not in (None, "NCHW"):
        _wrong(file, "stride or layout in its TOML file", "single frames, NCHW, as timm's networks see them")
    if said.output not in (None, *OUTPUTS):
        _wrong(file, f"output = {said.output!r} in its TOML file", f"one of {', '.join(OUTPUTS)}")
    model = TimmModel(name, file, content)
    size_px = said.input_px or model.size_px
    if size_px not in SIZES_PX:
        _wrong(file, f"input of {size_px} pixels", f"{SIZES_PX.start} to {SIZES_PX.stop - 1}")
    wanted = "vector" if said.output == "vector" else "features"
    network = NetworkSpec(said.mean or model.mean, said.std or model.std, "NCHW", wanted, channels=0)
    noise = np.random.default_rng(0).integers(0, 256, (size_px, size_px, 3), np.uint8)
    output = model(as_input(noise, network), wanted)
    pooling, channels, side = _read_as(output, file, said, is_clip=False)
    network = replace(network, channels=channels, side=side)
    kind = f"{TIMM}{name}"
    return FileBackbone(
        file, kind, sha256, size_px, pooling, network, said.fps, said.license or model.license
    )


@dataclass(frozen=True, slots=True)
class _Input:
    """Input of a graph."""

    name: str
    number: str
    layout: str
    size_px: int
    clip: ClipRule | None

    @classmethod
    def of(cls, session: Any, file: Path, said: Sidecar) -> _Input:
        """Read it from the graph, and from the TOML what the graph leaves open."""
        inputs = session.get_inputs()
        if len(inputs) != 1:
            named = ", ".join(f"{i.name} {_shown(i.shape)}" for i in inputs)
            _wrong(file, f"{len(inputs)} inputs ({named})", f"one of shape {EXPECTED}")
        found = inputs[0]
        if found.type not in NUMBERS:
            _wrong(file, f"input {found.name} of {found.type}", " or ".join(NUMBERS))
        layout = said.layout or _layout(found, file)
        if layout not in LAYOUTS.get(len(found.shape), ()):
            _wrong(file, f"layout {layout} for the input {_shown(found.shape)}", "one letter for each axis")
        axes = dict(zip(layout, found.shape, strict=True))
        if not (_is_open(axes["C"]) or axes["C"] == 3) or not (_is_open(axes["N"]) or axes["N"] == 1):
            _wrong(
                file, f"input {_shown(found.shape)} as {layout}", "3 channels, and a batch of 1 or any size"
            )
        return cls(found.name, found.type, layout, _size_px(axes, file, said), _clip(axes, file, said))


def _layout(found: Any, file: Path) -> str:
    """Layout of an input that the TOML does not name: its channels are the axis of 3."""
    known = LAYOUTS.get(len(found.shape), ())
    layout = next((layout for layout in known if found.shape[layout.index("C")] == 3), None)
    return layout or _wrong(file, f"input {found.name} of shape {_shown(found.shape)}", EXPECTED)


def _size_px(axes: dict[str, Any], file: Path, said: Sidecar) -> int:
    height, width = (said.input_px if _is_open(axes[a]) else int(axes[a]) for a in "HW")
    if height is None or width is None:
        _wrong(
            file,
            f"an input of any size, {_shown(axes.values())}",
            f"a size: input_px = 224 in {file.name}.toml",
        )
    if height != width or height not in SIZES_PX:
        sizes = f"a square of {SIZES_PX.start} to {SIZES_PX.stop - 1} pixels"
        _wrong(file, f"input of {height} x {width} pixels", sizes)
    if said.input_px not in (None, height):
        _wrong(file, f"input_px = {said.input_px} in its TOML file", f"the graph's {height}")
    return height


def _clip(axes: dict[str, Any], file: Path, said: Sidecar) -> ClipRule | None:
    if "T" not in axes:
        if said.stride is not None:
            _wrong(file, "stride in its TOML file with an input of single frames", f"clips: {EXPECTED}")
        return None
    if _is_open(axes["T"]):
        _wrong(file, f"clips of any length, {_shown(axes.values())}", "a graph exported for one length")
    return ClipRule(int(axes["T"]), said.stride or int(axes["T"]))


def _output(session: Any, file: Path, said: Sidecar) -> str:
    names: list[str] = [output.name for output in session.get_outputs()]
    known = ", ".join(map(repr, names))
    if said.output is not None and said.output in names:
        return said.output
    if said.output is not None and said.output not in OUTPUTS:
        _wrong(file, f"output = {said.output!r} in its TOML file", f"{known}, map, tokens or vector")
    if len(names) != 1:
        _wrong(file, f"outputs {known}", f'the one to read: output = "{names[0]}" in {file.name}.toml')
    return names[0]


def _tried(session: Any, file: Path, fed: _Input, network: NetworkSpec) -> Floats:
    """Output for one frame, or clip, of noise."""
    frames = (fed.clip.frames,) if fed.clip else ()
    noise = np.random.default_rng(0).integers(0, 256, (*frames, fed.size_px, fed.size_px, 3), np.uint8)
    given = as_input(noise, network).astype(NUMBERS[fed.number])
    try:
        found = session.run([network.output], {fed.name: given})
    except Exception as error:  # ONNX Runtime's classes have no base of their own
        words = str(error).strip().splitlines()
        _wrong(file, f"an error when it computes: {words[0] if words else error!r}", "numbers of one frame")
    output = np.asarray(found[0])
    if output.dtype.kind != "f":
        _wrong(file, f"output {network.output} of {output.dtype}", "floating-point numbers")
    if not np.isfinite(output).all() or np.abs(output).max(initial=0.0) > GREATEST:
        _wrong(
            file, f"output {network.output} beyond {GREATEST:g} or not finite", "numbers that float16 holds"
        )
    return output.astype(np.float32)


OUTPUTS = {"map": (4, 5), "tokens": (3,), "vector": (2,)}
"""Axes of the kinds of output, the batch among them."""
MOST_EXTRA_TOKENS = 16
"""Class token and registers beside the patches."""


def _read_as(output: Floats, file: Path, said: Sidecar, *, is_clip: bool) -> tuple[str, int, int]:
    """Pooling, channels, and side of the map or of the grid of patches, of an output."""
    shape = output.shape
    kind = next((kind for kind, axes in OUTPUTS.items() if len(shape) in axes), None)
    if kind is None or shape[0] != 1 or not output.size or (len(shape) == 5 and not is_clip):
        _wrong(
            file,
            f"output of shape {_shown(shape)}",
            "a map (B, C, H, W), tokens (B, N, C) or a vector (B, C)",
        )
    if said.output in OUTPUTS and said.output != kind:
        _wrong(file, f"output of shape {_shown(shape)}", f"{said.output}, as its TOML file says")
    if kind == "vector":
        return "vector", shape[1], 0
    return (
        _of_tokens(shape, file, is_clip=is_clip)
        if kind == "tokens"
        else _of_map(shape, file, is_clip=is_clip)
    )


def _of_tokens(shape: Sequence[int], file: Path, *, is_clip: bool) -> tuple[str, int, int]:
    _, tokens, channels = shape
    if is_clip:  # of several times: their grid is not one of places
        return "average", channels, 0
    side = math.isqrt(tokens)
    extra = tokens - side**2
    if extra > MOST_EXTRA_TOKENS:
        _wrong(file, f"{tokens} tokens", f"a square number of patches and at most {MOST_EXTRA_TOKENS} others")
    return "class+grid" if extra else "average+grid", channels, side


def _of_map(shape: Sequence[int], file: Path, *, is_clip: bool) -> tuple[str, int, int]:
    if shape[-1] == shape[-2]:
        channels, side = shape[1], shape[-1]
    elif len(shape) == 4 and shape[1] == shape[2]:
        channels, side = shape[3], shape[1]
    else:
        _wrong(file, f"a map of shape {_shown(shape)}", "a square one")
    if side == 1:
        return "vector", channels, 0
    return "average+grid" if is_clip else "average+grid+motion", channels, side


def _is_open(size: Any) -> bool:
    """Whether an axis takes any size: a name or nothing stands in its place."""
    return not isinstance(size, int) or size < 1


def _shown(shape: Any) -> str:
    return f"({', '.join(str(size or '?') for size in shape)})"


def _wrong(file: Path, got: str, expected: str) -> NoReturn:
    raise ConfigurationError(
        f"the backbone {file}: got {got}; expected {expected}.",
        next_step="export it again, or say it in the TOML file beside it: see docs/backbones.md.",
    )
