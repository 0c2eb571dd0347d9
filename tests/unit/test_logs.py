"""Log lines: what a program reads of them."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from vidpipe.logs import RUN, JsonLines, Stderr


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, list[dict[str, object]]]]:
    """A logger, and its lines as they are read again."""
    lines: list[dict[str, object]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = self.format(record)
            assert "\n" not in text
            lines.append(json.loads(text))

    handler = Kept()
    handler.setFormatter(JsonLines())
    logger = logging.Logger("vidpipe.test")
    logger.addHandler(handler)
    yield logger, lines


def test_a_line_names_run_and_video_where_there_are_some(
    logger: tuple[logging.Logger, list[dict[str, object]]],
) -> None:
    log, lines = logger
    log.info("first\nwith %d lines and été", 2)
    outer = RUN.set((7, "extract"))
    log.warning("bad", extra={"video_id": "ab" * 32})
    RUN.reset(outer)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("worse")
    assert lines[0] | {"at": ""} == {
        "at": "", "level": "info", "logger": "vidpipe.test", "message": "first\nwith 2 lines and été",
    }  # fmt: skip
    assert (lines[1]["run_id"], lines[1]["run"], lines[1]["video_id"]) == (7, "extract", "ab" * 32)
    assert "run_id" not in lines[2] and "ZeroDivisionError" in str(lines[2]["error"])


def test_a_run_writes_json_lines_when_asked_to(
    vidpipe: Callable[..., CompletedProcess[str]], tmp_path: Path, shared: Path
) -> None:
    """A file that gives no frame: its line has the run of the ledger and the whole video_id."""
    (tmp_path / "videos").mkdir()
    bad = (shared / "hostile" / "made" / "bitflips_200.mp4").read_bytes()
    (tmp_path / "videos" / "bad.mp4").write_bytes(bad)
    vidpipe("ingest", str(tmp_path / "videos"), "--collection", "c")
    ended = vidpipe("extract", "--json", VIDPIPE_LOG_FORMAT="json")
    said = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    (failed,) = [line for line in said if "video_id" in line]
    assert failed["video_id"] == hashlib.sha256(bad).hexdigest() and failed["level"] == "warning"
    assert (failed["run_id"], failed["run"]) == (json.loads(ended.stdout)["run_id"], "extract")


def test_lines_go_to_the_stderr_of_the_moment_which_a_bar_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    before, during = io.StringIO(), io.StringIO()
    handler = Stderr()
    log = logging.Logger("vidpipe.test")
    log.addHandler(handler)
    for stream in (before, during):
        monkeypatch.setattr(sys, "stderr", stream)
        log.info("a line")
    assert [before.getvalue(), during.getvalue()] == ["a line\n", "a line\n"]
