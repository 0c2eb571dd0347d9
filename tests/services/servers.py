"""Real services on loopback, as `docker/compose.yaml` runs them: PostgreSQL, MLflow, Prefect, a worker.

Each is a process group with a log file, on a port of its own that it keeps when it is stopped and started
again. Every process that is started here, and every one that these start, carries a mark in its environment,
by which the last ones are found at the end.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
USER = "admin"
MARK = "SERVICES_TEST"
NEED_POSTGRES = "PostgreSQL's programs are not here. On Debian: apt-get install postgresql"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


def free_port() -> int:
    """A port of loopback that nobody uses, nor any client will: below those that the kernel gives out."""
    while True:
        port = random.randrange(15_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def until(what: str, look: Callable[[], T], seconds: float = 90) -> T:
    """The first answer that is true; look four times a second."""
    end = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.25)
    return answer


def answers(url: str) -> bool:
    """Whether a GET of the address succeeds."""
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


@dataclass
class Service:
    """One server: how it is started, how one sees that it is up, where its log is."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    is_up: Callable[[], bool]
    user: str | None = None
    """Whom to run it as, where the tests run as root."""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.folder / f"{self.name}.log"

    def start(self, *, wait: bool = True) -> Service:
        """Start it; with `wait`, return when it is up."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                as_user(self.user, self.command), env={**os.environ, **self.environment}, cwd=ROOT,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self.wait() if wait else self

    def wait(self) -> Service:
        """Return when it is up; its log's end says why it is not."""
        try:
            until(f"{self.name} is up", lambda: self.is_up() or self.has_ended(), 180)
            assert not self.has_ended(), f"{self.name} ended by itself"
        except AssertionError as error:
            tail = self.log.read_text(errors="replace")[-3000:]
            raise AssertionError(f"{error}\n{self.log}:\n{tail}") from None
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and what it started in its group."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)

    def has_ended(self) -> bool:
        """Whether its process has ended, or was never started."""
        return self._process is None or self._process.poll() is not None


def as_user(user: str | None, command: Sequence[str]) -> list[str]:
    """The command, run by another user where we are root: PostgreSQL refuses to be."""
    if user is None or os.getuid() != 0:
        return list(command)
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *command]


@dataclass
class Fleet:
    """All services of one installation, and the environment of whoever talks to them."""

    folder: Path
    postgres_port: int = field(default_factory=free_port)
    mlflow_port: int = field(default_factory=free_port)
    prefect_port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    login_password: str = field(default_factory=lambda: secrets.token_hex(24))
    """Of the user admin of both servers."""
    mark: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.gate = self.folder / "gate"
        self.postgres = self._postgres()
        self.mlflow = self._mlflow()
        self.prefect = self._prefect()
        self.worker = self._worker()

    # -- the services ---------------------------------------------------------------------------

    def _postgres(self) -> Service:
        where = ["-h", "127.0.0.1", "-p", str(self.postgres_port)]
        command = [
            postgres_program("postgres"), "-D", str(self.folder / "postgres"), *where,
            "-c", "unix_socket_directories=", "-c", "fsync=off",
        ]  # fmt: skip
        ready = [postgres_program("pg_isready"), "-q", *where]
        return Service(
            "postgres", command, {MARK: self.mark}, self.folder,
            lambda: subprocess.run(ready, check=False).returncode == 0, user="postgres",
        )  # fmt: skip

    def _mlflow(self) -> Service:
        settings = {
            "MLFLOW_BACKEND_STORE_URI": self._database("postgresql+psycopg", "mlflow"),
            "MLFLOW_ARTIFACTS_DESTINATION": str(self.folder / "artifacts"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow:5000,localhost:*,127.0.0.1:*",
        }
        return Service(
            "mlflow", composed("mlflow", self.mlflow_port), {**self._server, **settings}, self.folder,
            lambda: answers(f"{self.mlflow_uri}/health"),
        )  # fmt: skip

    def _prefect(self) -> Service:
        settings = {
            "PREFECT_HOME": str(self.folder / "prefect-server"),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": self._database("postgresql+asyncpg", "prefect"),
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_SERVER_UI_API_URL": self.api,
            "PREFECT_UI_URL": f"http://127.0.0.1:{self.prefect_port}",
            # A day in seconds: schedules are looked at, and runs called late, every second or two.
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
        }
        return Service(
            "prefect", composed("prefect", self.prefect_port), {**self._server, **settings}, self.folder,
            lambda: answers(f"{self.api}/health"),
        )  # fmt: skip

    def _worker(self) -> Service:
        settings = {
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # the least that Prefect takes
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            "PREFECT_WORKER_WEBSERVER_PORT": str(self.health_port),
        }
        command = prefect("worker", "start", "--pool", "vidpipe", "--type", "process", "--with-healthcheck")
        return Service(
            "worker", command, {**self.environment, **settings}, self.folder,
            lambda: answers(f"http://127.0.0.1:{self.health_port}/health"),
        )  # fmt: skip

    @property
    def _server(self) -> dict[str, str]:
        """Environment of both servers, which gives them their login."""
        return {
            **QUIET,
            MARK: self.mark,
            "PATH": PATH,
            "LOGIN_PASSWORD": self.login_password,
            "PUBLIC_DOMAIN": "",
            "PUBLISHED_ADDRESS": "",
        }

    # -- addresses ------------------------------------------------------------------------------

    @property
    def mlflow_uri(self) -> str:
        """Of MLflow's server."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def api(self) -> str:
        """Of Prefect's server."""
        return f"http://127.0.0.1:{self.prefect_port}/api"

    @property
    def environment(self) -> dict[str, str]:
        """Of a worker, and of a person at the command line: the settings that make two servers known."""
        return {
            **QUIET,
            MARK: self.mark,
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": f"{USER}:{self.login_password}",
            "MLFLOW_TRACKING_USERNAME": USER,
            "MLFLOW_TRACKING_PASSWORD": self.login_password,
            "PREFECT_HOME": str(self.folder / "prefect-worker"),
            "VIDPIPE_HOME": str(self.home),
            "VIDPIPE_MLFLOW_URI": self.mlflow_uri,
            "VIDPIPE_FFMPEG": str(self.folder / "ffmpeg"),
            "VIDPIPE_SAMPLE_FPS": "1",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        }

    @property
    def login(self) -> tuple[str, str]:
        """Of both servers."""
        return USER, self.login_password

    def _database(self, driver: str, name: str) -> str:
        return f"{driver}://vidpipe:{self.password}@127.0.0.1:{self.postgres_port}/{name}"

    # -- from nothing to running, and back ------------------------------------------------------

    def start(self) -> None:
        """Databases, servers, deployments, worker."""
        self._make_cluster()
        self.postgres.start()
        for name in ("mlflow", "prefect"):
            self._as_postgres(
                "createdb", "-h", "127.0.0.1", "-p", str(self.postgres_port), "-U", "vidpipe", name
            )
        self._make_gated_ffmpeg()
        self.mlflow.start(wait=False)
        self.prefect.start()
        self.deploy()
        self.worker.start(wait=False)
        self.mlflow.wait()
        self.worker.wait()

    def deploy(self) -> None:
        """Register pool and deployments, as compose's one-shot job does."""
        self.run("env", f"PATH={PATH}", "sh", "docker/deploy.sh")

    def stop(self) -> None:
        """End everything, and whatever is left of it."""
        for service in (self.worker, self.prefect, self.mlflow, self.postgres):
            service.stop(signal.SIGINT if service is self.postgres else signal.SIGTERM)  # INT: "fast"
        kill_marked(self.mark)

    def run(self, *command: str) -> str:
        """A command that a person would type; what it wrote to stdout."""
        ended = subprocess.run(
            command, env={**os.environ, **self.environment}, cwd=ROOT, capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        assert ended.returncode == 0, (
            f"{command} ended with {ended.returncode}:\n{ended.stderr}\n{ended.stdout}"
        )
        return ended.stdout

    def vidpipe(self, *arguments: str) -> str:
        """The command line, on the worker's home."""
        return self.run(sys.executable, "-m", "vidpipe", *arguments)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """An answer of Prefect's REST API."""
        response = httpx.request(method, f"{self.api}{path}", json=body or None, timeout=30, auth=self.login)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def _make_cluster(self) -> None:
        """A cluster of its own, with a password, as on a real server."""
        password = self.folder / "password"
        password.write_text(self.password)
        if os.getuid() == 0:
            shutil.chown(password, "postgres")
            (self.folder / "postgres").mkdir()
            shutil.chown(self.folder / "postgres", "postgres")
        self._as_postgres(
            "initdb", "-D", str(self.folder / "postgres"), "-U", "vidpipe", f"--pwfile={password}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip

    def _as_postgres(self, program: str, *arguments: str) -> None:
        subprocess.run(
            as_user("postgres", [postgres_program(program), *arguments]), check=True, cwd=self.folder,
            env={**os.environ, "PGPASSWORD": self.password}, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    # -- a night that waits ---------------------------------------------------------------------

    def _make_gated_ffmpeg(self) -> None:
        """ffmpeg that decodes nothing while the gate is there: a night can be met in the middle."""
        from vidpipe.adapters.media.binaries import find_tools

        script = self.folder / "ffmpeg"
        script.write_text(
            f"""#!/bin/sh
case "$*" in *-version*) ;; *) while [ -e {self.gate} ]; do touch {self.gate}.met; sleep 0.1; done ;; esac
exec {find_tools().ffmpeg} "$@"
"""
        )
        script.chmod(0o755)

    def close_gate(self) -> None:
        """From now on, decoders wait."""
        self.gate.with_suffix(".met").unlink(missing_ok=True)
        self.gate.touch()

    def wait_at_gate(self) -> None:
        """Return when a decoder waits."""
        until("a decoder waits at the gate", self.gate.with_suffix(".met").exists)

    def open_gate(self) -> None:
        """Let them go on."""
        self.gate.unlink(missing_ok=True)


def postgres_program(name: str) -> str:
    """Of Debian's newest PostgreSQL, which keeps its servers out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda file: int(file.parts[-3]))
    program = str(found[-1]) if found else shutil.which(name)
    assert program, NEED_POSTGRES
    return program


def composed(service: str, port: int) -> list[str]:
    """The command of `docker/compose.yaml`, on loopback, another port and one worker."""
    command: list[str] = list(COMPOSE[service]["command"])
    for option, value in (("--host", "127.0.0.1"), ("--port", str(port)), ("--workers", "1")):
        if option in command:
            command[command.index(option) + 1] = value
    assert command[:2] == ["python", "login.py"]
    return [sys.executable, str(ROOT / "docker" / "login.py"), *command[2:]]


def prefect(*arguments: str) -> list[str]:
    """The command line of Prefect."""
    return [sys.executable, "-m", "prefect", *arguments]


@contextmanager
def chromium() -> Iterator[Any]:
    """A real browser."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install 'vidpipe[browser]'")
    program = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def marked(mark: str, variable: str = MARK) -> list[int]:
    """Processes that carry the mark."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"{variable}={mark}".encode() in file.read_bytes().split(b"\0"):
                found.append(int(file.parts[2]))
    return found


def kill_marked(mark: str, variable: str = MARK) -> None:
    """Kill every process that carries the mark; one may end by itself, or start another, while we look."""

    def none_left() -> bool:
        for pid in (found := marked(mark, variable)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    until(f"{variable}={mark} has no process left", none_left, 30)
