"""Freeze an evaluation set: labelled videos on which every version is compared from now on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.records.models import LabelledVideo
from vidpipe.splits import SPLITS
from vidpipe.steps import scoring
from vidpipe.steps.gather_evidence import evaluation_set
from vidpipe.steps.runs import Result, recorded
from vidpipe.steps.training_splits import resolved


@dataclass(frozen=True, slots=True)
class FreezeResult(Result):
    """Result of `vidpipe freeze-eval`: the current evaluation set."""

    run_id: int
    collection: str
    split: str
    eval_set_hash: str
    videos: int
    groups: int
    labels: Mapping[str, int]
    """Videos of each label."""
    existing: bool
    """True when the same videos, labelled alike, were frozen before."""


def freeze_eval(
    ports: Ports,
    collection: str,
    *,
    split: str = "test",
    split_column: str | None = None,
    group_near_duplicates: bool = False,
) -> FreezeResult:
    """Freeze a split of a collection, or `all` of it, as the current evaluation set.

    Args:
        ports: The outside world.
        collection: One with labels and features.
        split: train, val, test or all.
        split_column: As in training, and
        group_near_duplicates: likewise, so that the split is that of the training.

    Raises:
        NotFound: No such collection, or no labels in it.
        ConfigurationError: No such split, no features yet, or too many near-duplicates that straddle it.
    """
    with recorded(ports, "freeze-eval") as run:
        videos = _part(ports, collection, split, split_column, group_near_duplicates)
        eval_set = evaluation_set(collection, split, videos, frozen=True)
        new = ports.ledger.decisions.put_evaluation_set(eval_set)
        run.videos = len(eval_set.videos)
        run.detail = {"collection": collection, "split": split, "eval_set_hash": eval_set.set_hash}
        return FreezeResult(
            run.run_id, collection, split, eval_set.set_hash, len(eval_set.videos),
            len({v.group for v in eval_set.videos}), dict(Counter(chain.from_iterable(eval_set.names))),
            not new,
        )  # fmt: skip


def _part(
    ports: Ports, collection: str, split: str, column: str | None, group_near_duplicates: bool
) -> tuple[LabelledVideo, ...]:
    """Videos of a split, resolved as in training, so that its test videos are the same."""
    spec = ports.limits.spec
    if split == "all":
        return tuple(scoring.labelled(ports, collection, spec))
    for name in SPLITS:
        if name == split:
            return resolved(
                ports, collection, spec, column, 0, copies="strictest",
                group_near_duplicates=group_near_duplicates, verb="freeze-eval",
            ).part(name)  # fmt: skip
    raise ConfigurationError(f"no split {split!r}.", next_step="pass --split train, val, test or all.")
