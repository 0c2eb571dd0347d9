"""The gate: known probabilities, every reason with its numbers, and only reasons refuse."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import certain

from vidpipe.evaluation.evidence import GateInput, Training
from vidpipe.evaluation.gate import Policy, judge
from vidpipe.records.models import EvaluationSet, EvaluationVideo, Predictions
from vidpipe.splits import group_hash

NOTHING = Training(frozenset(), frozenset())


def eval_set(supports: Sequence[int], groups: int | None = None) -> EvaluationSet:
    """A frozen set of which label k has `supports[k]` videos, in so many groups."""
    truth = [f"label {k}" for k, support in enumerate(supports) for _ in range(support)]
    videos = [
        EvaluationVideo(f"v{n:03d}", label, f"g{n % groups if groups else n}")
        for n, label in enumerate(truth)
    ]
    return EvaluationSet("yard", "test", tuple(videos), frozen=True)


def answers(of: EvaluationSet, wrong: Sequence[int] = (), score: float = 0.9, **more: Any) -> Predictions:
    """Right answers but for the videos numbered in `wrong`."""
    labels = of.labels
    predicted = [
        labels[(labels.index(v.label) + (n in wrong)) % len(labels)] for n, v in enumerate(of.videos)
    ]
    given = {"labels": tuple(labels), "predicted": tuple(predicted)} | more
    return Predictions(scores=np.full(len(predicted), score, np.float32), **given)


def first(supports: Sequence[int], hits: int, baseline_hits: int = 0) -> GateInput:
    """A first champion's given: the first `hits` answers are right."""
    of = eval_set(supports)
    n = len(of.videos)
    return GateInput(
        of, answers(of, range(hits, n)), {"mean_linear": answers(of, range(baseline_hits, n))}, NOTHING
    )


def against(
    n: int, wrong: Sequence[int], champion_wrong: Sequence[int], groups: int | None = None, **more: Any
) -> GateInput:
    """A given on n videos of two labels."""
    of = eval_set((n // 2, n - n // 2), groups)
    return GateInput(
        of, answers(of, wrong), {"mean_linear": answers(of, wrong)}, NOTHING,
        answers(of, champion_wrong), NOTHING, **more,
    )  # fmt: skip


def reasons(given: GateInput, **policy: Any) -> tuple[str, ...]:
    return judge(given, Policy(**policy)).reasons


# -- a first champion -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "supports", "chance", "p"),
    [
        (9, (5, 5), 0.5, 11 / 1024),  # 10 + 1 of 2^10 outcomes
        (10, (5, 5), 0.5, 1 / 1024),
        (0, (5, 5), 0.5, 1.0),
        (15, (10, 10), 0.5, 21700 / 2**20),
        (4, (1, 1, 1, 1), 0.25, 1 / 256),
        (3, (1, 3), 0.75, 189 / 256),  # 4 * 27/64 * 1/4 + 81/256
    ],
)
def test_the_probability_of_luck_is_the_exact_binomial_one(
    hits: int, supports: tuple[int, ...], chance: float, p: float
) -> None:
    evidence = judge(first(supports, hits), Policy()).evidence
    assert evidence.chance == chance
    assert evidence.p_chance == pytest.approx(p, rel=1e-9)


def test_a_first_champion_better_than_chance_passes_without_a_word() -> None:
    verdict = judge(first((5, 5), 10, baseline_hits=8), Policy())
    assert (verdict.reasons, verdict.warnings) == ((), ())
    assert verdict.evidence.difference is None


def test_the_border_of_luck_lies_between_nine_and_ten_of_ten() -> None:
    assert reasons(first((5, 5), 9))  # p = 0.0107, just above 0.01
    assert not reasons(first((5, 5), 10))


def test_a_refusal_for_luck_names_accuracy_size_chance_and_probability() -> None:
    (reason,) = reasons(first((5, 5), 6))
    for said in ("chance", "0.600", "10 videos", "0.500", "p = 0.38"):
        assert said in reason


def test_always_saying_the_commonest_label_is_not_better_than_chance() -> None:
    (reason,) = reasons(first((90, 10), 90))
    assert "0.900" in reason


def test_a_set_on_which_perfection_could_be_luck_is_too_small() -> None:
    small = reasons(first((3, 3), 6))
    assert "too small to decide" in small[0] and "0.016" in small[0]
    assert not reasons(first((2, 2, 2, 2), 8))


def test_no_video_is_no_evidence() -> None:
    verdict = judge(first((), 0), Policy())
    assert verdict.evidence.p_chance == 1.0
    assert verdict.reasons


# -- against a champion -----------------------------------------------------------------------------


def test_a_worse_challenger_is_refused_with_both_accuracies_and_the_interval() -> None:
    accuracy, macro, *labels = reasons(against(200, range(30), range(100, 104)))
    for said in ("0.850", "0.980", "200 videos", "-0.130 [-0.1", "below -0.03"):
        assert said in accuracy
    assert "macro F1" in macro
    assert labels == ["label 0: recall falls from 1.000 to 0.700 on 100 videos, allowed is 0.1"]


def test_an_equal_challenger_is_not_inferior_but_not_superior() -> None:
    equal = against(200, [0, 1], [2, 3])
    assert reasons(equal) == ()
    (reason,) = reasons(equal, rule="superior")
    assert "includes 0" in reason and "p = 1" in reason


def test_a_better_challenger_is_superior() -> None:
    assert reasons(against(200, [], range(40)), rule="superior") == ()


def test_what_a_few_videos_cannot_show_is_not_shown() -> None:
    few = against(40, [0], [1])
    (reason, _) = reasons(few)
    assert "not shown to be as good" in reason
    assert reasons(few, margin=0.1) == ()


def test_the_same_answers_differ_by_nothing_whatever_the_margin() -> None:
    assert reasons(against(40, [5], [5]), margin=0.0) == ()


@pytest.mark.parametrize(("n", "groups", "said"), [(19, None, "19 videos"), (40, 4, "4 groups")])
def test_too_few_videos_or_groups_cannot_compare(n: int, groups: int | None, said: str) -> None:
    (reason,) = reasons(against(n, [], [], groups))
    assert "too small to decide" in reason and said in reason
    assert reasons(against(n, [], [], groups), min_videos=5) == (() if groups is None else (reason,))


def test_a_label_may_not_fall_far_even_if_the_others_rise() -> None:
    (reason,) = reasons(against(200, range(12), range(100, 130)))
    assert reason == "label 0: recall falls from 1.000 to 0.880 on 100 videos, allowed is 0.1"
    assert reasons(against(200, range(12), range(100, 130)), label_drop=0.2) == ()


def test_a_single_video_is_never_held_against_a_label() -> None:
    of = eval_set((2, 98))
    given = GateInput(
        of, answers(of, [0]), {"mean_linear": answers(of)}, NOTHING, answers(of, [50, 51]), NOTHING
    )
    assert not [r for r in reasons(given, margin=1.0) if "recall" in r]


def test_every_label_must_reach_the_floor() -> None:
    (reason,) = reasons(first((50, 50), 80), label_floor=0.75)
    assert reason == "label 1: recall 0.600 on 50 videos, the floor is 0.75"


def test_agreeing_nights_may_be_asked_for() -> None:
    assert reasons(against(40, [], []), shadow_nights=2) == (
        "0 nights in the shadow on which it agreed with the champion, 2 needed",
    )
    assert reasons(against(40, [], [], agreeing_nights=2), shadow_nights=2) == ()
    assert reasons(first((5, 5), 10), shadow_nights=2) == (), "a first champion has nobody to agree with"


# -- what makes the comparison worthless --------------------------------------------------------------


@pytest.mark.parametrize(
    ("training", "videos", "groups"),
    [
        (Training({"v003", "v007", "elsewhere"}, set()), 2, 0),
        (Training(set(), {group_hash("g3"), group_hash("g99")}), 0, 1),
    ],
)
def test_a_set_that_the_challenger_was_trained_on_is_refused(
    training: Training, videos: int, groups: int
) -> None:
    given = replace(against(40, [], range(20)), training=training)
    (reason,) = reasons(given)
    assert f"leaks: {videos} of its videos and {groups} of its groups" in reason


def test_a_champion_that_was_trained_on_the_set_has_an_advantage() -> None:
    given = replace(against(40, [], []), champion_training=Training({"v001"}, {group_hash("g1")}))
    verdict = judge(given, Policy())
    assert verdict.reasons == ()
    assert "1 videos and 1 groups" in verdict.warnings[0]


def test_labels_that_the_challenger_does_not_know_count_as_wrong_and_refuse() -> None:
    of = eval_set((20, 20))
    one = answers(of, labels=("label 0",), predicted=("label 0",) * 40)
    found = reasons(GateInput(of, one, {"mean_linear": one}, NOTHING, answers(of), NOTHING))
    assert found[0] == "the challenger does not know 'label 1': 20 videos of the set count as wrong"


def test_labels_that_only_the_champion_knows_refuse() -> None:
    given = against(40, [], [])
    champion = replace(certain(given.champion), labels=("bird", "label 0", "label 1"))
    (reason,) = reasons(replace(given, champion=champion))
    assert reason == "the champion knows labels that the challenger does not: 'bird'"


# -- warnings -----------------------------------------------------------------------------------------


def test_a_better_baseline_warns_with_both_numbers_but_refuses_only_when_strict() -> None:
    given = first((10, 10), 17, baseline_hits=19)
    verdict = judge(given, Policy())
    assert verdict.reasons == ()
    (warning,) = verdict.warnings
    for said in ("baseline", "0.850", "0.950"):
        assert said in warning
    strict = judge(given, Policy(strict=True))
    assert (strict.reasons, strict.warnings) == ((warning,), ())


def test_an_equal_baseline_does_not_warn() -> None:
    assert judge(first((10, 10), 17, baseline_hits=17), Policy()).warnings == ()


def test_scores_that_mean_less_and_other_features_warn() -> None:
    given = against(40, [], [], same_features=False)
    sure, unsure = answers(given.eval_set, score=0.99), answers(given.eval_set, score=0.4)
    verdict = judge(replace(given, challenger=unsure, champion=sure), Policy())
    assert verdict.reasons == ()
    calibration, features = verdict.warnings
    assert "0.600 against the champion's 0.010" in calibration
    assert "feature set" in features


def test_the_evidence_goes_into_json_with_all_numbers() -> None:
    verdict = judge(against(40, [0], [1, 2]), Policy())
    stored = json.loads(json.dumps(verdict.evidence.to_dict()))
    assert [stored[k]["accuracy"] for k in ("challenger", "baseline", "champion")] == [0.975, 0.975, 0.95]
    assert stored["chance"] == 0.5
    assert stored["difference"]["accuracy"]["value"] == pytest.approx(0.025)
    assert stored["mcnemar"] == {"only_challenger": 2, "only_champion": 1, "p": 1.0}
    assert set(stored["calibration_error"]) == {"challenger", "baseline", "champion"}
    assert judge(first((5, 5), 9), Policy()).evidence.to_dict()["champion"] is None
