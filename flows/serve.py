"""Scheduler on one machine: a local Prefect server that starts the nightly and retraining flows by cron.

`vidpipe serve` runs this as `python -m flows.serve`, because the library never imports Prefect. One run at a
time: what is due meanwhile waits, and a night whose work another has done is skipped. The schedules stay
active when this ends, so that what is missed until the next start is found late then, and made up for once.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidpipe.adapters.media.process import die_with_parent
from vidpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from prefect.client.schemas.schedules import CronSchedule

START_S = 180
"""A slow disk may take long to make the server's database."""
STOP_S = 20


class ServerFailed(Exception):
    """The local Prefect server did not start."""


def main() -> int:
    """Entry point: serve the schedules until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m flows.serve", description=__doc__)
    parser.add_argument("--cron", default="0 2 * * *", help="when the night starts, UTC")
    parser.add_argument("--retrain-cron", help="when a challenger is trained, UTC; default: when asked for")
    parser.add_argument(
        "--port", type=int, default=4200, help="of the server, where PREFECT_API_URL names none"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore SIGINT
    theirs = os.environ.get("PREFECT_API_URL")  # read by Prefect on import: from here on there is a server
    os.environ.setdefault("PREFECT_API_URL", f"http://127.0.0.1:{arguments.port}/api")
    try:
        nights = parse_cron(arguments.cron)
        retrainings = parse_cron(arguments.retrain_cron) if arguments.retrain_cron else None
    except ValueError as error:
        parser.error(str(error))
    try:
        if theirs:
            from flows.shared import need_server

            need_server()
        with nullcontext() if theirs else own_server(arguments.port):
            serve_flows(nights, retrainings)
    except KeyboardInterrupt:
        pass
    except (ServerFailed, ConfigurationError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def parse_cron(line: str) -> "CronSchedule":
    """Parse a cron expression as a schedule in UTC.

    Raises:
        ValueError: Not a cron line.
    """
    from prefect.client.schemas.schedules import CronSchedule

    try:
        return CronSchedule(cron=line, timezone="UTC")
    except ValueError:
        raise ValueError(f"{line!r} is not a cron line such as '0 2 * * *'") from None


def serve_flows(nights: "CronSchedule", retrainings: "CronSchedule | None") -> None:
    """Register the deployments and run what is due, until SIGINT or SIGTERM."""
    from prefect import Flow, serve
    from prefect.deployments.runner import RunnerDeployment
    from prefect.types.entrypoint import EntrypointType

    from flows.classify import backfill_flow
    from flows.nightly import nightly_flow
    from flows.retrain import retrain_flow
    from flows.silence import silence

    asyncio.run(silence())
    schedules: list[tuple[Flow[..., Any], CronSchedule | None]] = [
        (nightly_flow, nights), (retrain_flow, retrainings), (backfill_flow, None),
    ]  # fmt: skip
    served: list[RunnerDeployment] = []
    for flow, schedule in schedules:
        made = RunnerDeployment.from_flow(
            flow, flow.name, schedules=[schedule] if schedule else [],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )  # fmt: skip
        served.append(made)
    serve(*served, limit=1, pause_on_shutdown=False, print_starting_message=False)


@contextmanager
def own_server(port: int) -> Iterator[None]:
    """Context manager of a Prefect server on loopback, which logs to a file in Prefect's home.

    Raises:
        ServerFailed: It ended, or did not answer in time.
    """
    log = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser() / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as stream:
        server = subprocess.Popen(
            [*die_with_parent("TERM"), *command], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(server, f"http://127.0.0.1:{port}/api/health", log)
        yield
    finally:
        server.terminate()
        try:
            server.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_for(server: "subprocess.Popen[bytes]", health: str, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):  # noqa: S310  (our own address)
                return
        except OSError:
            time.sleep(0.5)
    raise ServerFailed(f"Prefect's server did not start; {log} says why.")


if __name__ == "__main__":
    sys.exit(main())
