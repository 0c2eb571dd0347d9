"""Typed attributes and recording times: what parses, what is refused, and in which zone times are meant."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

import duckdb
import pytest

from vidpipe.errors import ConfigurationError
from vidpipe.records.attributes import TYPES, UNDECLARED, Declared, canonical_value, declared_types
from vidpipe.records.recording_time import checked_pattern, recording_time, time_in_path, time_zone

BERLIN = time_zone("Europe/Berlin")
NOON = datetime(2026, 7, 1, 12)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-07-01T12:00:00Z", BERLIN, NOON),
        ("2026-07-01 14:00", BERLIN, NOON),
        ("2026-01-01 13:00", BERLIN, datetime(2026, 1, 1, 12)),
        ("2026-07-01T14:00:00+0200", UTC, NOON),
        ("2026:07:01 12:00:00", UTC, NOON),
        ("2026/07/01 12:00", UTC, NOON),
        (" 2026-07-01 ", UTC, datetime(2026, 7, 1)),
        ("2026-07-01T12:00:00.250", UTC, datetime(2026, 7, 1, 12, 0, 0, 250000)),
        ("2026-10-25 02:30", BERLIN, datetime(2026, 10, 25, 0, 30)),  # occurs twice: the first
    ],
)
def test_a_time_without_a_zone_is_meant_in_the_collection_s(
    text: str, zone: tzinfo, expected: datetime
) -> None:
    assert recording_time(text, zone) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "01.07.2026", "07/01/2026", "2026-02-30", "2026-07-01 25:00", "12"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        recording_time(text)


def test_a_time_outside_the_calendar_in_utc_is_no_time() -> None:
    with pytest.raises(ValueError, match="no time in UTC"):
        recording_time("0001-01-01T00:00:00+12:00")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("cam_%Y%m%d_%H%M%S", "cam_20260701_120000.mp4", NOON),
        ("cam_%Y%m%d_%H%M%S.mp4", "deep/CAM_20260701_120000.MP4", NOON),
        ("%Y%m%d%H%M%S", "gate-20260701120000-part2.ts", NOON),
        ("%Y-%m-%d/%H%M%S", "north/2026-07-01/120000.mp4", NOON),
        ("%d%b%y", "x_01Jul26.mp4", datetime(2026, 7, 1)),
        ("%Y%m%d_%H%M%S%z", "20260701_140000+0200.mp4", NOON),
        ("%Y%m%d", "120260701.mp4", None),  # part of a longer number
        ("cam_%Y%m%d", "2026-07-01/holiday.mp4", None),
        ("100%%_%Y%m%d", "100%_20260701.mp4", datetime(2026, 7, 1)),
    ],
)
def test_a_pattern_finds_the_time_in_a_name(pattern: str, path: str, expected: datetime | None) -> None:
    assert time_in_path(path, checked_pattern(pattern), UTC) == expected


def test_a_name_that_looks_like_the_pattern_and_is_no_date_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not match"):
        time_in_path("cam_20261399_120000.mp4", "cam_%Y%m%d_%H%M%S", UTC)
    assert time_in_path("cam_20260701_140000.mp4", "cam_%Y%m%d_%H%M%S", BERLIN) == NOON


@pytest.mark.parametrize("pattern", ["cam", "%H%M%S", "%Y%m", "%Y%m%d %Q", "%Y%m%d%"])
def test_a_pattern_without_a_whole_date_or_with_an_unknown_directive_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="--time-from-name"):
        checked_pattern(pattern)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "+99:00", "/etc/localtime"])
def test_an_unknown_time_zone_is_refused_with_examples(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no time zone") as raised:
        time_zone(name)
    assert "Europe/Berlin" in raised.value.next_step


GOOD = [
    ("int", "-7", -7), ("BIGINT", "9000000000", 9000000000), ("float", "1.25e3", 1250.0),
    ("bool", "Yes", True), ("bool", "0", False), ("date", "2026-07-01", NOON.date()),
    ("time", "12:00", NOON.time()), ("datetime", "2026-07-01 14:00", NOON), ("text", "it's 7", "it's 7"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "text", "expected"), GOOD)
def test_a_value_that_parses_is_what_duckdb_casts_it_to(asked: str, text: str, expected: object) -> None:
    type_ = TYPES[asked.lower()]
    value = canonical_value(text, type_, BERLIN)
    assert duckdb.execute(f"select cast(? as {type_})", [value]).fetchall() == [(expected,)]


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("INTEGER", "1.5"), ("INTEGER", "2147483648"), ("INTEGER", "1_000"), ("INTEGER", "n/a"),
        ("BIGINT", "9" * 19),
        ("DOUBLE", "12,5"), ("DOUBLE", "nan"), ("DOUBLE", "inf"), ("DOUBLE", "1_0"), ("BOOLEAN", "maybe"),
        ("DATE", "1.7.2026"), ("DATE", "2026-02-30"), ("TIME", "25:00"), ("TIME", "17:05Z"),
        ("TIMESTAMP", "noon"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_parse_is_refused_and_never_rounded(type_: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        canonical_value(text, type_, UTC)


def test_declarations_are_case_folded_and_wrong_ones_say_what_is_right() -> None:
    assert declared_types([" Site :TEXT", "n:Int", ""]) == {"site": "VARCHAR", "n": "INTEGER"}
    for wrong in ("site", ":text", "site:colour", "label:text", "path:text", "video_id:text"):
        with pytest.raises(ConfigurationError, match="--attribute"):
            declared_types([wrong])
    with pytest.raises(ConfigurationError, match="second time"):
        declared_types(["a:text", "A:int"])


def test_what_is_not_asked_for_stays_and_an_empty_text_clears_it() -> None:
    first = UNDECLARED.changed(["site:text"], "%Y%m%d", "Europe/Berlin")
    assert first == Declared({"site": "VARCHAR"}, "%Y%m%d", "Europe/Berlin")
    assert first.changed(None, None, None) == first
    assert first.changed([""], "", "") == UNDECLARED
