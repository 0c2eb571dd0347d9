"""The pixels of DICOM frames as ffmpeg takes them: RGB, grey of 8 bits, or deep grey.

Grey becomes 8 bits where the file has a window (or a VOI LUT), or has 8 bits; other grey stays deep, and is
stretched over the whole video like any deep grey (grey.py). Colours become RGB.

Source: DICOM PS3.3 C.7.6.3.1.2 (photometric interpretation), C.11.1 (rescale), C.11.2 (windows).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import iter_pixels, pixel_array

from vidpipe.adapters.media.dicom.header import codec_of, depth

DEFLATED, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"


class Pictures:
    """Decoded frames to what ffmpeg gets: `rgb24`, `gray`, or `gray16le`."""

    def __init__(self, header: Dataset) -> None:
        self._header = header
        self._bits = depth(header)
        self._palette = header.PhotometricInterpretation == "PALETTE COLOR"
        self._is_grey = not self._palette and int(header.SamplesPerPixel) == 1
        if self._is_grey:
            signed = int(header.get("PixelRepresentation") or 0)
            self._lowest = -(1 << self._bits - 1) if signed else 0
            stored = np.arange(self._lowest, self._lowest + (1 << self._bits))
            self._table = grey_table(header, stored)

    @property
    def fourcc(self) -> bytes:
        """FourCC of the pixel format in Matroska. Source: libavcodec/raw.c."""
        if not self._is_grey:
            return b"RGB\x18"
        return b"Y800" if self._table.dtype == np.uint8 else b"Y1\0\x10"

    def picture(self, frame: npt.NDArray[Any]) -> bytes:
        """The bytes of one decoded frame."""
        if self._is_grey:
            index = np.clip(frame.astype(np.int32) - self._lowest, 0, len(self._table) - 1)
            return self._table[index].tobytes()
        if self._palette:
            frame = apply_color_lut(frame, self._header)
        table = self._header.get("RedPaletteColorLookupTableDescriptor")
        bits = int(table[2]) if self._palette else self._bits
        return (frame >> (bits - 8) if bits > 8 else frame).astype(np.uint8).tobytes()


def grey_table(header: Dataset, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The grey of every stored value: uint8 by window or at 8 bits, else uint16 to be stretched later."""
    values = np.asarray(apply_modality_lut(stored, header), np.float64)
    share = voi_share(header, values)
    if share is None:
        span = values.max() - values.min()
        share = (values - values.min()) / (span or 1.0)
        white, kind = (255, np.uint8) if len(stored) <= 256 else (65535, np.uint16)
    else:
        white, kind = 255, np.uint8
    if header.PhotometricInterpretation == "MONOCHROME1":
        share = 1 - share
    return np.round(share * white).astype(kind)


def voi_share(header: Dataset, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """From black (0) to white (1), by the file's first window or VOI LUT; None where it has neither.

    Source: DICOM PS3.3 C.11.2.1.2.1 and C.11.2.1.3.
    """
    if lut := header.get("VOILUTSequence"):
        seen = apply_voi(np.round(values).astype(np.int32), header)
        return np.asarray(np.clip(seen / ((1 << int(lut[0].LUTDescriptor[2])) - 1), 0, 1))
    center, width = (_first(header.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width <= 0:
        return None
    function = header.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700))))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if width <= 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, Sequence | list) or hasattr(value, "__iter__") else value)


def _in_a_row(source: Any, wanted: range, plugin: str) -> Iterator[npt.NDArray[Any]]:
    indices = list(wanted) if wanted.start else None  # each by itself is searched for from the first one on
    yield from iter_pixels(source, indices=indices, decoding_plugin=plugin)


def _one_by_one(source: Any, wanted: range) -> Iterator[npt.NDArray[Any]]:
    """pydicom 3.0.2's `iter_pixels` takes native YBR_FULL_422 for YBR_FULL from the second frame on."""
    for number in wanted:
        yield pixel_array(source, index=number)


def decoded(
    file: Path, header: Dataset, count: int, say: Callable[[str], None]
) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Number and pixels of every frame that decodes; one that does not is named and passed over."""
    syntax = header.file_meta.TransferSyntaxUID
    source: Any = dcmread(file) if syntax == DEFLATED else file
    plugin = "pylibjpeg" if syntax == RLE else ""  # pydicom's own is Python, and takes twenty times as long
    is_raw = codec_of(header) == "rawvideo"
    is_halved = is_raw and header.PhotometricInterpretation == "YBR_FULL_422"
    number = 0
    while number < count:
        wanted = range(number, count)
        try:
            for frame in _one_by_one(source, wanted) if is_halved else _in_a_row(source, wanted, plugin):
                yield number, frame
                number += 1
                if number == count:
                    return
            return
        except BrokenPipeError:
            raise
        except Exception as error:
            say(f"error frame {number} of {count} does not decode ({type(error).__name__})")
            if is_raw:
                return  # the file ends here, whatever number of frames the header promises
            number += 1
