"""The novelty model of a version, fitted on the videos that it was trained on when it first scores."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from vidpipe.learning.novelty import fit_novelty
from vidpipe.ports import Ports
from vidpipe.records.models import LabelledVideo, ModelVersion
from vidpipe.splits import group_folds
from vidpipe.steps.mean_features import mean_features
from vidpipe.vision.feature_specs import block_sizes

log = logging.getLogger(__name__)

SEED = 0


def novelty_model(ports: Ports, version: ModelVersion) -> bytes:
    """Bytes of a version's novelty model, fitted once; empty where too few of its videos are there.

    A video with several labels stands for its rarest one, whose centre would lack it most.
    """
    known = ports.ledger.novelty.model_of(version.identity)
    if known is not None:
        return known
    spec = version.spec
    videos = training_videos(ports, version)
    found = None
    if videos:
        means = dict(mean_features(ports.store, spec.feature_set_id, [v.stored for v in videos]))
        videos_of = Counter(name for v in videos for name in v.names)
        labels = sorted(videos_of)
        rarest = [min(v.names, key=lambda name: (videos_of[name], name)) for v in videos]
        targets = np.array([labels.index(name) for name in rarest], np.int64)
        folds = group_folds(videos, SEED)
        found = fit_novelty(np.stack([means[v.video_id] for v in videos]), targets, folds, block_sizes(spec))
    weights = found.to_bytes() if found else b""
    ports.ledger.novelty.put_model(version.identity, weights, len(videos))
    log.info("novelty of version %d is told by %d videos", version.version, len(videos) if found else 0)
    return weights


def training_videos(ports: Ports, version: ModelVersion) -> list[LabelledVideo]:
    """Videos that a version was trained on as a whole, and that still have features."""
    split = ports.registry.load(version).split_ids
    taught = {*split.get("train", ()), *split.get("val", ())}
    labelled = ports.ledger.features.labelled_videos(version.collection, version.spec.feature_set_id)
    return list({v.video_id: v for v in labelled if v.span is None and v.video_id in taught}.values())
