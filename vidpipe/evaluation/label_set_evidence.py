"""Evidence where a video may have several labels: mAP decides, beside macro and micro F1.

Luck is measured by permutation: the videos' label sets are dealt to other videos, and a model is no better
than chance where its mAP is no higher than under such a deal.

Source: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidpipe.evaluation.comparison import Difference, Interval, bootstrap, mcnemar_of
from vidpipe.evaluation.evidence import Evidence, GateInput, indices_of, overlap_with, shown
from vidpipe.label_set_metrics import (
    average_precisions,
    f1_scores,
    label_set_scores,
    mean_average_precision,
    over_thresholds,
)
from vidpipe.metrics import Indices
from vidpipe.records.models import Predictions
from vidpipe.records.videos import Doubles, Floats

DEALS = 999


@dataclass(frozen=True, slots=True)
class LabelSetDifference(Difference):
    """Challenger minus champion; `accuracy` is the share of videos with all labels right."""

    mean_average_precision: Interval
    micro_f1: Interval

    @property
    def headline(self) -> Interval:
        """The difference that decides."""
        return self.mean_average_precision


class Contender:
    """One model's probabilities and decisions, whose scores a bootstrap draws."""

    def __init__(self, truth: Indices, given: Floats, thresholds: Sequence[float]) -> None:
        """Take true labels (N, K), probabilities (N, K) and thresholds, K."""
        self._truth, self._given = truth, given
        over = over_thresholds(given, thresholds)
        self.right: npt.NDArray[np.bool_] = (over == (truth > 0)).all(1)
        """Whether all labels of a video are right, (N,)."""
        self._over, self._hits = over.astype(float), truth * over

    def scores(self, weights: Doubles) -> Doubles:
        """Exact match, macro F1, mAP and micro F1, (draws, 4), for weights of the videos (draws, N)."""
        support, hits, claimed = (weights @ x for x in (self._truth, self._hits, self._over))
        seen = np.maximum(1, (support > 0).sum(1))
        macro = (f1_scores(hits, support, claimed) * (support > 0)).sum(1) / seen
        precise = np.nan_to_num(average_precisions(self._truth, self._given, weights)).sum(1) / seen
        exact = (weights @ self.right) / np.maximum(1, weights.sum(1))
        micro = f1_scores(hits.sum(1), support.sum(1), claimed.sum(1))
        return np.stack([exact, macro, precise, micro], axis=1)


def paired_bootstrap(mine: Contender, theirs: Contender, groups: Indices) -> LabelSetDifference:
    """Paired bootstrap by group of the differences in all four scores, with 95 % intervals."""
    found, G = bootstrap(lambda weights: mine.scores(weights) - theirs.scores(weights), groups)
    return LabelSetDifference(found[0], found[1], G, found[2], found[3])


def evidence_of(given: GateInput) -> Evidence:
    """Evidence where a video may have several labels."""
    eval_set, champion = given.eval_set, given.champion
    contenders = {"challenger": given.challenger, **given.baselines}
    if champion is not None:
        contenders["champion"] = champion
    known = _known(given)
    truth = _truth(given, known)
    of_all = {name: _among(known, predictions) for name, predictions in contenders.items()}
    found = {name: label_set_scores(truth, *of, known) for name, of in of_all.items()}
    baselines = {name: found[name] for name in given.baselines}
    best = max(baselines, key=lambda name: (baselines[name].headline, baselines[name].macro_f1))
    groups = indices_of([v.group for v in eval_set.videos], sorted({v.group for v in eval_set.videos}))
    compared = [Contender(truth, *of_all[name]) for name in ("challenger", "champion") if name in of_all]
    occurring = truth.any(0)
    return Evidence(
        challenger=found["challenger"],
        baseline=found[best],
        baselines=dict(baselines),
        champion=found.get("champion"),
        chance=float(truth[:, occurring].mean()) if occurring.any() else 1.0,
        p_chance=p_of_luck(truth, of_all["challenger"][0]),
        difference=paired_bootstrap(compared[0], compared[1], groups) if champion is not None else None,
        mcnemar=mcnemar_of(compared[0].right, compared[1].right) if champion is not None else None,
        calibration_error={
            name: round(found[key].calibration_error or 0.0, 6) for name, key in shown(contenders, best)
        },
        overlap=overlap_with(given, given.training),
        champion_overlap=overlap_with(given, given.champion_training) if given.champion_training else None,
        agreeing_nights=given.agreeing_nights,
    )


def luck_of_all_right(given: GateInput) -> float:
    """Probability that a deal is as good as all labels of all videos right: how small a set may be."""
    truth = _truth(given, _known(given))
    return p_of_luck(truth, truth.astype(np.float32))


def p_of_luck(truth: Indices, given: Floats, *, seed: int = 0) -> float:
    """Probability that a deal of the label sets has as high a mAP (permutation test, one-sided)."""
    n, rng = len(truth), np.random.default_rng(seed)
    if not n:
        return 1.0
    observed, as_high = mean_average_precision(truth, given), 0
    for _ in range(DEALS):
        as_high += mean_average_precision(truth[rng.permutation(n)], given) >= observed - 1e-12
    return (as_high + 1) / (DEALS + 1)


def _known(given: GateInput) -> list[str]:
    """Labels of the set and of all contenders."""
    contenders = [given.challenger, *given.baselines.values(), *([given.champion] if given.champion else [])]
    return sorted({*given.eval_set.labels, *(label for of in contenders for label in of.labels)})


def _truth(given: GateInput, known: Sequence[str]) -> Indices:
    """True labels of each video as zeros and ones, (N, K)."""
    return np.array([[label in names for label in known] for names in given.eval_set.names], np.int64)


def _among(known: Sequence[str], predictions: Predictions) -> tuple[Floats, tuple[float, ...]]:
    """Probabilities (N, K) and thresholds of all known labels; of one that the model lacks, 0 and never."""
    assert predictions.of_labels is not None
    given = np.zeros((len(predictions.of_labels), len(known)), np.float32)
    thresholds = np.ones(len(known))
    places = [known.index(label) for label in predictions.labels]
    given[:, places], thresholds[places] = predictions.of_labels, predictions.thresholds
    return given, tuple(thresholds.tolist())
