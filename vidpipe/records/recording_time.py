"""Recording times of videos: date and time parsing, time zones, and file-name patterns as of strptime.

Times that name a zone are converted to UTC; times that name none are taken in the collection's time zone
(`--time-zone`, UTC by default). Of a local time that occurs twice, when clocks go back, the first is meant.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import PurePosixPath

from vidpipe.errors import ConfigurationError

EXPECTED = "a date and time such as 2026-11-29T17:05:00 or 2026-11-29T17:05:00+01:00"
_SEPARATED = re.compile(r"(\d{4})[:/](\d\d)[:/](\d\d)(?=$|[T ])", re.ASCII)
"""Dates as EXIF and some cameras write them: 2026:11:29, 2026/11/29."""
_DIRECTIVES = {
    **dict.fromkeys("ymdHIMS", r"\d{2}"), "Y": r"\d{4}", "j": r"\d{3}", "f": r"\d{1,6}", "p": "[AaPp][Mm]",
    "b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}", "z": r"(?:Z|[+-]\d{2}:?\d{2})", "%": "%",
}  # fmt: skip
"""What each directive matches. Source: https://docs.python.org/3/library/datetime.html#format-codes"""
_DATES = ({"m", "d"}, {"b", "d"}, {"B", "d"}, {"j"})


@cache
def time_zone(name: str) -> tzinfo:
    """The time zone of an IANA name, or of a fixed offset such as `+02:00`.

    Raises:
        ConfigurationError: There is no such zone.
    """
    from zoneinfo import ZoneInfo

    if name == "UTC":
        return UTC  # also where a machine has no table of zones
    try:
        if re.fullmatch(r"[+-]\d\d:?\d\d", name, re.ASCII):
            return datetime.strptime(name, "%z").tzinfo or UTC
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(
            f"there is no time zone {name!r}.",
            next_step="pass --time-zone with a name such as Europe/Berlin, or an offset such as +02:00.",
        ) from None


def recording_time(text: str, zone: tzinfo = UTC) -> datetime:
    """Parse a date and time in ISO 8601, or with the date as EXIF writes it; a date alone is its midnight.

    Args:
        text: What a person or a device wrote.
        zone: Of a text that names none.

    Returns:
        Naive UTC.

    Raises:
        ValueError: It is no such time.
    """
    return utc(datetime.fromisoformat(_SEPARATED.sub(r"\1-\2-\3", text.strip(), count=1)), zone)


def names_zone(text: str) -> bool:
    """Whether a time that parses says in which zone it is meant."""
    return datetime.fromisoformat(_SEPARATED.sub(r"\1-\2-\3", text.strip(), count=1)).tzinfo is not None


def utc(moment: datetime, zone: tzinfo) -> datetime:
    """Naive UTC of a moment; a naive one is meant in `zone`.

    Raises:
        ValueError: It lies outside the years 1 to 9999 there.
    """
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError(f"{moment} has no time in UTC") from None


def time_in_path(path: str, pattern: str, zone: tzinfo) -> datetime | None:
    """Recording time from a file's name, or from its path where the pattern has a slash.

    Args:
        path: Relative to the source.
        pattern: As of strptime, such as `cam_%Y%m%d_%H%M%S`; other text may stand before and behind it.
        zone: Of a pattern without `%z`.

    Returns:
        Naive UTC; None where nothing in the name looks like the pattern.

    Raises:
        ValueError: What looks like the pattern is no date or time.
    """
    found = _shape(pattern).search(path if "/" in pattern else PurePosixPath(path).name)
    if found is None:
        return None
    return utc(datetime.strptime(found[0], pattern), zone)


def checked_pattern(pattern: str) -> str:
    """The pattern itself, which names a whole date.

    Raises:
        ConfigurationError: A directive is unknown, or year, month or day are missing.
    """
    used = _directives(pattern)
    unknown = sorted(used - _DIRECTIVES.keys())
    if unknown or not used & {"Y", "y"} or not any(date <= used for date in _DATES):
        why = f"has %{unknown[0]}" if unknown else "names no whole date"
        raise ConfigurationError(
            f"--time-from-name {pattern!r} {why}.",
            next_step="pass a pattern such as 'cam_%Y%m%d_%H%M%S' of "
            f"{', '.join(f'%{d}' for d in _DIRECTIVES)}.",
        )
    return pattern


def _directives(pattern: str) -> set[str]:
    return {part[1:] for part in re.findall(r"%.?", pattern)}


@cache
def _shape(pattern: str) -> re.Pattern[str]:
    """Regular expression of a pattern; digits beside it are no part of a longer number."""
    parts = re.split(r"(%.)", pattern)
    shape = "".join(_DIRECTIVES[p[1]] if p.startswith("%") and len(p) == 2 else re.escape(p) for p in parts)
    return re.compile(rf"(?<!\d){shape}(?!\d)", re.ASCII | re.IGNORECASE)
