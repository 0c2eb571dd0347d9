"""EfficientNet-Lite in OpenVINO on the CPU (extra `vidpipe[openvino]`): the graph built layer by layer.

In bfloat16 the stem and the first depthwise convolution stay in float32, and the other weights are rounded as
in quantization.py, as in fused_cnn.py: the features are of the same spec, cosine at least 0.999 to float32,
where OpenVINO's own bfloat16 of the whole network comes to 0.9957.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from torch import nn

from vidpipe import cores
from vidpipe.errors import ConfigurationError, StorageFailed
from vidpipe.records.videos import Floats, Pixels
from vidpipe.vision.backbone_table import BuiltIn
from vidpipe.vision.engines import Dtype
from vidpipe.vision.lite import BATCH_FRAMES, best_dtype, load_net
from vidpipe.vision.pooling import Pooling
from vidpipe.vision.quantization import corrected_bias, round_kernels

REVISION = 1
"""Counts up when the arithmetic changes: features of two revisions may differ in their last bits."""
EXACT = ("Convert", "Transpose", "Subtract", "Divide", "Convolution", "GroupConvolution", "Add", "Clamp")
EXACT_CONVOLUTIONS = 2
"""From the input: their kernels are large and cancel, so that they would magnify rounding."""
KEEP = {"name": "DisablePrecisionConversion", "version": "0", "value": "dynamic:bf16,f16;f32:bf16,f16"}
"""Source: `DisablePrecisionConversion` in OpenVINO's transformations/rt_info; tried with 2026.4."""


class OpenVinoNetwork:
    """A loaded EfficientNet-Lite in OpenVINO: frames to activations.

    Attributes:
        workers: Batches computed side by side, one core each.
        numerics: Device, arithmetic and library that its bits depend on.
    """

    def __init__(self, of: BuiltIn, weights_sha256: str, pooling: Pooling, dtype: Dtype) -> None:
        """Load it; `auto` is bfloat16 on a CPU that computes in it, else float32.

        Raises:
            ConfigurationError: A package is missing, or the CPU does not compute in this arithmetic.
            UnsafeModel: The installed weights are others.
        """
        check_openvino(dtype)
        openvino = library()
        computed = best_dtype(gpu=False) if dtype == "auto" else dtype
        self._pooling, self.workers, self.batch_frames = pooling, cores.count(), BATCH_FRAMES
        half = computed == "bfloat16"
        middle = of.middle_block if pooling.needs_middle else None
        model = lite_graph(load_net(of, weights_sha256), of, middle, half=half)
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "NUM_STREAMS": str(self.workers),
            "INFERENCE_NUM_THREADS": str(self.workers),
            "ENABLE_CPU_PINNING": False,  # decoders and other workers want the same cores
        }
        compiled = openvino.Core().compile_model(exact_start(model) if half else model, "CPU", options)
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.workers):
            self._requests.put(compiled.create_infer_request())
        kind = f"cpu-{torch.backends.cpu.get_cpu_capability()}-{computed}"
        release = openvino.__version__.split("-")[0]
        self.numerics = f"{kind}-openvino{REVISION}-{release}-as-float16/torch-{torch.__version__}"

    def __call__(self, frames: Pixels) -> Floats:
        """Activations of one full batch, float32 (B, R), of frames uint8 (B, H, W, 3)."""
        request = self._requests.get()
        try:
            request.infer([frames])
            maps = [torch.from_numpy(output.data) for output in request.output_tensors]
            return self._pooling.activations(maps[0], maps[1] if len(maps) > 1 else None)
        finally:
            self._requests.put(request)


def check_openvino(dtype: Dtype) -> None:
    """Check that OpenVINO is here and that the CPU computes in this arithmetic by itself.

    Raises:
        ConfigurationError: One of them is not so.
    """
    library()
    if dtype == "bfloat16" and not cores.have_bfloat16():
        raise ConfigurationError(
            "VIDPIPE_CNN_DTYPE=bfloat16 with VIDPIPE_ENGINE=openvino: got a CPU without the flags "
            "avx512_bf16 and amx_bf16, expected one of them.",
            next_step="set VIDPIPE_CNN_DTYPE to auto or float32.",
        )


def library() -> Any:
    """The library OpenVINO.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise ConfigurationError(
            "VIDPIPE_ENGINE=openvino needs OpenVINO, of the extra vidpipe[openvino], which is not installed.",
            next_step="pip install 'vidpipe[openvino]', or set VIDPIPE_ENGINE to auto.",
        ) from None
    return openvino


def lite_graph(net: Any, of: BuiltIn, middle: int | None, *, half: bool) -> Any:
    """OpenVINO model of a network whose batch norms are folded: the last map, and the middle one if wanted.

    Args:
        net: The network of efficientnet_lite_pytorch.
        of: Its input size and normalisation.
        middle: The block whose map is wanted besides the last one, if any.
        half: Round the weights for bfloat16.
    """
    import openvino
    from openvino import opset13 as ops

    shape = [BATCH_FRAMES, of.size_px, of.size_px, 3]
    frames = ops.parameter(shape, np.uint8, name="frames")
    pixels = ops.transpose(ops.convert(frames, np.float32), np.array([0, 3, 1, 2], np.int64))
    x = ops.divide(ops.subtract(pixels, np.float32(of.mean[0])), np.float32(of.std[0]))
    x, maps = _clipped(_convolution(x, net._conv_stem, half=False)), []
    for number, block in enumerate(net._blocks):
        x = _block(x, block, half=half, first=number == 0)
        if number == middle:
            maps.append(x)
    last = _clipped(_convolution(x, net._conv_head, half=half))
    return openvino.Model([last, *maps], [frames], of.name)


def _block(x: Any, block: Any, *, half: bool, first: bool) -> Any:
    from openvino import opset13 as ops

    wide = x
    if block._block_args.expand_ratio != 1:
        wide = _clipped(_convolution(wide, block._expand_conv, half=half))
    wide = _clipped(_convolution(wide, block._depthwise_conv, half=half and not first))
    narrow = _convolution(wide, block._project_conv, half=half)
    return ops.add(narrow, x) if list(narrow.shape) == list(x.shape) else narrow


def _convolution(x: Any, layer: nn.Conv2d, *, half: bool) -> Any:
    """One convolution with its padding and bias."""
    from openvino import opset13 as ops

    assert layer.bias is not None
    weight, bias = layer.weight.detach(), layer.bias.detach()
    if half and layer.groups > 1:
        weight = round_kernels(weight)
    elif half and (mean := getattr(layer, "input_mean", None)) is not None:
        bias = corrected_bias(layer, mean)
    left, right, top, bottom = getattr(layer.static_padding, "padding", (0, 0, 0, 0))
    sides = list(layer.stride), [top, left], [bottom, right], [1, 1]
    if layer.groups > 1:
        wide = ops.group_convolution(x, weight.unsqueeze(1).numpy(), *sides)
    else:
        wide = ops.convolution(x, weight.numpy(), *sides)
    return ops.add(wide, bias.reshape(1, -1, 1, 1).numpy())


def _clipped(x: Any) -> Any:
    """ReLU6."""
    from openvino import opset13 as ops

    return ops.clamp(x, 0.0, 6.0)


def exact_start(model: Any) -> Any:
    """Model whose first layers keep float32 where the others compute in bfloat16.

    The mark is an attribute that OpenVINO's Python has no name for; it is written into the model's XML.

    Raises:
        StorageFailed: There is no room for that in the temporary folder.
    """
    import openvino

    try:
        with tempfile.TemporaryDirectory() as folder:
            xml = Path(folder) / "model.xml"
            openvino.save_model(model, xml, compress_to_fp16=False)
            text, weights = _marked(xml), np.fromfile(xml.with_suffix(".bin"), np.uint8)
    except (OSError, RuntimeError) as error:  # OpenVINO's own, where the disk is full
        raise StorageFailed(
            f"cannot write the network to {tempfile.gettempdir()}, where OpenVINO reads it: {error}.",
            next_step="free space there, name another folder by TMPDIR, or set VIDPIPE_ENGINE=torch.",
        ) from None
    return openvino.Core().read_model(text, openvino.Tensor(weights))


def _marked(xml: Path) -> str:
    """The model's XML with the mark on its first layers."""
    tree = ElementTree.parse(xml)  # noqa: S314 (written a line before)
    convolutions = 0
    for layer in tree.getroot().iterfind("layers/layer"):
        convolutions += "Convolution" in layer.get("type", "")
        if convolutions > EXACT_CONVOLUTIONS:
            break
        if layer.get("type") in EXACT:
            _mark(layer)
    return ElementTree.tostring(tree.getroot(), encoding="unicode")


def _mark(layer: ElementTree.Element) -> None:
    notes = layer.find("rt_info")
    if notes is None:
        notes = ElementTree.Element("rt_info")
        layer.insert(0 if layer.find("data") is None else 1, notes)
    ElementTree.SubElement(notes, "attribute", KEEP)
