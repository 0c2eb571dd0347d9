"""Feature drift: a two-sample test of each night's videos, anytime-valid over a year of nights.

Tonight's videos and earlier ones are standardised together, whitened together (a ridge on the covariance),
and the squared distance of the two means is compared with that of random regroupings. Under the null
hypothesis, that tonight's are like the earlier ones, such p-values are uniform and independent from night to
night (but for what two samples of the same earlier videos share). Each becomes an e-value, whose expectation
is at most 1, and nights are joined by the Shiryaev-Roberts statistic, which grows by one a night at most on
average: that it ever reaches `YEAR / ALPHA` within a year has at most the probability ALPHA, however often
one looks.

Source: Gretton et al., A kernel two-sample test (2012); Besag and Clifford, Sequential Monte Carlo p-values
(1991); Vovk and Wang, E-values: calibration, combination and applications (2021); Shin, Ramdas and Rinaldo,
E-detectors (2023); Vovk et al., Retrain or not retrain: conformal test martingales for change-point detection
(2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidpipe.learning.video_vectors import least_deviation
from vidpipe.records.videos import Floats

ALPHA = 0.05
"""Probability of a false alarm within a year of nights, at most."""
YEAR = 365
"""Nights; after them the statistic begins anew."""
RIDGE = 10.0
"""In mean variances. Without one, the axes that few videos do not span would count for everything; with a
large one, only what differs most between any two videos would, which is what they show and not how."""
DRAWS = (99, 900, 9_000, 30_000, 60_000)
"""Regroupings, 99,999 in all: two nights in which none is as far apart are an alarm."""
ENOUGH = 10
"""Regroupings as far apart as tonight; then no more are drawn."""
CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class DriftState:
    """Evidence against no change, over the nights since it was last set back."""

    statistic: float = 0.0
    """Shiryaev-Roberts."""
    nights: int = 0

    @property
    def e_value(self) -> float:
        """Expected to be 1 at most, all year, while nothing changes."""
        return self.statistic / YEAR

    @property
    def is_alarm(self) -> bool:
        """So much evidence comes by chance in one year of twenty."""
        return self.e_value >= 1 / ALPHA

    def after(self, e_value: float) -> DriftState:
        """The state after another night."""
        start = self if self.nights < YEAR else DriftState()
        return DriftState((1 + start.statistic) * e_value, start.nights + 1)


def night_e_value(*p_values: float) -> float:
    """E-value of a night from p-values of any dependence: the mean of theirs.

    A p-value's is the integral over k of k p^(k-1), which is large for small ones and 1/2 for 1.
    """
    return float(np.mean([_calibrated(p) for p in p_values]))


def _calibrated(p: float) -> float:
    if p >= 1 - 1e-6:
        return 0.5
    log = math.log(p)
    return (1 - p + p * log) / (p * log * log)


def two_sample_p(tonight: Floats, earlier: Floats, rng: np.random.Generator) -> float:
    """P-value of the hypothesis that both samples, (M, D) and (N, D), are of one distribution.

    Valid whatever the distribution, as long as videos are exchangeable: those of one group are not, and
    should not be in one sample.
    """
    kernel = _whitened(np.concatenate([tonight, earlier]).astype(np.float64))
    M = len(tonight)
    observed = float(kernel[:M, :M].sum()) * (1 - 1e-5)  # ties count, whatever the rounding
    drawn = as_far = 0
    for draws in DRAWS:
        for start in range(0, draws, CHUNK):
            far = np.flatnonzero(_regrouped(kernel, M, min(CHUNK, draws - start), rng) >= observed)
            if as_far + len(far) >= ENOUGH:
                return ENOUGH / (drawn + int(far[ENOUGH - as_far - 1]) + 1)
            as_far, drawn = as_far + len(far), drawn + min(CHUNK, draws - start)
    return (as_far + 1) / (drawn + 1)


def _regrouped(kernel: Floats, M: int, draws: int, rng: np.random.Generator) -> Floats:
    """Statistic of so many random groups of M, (draws,)."""
    order = np.argpartition(rng.random((draws, len(kernel)), dtype=np.float32), M - 1, axis=1)[:, :M]
    chosen = np.zeros((draws, len(kernel)), np.float32)
    np.put_along_axis(chosen, order, 1, axis=1)
    found: Floats = ((chosen @ kernel) * chosen).sum(1)
    return found


def _whitened(x: npt.NDArray[np.float64]) -> Floats:
    """Inner products (N, N) of standardised, centred, ridge-whitened videos (N, D)."""
    x = x - x.mean(0)
    deviation = x.std(0)
    x = x / np.maximum(deviation, least_deviation(deviation))
    inner = x @ x.T
    variance = np.trace(inner) / len(x) / x.shape[1]
    found = np.linalg.solve(inner / len(x) + max(RIDGE * variance, 1e-12) * np.eye(len(x)), inner)
    kernel: Floats = ((found + found.T) / 2).astype(np.float32)
    return kernel


def mean_distance(tonight: Floats, training: Floats) -> float:
    """Distance of the features' means: root mean square over features, in deviations of the training.

    What chance alone would make of it is subtracted; 0 for alike. Of mean features (M, D) and (N, D).
    """
    deviation = training.std(0, dtype=np.float64)
    scale = np.maximum(deviation, least_deviation(deviation))
    a, b = tonight / scale, training / scale
    by_chance = a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b)
    return math.sqrt(max(0.0, float(((a.mean(0) - b.mean(0)) ** 2 - by_chance).mean())))
