"""The lease that hosts share: one at a time, named, gone with its connection. On a real PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from servers import Fleet, postgres_program, until

from vidpipe.adapters.locks.postgres_lease import _TRY, LEASE_ROOM, PostgresLease, _asked, _key
from vidpipe.errors import ConfigurationError, LeaseHeld

pytestmark = pytest.mark.services

HOLDER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell's background jobs inherit it
from vidpipe.adapters.locks.postgres_lease import PostgresLease
from vidpipe.errors import LeaseLost
try:
    with PostgresLease(sys.argv[1]).hold(sys.argv[2]):
        print("held", flush=True)
        time.sleep(60)
except LeaseLost as error:
    print(error, flush=True)
    sys.exit(7)
"""
Holder = subprocess.Popen[str]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    folder = Path(tempfile.mkdtemp(prefix="vidpipe-lease-"))
    folder.chmod(0o755)
    postgres_program("postgres")
    found = Fleet(folder)
    found._make_cluster()
    found.postgres.start()
    yield found
    found.stop()


@pytest.fixture
def uri(fleet: Fleet) -> str:
    return f"postgresql://vidpipe:{fleet.password}@127.0.0.1:{fleet.postgres_port}/postgres"


@pytest.fixture
def start_holder(uri: str) -> Iterator[Callable[[str], Holder]]:
    """Starts a process that holds the lease for a verb."""
    with ExitStack() as stack:

        def start(verb: str) -> Holder:
            command = [sys.executable, "-c", HOLDER, uri, verb]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            return process

        yield start


def test_one_at_a_time_and_the_other_is_named(uri: str, start_holder: Callable[[str], Holder]) -> None:
    lease = PostgresLease(uri)
    assert lease.holder() is None
    other = start_holder("nightly")
    with pytest.raises(
        LeaseHeld, match=rf"nightly \(pid {other.pid} on .*\) holds the lease since 20"
    ) as caught:
        lease.hold("extract").__enter__()
    assert "vidpipe:" not in str(caught.value) and "password" not in str(caught.value)
    found = lease.holder()
    assert found and (found["verb"], found["pid"]) == ("nightly", str(other.pid))
    assert not lease.is_mine


def test_a_killed_holder_holds_nothing(uri: str, start_holder: Callable[[str], Holder]) -> None:
    other = start_holder("nightly")
    other.send_signal(signal.SIGKILL)
    other.wait()
    with PostgresLease(uri).hold("extract", wait=True):
        pass


def test_it_is_reentrant_and_free_afterwards(uri: str) -> None:
    lease = PostgresLease(uri)
    with lease.hold("nightly"):
        with lease.hold("ingest"):
            assert lease.is_mine
        with pytest.raises(LeaseHeld):
            PostgresLease(uri).hold("other").__enter__()
    assert not lease.is_mine
    with PostgresLease(uri).hold("other"):
        pass


def test_waiting_ends_when_the_lease_is_free(uri: str, start_holder: Callable[[str], Holder]) -> None:
    other = start_holder("nightly")
    started = time.monotonic()

    def stop() -> None:
        time.sleep(1)
        other.kill()

    threading.Thread(target=stop).start()
    with PostgresLease(uri).hold("extract", wait=True):
        assert time.monotonic() - started >= 0.9


def test_rooms_beside_the_lease_are_shared_or_not_as_on_one_host(uri: str) -> None:
    one, other = PostgresLease(uri), PostgresLease(uri)
    training = [lease.beside("training", shared=True) for lease in (one, other)]
    with one.hold("nightly"), training[0] as first, training[1] as second:
        assert (first, second) == (True, False)
    with one.beside("promotion") as first, other.beside("promotion", wait=False) as second:
        assert (first, second) == (True, False)
    with other.beside("promotion", wait=False) as entered:
        assert entered


def test_a_lost_connection_is_a_lost_lease_and_stops_the_run(
    uri: str, start_holder: Callable[[str], Holder]
) -> None:
    holder = start_holder("nightly")
    with psycopg.connect(uri, autocommit=True) as server, PostgresLease(uri)._connected("x") as thief:
        thief.execute("set application_name = 'vidpipe thief 1 elsewhere'")
        (pid,) = server.execute(
            "select pid from pg_stat_activity where application_name like 'vidpipe nightly %'"
        ).fetchone() or (0,)
        server.execute("select pg_terminate_backend(%s)", (pid,))
        until("the thief is in", lambda: _asked(thief, _TRY, _key(LEASE_ROOM)), 5)
        assert holder.wait(timeout=30) == 7
        assert holder.stdout and "the connection that held the lease is gone" in holder.stdout.read()
        thief.close()


def test_a_lost_connection_with_nobody_in_between_is_had_again(
    uri: str, start_holder: Callable[[str], Holder]
) -> None:
    holder = start_holder("nightly")
    with psycopg.connect(uri, autocommit=True) as server:
        sessions = "select pid from pg_stat_activity where application_name like 'vidpipe nightly %'"
        before = server.execute(sessions).fetchall()
        server.execute("select pg_terminate_backend(%s)", before[0])
        until("another session", lambda: server.execute(sessions).fetchall() not in ([], before), 15)
    until("the lease is had again", lambda: PostgresLease(uri).holder() is not None, 15)
    assert holder.poll() is None
    with pytest.raises(LeaseHeld):
        PostgresLease(uri).hold("extract").__enter__()


def test_the_command_line_exits_4_while_another_host_is_at_work(
    uri: str, start_holder: Callable[[str], Holder], vidpipe: Callable[..., Any], tmp_path: Path, fleet: Fleet
) -> None:
    start_holder("nightly")
    held = vidpipe("nightly", "--json", VIDPIPE_LEASE_URI=uri)
    assert held.returncode == 4
    error = json.loads(held.stdout)["error"]
    assert error["class"] == "LeaseHeld" and "nightly (pid" in error["message"]
    shown = vidpipe("status", VIDPIPE_LEASE_URI=uri)
    assert "held by" in shown.stdout
    written = [f for f in tmp_path.rglob("*") if f.is_file()]
    said = held.stdout + held.stderr + shown.stdout + shown.stderr
    assert fleet.password not in said
    assert not any(fleet.password.encode() in f.read_bytes() for f in written)


def test_a_server_that_is_away_is_said_without_the_password(vidpipe: Callable[..., Any]) -> None:
    ended = vidpipe("nightly", "--json", VIDPIPE_LEASE_URI="postgresql://vidpipe:SECRET@127.0.0.1:9/x")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"]["class"] == "LeaseLost"
    asked = vidpipe("doctor", "--json", VIDPIPE_LEASE_URI="postgresql://vidpipe:SECRET@127.0.0.1:9/x")
    (lease,) = [line for line in json.loads(asked.stdout)["lines"] if line["check"] == "lease"]
    assert (asked.returncode, lease["state"]) == (1, "fix") and "VIDPIPE_LEASE_URI" in lease["next"]
    assert "SECRET" not in asked.stdout + asked.stderr
    assert "SECRET" not in ended.stdout + ended.stderr and os.environ.get("VIDPIPE_LEASE_URI") is None


def test_an_address_that_is_none_is_said_likewise() -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresLease("postgresql://vidpipe:SECRET@[nowhere").hold("x").__enter__()
    assert "SECRET" not in str(caught.value)
