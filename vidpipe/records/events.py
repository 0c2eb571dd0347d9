"""Records of events that a scheduler can act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened and that somebody, or another flow, may want to act on."""

    name: str
    """Such as `drift`; schedulers see it as `vidpipe.drift`."""
    about: str
    """What it happened to, such as `collection.yard` or `model.video-classifier`."""
    facts: Mapping[str, Any]
    """Plain values that fit JSON."""
