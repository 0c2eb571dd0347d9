"""Recording time in container metadata: QuickTime's creationdate, creation_time, date tags.

Source: https://developer.apple.com/documentation/quicktime-file-format (creationdate has a zone);
ISO/IEC 14496-12, 8.2.2 (creation_time counts seconds of UTC).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vidpipe.records.recording_time import names_zone, recording_time

KEYS = (
    "com.apple.quicktime.creationdate", "creation_time", "date_recorded", "date_time_original",
    "date_digitized", "wm/encodingtime", "date",
)  # fmt: skip
"""Tags in the order of trust, in lower case, as ffprobe names them: AVI's IDIT is `creation_time`, its
ICRD and Matroska's DATE_RECORDED are dates."""
_LOCAL_CLOCKS = re.compile(r"\s*GoPro ")
"""Handlers of cameras that write local time where the standard wants UTC."""
_UNSET = re.compile(r"(0000|1904-01-01|1970-01-01T00:00:00)")
"""A clock that was never set: zero, in the epochs of QuickTime and of UNIX."""
_COARSE = re.compile(r"\d{4}(-\d\d)?")
"""A year or a month, as films and records have, is no recording time."""


def recording_tag(container: Mapping[str, Any], stream: Mapping[str, Any]) -> str | None:
    """The first tag that says when a file was recorded, as text; None where none does.

    Args:
        container: ffprobe's `format`.
        stream: The stream that is read, as ffprobe has it.
    """
    is_local = bool(_LOCAL_CLOCKS.match(str(stream.get("tags", {}).get("handler_name", ""))))
    tags = {**_tags(stream), **_tags(container)}
    for key in KEYS:
        text = tags.get(key, "")
        if text and not _UNSET.match(text) and not _COARSE.fullmatch(text):
            return text.removesuffix("Z") if is_local and key == "creation_time" else text
    return None


def recording_facts(text: str | None) -> tuple[datetime | None, str | None]:
    """Naive UTC of a tag, and the tag itself where it names no zone or is no date and time."""
    if text is None:
        return None, None
    try:
        return recording_time(text), None if names_zone(text) else text
    except ValueError:
        return None, text


def _tags(place: Mapping[str, Any]) -> dict[str, str]:
    return {str(name).lower(): str(value).strip() for name, value in place.get("tags", {}).items()}
