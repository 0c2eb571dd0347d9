"""The browse page's web server: loopback only, until a signal ends it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import uvicorn

from vidpipe.browse.app import make_app
from vidpipe.browse.gate import new_token
from vidpipe.browse.labelling import Labelling
from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.steps.runs import Result

HOST = "127.0.0.1"
GRACE_S = 2
"""For answers under way when it is asked to stop."""


@dataclass(frozen=True, slots=True)
class BrowseResult(Result):
    """Result of `vidpipe browse`, once it has ended."""

    port: int
    seconds: float
    waiting: int
    """Labels that are not yet written, since another run holds the lease."""


def serve(ports: Ports, port: int, announce: Callable[[str], None]) -> BrowseResult:
    """Serve the page until SIGINT or SIGTERM, and write the labels that wait before and after.

    Args:
        ports: The outside world.
        port: 0 takes a free one.
        announce: Told the address, with its token.

    Raises:
        ConfigurationError: The port is taken.
        NotFound: Nothing has been published yet.
    """
    started = time.monotonic()
    with ports.warehouse.reading():
        pass
    with _listening(port) as listener:
        at = int(listener.getsockname()[1])
        labelling, token = Labelling(ports), new_token()
        labelling.write_quietly()
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(ports, labelling, token), log_config=None, access_log=False, server_header=False,
                lifespan="off", ws="none", timeout_graceful_shutdown=GRACE_S,
            )  # the log would hold the token
        )  # fmt: skip
        announce(f"http://{HOST}:{at}/{token}/")
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        waiting = labelling.close()
    return BrowseResult(at, round(time.monotonic() - started, 3), waiting)


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"port {port} of {HOST} cannot be used: {error.strerror}.", next_step="pass another --port."
        ) from None
    return listener
