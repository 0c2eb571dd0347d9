"""Typed attributes and recording times of a listing: manifest before file name before container.

What is stated and does not parse becomes a failure of stage `describe`, one for each path; the video is
processed all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from vidpipe.errors import BadValue
from vidpipe.ports import Ports
from vidpipe.records.attributes import EXPECTATIONS, Declared, canonical_value
from vidpipe.records.recording_time import EXPECTED, recording_time, time_in_path, time_zone
from vidpipe.records.videos import Collection, Failure, SourceFile

RECORDED_AT = "recorded_at"
"""The manifest's column of recording times."""


@dataclass(frozen=True, slots=True)
class _Described:
    """A file with what is stated of it, and each stated value that does not parse, in words."""

    file: SourceFile
    problems: tuple[str, ...]
    is_unnamed: bool
    """Its name does not look like the pattern of recording times, and the manifest says none."""


def describe(
    ports: Ports, wanted: Collection, files: Sequence[SourceFile]
) -> tuple[list[SourceFile], list[Failure]]:
    """Parse what manifest, names and containers state of files that have been hashed and probed.

    Returns:
        The files with typed attributes and recording times, and a failure for each path with a bad value.
    """
    declared, zone = wanted.declared, time_zone(wanted.declared.time_zone)
    texts = ports.ledger.sources.container_times(wanted.name)
    place = wanted.manifest or wanted.source
    described, problems, unnamed = list[SourceFile](), dict[str, tuple[str, ...]](), list[str]()
    for file in files:
        found = _described(file, declared, zone, place, texts.get(file.path))
        described.append(found.file)
        if found.problems:
            problems[file.path] = found.problems
        if found.is_unnamed and not found.file.recorded_at:
            unnamed.append(file.path)
    pattern = f"--time-from-name {declared.time_from_name!r}"
    nameless = f"its name does not look like {pattern}, and its container says no time"
    for path in ports.ledger.sources.timeless(wanted.name, unnamed):
        problems[path] = (*problems.get(path, ()), nameless)
    failures = [_failure(wanted.name, f.path, problems[f.path]) for f in files if f.path in problems]
    return described, failures


def _described(
    file: SourceFile, declared: Declared, zone: tzinfo, place: str, container_text: str | None
) -> _Described:
    problems: list[str] = []
    where = f"{place} line {file.line}"
    typed = dict(_typed(file, declared, zone, where, problems))
    recorded_at, source, is_unnamed = _recorded(file, declared, zone, where, container_text, problems)
    if typed or recorded_at:
        file = replace(file, typed=typed, recorded_at=recorded_at, recorded_at_source=source)
    return _Described(file, tuple(problems), is_unnamed)


def _typed(
    file: SourceFile, declared: Declared, zone: tzinfo, where: str, problems: list[str]
) -> Iterator[tuple[str, str]]:
    """Declared attributes that parse; what is wrong with the others goes into `problems`."""
    for name, type_ in declared.attributes.items():
        if not (text := file.attributes.get(name)):
            continue
        try:
            yield name, canonical_value(text, type_, zone)
        except ValueError:
            if (name, type_) != (RECORDED_AT, "TIMESTAMP"):  # which is reported as the recording time
                problems.append(f"{where}: {name} is {text!r}, expected {EXPECTATIONS[type_]}")


def _recorded(
    file: SourceFile, declared: Declared, zone: tzinfo, where: str, container_text: str | None,
    problems: list[str],
) -> tuple[datetime | None, str | None, bool]:  # fmt: skip
    """Recording time, where it comes from, and whether the name should have said it."""
    if stated := file.attributes.get(RECORDED_AT):
        try:
            return recording_time(stated, zone), "manifest", False
        except ValueError:
            problems.append(f"{where}: {RECORDED_AT} is {stated!r}, expected {EXPECTED}")
    is_unnamed = False
    if declared.time_from_name:
        try:
            if moment := time_in_path(file.path, declared.time_from_name, zone):
                return moment, "name", False
            is_unnamed = not stated
        except ValueError:
            problems.append(
                f"its name is no date and time as --time-from-name {declared.time_from_name!r} says"
            )
    if container_text is None:
        return None, None, is_unnamed
    try:
        return recording_time(container_text, zone), "container", is_unnamed
    except ValueError:
        problems.append(f"its container says that it was recorded at {container_text!r}, expected {EXPECTED}")
        return None, None, False


def _failure(collection: str, path: str, problems: Sequence[str]) -> Failure:
    error = BadValue(
        f"{path}: {'; '.join(problems)}.", next_step="correct it, then vidpipe ingest or the next night."
    )
    return Failure(collection, path, None, "describe", type(error).__name__, str(error))
