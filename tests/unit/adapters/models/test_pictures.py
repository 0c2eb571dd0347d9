"""Pictures show the numbers that they are made of."""

from __future__ import annotations

from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from conftest import certain
from matplotlib.patches import Rectangle
from PIL import Image

from vidpipe.adapters.models import plots
from vidpipe.metrics import calibration_error, reliability
from vidpipe.records.models import AttentionStrip


def jpeg(shade: int) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (16, 12), (shade, shade, shade)).save(stream, "JPEG")
    return stream.getvalue()


def test_the_worst_label_is_on_top() -> None:
    found = {
        "good": {"recall": 1.0, "precision": 0.9},
        "bad": {"recall": 0.2, "precision": 0.8},
        "fair": {"recall": 0.6, "precision": 0.7},
    }
    (axes,) = plots.per_label(found).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["good", "fair", "bad"]  # from below
    assert [round(bar.get_width(), 1) for bar in axes.containers[0]] == [1.0, 0.6, 0.2]
    assert [round(bar.get_width(), 1) for bar in axes.containers[1]] == [0.9, 0.7, 0.8]


def test_calibration_shows_the_bins_that_the_error_is_made_of() -> None:
    scores = np.array([0.95, 0.93, 0.91, 0.55, 0.52, 1.0], np.float32)
    right = np.array([True, True, False, True, False, True])
    bins = reliability(right, scores)
    assert [(b.videos, round(b.right, 2), round(b.score, 3)) for b in bins] == [
        (2, 0.5, 0.535), (4, 0.75, 0.947),
    ]  # fmt: skip
    assert calibration_error(right, scores) == pytest.approx(2 / 6 * 0.035 + 4 / 6 * 0.1975, abs=1e-3)
    share, count = plots.calibration(right, scores).axes
    assert share.lines[1].get_ydata() == pytest.approx([0.5, 0.75])
    assert [bar.get_height() for bar in count.patches if isinstance(bar, Rectangle)] == [2, 4]


def test_attention_has_a_row_a_video_with_its_pictures_over_its_weights() -> None:
    strips = [
        AttentionStrip("one", [0.0, 0.5, 1.0], [0.2, 0.5, 0.3], [(0.0, jpeg(0)), (1.0, jpeg(255))]),
        AttentionStrip("two", [0.0, 0.5], [0.5, 0.5], [(0.0, jpeg(100))]),
    ]
    figure = plots.attention(strips)
    assert [part.get_suptitle() for part in figure.subfigs] == ["one", "two"]
    assert [len(part.axes) for part in figure.subfigs] == [3, 2]
    assert [axes.get_title() for axes in figure.subfigs[0].axes] == ["0.0 s", "1.0 s", ""]
    figure.savefig(BytesIO())
    places = [certain(axes.get_tightbbox()) for part in figure.subfigs for axes in part.axes]
    assert all(0 <= p.x0 < p.x1 <= figure.bbox.x1 and 0 <= p.y0 < p.y1 <= figure.bbox.y1 for p in places)
    assert not [1 for one, other in combinations(places, 2) if one.overlaps(other)]
