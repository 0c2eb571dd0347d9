"""How far a stage is: weighed by cost, counted in what people read."""

from __future__ import annotations

from vidpipe.progress import Meter


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def meter(total: float, clock: Clock, shown: list[str] | None = None) -> Meter:
    told = shown if shown is not None else []
    return Meter("extract", total, "frames", lambda m: told.append(str(m)), clock)


def test_time_left_follows_from_cost_and_not_from_the_number_of_things() -> None:
    """Nine clips of a second, then an hour: when the clips are done, nearly all is still to do."""
    clock = Clock()
    stage = meter(9 + 3600, clock)
    for _ in range(9):
        clock.now_s += 1
        stage.advance(1, 4)
    assert str(stage) == "0 %, 36 frames, 4.0 frames/s, 1:00:00 left"


def test_what_is_under_way_counts_once() -> None:
    clock = Clock()
    shown: list[str] = []
    stage = meter(100, clock, shown)
    clock.now_s = 2
    stage.in_progress(10, 30)
    stage.in_progress(10, 30)
    stage.advance(50, 100)
    assert shown == [
        "10 %, 30 frames, 15 frames/s, 0:18 left",
        "20 %, 60 frames, 30 frames/s, 0:08 left",
        "50 %, 100 frames, 50 frames/s, 0:02 left",
    ]


def test_more_than_was_expected_is_all_of_it_and_a_finished_stage_has_no_time_left() -> None:
    clock = Clock()
    stage = meter(10, clock)
    clock.now_s = 65
    stage.in_progress(14, 130)
    assert (stage.share, str(stage)) == (1.0, "100 %, 130 frames, 2.0 frames/s")
    assert meter(0, clock).share == 1.0


def test_nothing_is_foretold_in_the_first_second() -> None:
    clock = Clock()
    stage = meter(10, clock)
    clock.now_s = 0.5
    stage.advance(1, 3)
    assert str(stage) == "10 %, 3 frames"
