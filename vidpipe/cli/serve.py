"""`vidpipe serve`: run the scheduler's process, pass signals on and wait for its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from vidpipe.adapters.http_login import prefect_server
from vidpipe.adapters.machine import need_prefect
from vidpipe.adapters.media.process import die_with_parent
from vidpipe.cli.flow_process import flow_command, flow_environment
from vidpipe.errors import ConfigurationError, LeaseHeld, StopError
from vidpipe.wiring import Home

USAGE = 2
STOP_S = 60
"""A run that is at work is asked to stop first, then the server."""


def serve(home: Home, *, cron: str, retrain_cron: str | None, port: int) -> float:
    """Run the schedule until Ctrl-C or SIGTERM; returns the seconds that it ran.

    Raises:
        ConfigurationError: The port is taken, or Prefect's server is away.
        LeaseHeld: This home is served already.
        StopError: The schedule's process ended by itself.
        SystemExit: It refused its arguments.
    """
    started = time.monotonic()
    with home.lease.beside("serve", wait=False) as alone:
        if not alone:
            raise LeaseHeld(
                f"another vidpipe serve runs the schedule of {home.settings.home}.",
                next_step="stop it first, or leave it alone.",
            )
        _, login = prefect_server(home.settings.home / "prefect")
        need_prefect(
            os.environ.get("PREFECT_API_URL"), login
        )  # a profile's address is not asked: see flows/serve
        _say_where(port)
        arguments = ["--cron", cron, "--port", str(port)]
        arguments += ["--retrain-cron", retrain_cron] if retrain_cron else []
        code, asked = _run_until_signal(home, arguments)
    if code == USAGE:
        raise SystemExit(USAGE)
    if code != 0 and not asked:
        raise StopError(
            f"the schedule ended with code {code}.",
            next_step=_where_it_says_why(home),
        )
    return round(time.monotonic() - started, 3)


def _where_it_says_why(home: Home) -> str:
    if os.environ.get("PREFECT_API_URL"):
        return "read its log above; the server's is where that runs."
    return f"read its log above and {home.settings.home / 'prefect' / 'server.log'}."


def _say_where(port: int) -> None:
    """Print the addresses of the schedule's pages; raise before the server starts where the port is taken."""
    theirs = os.environ.get("PREFECT_API_URL")
    if not theirs and _is_taken(port):
        raise ConfigurationError(
            f"port {port} of 127.0.0.1 is taken.",
            next_step="pass --port; or, if a Prefect server is there, set PREFECT_API_URL to it.",
        )
    where = theirs or f"http://127.0.0.1:{port}"
    sys.stderr.write(f"· Prefect at {where}; times are UTC; Ctrl-C stops, and nothing finished is lost\n")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _run_until_signal(home: Home, arguments: list[str]) -> tuple[int, bool]:
    """Run the schedule's process; returns its exit code, and whether a signal asked for its end.

    It is in a session of its own, so that Ctrl-C reaches us alone and it can stop in order: the run at
    work, then the server.
    """
    process = subprocess.Popen(
        [*die_with_parent("INT"), *flow_command("serve", *arguments)],
        env=flow_environment(home.settings.home), stdin=subprocess.DEVNULL, stdout=sys.stderr,
        start_new_session=True,
    )  # fmt: skip
    with signals_as_interrupt():
        try:
            return process.wait(), False
        except KeyboardInterrupt:
            return _stop(process), True


def _stop(process: subprocess.Popen[bytes]) -> int:
    sys.stderr.write("· stopping\n")
    process.send_signal(signal.SIGINT)
    with suppress(KeyboardInterrupt):  # whoever presses Ctrl-C again does not want to wait
        try:
            return process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            pass
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Context manager in which SIGTERM and SIGINT raise KeyboardInterrupt, even in a background job."""
    before = {s: signal.signal(s, signal.default_int_handler) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
