"""Logging to stderr, as text or as JSON lines with run and video ids."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

RUN: ContextVar[tuple[int, str] | None] = ContextVar("run", default=None)
"""Id and kind of the run that this thread is at work for; the innermost one."""
TEXT = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")


class JsonLines(logging.Formatter):
    """Formatter of JSON lines: at, level, logger, message; run_id, run, video_id, error where known."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line of JSON."""
        at = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        said: dict[str, Any] = {
            "at": at.isoformat(timespec="milliseconds"), "level": record.levelname.lower(),
            "logger": record.name, "message": record.getMessage(),
        }  # fmt: skip
        if run := RUN.get():
            said["run_id"], said["run"] = run
        if video_id := getattr(record, "video_id", None):
            said["video_id"] = video_id
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


class Stderr(logging.StreamHandler[Any]):
    """Handler that writes to the current `sys.stderr`, which a progress bar replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as one line."""
        self.stream = sys.stderr
        super().emit(record)


def log_to_stderr(*, as_json: bool = False) -> None:
    """Send the library's log lines to stderr."""
    handler = Stderr()
    handler.setFormatter(JsonLines() if as_json else TEXT)
    logger = logging.getLogger("vidpipe")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
