"""Evaluate: how well a version does on labelled videos, with its baseline beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import ModelBundle, Ports
from vidpipe.records import LabelledVideo, ModelVersion, Scores, Sequences
from vidpipe.splits import resolve, split_columns
from vidpipe.steps import scoring
from vidpipe.steps.runs import Report


@dataclass(frozen=True, slots=True)
class EvaluateReport(Report):
    """Scores of one version on one split of one collection."""

    model: str
    version: int
    collection: str
    split: str
    n: int
    accuracy: float
    macro_f1: float
    per_label: Mapping[str, Mapping[str, float]]
    baseline: Mapping[str, float]
    """accuracy and macro_f1 of mean + linear, trained on the same videos."""


def evaluate(
    ports: Ports, *, model: str | None = None, collection: str | None = None, split: str = "test"
) -> EvaluateReport:
    """Score a version on a split: by default the challenger, else the champion, on its own test split.

    Raises:
        NotFound: No such version or collection.
        ConfigurationError: An empty split, or labels that the model does not know.
    """
    version = ports.registry.version(model or default_alias(ports))
    bundle = ports.registry.load(version)
    chosen = collection or version.collection
    data = split_data(ports, version, bundle, chosen, split)
    scores, _ = scoring.score(bundle.lstm, data)
    baseline, _ = scoring.score(bundle.baseline, data)
    return EvaluateReport(
        version.model, version.version, chosen, split, scores.n, scores.accuracy, scores.macro_f1,
        scores.per_label, _headline(baseline),
    )  # fmt: skip


def default_alias(ports: Ports) -> str:
    """The challenger where there is one, else the champion.

    Raises:
        NotFound: There is neither.
    """
    aliases = ports.registry.aliases()
    for alias in ("challenger", "champion"):
        if alias in aliases:
            return alias
    raise NotFound(
        f"the model {ports.registry.model} has no challenger and no champion.",
        next_step="vidpipe train --collection NAME",
    )


def split_data(
    ports: Ports, version: ModelVersion, bundle: ModelBundle, collection: str, split: str
) -> Sequences:
    """The videos of a split, in the features of the version.

    In the version's own collection the split is the one it was trained with; elsewhere it follows the column
    of the same name, and `all` takes every labelled video.
    """
    videos = scoring.labelled(ports, collection, version.spec)
    chosen = [v for v in videos if v.video_id in _ids(version, bundle, collection, split, videos)]
    if not chosen:
        raise ConfigurationError(
            f"the {split} split of {collection!r} is empty.",
            next_step="pass --split all, or a collection with split columns.",
        )
    unknown = sorted({v.label for v in chosen} - set(bundle.labels))
    if unknown:
        raise ConfigurationError(
            f"version {version.version} does not know the label {unknown[0]!r} of {collection!r}; "
            f"it knows {', '.join(bundle.labels)}.",
            next_step=f"vidpipe train --collection {collection}",
        )
    return scoring.load(ports, version.spec, chosen, bundle.labels)


def _ids(
    version: ModelVersion,
    bundle: ModelBundle,
    collection: str,
    split: str,
    videos: list[LabelledVideo],
) -> set[str]:
    if split == "all":
        return {v.video_id for v in videos}
    if split not in ("train", "val", "test"):
        raise ConfigurationError(f"no split {split!r}.", next_step="pass --split train, val, test or all.")
    if collection == version.collection:
        return set(bundle.split_ids[split])
    column = version.split_column
    if column not in split_columns(videos):
        column = None
    return {v.video_id for v in resolve(videos, column, 0).part(split)}


def _headline(scores: Scores) -> dict[str, float]:
    return {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1}
