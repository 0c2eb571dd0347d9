"""The accidents of benchmarks/accidents have names, and their verdict can find something wrong."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.accidents import ALL
from benchmarks.accidents.stage import STAGES, Ended, Row, Verdict, _compare, _hear, before


def test_there_are_more_than_a_hundred_and_no_two_have_one_name() -> None:
    assert len({accident.name for accident in ALL}) == len(ALL) > 100


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_of_a_night_is_a_function_that_is_there(stage: str) -> None:
    import importlib

    owner, _, name = STAGES[stage].rpartition(".")
    module, _, owner_class = owner.rpartition(".")
    assert callable(getattr(getattr(importlib.import_module(module), owner_class), name))
    assert callable(before(stage, lambda: None))


@pytest.mark.parametrize(
    ("ended", "kind"),
    [
        (Ended("nightly", 1, "", "Traceback (most recent call last):\n"), "tracebacks"),
        (Ended("nightly", 70, "", ""), "tracebacks"),
        (Ended("nightly", 1, "", "it did not work\n"), "unexplained"),
        (Ended("nightly", None, "", ""), "unexplained"),
        (Ended("nightly", 1, "", "vidpipe: it is full. Next: make room.\n"), None),
        (Ended("nightly", 1, '{"problems": ["x: gone"]}', ""), None),
        (Ended("nightly", -9, "", ""), None),
    ],
)
def test_what_a_verb_said_is_heard(ended: Ended, kind: str | None) -> None:
    verdict = Verdict()
    _hear(ended, verdict)
    assert verdict.counts[kind] == verdict.total == 1 if kind else verdict.total == 0


def _rows(letters: str) -> Counter[Row]:
    return Counter((letter,) for letter in letters)


@pytest.mark.parametrize(
    ("rows", "lost", "doubled"), [("ab", 0, 0), ("a", 1, 0), ("abb", 0, 1), ("ac", 1, 0), ("abc", 0, 1)]
)
def test_lost_and_doubled_rows_are_counted(rows: str, lost: int, doubled: int) -> None:
    verdict = Verdict()
    _compare({"videos": _rows("ab")}, {"videos": _rows(rows)}, verdict)
    assert (verdict.lost, verdict.doubled) == (lost, doubled)
