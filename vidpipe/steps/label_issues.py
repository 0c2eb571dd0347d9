"""Find labels that are probably wrong, by confident learning, as a CSV for `vidpipe label` and a view.

Every labelled video is scored by models that have seen neither it nor its group, whatever its split. Labelled
parts of long videos are left out: `vidpipe label` gives labels to whole videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.learning.label_issues import judged, label_quality, out_of_fold_scores
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec
from vidpipe.records.labels import LabelCheck, LabelIssue
from vidpipe.records.models import LabelledVideo
from vidpipe.records.videos import short_hash
from vidpipe.splits import group_folds
from vidpipe.steps import scoring
from vidpipe.steps.label_kinds import is_multi_label
from vidpipe.steps.lookup import require_collection
from vidpipe.steps.runs import Result, recorded
from vidpipe.vision.feature_specs import layout_of

COLUMNS = (
    "path", "label", "given", "suggested", "given_score", "suggested_score", "is_confident", "collection",
    "video_id",
)  # fmt: skip
"""Of the CSV; `label` is empty, for a person to fill in what is right."""
SEED = 0
RECIPE = 4
"""Raised when the same labels would be judged differently."""


@dataclass(frozen=True, slots=True)
class IssuesResult(Result):
    """Result of `vidpipe label-issues`."""

    run_id: int
    output: str
    issues: int
    """Lines of the CSV: videos whose label disagrees with their scores."""
    confident: int
    """Of these, videos that score as those of the suggested label do."""
    videos: int
    """Labelled videos that were looked at."""
    unjudged: int
    """Videos whose label is too rare to be judged: all of them in one group."""


def label_issues(
    ports: Ports, output: Path, *, collection: str | None = None, limit: int | None = None,
    overwrite: bool = False,
) -> IssuesResult:  # fmt: skip
    """Write a CSV of videos whose label disagrees with out-of-fold scores, the likeliest wrong first.

    Args:
        ports: The outside world.
        output: The CSV.
        collection: Default: every collection with labels of two kinds, and one label a video.
        limit: So many lines at most; default: all.
        overwrite: Replace another file of that name.

    Raises:
        NotFound: No such collection, or no labels to compare.
        ConfigurationError: No features yet, another file has that name, or several labels a video.
    """
    require_collection(ports, collection)
    if collection and is_multi_label(ports, collection):
        raise ConfigurationError(
            f"the videos of {collection!r} may have several labels: label-issues judges one label a video.",
            next_step="vidpipe label-queue asks for the videos that are least certain.",
        )
    every = [c.name for c in ports.ledger.sources.collections() if not c.multi_label]
    names = [collection] if collection else every
    with recorded(ports, "label-issues") as run:
        checks = {name: check for name in names if (check := _checked(ports, name))}
        if not checks:
            raise NotFound(
                f"no two labels to compare in {collection or 'any collection'}.",
                next_step="vidpipe ingest SOURCE --collection NAME --manifest FILE.csv; vidpipe extract",
            )
        found = [(name, issue) for name in checks for issue in ports.ledger.label_issues.of(name)]
        found.sort(key=lambda of: of[1].label_score - of[1].suggested_score)
        lines = [_line(name, issue) for name, issue in found[:limit]]
        ports.catalog.write_manifest(output, COLUMNS, lines, overwrite=overwrite)
        run.videos = sum(check.videos for check in checks.values())
        run.detail = {"issues": len(found), "collections": list(checks)}
        return IssuesResult(
            run.run_id, str(output), len(lines), sum(issue.is_confident for _, issue in found[:limit]),
            run.videos, sum(check.unjudged for check in checks.values()),
        )  # fmt: skip


def _checked(ports: Ports, collection: str) -> LabelCheck | None:
    """Check a collection's labels, unless the same ones have been; None where there are no two labels."""
    spec, videos = _labelled(ports, collection)
    labels = sorted({v.label for v in videos})
    if len(labels) < 2:
        return None
    dataset = [(v.video_id, v.label, v.group) for v in videos]
    dataset_hash = short_hash([RECIPE, spec.feature_set_id, dataset])
    known = ports.ledger.label_issues.check_of(collection)
    if known and known.dataset_hash == dataset_hash:
        return known
    data = scoring.load(ports, spec, videos, labels)
    folds = group_folds(videos, SEED)
    quality = label_quality(out_of_fold_scores(data, folds, layout_of(spec)), data.targets)
    may_be_judged = judged(data.targets, folds)
    order = np.argsort(quality.margin, kind="stable")
    issues = [
        LabelIssue(
            videos[i].video_id, videos[i].path, videos[i].label, labels[quality.suggested[i]],
            round(float(quality.own_scores[i]), 4), round(float(quality.other_scores[i]), 4),
            bool(quality.is_confident[i]),
        )
        for i in order
        if may_be_judged[i] and quality.margin[i] < 0
    ]  # fmt: skip
    check = LabelCheck(dataset_hash, len(videos), int((~may_be_judged).sum()))
    ports.ledger.label_issues.put(collection, check, issues)
    return check


def _labelled(ports: Ports, collection: str) -> tuple[FeatureSpec, list[LabelledVideo]]:
    """The labelled whole videos of a collection, in the order of `scoring.load`, and the spec that most have.

    Copies that have different labels are one entry each: at least one of the labels is wrong.

    Raises:
        ConfigurationError: None has features.
    """
    specs = [ports.limits.spec, *ports.ledger.features.feature_specs(collection)]
    of_spec = {s: ports.ledger.features.labelled_videos(collection, s.feature_set_id) for s in specs}
    spec = max(of_spec, key=lambda s: len(of_spec[s]))
    if not of_spec[spec] and ports.ledger.sources.count_labelled(collection):
        raise ConfigurationError(
            f"no labelled video of {collection!r} has features.",
            next_step=f"vidpipe extract --collection {collection}",
        )
    whole = {(v.video_id, v.label): v for v in of_spec[spec] if v.span is None}
    return spec, scoring.in_order(list(whole.values()))


def _line(collection: str, issue: LabelIssue) -> Sequence[str]:
    scores = (f"{issue.label_score:.4f}", f"{issue.suggested_score:.4f}")
    confident = "yes" if issue.is_confident else "no"
    return (issue.path, "", issue.label, issue.suggested, *scores, confident, collection, issue.video_id)
