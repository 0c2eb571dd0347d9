"""Labels that are probably wrong: found by out-of-fold scores, ranked, corrected through `vidpipe label`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import rows_of, warehouse_rows
from stored import clouds, content_id, put_collection

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.learning.label_issues import judged, label_quality
from vidpipe.ports import Ports
from vidpipe.records.videos import SourceFile
from vidpipe.steps.label import label
from vidpipe.steps.label_issues import COLUMNS, label_issues

TRUTH = {f"{n:02d}.mp4": ("cat", "dog", "emu")[n % 3] for n in range(30)}
GIVEN = TRUTH | {"04.mp4": "cat", "09.mp4": "emu"}
"""Two of thirty labels are wrong."""


def flipped(ports: Ports) -> Ports:
    put_collection(ports, "yard", clouds(TRUTH, ports.limits.spec.feature_size), GIVEN)
    return ports


def test_quality_is_the_margin_and_confidence_what_the_other_label_s_videos_score() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.2, 0.8, 0.0], [0.1, 0.6, 0.3], [0.8, 0.2, 0.0]])
    quality = label_quality(scores, np.array([0, 0, 1, 2, 1]))
    assert quality.suggested.tolist() == [1, 1, 0, 1, 0]
    assert np.allclose(quality.margin, [0.8, 0.5, 0.6, -0.3, -0.6])
    # On average videos of label 0 score 0.8 for it, those of label 1 score 0.5.
    assert quality.is_confident.tolist() == [False, False, False, True, True]


def test_a_label_of_one_fold_cannot_be_judged() -> None:
    assert judged(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2])).tolist() == [True, True, False, False]


def test_wrong_labels_come_first_and_leave_the_list_when_they_are_corrected(
    ports: Ports, tmp_path: Path
) -> None:
    file = tmp_path / "doubtful.csv"
    report = label_issues(flipped(ports), file, collection="yard")
    rows = rows_of(file)
    assert tuple(rows[0]) == COLUMNS
    assert {(r["path"], r["given"], r["suggested"]) for r in rows[:2]} == {
        ("04.mp4", "cat", "dog"), ("09.mp4", "emu", "cat"),
    }  # fmt: skip
    assert all(r["label"] == "" and r["is_confident"] == "yes" for r in rows[:2])
    assert (report.videos, report.unjudged, report.issues) == (30, 0, len(rows))
    seen = "select path, rank, label, suggested, video_id from label_issues order by rank limit 1"
    first = rows[0]
    expected = (first["path"], 1, first["given"], first["suggested"], content_id(first["path"]))
    assert warehouse_rows(ports, seen) == [expected]

    assert label(ports, file).blank == len(rows), "nothing is changed unasked"
    file.write_text(file.read_text().replace("04.mp4,,", "04.mp4,dog,"))
    assert label(ports, file).labelled == 1
    assert "04.mp4" not in {path for (path,) in warehouse_rows(ports, "select path from label_issues")}
    label_issues(ports, tmp_path / "again.csv")
    assert [r["path"] for r in rows_of(tmp_path / "again.csv")][:1] == ["09.mp4"]


def test_the_same_labels_are_not_scored_twice(
    ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = label_issues(flipped(ports), tmp_path / "a.csv")
    monkeypatch.setattr("vidpipe.steps.label_issues.out_of_fold_scores", None)
    again = label_issues(ports, tmp_path / "b.csv", limit=1)
    assert (again.videos, again.issues) == (first.videos, 1)
    assert rows_of(tmp_path / "b.csv") == rows_of(tmp_path / "a.csv")[:1]
    with pytest.raises(ConfigurationError, match="is there already"):
        label_issues(ports, tmp_path / "b.csv")


def test_copies_with_different_labels_are_both_listed(ports: Ports, tmp_path: Path) -> None:
    put_collection(ports, "yard", clouds(TRUTH, ports.limits.spec.feature_size), TRUTH)
    listed = [SourceFile(p, 1, 1, 1, label=k) for p, k in {**TRUTH, "copy.mp4": "dog"}.items()]
    ports.ledger.sources.put_videos("yard", [(listed[-1], content_id("00.mp4"))], [], [])
    ports.ledger.sources.put_listing("yard", listed)
    label_issues(ports, tmp_path / "a.csv")
    assert "copy.mp4" in {r["path"] for r in rows_of(tmp_path / "a.csv")}


def test_without_two_labels_or_features_the_error_says_what_is_missing(ports: Ports, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no two labels"):
        label_issues(ports, tmp_path / "a.csv")
    with pytest.raises(NotFound, match="no collection 'nowhere'"):
        label_issues(ports, tmp_path / "a.csv", collection="nowhere")
    assert not (tmp_path / "a.csv").exists()
