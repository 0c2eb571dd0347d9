"""A flow as a process of its own: the library never imports Prefect, which keeps its state in the home.

A Prefect server is used where PREFECT_API_URL names one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "vidpipe",
}
"""No connection beyond this machine, time for a first start, and the library's log lines in Prefect."""


def flow_command(flow: str, *arguments: str) -> list[str]:
    """The command that runs `python -m flows.<flow>`."""
    return [sys.executable, "-m", f"flows.{flow}", *arguments]


def flow_environment(home: Path) -> dict[str, str]:
    """The environment of a flow on this home; the state of a server of its own lies in `<home>/prefect`."""
    (home / "prefect").mkdir(parents=True, exist_ok=True)
    return {**QUIET, "PREFECT_HOME": str(home / "prefect"), **os.environ, "VIDPIPE_HOME": str(home)}
