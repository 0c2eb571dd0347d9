"""Cross-fitting (stacking): out-of-fold scores choose penalties and blend weights, and give cv accuracy.

Each training video is scored once by parts that were trained without it and without the videos of its group.
These scores choose the penalty of each linear head and the weights that join the parts; the parts are then
trained again on all videos. Test videos are never looked at.

Source: Wolpert, Stacked Generalization (1992); Breiman, Stacked Regressions (1996), for non-negative weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from vidpipe import cores
from vidpipe.learning.blend import BlendedClassifier
from vidpipe.learning.calibration import EpochMetrics
from vidpipe.learning.classifier import ClassifierConfig, LSTMVideoClassifier
from vidpipe.learning.inference import predict
from vidpipe.learning.label_decisions import decide
from vidpipe.learning.linear import LinearHead, LinearName, LinearProblem
from vidpipe.learning.objectives import Objective, Softmax, objective_of
from vidpipe.learning.prior import PRIOR, Prior
from vidpipe.learning.training import LSTMTrainer, Start, TrainingConfig, side_by_side
from vidpipe.records.models import FeatureLayout, LabelDecisions, Sequences
from vidpipe.records.videos import Doubles

SHRINKAGE = 10.0
"""How strongly learnt weights are drawn to one another: on a hundred videos about half-way, on a thousand
hardly."""
EQUAL = 1e6
"""Shrinkage that leaves the weights one size, which is a temperature."""
SURE = 2.0
"""So many standard errors learnt weights must forecast better than equal ones to be taken. Weights learnt on
few videos are mostly noise, and equal ones then forecast better; where one part alone sees what tells the
labels apart, such as order, they are far behind.

Source: Smith and Wallis, A simple explanation of the forecast combination puzzle (2009)."""
JOINS = 1.0
"""So many standard errors better the linear parts must forecast together with the LSTM for it to join them.
On few videos it is the part that varies most, and a part that does not help costs accuracy and time.

Source: Breiman et al., Classification and Regression Trees (1984), section 3.4.3: the simplest of those that
are not surely worse."""
LINEAR_PARTS: tuple[LinearName, ...] = ("mean_std_change_linear", "trend_linear")
PARTS = (*LINEAR_PARTS, "lstm")
"""Parts that may have a weight."""
HEADS: tuple[LinearName, ...] = ("mean_linear", "mean_std_linear", *LINEAR_PARTS)
"""Linear heads that are trained: the baselines, which are simpler, and the parts."""
NOT_WORSE = 0.5
"""A linear part takes the strongest penalty that forecasts so many standard errors worse than the best one at
most: a part that sees nothing of the labels then says so, and does not guess with confidence."""
SEE_ORDER, ORDER_BLIND = ("trend_linear", "lstm"), "mean_std_change_linear"
LEAST_SHARE = 0.02
"""A part whose weight is below this share of all weights has none."""
MOST_WEIGHT = 4.0
ONE_LABEL = Softmax()

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Out-of-fold evidence (n, K) of each part, and the true labels: (n,), or (n, K) of several a video."""

    parts: Mapping[str, Doubles]
    targets: Indices
    folds: Indices
    """With which fold each video was held out, (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Trained parts, their blend weights, and the out-of-fold scores that chose the weights."""

    classifier: BlendedClassifier
    lstm_config: ClassifierConfig
    heads: Mapping[str, LinearHead]
    weights: Mapping[str, float]
    held_out: Indices
    """Which of the videos have out-of-fold scores."""
    out_of_fold: OutOfFold
    """Of every part, also of those without a weight."""
    probabilities: Doubles
    """Out-of-fold probabilities of the blend, (n, K): the weights for a fold are fitted on the others."""
    decisions: LabelDecisions | None = None
    """Where a video may have several labels."""
    decided: npt.NDArray[np.bool_] | None = None
    """Out-of-fold, whether each label is over the threshold that the other folds chose, (n, K); there."""

    def parts(self) -> dict[str, torch.nn.Module]:
        """Every trained part, by name."""
        return {**self.heads, "lstm": self.classifier.lstm}


class CrossFit:
    """Trains all parts, fold by fold and then on all videos: iterate `epochs()`, then take `fitted`."""

    fitted: Fitted

    def __init__(
        self,
        data: Sequences,
        folds: Indices,
        config: TrainingConfig,
        layout: FeatureLayout | None = None,
        start: Start | None = None,
        *,
        linear: bool = True,
    ) -> None:
        """Prepare the folds and the linear problems.

        Args:
            data: Videos to learn from: train and val.
            folds: In which fold each is held out, (N,); -1: in none.
            config: How the LSTM is trained, in each fold as at the end.
            layout: Of the features; default: one kind, which does not say where.
            start: What the LSTM starts from; default: random weights.
            linear: Whether linear heads may have a weight; they are trained in any case, as baselines.
        """
        self._data, self._folds, self._config = data, folds, config
        self._layout, self._start, self._linear = layout, start, linear
        self._blocks = layout.blocks if layout else ()
        self._numbers: list[int] = np.unique(folds[folds >= 0]).tolist()
        of_fold = [config.epochs_for(int((folds != fold).sum())) for fold in self._numbers]
        self.planned = sum(of_fold) + config.epochs_for(len(data))

    def epochs(self) -> Iterator[EpochMetrics | None]:
        """Train; yields metrics for epochs of training on all videos, and None for epochs of the folds."""
        held_out = np.flatnonzero(self._folds >= 0)
        scores = np.zeros((len(self._data), len(self._data.labels)))
        trainer = self._trainer(np.arange(len(self._data)))
        of_folds = [self._trainer(np.flatnonzero(self._folds != fold)) for fold in self._numbers]
        for which, metrics in side_by_side([trainer, *of_folds]):
            yield metrics if which is trainer else None
        for fold, of_fold in zip(self._numbers, of_folds, strict=True):
            there = np.flatnonzero(self._folds == fold)
            scores[there] = evidence_of(of_fold.model, subset(self._data, there))
        with cores.one_thread():
            heads, parts = linear_parts(self._data, self._folds, self._config, self._layout)
        parts["lstm"] = scores[held_out]
        self.fitted = self._join(trainer, heads, OutOfFold(parts, *self._of(held_out)))

    def _trainer(self, videos: Indices) -> LSTMTrainer:
        return LSTMTrainer(subset(self._data, videos), None, self._config, self._blocks, self._start)

    def _of(self, held_out: Indices) -> tuple[Indices, Indices]:
        return self._data.targets[held_out], self._folds[held_out]

    def _join(self, trainer: LSTMTrainer, heads: Mapping[str, LinearHead], held_out: OutOfFold) -> Fitted:
        lstm = trainer.model
        assert isinstance(lstm, LSTMVideoClassifier)
        names = PARTS if self._linear else ("lstm",)
        wanted = {name: held_out.parts[name] for name in names}
        chosen = replace(held_out, parts=wanted)
        weights = dict.fromkeys(held_out.parts, 0.0) | choose_weights(chosen)
        probabilities, decisions, decided = cross_fitted(chosen), None, None
        if held_out.targets.ndim == 2:
            blended = objective_of(held_out.targets).evidence_of(probabilities)
            decisions, probabilities, decided = decide(
                blended, held_out.parts, held_out.targets, held_out.folds
            )
        calibration = (decisions.scale, decisions.shift) if decisions else None
        return Fitted(
            BlendedClassifier(lstm, heads, weights, calibration).eval(), trainer.architecture, heads, weights,
            np.flatnonzero(self._folds >= 0), held_out, probabilities, decisions, decided,
        )  # fmt: skip


def linear_parts(
    data: Sequences,
    folds: Indices,
    config: TrainingConfig,
    layout: FeatureLayout | None,
    names: Sequence[LinearName] = HEADS,
    prior: Prior = PRIOR,
) -> tuple[dict[str, LinearHead], dict[str, Doubles]]:
    """Linear heads of the best penalty, fitted on all videos, and out-of-fold evidence (n, K).

    Baselines are what one would write without us: whole videos alone, all statistics alike.
    """
    heads: dict[str, LinearHead] = {}
    parts: dict[str, Doubles] = {}
    targets, held_out, objective = data.targets, np.flatnonzero(folds >= 0), objective_of(data.targets)
    for name in names:
        problem = LinearProblem(
            name, data.features, targets, len(data.labels), config.balance, config.seed, layout,
            *((prior, config.crop_share) if name in LINEAR_PARTS else ()),
        )  # fmt: skip
        path, fits = problem.cross_fit(folds)  # (penalties, N, K)
        losses = np.stack([-objective.log_scores(scores[held_out], targets[held_out]) for scores in path])
        best = chosen_penalty(losses, NOT_WORSE if name in LINEAR_PARTS else 0.0)
        parts[name] = path[best][held_out]
        heads[name] = problem.head(fits[best])
    return heads, parts


def chosen_penalty(losses: Doubles, standard_errors: float) -> int:
    """Number of the strongest penalty whose loss is at most so many standard errors above the least one.

    Args:
        losses: Out-of-fold loss of each video under each penalty, the strongest first, (penalties, n).
        standard_errors: Of the difference, video by video; 0: the least loss itself.

    Source: Breiman et al., Classification and Regression Trees (1984), section 3.4.3, where it is one.
    """
    best = int(np.argmin(losses.mean(1)))
    above = losses[: best + 1] - losses[best]
    allowed = standard_errors * above.std(1) / np.sqrt(above.shape[1])
    return int(np.argmax(above.mean(1) <= allowed))


def subset(data: Sequences, videos: Indices) -> Sequences:
    """Subset of the videos, in the order of the given indices."""
    return Sequences(
        tuple(data.video_ids[i] for i in videos), tuple(data.features[i] for i in videos),
        data.targets[videos], data.labels,
    )  # fmt: skip


def evidence_of(model: torch.nn.Module, data: Sequences) -> Doubles:
    """Evidence (N, K) of a model's scores."""
    return objective_of(data.targets).evidence_of(predict(model, data.features))


def fit_weights(held_out: OutOfFold, shrinkage: float = SHRINKAGE) -> dict[str, float]:
    """Blend weights: non-negative, with the highest likelihood of the out-of-fold videos' labels.

    Their sum is free: it does what a temperature does. The truth counts as (n + 1) / (n + 2), not as certain:
    a few right answers do not prove the next one.

    Source: Platt, Probabilistic Outputs for Support Vector Machines (1999), section 2.2, for the smoothing.
    """
    from scipy.optimize import minimize

    objective = objective_of(held_out.targets)
    z = _stacked(held_out.parts, objective)  # (P, n, K)
    P, _, K = z.shape
    truth = objective.smoothed(held_out.targets, K)

    def loss(w: Doubles) -> tuple[float, Doubles]:
        likelihood, probabilities = objective.fit(np.tensordot(w, z, 1), truth)
        slack = w - w.mean()
        value = shrinkage * (slack @ slack) - likelihood
        gradient = np.tensordot(z, probabilities - truth, ([1, 2], [0, 1])) + 2 * shrinkage * slack
        return float(value), gradient

    equal = np.full(P, 1 / P)
    found = minimize(loss, equal, jac=True, bounds=[(0.0, MOST_WEIGHT)] * P, method="L-BFGS-B").x
    found = found if found.sum() > 0 else equal
    found[found < LEAST_SHARE * found.sum()] = 0.0
    return {name: round(float(w), 6) for name, w in zip(held_out.parts, found, strict=True)}


def choose_weights(held_out: OutOfFold) -> dict[str, float]:
    """Blend weights: equal ones of the linear parts, unless richer ones forecast held-out labels better.

    The LSTM joins them with the same weight where the forecast is then better by `JOINS` standard errors;
    learnt weights take over where they are better than that by `SURE`.
    """
    simple, learnt = _without_lstm(held_out), _log_scores(held_out, SHRINKAGE)
    chosen, known = simple, _log_scores(simple, EQUAL)
    joined = known if simple is held_out else _log_scores(held_out, EQUAL)
    if _better(joined, known, JOINS):
        chosen, known = held_out, joined
    if _better(learnt, known, SURE):
        return fit_weights(held_out, SHRINKAGE)
    return dict.fromkeys(held_out.parts, 0.0) | fit_weights(chosen, EQUAL)


def _without_lstm(held_out: OutOfFold) -> OutOfFold:
    """The linear parts alone, if there are any."""
    linear = {name: scores for name, scores in held_out.parts.items() if name != "lstm"}
    return replace(held_out, parts=linear) if 0 < len(linear) < len(held_out.parts) else held_out


def _better(scores: Doubles, others: Doubles, errors: float) -> bool:
    """Whether log scores (n,) are better on average, by so many standard errors of the difference."""
    gain = scores - others
    return bool(gain.mean() > errors * gain.std() / np.sqrt(len(gain)))


def order_gain(held_out: OutOfFold) -> tuple[float, float]:
    """Gain in log score of the better part that sees order over the one that does not, and its error.

    Where the standard error is small beside it, the labels differ in the order of what is seen.
    """
    objective = objective_of(held_out.targets)
    stacked = _stacked(held_out.parts, objective)
    scores = [objective.log_scores(evidence, held_out.targets) for evidence in stacked]  # (P, n)
    of = dict(zip(held_out.parts, scores, strict=True))
    best = max((of[name] for name in SEE_ORDER), key=lambda scores: float(scores.mean()))
    gain = best - of[ORDER_BLIND]
    return float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))


def _log_scores(held_out: OutOfFold, shrinkage: float) -> Doubles:
    """Log scores (n,) of the true labels, by weights that are fitted on the other folds."""
    found = _across_folds(held_out, lambda others: fit_weights(others, shrinkage))
    return objective_of(held_out.targets).log_scores_of(found, held_out.targets)


def cross_fitted(held_out: OutOfFold) -> Doubles:
    """Cross-fitted probabilities (n, K) of the blend: each fold's weights are chosen on the other folds."""
    return _across_folds(held_out, choose_weights)


def _across_folds(held_out: OutOfFold, weights_of: Callable[[OutOfFold], Mapping[str, float]]) -> Doubles:
    """Blend each fold by the weights of the other folds, a single one by its own: probabilities (n, K)."""
    found = np.zeros_like(next(iter(held_out.parts.values())))
    numbers: list[int] = np.unique(held_out.folds).tolist()
    for fold in numbers:
        here = held_out.folds == fold
        weights = weights_of(_of(held_out, here if len(numbers) == 1 else ~here))
        found[here] = pooled(weights, _of(held_out, here).parts, objective_of(held_out.targets))
    return found


def pooled(
    weights: Mapping[str, float], parts: Mapping[str, Doubles], objective: Objective = ONE_LABEL
) -> Doubles:
    """Probabilities (n, K) of the blend, from the evidence of its parts."""
    logits = np.tensordot([weights[name] for name in parts], _stacked(parts, objective), 1)
    return objective.fit(logits, np.zeros_like(logits))[1]


def _of(held_out: OutOfFold, chosen: npt.NDArray[np.bool_]) -> OutOfFold:
    parts = {name: scores[chosen] for name, scores in held_out.parts.items()}
    return OutOfFold(parts, held_out.targets[chosen], held_out.folds[chosen])


def _stacked(parts: Mapping[str, Doubles], objective: Objective) -> Doubles:
    """Evidence of all parts, floored as in serving, (P, n, K)."""
    found: Doubles = np.stack([objective.floored(torch.from_numpy(z)).numpy() for z in parts.values()])
    return found
