"""Prior of the linear heads: which differences between videos are likely to tell labels apart.

A penalty on squared weights holds back small statistics more than large ones. So what seldom tells labels
apart is made smaller before the fit, and what often does larger: a linear map of standardised statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from vidpipe.records.models import FeatureLayout
from vidpipe.records.videos import Doubles, Floats

Arrays = TypeVar("Arrays", Floats, Doubles)

ROWS = 4096
"""Videos that are weighed at once."""
TREND_STATISTICS = 4
"""So many statistics over time a head has whose last one is the trend."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Factors of three parts of a video's statistics; at 1 all count alike."""

    directed: float = 1.0
    """Of the odd half, which changes its sign in a mirrored picture; the even half stays. Most labels mean
    the same there. At 0 that is nearly training on every video and its mirrored copy."""
    common: float = 1.0
    """Of what the cells of a picture have in common, their mean. Most labels mean the same wherever a thing
    is shown."""
    trend: float = 1.0
    """Of the last third's mean minus the first's: a difference of few frames, which says less than a mean."""

    def weigh(self, x: Arrays, layout: FeatureLayout) -> None:
        """Multiply rows (n, statistics * D) by a symmetric matrix, in place.

        The three maps commute. With P for the mirrored row, the halves are (x + P x) / 2 and (x - P x) / 2.
        """
        D = sum(layout.blocks)
        for first in range(0, len(x), ROWS):
            rows = x[first : first + ROWS].reshape(-1, D)  # one row a statistic, a view
            if layout.mirrored is not None and self.directed != 1:
                own, other = (1 + self.directed) / 2, (1 - self.directed) / 2
                rows[:] = own * rows + other * rows[:, layout.mirrored]
            if self.common != 1:
                for columns, cells in layout.grids():
                    kind = rows[:, columns].reshape(len(rows), cells, -1)
                    kind += (self.common - 1) * kind.mean(1, keepdims=True)
                    rows[:, columns] = kind.reshape(len(rows), -1)
            if self.trend != 1 and x.shape[1] == TREND_STATISTICS * D:
                rows[TREND_STATISTICS - 1 :: TREND_STATISTICS] *= self.trend


NONE = Prior()
PRIOR = Prior(directed=0.3, common=1.4, trend=0.5)
"""What `vidpipe train` fits with. Measured in docs/promotion.md; on small sets directed 0 does not forecast
better, and cannot tell left from right."""


def scales(blocks: tuple[int, ...]) -> Doubles:
    """By what standardised features are multiplied, (D,), for every kind to have D / kinds of the variance.

    By the number of features, not by their variance: nearly constant ones are not blown up.
    """
    sizes = np.asarray(blocks, np.float64)
    found: Doubles = np.repeat(np.sqrt(sizes.sum() / (len(sizes) * sizes)), blocks)
    return found
