"""The gate: known probabilities, reasons with their numbers, and only reasons refuse."""

import json
from collections.abc import Sequence

import pytest

from vidpipe.gate import judge
from vidpipe.records import Scores


def scored(hits: int, supports: Sequence[int]) -> Scores:
    """A model with `hits` right answers on test videos of which label k has `supports[k]`."""
    n = sum(supports)
    per_label = {
        f"label {k}": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": s}
        for k, s in enumerate(supports)
    }
    return Scores(n, hits / n if n else 0.0, 0.0, per_label)


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
    hits: int, supports: Sequence[int], chance: float, p: float
) -> None:
    evidence = judge(scored(hits, supports), scored(0, supports), None).evidence
    assert evidence.chance == chance
    assert evidence.p_chance == pytest.approx(p, rel=1e-9)


def test_a_first_champion_better_than_chance_passes_without_a_word() -> None:
    verdict = judge(scored(9, (5, 5)), scored(8, (5, 5)), None)
    assert verdict.reasons == ()
    assert verdict.warnings == ()


def test_the_border_of_luck_lies_between_eight_and_nine_of_ten() -> None:
    # p(at least 8 of 10) = 56/1024 = 0.0547, just above 0.05.
    assert judge(scored(8, (5, 5)), scored(0, (5, 5)), None).reasons
    assert not judge(scored(9, (5, 5)), scored(0, (5, 5)), None).reasons


def test_a_refusal_for_luck_names_accuracy_size_chance_and_probability() -> None:
    (reason,) = judge(scored(6, (5, 5)), scored(0, (5, 5)), None).reasons
    assert "chance" in reason
    for number in ("0.600", "10 test videos", "0.500", "p = 0.38"):
        assert number in reason


def test_always_saying_the_commonest_label_is_not_better_than_chance() -> None:
    (reason,) = judge(scored(90, (90, 10)), scored(0, (90, 10)), None).reasons
    assert "0.900" in reason


def test_a_worse_challenger_is_refused_with_both_accuracies() -> None:
    (reason,) = judge(scored(17, (10, 10)), scored(0, (10, 10)), scored(18, (10, 10))).reasons
    for number in ("20 test videos", "0.850", "0.900"):
        assert number in reason
    assert "champion" in reason


@pytest.mark.parametrize("hits", [18, 19])
def test_an_equal_or_better_challenger_passes(hits: int) -> None:
    assert judge(scored(hits, (10, 10)), scored(0, (10, 10)), scored(18, (10, 10))).reasons == ()


def test_every_reason_is_listed() -> None:
    reasons = judge(scored(5, (5, 5)), scored(0, (5, 5)), scored(9, (5, 5))).reasons
    assert len(reasons) == 2


def test_a_better_baseline_warns_with_both_numbers_but_does_not_refuse() -> None:
    verdict = judge(scored(17, (10, 10)), scored(19, (10, 10)), None)
    assert verdict.reasons == ()
    (warning,) = verdict.warnings
    for said in ("baseline", "0.850", "0.950"):
        assert said in warning


def test_an_equal_baseline_does_not_warn() -> None:
    assert judge(scored(17, (10, 10)), scored(17, (10, 10)), None).warnings == ()


def test_no_test_video_is_no_evidence() -> None:
    verdict = judge(scored(0, ()), scored(0, ()), None)
    assert verdict.evidence.p_chance == 1.0
    assert verdict.reasons


def test_the_evidence_goes_into_json_with_all_scores() -> None:
    verdict = judge(scored(9, (5, 5)), scored(8, (5, 5)), scored(7, (5, 5)))
    stored = json.loads(json.dumps(verdict.evidence.to_dict()))
    assert [stored[k]["accuracy"] for k in ("challenger", "baseline", "champion")] == [0.9, 0.8, 0.7]
    assert stored["chance"] == 0.5
    assert judge(scored(9, (5, 5)), scored(8, (5, 5)), None).evidence.to_dict()["champion"] is None
