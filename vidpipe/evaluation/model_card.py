"""Model card: a version's training data, parameters, scores and limits, as Markdown and as metadata.

Source: Mitchell et al., Model Cards for Model Reporting, 2019, https://arxiv.org/abs/1810.03993.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidpipe.records.features import FeatureSpec
from vidpipe.records.models import CrossValidation, Scores

_ANSWER = {
    False: "their log probabilities; the video gets one of {K} labels.",
    True: "their log odds; the video gets those of {K} labels that are\nover their thresholds, or none.",
}
"""By whether a video may have several labels."""
_NOT_TRIED = {
    False: "no video that shows several of the labels or none. A video of something else gets one of these "
    "labels all\n  the same.",
    True: "no video that shows none of the labels. A video of something else may get some of these labels "
    "all\n  the same.",
}
_OUT_OF_SETS = "\n`labels`: those over their thresholds, as a JSON list, the best first."
FEW_VIDEOS = 30
"""A label with fewer test videos is named in the card: one of them moves its recall by over three points."""
_SPLITS = ("train", "val", "test")
_NAMES = {
    "lstm": "LSTM",
    "mean_linear": "mean + linear (baseline)",
    "mean_std_linear": "mean and deviation + linear (baseline)",
    "mean_std_change_linear": "mean, deviation and change + linear",
    "trend_linear": "mean, deviation, change and trend + linear",
    "thirds_linear": "thirds of the video + linear",
}


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """Training data, parameters and test scores of a version; its tags, metadata and card come from it."""

    collection: str
    split_column: str | None
    """None when the split was cut by group, without a column."""
    dataset_hash: str
    """Of split, video id and label of every video."""
    fingerprint: str
    """Of everything that decides the version."""
    videos: Mapping[str, Mapping[str, int]]
    """Split name to label to number of videos."""
    scores: Scores
    """The registered model on the test split."""
    baselines: Mapping[str, Scores]
    """Linear heads on statistics over time, on the same videos, by name."""
    parts: Mapping[str, Scores]
    """Each part by itself, on the same videos."""
    weights: Mapping[str, float]
    """Of each part in the registered model."""
    cross_validation: CrossValidation
    warm_start: int | None = None
    """Version of the warm start."""
    order_gain: tuple[float, float] | None = None
    """Out-of-fold gain in log score of parts that see order, and its standard error."""
    totals: Mapping[str, int] = field(default_factory=dict)
    """Split name to number of videos; default: the sum of its labels, where each video has one."""

    @property
    def baseline(self) -> Scores:
        """Scores of the better baseline."""
        return max(self.baselines.values(), key=lambda s: (s.headline, s.macro_f1))

    @property
    def is_of_sets(self) -> bool:
        """A video may have several labels."""
        return bool(self.scores.of_sets())

    def total(self, split: str) -> int:
        """Number of videos of a split."""
        return self.totals.get(split, sum(self.videos[split].values()))

    def figures(self) -> dict[str, Any]:
        """Scores of parts, baselines and cross-validation, as `vidpipe train` shows them."""
        found = self.cross_validation
        return {
            "parts": {n: {**_headline(s), "weight": self.weights[n]} for n, s in self.parts.items()},
            "baselines": {name: _headline(s) for name, s in self.baselines.items()},
            "baseline": _headline(self.baseline),
            "cv_accuracy": round(found.accuracy, 6),
            "cv_interval": [round(found.low, 6), round(found.high, 6)],
            "cv_videos": found.videos,
            **(
                {"cv_mean_average_precision": round(found.mean_average_precision, 6)}
                if found.mean_average_precision is not None
                else {}
            ),
            **({"order_gain": [round(x, 4) for x in self.order_gain]} if self.order_gain else {}),
        }

    def metrics(self) -> dict[str, float]:
        """Metrics of the version by name, as MLflow and `vidpipe train` show them."""
        return {
            "train_videos": float(self.total("train")),
            "test_videos": float(self.total("test")),
            "test_accuracy": self.scores.accuracy,
            "test_macro_f1": self.scores.macro_f1,
            "test_calibration_error": self.scores.calibration_error or 0.0,
            **{f"test_{name}": value for name, value in self.scores.of_sets().items()},
            **{f"baseline_test_{name}": value for name, value in self.baseline.of_sets().items()},
            "baseline_test_accuracy": self.baseline.accuracy,
            "baseline_test_macro_f1": self.baseline.macro_f1,
            "cv_accuracy": self.cross_validation.accuracy,
        }


def _headline(scores: Scores) -> dict[str, float]:
    found = {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1, **scores.of_sets()}
    return {name: round(value, 6) for name, value in found.items()}


def facts(labels: Sequence[str], spec: FeatureSpec, record: TrainingRecord, software: str) -> dict[str, Any]:
    """The card's content for programs: plain values that fit JSON and YAML."""
    return {
        "software": software,
        "collection": record.collection,
        "split_column": record.split_column,
        "dataset_hash": record.dataset_hash,
        "fingerprint": record.fingerprint,
        "warm_start": record.warm_start,
        "labels": list(labels),
        "backbone": {"name": spec.backbone, "weights_sha256": spec.weights_sha256},
        "feature_set_id": spec.feature_set_id,
        "feature_spec": json.loads(spec.to_json()),
        "videos": {split: dict(counts) for split, counts in record.videos.items()},
        "metrics": record.metrics(),
        "per_label": {
            name: {label: dict(figures) for label, figures in scores.per_label.items()}
            for name, scores in {"registered": record.scores, **record.parts}.items()
        },
        "weights": dict(record.weights),
        "cross_validation": record.cross_validation.to_dict(),
    }


def card(labels: Sequence[str], spec: FeatureSpec, record: TrainingRecord, software: str) -> str:
    """The card in Markdown. The table that grows with the labels stands last.

    Args:
        labels: K label names.
        spec: How frames became features.
        record: What it was trained on, and its scores.
        software: Name and version of what trained it.
    """
    sections = (
        _what_it_is(labels, record, software),
        _training_data(record),
        _features(spec),
        _scores(record),
        _limits(labels, spec, record),
        _per_label(labels, record),
    )
    return "\n\n".join(sections) + "\n"


def shortened(text: str, limit: int) -> str:
    """Truncate the card to `limit` characters by whole lines; a last line says where the rest is."""
    if len(text) <= limit:
        return text
    note = "\n\nCut here: the whole card is MODEL_CARD.md among the model's files.\n"
    return text[: text.rindex("\n", 0, limit - len(note) + 1)] + note


def _what_it_is(labels: Sequence[str], record: TrainingRecord, software: str) -> str:
    return f"""# Model card: {len(labels)} labels of `{record.collection}`

An LSTM that reads a frozen CNN's features of a video's frames, in order, and linear heads on statistics of
these features over time. Weights join {_ANSWER[record.is_of_sets].format(K=len(labels))}
Trained and registered by {software}.

In: a table with one video a row, and a column `path` (a file on the disk of the machine that serves) or a
column `features` (T lists of D numbers, made by the feature spec below). Out: `label`; `score`; `top`, all
labels with their scores from best to worst, as JSON; `error`, null for a video that could be scored, else why
not, with null in the other columns.{_OUT_OF_SETS if record.is_of_sets else ""}"""


def _training_data(record: TrainingRecord) -> str:
    how = f"column `{record.split_column}`" if record.split_column else "cut by group, without a column"
    return f"""## Training data

- Collection: `{record.collection}`
- Split: {how}; {", ".join(f"{record.total(s)} {s}" for s in _SPLITS)} videos
- Dataset hash: `{record.dataset_hash}` (split, content hash and label of every video)
{_history(record)}
The model was trained on the train and val splits. The weights of its parts were chosen on videos that the
parts had not been trained on ({_held_out(record)}); the test split was scored once, at the end."""


def _held_out(record: TrainingRecord) -> str:
    folds = record.cross_validation.folds
    return "the val split" if folds == 1 else f"{folds} folds by group"


def _history(record: TrainingRecord) -> str:
    if record.warm_start is None:
        return ""
    return f"- Warm start from version {record.warm_start}: trained on that version's training videos, too\n"


def _features(spec: FeatureSpec) -> str:
    transform = spec.transform
    return f"""## Features

- Feature set: `{spec.feature_set_id}`
- Frames: one per 1/{spec.sample_fps:g} s; {_view(spec)}, resized to
  {transform.size_px} x {transform.size_px} px ({transform.interpolation})
- Backbone: `{spec.backbone}`, frozen; weights SHA-256 `{spec.weights_sha256}`
- Pooling: {spec.pooling}; {spec.feature_size} features a frame
- Optical flow: {_flow(spec)}"""


def _flow(spec: FeatureSpec) -> str:
    flow = spec.flow
    if flow is None:
        return "none"
    return f"{flow.method}, {flow.width_px} x {flow.height_px} px, {flow.fps:g} frames/s; {flow.pooling}"


def _view(spec: FeatureSpec) -> str:
    share = spec.transform.crop_share
    return "the whole frame" if share is None else f"the middle {share:g} of the short side"


def _scores(record: TrainingRecord) -> str:
    if record.is_of_sets:
        return _scores_of_sets(record)
    ahead = 100 * (record.scores.accuracy - record.baseline.accuracy)
    verdict = f"{abs(ahead):.1f} points {'ahead of' if ahead > 0 else 'behind'}" if ahead else "equal to"
    rows = [("registered model", f"{record.scores.accuracy:.3f}", f"{record.scores.macro_f1:.3f}", "")]
    rows += [
        (_NAMES[name], f"{s.accuracy:.3f}", f"{s.macro_f1:.3f}", f"{record.weights[name]:.2f}")
        for name, s in record.parts.items()
    ]
    found = record.cross_validation
    return f"""## Scores on the test split

{_table(("", "accuracy", "macro F1", "weight"), rows)}

On these {record.scores.n} videos the registered model's accuracy is {verdict} that of the better baseline
(mean + linear, mean and deviation + linear). Cross-validated on {found.videos} training videos, by group:
accuracy {found.accuracy:.3f}, 95 % interval {found.low:.3f} to {found.high:.3f}."""


def _scores_of_sets(record: TrainingRecord) -> str:
    def row(name: str, scores: Scores, weight: str) -> tuple[str, ...]:
        of_sets = scores.of_sets()
        figures = (of_sets["mean_average_precision"], scores.macro_f1, of_sets["micro_f1"], scores.accuracy)
        return (name, *(f"{x:.3f}" for x in figures), weight)

    rows = [row("registered model", record.scores, "")]
    rows += [row(_NAMES[name], s, f"{record.weights[name]:.2f}") for name, s in record.parts.items()]
    found = record.cross_validation
    return f"""## Scores on the test split

{_table(("", "mAP", "macro F1", "micro F1", "all labels right", "weight"), rows)}

mAP: mean average precision over the labels, whatever the thresholds. F1 is at the thresholds below, which
have the best F1 on held-out training videos. Cross-validated on {found.videos} training videos, by group:
mAP {found.mean_average_precision or 0.0:.3f}; all labels right in {found.accuracy:.3f},
95 % interval {found.low:.3f} to {found.high:.3f}."""


def _limits(labels: Sequence[str], spec: FeatureSpec, record: TrainingRecord) -> str:
    few = [label for label in labels if record.videos["test"].get(label, 0) < FEW_VIDEOS]
    named = ", ".join(_cell(label) for label in few[:10]) + (" and others" if len(few) > 10 else "")
    off = record.scores.calibration_error or 0.0
    small = f"; fewer than {FEW_VIDEOS} test videos: {named}" if few else ""
    return f"""## Limits

- **Not tried** on anything but the test split above: no other collection, camera, place, season or encoder,
  {_NOT_TRIED[record.is_of_sets]}
- **Label shift**: the scores hold for the test split's mix of labels. Where labels come in another mix, both
  the accuracy and the meaning of a score change; nothing corrects for it.
- **Small test sets**: one test video is {100 / max(1, record.scores.n):.1f} points of accuracy{small}.
- **Scores were calibrated on held-out training videos**, by the weights of the parts: on the test split they
  are {off:.3f} off the share of right answers on average. Elsewhere they may be further off.
- It sees one frame per 1/{spec.sample_fps:g} s, {_view(spec)}, and hears nothing.
- Scores are the same to the bit for the same file on the same kind of processor with the same ffmpeg and
  torch; elsewhere they differ slightly.
- Whoever can reach a server of this model can have it open any file that the server may read."""


def _per_label(labels: Sequence[str], record: TrainingRecord) -> str:
    more = ("average_precision", "threshold") if record.is_of_sets else ()
    head = (
        "label", *(f"{s} videos" for s in _SPLITS), "precision", "recall", "F1", "baseline F1",
        *(name.replace("_", " ") for name in more),
    )  # fmt: skip
    rows = [
        (
            _cell(label),
            *(str(record.videos[split].get(label, 0)) for split in _SPLITS),
            *(f"{record.scores.per_label[label][figure]:.3f}" for figure in ("precision", "recall", "f1")),
            f"{record.baseline.per_label[label]['f1']:.3f}",
            *(f"{record.scores.per_label[label][figure]:.3f}" for figure in more),
        )
        for label in labels
    ]
    return f"## Per label\n\nPrecision, recall and F1 are of the test split.\n\n{_table(head, rows)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """A label, which may be any text, as one cell of a table."""
    return " ".join(text.replace("|", "\\|").split())
