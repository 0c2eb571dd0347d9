"""Command and environment that run a Prefect flow as a subprocess, with Prefect's state in the home.

The library itself never imports Prefect. A Prefect server is used where PREFECT_API_URL names one.
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
"""No telemetry, enough time for a first start, and the library's log lines in Prefect."""


def flow_command(flow: str, *arguments: str) -> list[str]:
    """The command that runs `python -m flows.<flow>`."""
    return [sys.executable, "-m", f"flows.{flow}", *arguments]


def flow_environment(home: Path) -> dict[str, str]:
    """Environment of a flow on this home; an embedded Prefect server keeps its state in `<home>/prefect`."""
    (home / "prefect").mkdir(parents=True, exist_ok=True)
    return {**QUIET, "PREFECT_HOME": str(home / "prefect"), **os.environ, "VIDPIPE_HOME": str(home)}
