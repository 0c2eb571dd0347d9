"""Built-in backbones are loaded once by a worker and shared by its tests, as by the runs of one process.

To load one takes a second of CPU, and each home's first extraction did. Tests of loading call `load_backbone`
itself; files of a home, and whatever stands in the way of loading, are looked at each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from vidpipe import cores
from vidpipe.records.features import FeatureSpec
from vidpipe.vision import backbones
from vidpipe.vision.engines import chosen_engine

load_backbone = backbones.load_backbone
_loaded: dict[object, backbones.Backbone] = {}
"""Backbones by all that decides what is loaded."""


@contextmanager
def shared() -> Iterator[None]:
    """Context manager within which homes share what they load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "load_backbone", load_shared)
        yield


def load_shared(spec: FeatureSpec, **options: Any) -> backbones.Backbone:
    """Load a backbone, or take the one that was loaded from the same."""
    if spec.network is not None:
        return load_backbone(spec, **options)
    backbones.require_backbone(spec, **options)
    dtype, engine = options.get("dtype", "auto"), options.get("engine", "auto")
    key = spec, dtype, chosen_engine(engine, dtype), cores.have_bfloat16(), cores.count()
    if key not in _loaded:
        _loaded[key] = load_backbone(spec, **options)
    return _loaded[key]
