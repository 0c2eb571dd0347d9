"""Backbones that this machine can use: size, input, features, licence, and how fast they compute here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpipe.errors import VidpipeError
from vidpipe.records.features import FeatureSpec
from vidpipe.vision.backbone_choice import timm_name
from vidpipe.vision.backbone_files import read_backbone
from vidpipe.vision.backbone_table import LITE
from vidpipe.vision.backbones import Backbone
from vidpipe.vision.feature_specs import default_spec

SECONDS = 0.5
"""Of computing, for the measured speed."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backbone that a setting may name."""

    name: str
    file: Path | None
    """Of its weights; None where they are not installed."""
    spec: FeatureSpec | None
    """None: a file that is no backbone."""
    license: str | None = None
    needs: str = ""
    """How to install it, or what is wrong with a file."""


def named(sample_fps: float) -> list[Candidate]:
    """The built-in backbones."""
    return [
        Candidate(
            of.name, of.weights_file(), default_spec(sample_fps, backbone=of.name), of.license, of.install
        )
        for of in LITE.values()
    ]


def files_among(files: Iterable[Path], sample_fps: float, setting: str = "") -> Iterator[Candidate]:
    """Backbones in files; what is wrong with one becomes what it needs."""
    for file in dict.fromkeys(files):
        try:
            found = read_backbone(file, timm_name(setting))
        except VidpipeError as error:
            yield Candidate(str(file), file, None, needs=str(error))
        else:
            yield Candidate(str(file), file, default_spec(sample_fps, backbone=found), found.license)


def backbones(
    candidates: Iterable[Candidate], chosen: str, load: Callable[..., Backbone]
) -> list[dict[str, Any]]:
    """One row per backbone: what it is, and whether and how fast it computes here.

    Args:
        candidates: Which.
        chosen: The name of the setting's.
        load: `load_backbone`.
    """
    return [{"name": one.name, "chosen": one.name == chosen, **_facts(one, load)} for one in candidates]


def _facts(one: Candidate, load: Callable[..., Backbone]) -> dict[str, Any]:
    spec, speed, needs = one.spec, None, one.needs
    if spec and one.file:
        try:
            speed, needs = frames_per_s(load(spec, find_file=lambda _: one.file), spec), ""
        except VidpipeError as error:
            needs = str(error)
    return {
        "usable": speed is not None,
        "size_bytes": one.file.stat().st_size if one.file and one.file.is_file() else None,
        "input_px": spec.transform.size_px if spec else None,
        "clip_frames": spec.clip.frames if spec and spec.clip else None,
        "feature_size": spec.feature_size if spec else None,
        "license": one.license,
        "frames_per_s": speed,
        "needs": needs or None,
    }


def frames_per_s(backbone: Backbone, spec: FeatureSpec) -> float:
    """Sampled frames a second that a backbone keeps up with here, on frames of noise."""
    clip, side = (spec.clip.frames,) if spec.clip else (), spec.transform.size_px
    shape = (backbone.batch_frames, *clip, side, side, 3)
    batch = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    backbone(batch)
    done, started = 0, time.perf_counter()
    with backbone.threads() as pool:
        while (took := time.perf_counter() - started) < SECONDS:
            done += len(list(pool.map(backbone, [batch] * backbone.workers)))
    return round(done * backbone.batch_frames * (spec.clip.stride if spec.clip else 1) / took, 1)
