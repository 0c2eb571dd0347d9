"""Small ONNX graphs, for tests of backbones in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 8


def save_graph(
    file: Path,
    shape: Sequence[int | str],
    nodes: Sequence[onnx.NodeProto],
    *,
    outputs: Sequence[str] = ("y",),
    weights: Sequence[onnx.TensorProto] = (),
    number: int = TensorProto.FLOAT,
    output_number: int = TensorProto.FLOAT,
) -> Path:
    """Write a graph with one input `x`."""
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", number, shape)],
        [helper.make_tensor_value_info(name, output_number, None) for name in outputs], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(file))
    return file


def conv(axes: int = 2, seed: int = 0) -> tuple[onnx.NodeProto, onnx.TensorProto]:
    """A convolution of 16 x 16 patches, which keeps times apart, and its weights."""
    ones = (1,) * (axes - 2)
    weights = np.random.default_rng(seed).normal(0, 0.05, (CHANNELS, 3, *ones, 16, 16)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["m"], strides=[*ones, 16, 16])
    return node, numpy_helper.from_array(weights, "w")


def map_graph(file: Path, *, side: int = 96, batch: int | str = "batch", seed: int = 0) -> Path:
    """Frames to a map (B, 8, side / 16, side / 16)."""
    node, weights = conv(seed=seed)
    relu = helper.make_node("Relu", ["m"], ["y"])
    return save_graph(file, (batch, 3, side, side), [node, relu], weights=[weights])


def vector_graph(file: Path, shape: Sequence[int | str] = ("batch", 3, 64, 64)) -> Path:
    """Frames or clips to the mean of each of the three channels, (B, 3)."""
    axes = list(range(2, len(shape)))
    return save_graph(file, shape, [helper.make_node("ReduceMean", ["x"], ["y"], axes=axes, keepdims=0)])


def tokens_graph(file: Path, *, class_token: bool = True) -> Path:
    """Frames of 64 px to 16 patches of 8 channels, and a class token before them, (B, 17, 8)."""
    node, weights = conv()
    shape = numpy_helper.from_array(np.array([0, CHANNELS, 16], np.int64), "shape")
    nodes = [
        node,
        helper.make_node("Reshape", ["m", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["patches" if class_token else "y"], perm=[0, 2, 1]),
    ]
    if class_token:
        nodes += [
            helper.make_node("ReduceMax", ["patches"], ["class"], axes=[1], keepdims=1),
            helper.make_node("Concat", ["class", "patches"], ["y"], axis=1),
        ]
    return save_graph(file, ("batch", 3, 64, 64), nodes, weights=[weights, shape])
