"""The TOML file beside a backbone file: what the file itself does not say of its input and its licence."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vidpipe.errors import ConfigurationError

LAYOUT_NAMES = ("NCHW", "NHWC", "NCTHW", "NTCHW", "NTHWC")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Keys of the TOML file beside a backbone file; None: not given."""

    timm: str | None = None
    """The network of timm whose weights these are."""
    input_px: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    layout: str | None = None
    output: str | None = None
    stride: int | None = None
    fps: float | None = None
    license: str | None = None


def sidecar_of(file: Path) -> Path | None:
    """The TOML file beside a backbone file: `net.onnx.toml`, or `net.toml`."""
    return next(
        (f for f in (file.with_name(f"{file.name}.toml"), file.with_suffix(".toml")) if f.is_file()), None
    )


def read_sidecar(file: Path) -> Sidecar:
    """Read what stands beside a backbone file.

    Raises:
        ConfigurationError: It is no TOML, or has a key or a value that cannot be right.
    """
    beside = sidecar_of(file)
    if beside is None:
        return Sidecar()
    try:
        given = tomllib.loads(beside.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{beside} is not TOML: {error}.", next_step=f"mend {beside}.") from None
    return Sidecar(**{key: _checked(beside, key, value) for key, value in given.items()})


def _checked(beside: Path, key: str, value: Any) -> Any:
    if key not in _VALUES:
        close = get_close_matches(key, _VALUES, 1)
        raise ConfigurationError(
            f"{beside}: got the key {key!r}, expected any of {', '.join(_VALUES)}.",
            next_step=f"did you mean {close[0]}?" if close else f"mend {beside}.",
        )
    expected, read = _VALUES[key]
    found = read(value)
    if found is None:
        raise ConfigurationError(
            f"{beside}: got {key} = {value!r}, expected {expected}.", next_step=f"mend {beside}."
        )
    return found


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _rate(value: Any) -> float | None:
    return float(value) if _is_number(value) and 0 < value <= 1000 else None


def _colour(value: Any) -> tuple[float, ...] | None:
    """Three numbers, or one for all three channels."""
    numbers = [value] * 3 if _is_number(value) else value
    if not isinstance(numbers, list) or len(numbers) != 3 or not all(_is_number(n) for n in numbers):
        return None
    return tuple(float(n) for n in numbers)


def _deviation(value: Any) -> tuple[float, ...] | None:
    found = _colour(value)
    return found if found and min(found) > 0 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


def _layout(value: Any) -> str | None:
    """`NCHW`, or as the axes are also called, `BCHW`."""
    named = value.upper().replace("B", "N") if isinstance(value, str) else ""
    return named if named in LAYOUT_NAMES else None


_VALUES: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "timm": ("the name of a network of timm", _text),
    "input_px": ("a whole number of pixels", _whole),
    "mean": ("three numbers, red, green, blue", _colour),
    "std": ("three numbers above 0, red, green, blue", _deviation),
    "layout": (f"one of {', '.join(LAYOUT_NAMES)}", _layout),
    "output": ("the name of an output, or map, tokens or vector", _text),
    "stride": ("a whole number of frames", _whole),
    "fps": ("frames a second, above 0 and at most 1000", _rate),
    "license": ("text", _text),
}
