"""Train/val/test splits that near-duplicates do not straddle."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from vidpipe.errors import ConfigurationError
from vidpipe.learning.near_duplicates import SURE
from vidpipe.learning.video_vectors import fit_projection
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec
from vidpipe.records.models import LabelledVideo
from vidpipe.records.near_duplicates import NearDuplicate
from vidpipe.splits import SPLITS, Copies, ResolvedSplit, resolve, split_columns
from vidpipe.steps import scoring
from vidpipe.steps.mean_features import mean_features
from vidpipe.steps.near_duplicates import Vectors, blocks_of, is_comparable, near
from vidpipe.vision.feature_specs import block_sizes

log = logging.getLogger(__name__)

MENTIONED = 5
MOST_SHARE = 0.1
"""Of a test split that may show what was trained on: beyond it a score says nothing, and is refused. A few
are said beside the score: official splits have such pairs, UCF101's first one 10 of 202 test clips here."""


def near_copies(ports: Ports, spec: FeatureSpec, videos: Sequence[LabelledVideo]) -> list[NearDuplicate]:
    """Near-duplicates among labelled videos: those on record, and those of videos not yet compared.

    Nothing is recorded: a training may run beside a night.
    """
    if not is_comparable(spec):
        return []
    stored = {v.video_id: v.stored for v in videos}
    found = ports.ledger.near_duplicates.among(spec.feature_set_id, stored)
    known = ports.ledger.near_duplicates.compared(spec.feature_set_id, stored)
    if len(stored) < 2 or known >= set(stored):
        return found
    means = dict(mean_features(ports.store, spec.feature_set_id, list(stored.values())))
    projection = fit_projection(np.stack(list(means.values())), block_sizes(spec))
    ids = list(means)
    vectors = Vectors(ids, projection.vectors(np.stack([means[v] for v in ids])), [v in known for v in ids])
    for block in blocks_of([stored[v] for v in ids if v not in known]):
        found += near(ports, spec, block, vectors.candidates([s.video_id for s in block]))[0]
    return found


def resolved(
    ports: Ports, collection: str, spec: FeatureSpec, column: str | None, seed: int, *, copies: Copies,
    group_near_duplicates: bool, verb: str = "train",
) -> ResolvedSplit:  # fmt: skip
    """Split of a collection's labelled videos, `splits.resolve`, that not many near-duplicates straddle.

    Where no column says otherwise, sure pairs stay together.

    Raises:
        NotFound: No such collection, or no labels in it.
        ConfigurationError: No features yet, a split that cannot be used, or too many near-duplicates that
            straddle it.
    """
    videos = scoring.labelled(ports, collection, spec)
    pairs = near_copies(ports, spec, videos)
    is_free = column is None and not split_columns(videos)
    joined = [p for p in pairs if group_near_duplicates or (is_free and p.similarity >= SURE)]
    together = [(p.video_id, p.other_video_id) for p in joined]
    split = resolve(videos, column, seed, copies=copies, together=together)
    refuse_straddling(split, pairs, f"{verb} --collection {collection}")
    return split


def refuse_straddling(split: ResolvedSplit, pairs: Sequence[NearDuplicate], verb: str) -> None:
    """Refuse a split whose test or val videos are often near-duplicates of other splits'; warn of a few.

    Pairs that may be none are let pass.

    Args:
        split: Of labelled videos.
        pairs: Near-duplicates among them.
        verb: Command line that asked, for the next step.

    Raises:
        ConfigurationError: They are more than `MOST_SHARE`; it names the pairs and the next command.
    """
    where = {v.video_id: (name, v.path) for name in SPLITS for v in split.part(name)}
    bad, seen = [], defaultdict(set)
    for pair in pairs:
        if not {pair.video_id, pair.other_video_id} <= set(where):
            continue  # the split column says nothing of one
        (mine, path), (theirs, other) = where[pair.video_id], where[pair.other_video_id]
        if mine != theirs and pair.similarity >= SURE:
            bad.append(f"{path} ({mine}) and {other} ({theirs}), similarity {pair.similarity:.2f}")
            sides = (mine, pair.video_id), (theirs, pair.other_video_id)
            name, video_id = max(sides, key=lambda side: SPLITS.index(side[0]))
            seen[name].add(video_id)
    if not bad:
        return
    more = f"; and {len(bad) - MENTIONED} more pairs" if len(bad) > MENTIONED else ""
    counts = " and ".join(f"{len(ids)} of {len(split.part(name))} {name}" for name, ids in seen.items())
    text = (
        f"{counts} videos are near-duplicates of videos in another split, which makes scores too high: "
        f"{'; '.join(bad[:MENTIONED])}{more}."
    )
    next_step = (
        f"vidpipe {verb} --group-near-duplicates, which keeps them together; "
        "vidpipe sql 'from near_duplicates' lists them."
    )
    if any(len(ids) > MOST_SHARE * len(split.part(name)) for name, ids in seen.items()):
        raise ConfigurationError(text, next_step=next_step)
    log.warning("%s Next: %s", text, next_step)
