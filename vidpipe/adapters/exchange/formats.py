"""Writers of other tools' formats, by the names of `vidpipe export --format`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidpipe.adapters.exchange.activitynet import activitynet
from vidpipe.adapters.exchange.camtrap_dp import camtrap_dp
from vidpipe.adapters.exchange.fiftyone import fiftyone
from vidpipe.adapters.exchange.label_studio import label_studio
from vidpipe.adapters.exchange.webvtt import webvtt
from vidpipe.ports.outcome import NamedQuery

WRITERS: dict[str, Callable[[NamedQuery, Path, str | None], list[dict[str, Any]]]] = {
    "label-studio": label_studio,
    "webvtt": webvtt,
    "fiftyone": fiftyone,
    "activitynet": activitynet,
    "camtrap-dp": camtrap_dp,
}
