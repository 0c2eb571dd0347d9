"""The gate where a video may have several labels: mAP decides, and every reason has its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from vidpipe.evaluation.evidence import GateInput, Training
from vidpipe.evaluation.gate import Policy, judge
from vidpipe.evaluation.label_set_evidence import evidence_of, p_of_luck
from vidpipe.label_set_metrics import mean_average_precision
from vidpipe.records.models import EvaluationSet, EvaluationVideo, LabelSetScores, Predictions

NOTHING = Training(frozenset(), frozenset())
NAMES = ("cat", "dog", "emu")
TRUTH = (np.random.default_rng(0).random((60, 3)) < [0.6, 0.4, 0.3]).astype(np.int64)
TRUTH[TRUTH.sum(1) == 0, 0] = 1
SETS = ["|".join(name for name, there in zip(NAMES, row, strict=True) if there) for row in TRUTH]
VIDEOS = tuple(EvaluationVideo(f"v{n:02d}", names, f"g{n // 2}") for n, names in enumerate(SETS))
YARD = EvaluationSet("yard", "test", VIDEOS, frozen=True, multi_label=True)


def answers(noise: float, labels: tuple[str, ...] = NAMES) -> Predictions:
    """A model's answers: nearer to the truth, the less noise there is."""
    draw = np.random.default_rng(7)
    given = np.clip(0.8 * TRUTH + 0.1 + noise * draw.normal(size=TRUTH.shape), 0.01, 0.99).astype(np.float32)
    given = given[:, : len(labels)]
    best = tuple(labels[k] for k in given.argmax(1))
    return Predictions(labels, best, given.max(1), given, (0.5,) * len(labels))


def given(mine: Predictions, champion: Predictions | None = None, **more: bool) -> GateInput:
    return GateInput(YARD, mine, {"mean_linear": answers(0.3)}, NOTHING, champion, NOTHING, **more)


def test_a_good_first_version_passes_and_its_evidence_has_map_and_f1() -> None:
    verdict = judge(given(answers(0.1)), Policy())
    assert not verdict.reasons and not verdict.warnings
    mine = verdict.evidence.challenger
    assert isinstance(mine, LabelSetScores) and mine.mean_average_precision > 0.95 and mine.micro_f1 > 0.95
    assert verdict.evidence.chance == pytest.approx(TRUTH.mean())
    kept = verdict.evidence.to_dict()
    assert kept["challenger"]["mean_average_precision"] == mine.mean_average_precision


def test_a_version_no_better_than_chance_is_refused_by_a_permutation_test() -> None:
    found = judge(given(answers(50.0)), Policy())
    assert any(reason.startswith("not better than chance: mAP 0.") for reason in found.reasons)


def test_p_of_luck_is_the_share_of_deals_that_do_as_well() -> None:
    truth, scores = TRUTH[:5], answers(0.5).of_labels
    assert scores is not None
    rng = np.random.default_rng(1)
    deals = [mean_average_precision(truth[rng.permutation(5)], scores[:5]) for _ in range(2000)]
    share = np.mean(np.array(deals) >= mean_average_precision(truth, scores[:5]) - 1e-12)
    assert p_of_luck(truth, scores[:5]) == pytest.approx(share, abs=0.05)


def test_a_worse_version_is_refused_and_an_equal_one_is_not() -> None:
    worse = judge(given(answers(0.6), answers(0.1)), Policy())
    assert any("not shown to be as good as the champion: mAP" in reason for reason in worse.reasons)
    assert any("macro F1" in reason for reason in worse.reasons)
    equal = judge(given(answers(0.1), answers(0.1)), Policy())
    assert not equal.reasons
    difference = equal.evidence.difference
    assert difference is not None and str(difference.headline) == "+0.000 [+0.000, +0.000]"
    superior = judge(given(answers(0.1), answers(0.1)), Policy(rule="superior"))
    assert any("includes 0" in reason for reason in superior.reasons)


def test_labels_that_a_version_does_not_know_count_as_never_given() -> None:
    found = judge(given(answers(0.1, ("cat", "dog")), answers(0.1)), Policy())
    emu = int(TRUTH[:, 2].sum())
    assert any(f"does not know 'emu': {emu} videos" in reason for reason in found.reasons)
    assert found.evidence.challenger.per_label["emu"]["recall"] == 0.0


def test_a_champion_of_the_other_kind_cannot_be_compared() -> None:
    found = judge(given(answers(0.1), other_kind=True), Policy())
    assert found.reasons == (
        "the challenger gives a video several labels, the champion one label: they cannot be compared",
    )


def test_few_videos_decide_nothing() -> None:
    few = EvaluationSet("yard", "test", VIDEOS[:3], frozen=True, multi_label=True)
    mine = answers(0.1)
    assert mine.of_labels is not None
    of = Predictions(mine.labels, mine.predicted[:3], mine.scores[:3], mine.of_labels[:3], mine.thresholds)
    found = judge(GateInput(few, of, {"mean_linear": of}, NOTHING), Policy())
    assert any("too small to decide: even 3 right predictions" in reason for reason in found.reasons)
    assert evidence_of(GateInput(few, of, {"mean_linear": of}, NOTHING)).p_chance > 0.01
