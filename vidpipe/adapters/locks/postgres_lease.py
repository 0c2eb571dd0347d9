"""Lease of a home that several hosts share: a PostgreSQL advisory lock, freed when its session ends.

A session holds the lock, so that a killed process or a dead host holds nothing once its connection is gone.
One database keeps the lease of one home. The session's `application_name` tells people who it is; the lock
decides.

A watcher asks the server every other second. If the connection is lost and the lock cannot be taken again
within seconds, the run is stopped, as by Ctrl-C, before another run takes the lease.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vidpipe.errors import ConfigurationError, LeaseHeld, LeaseLost

if TYPE_CHECKING:
    from psycopg import Connection

log = logging.getLogger(__name__)

LEASE_ROOM = "lease"
_SPACE = 0x76696470
"""First half of the lock's number: ours among other programs' in the same database."""
_POLL_S = 0.5
_WATCH_S = 2.0
_GRACE_S = 10.0
_ALIVE = (
    "connect_timeout=5 keepalives_idle=10 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=10000"
)
"""For psycopg: a server that has gone is noticed within seconds, also while nothing is asked."""
_TRY = "select pg_try_advisory_lock(%s, %s)"
_SHARE = "select pg_advisory_lock_shared(%s, %s)"
_TAKE = "select pg_advisory_lock(%s, %s)"
_GIVE = "select pg_advisory_unlock(%s, %s)"
_WHO = (
    "select a.application_name, date_trunc('second', a.backend_start at time zone 'utc')::text "
    "from pg_locks l join pg_stat_activity a on a.pid = l.pid join pg_database d on d.oid = l.database "
    "where l.locktype = 'advisory' and l.granted and d.datname = current_database() "
    "and l.classid = %s and l.objid = %s"
)


class PostgresLease:
    """Lease of a home by a PostgreSQL advisory lock; re-entrant from any thread of the holding object."""

    def __init__(self, uri: str) -> None:
        self._uri = uri  # may hold a password: never shown in messages
        self._depth = 0
        self._guard = threading.Lock()
        self._session: Connection | None = None
        self._verb = ""
        self._lost = False

    @contextmanager
    def hold(self, verb: str, *, wait: bool = False) -> Iterator[None]:
        """Context manager that holds the lease for `verb`; with `wait`, once it is free.

        Raises:
            LeaseHeld: Another run holds it; the message names it.
            LeaseLost: The server does not answer, or did not any more while the run was at work.
        """
        self._enter(verb, wait)
        try:
            yield
        except KeyboardInterrupt:
            if self._lost:
                raise LeaseLost(
                    "the connection that held the lease is gone; the run has been stopped.",
                    next_step="check PostgreSQL and the network, then run the same command again.",
                ) from None
            raise
        finally:
            self._leave()

    @property
    def is_mine(self) -> bool:
        """Whether this object holds the lease."""
        return self._depth > 0

    @contextmanager
    def beside(self, lock: str, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
        """Context manager of a named lock beside the lease, `shared` or exclusive; see `Lease.beside`.

        Raises:
            LeaseLost: The server does not answer.
        """
        key = _key(lock)
        with _errors(), self._connected(lock) as session:
            empty = _asked(session, _TRY, key)
            if wait and shared:
                session.execute(_SHARE, key)
                if empty:
                    session.execute(_GIVE, key)
            elif wait and not empty:
                session.execute(_TAKE, key)
        try:
            yield empty or (wait and not shared)
        finally:
            session.close()

    def holder(self) -> dict[str, object] | None:
        """Description of the holder; None when the lease is free."""
        with _errors(), self._connected("status") as session:
            try:
                return _holder(session)
            finally:
                session.close()

    # -- the session that holds it ----------------------------------------------------------------

    def _enter(self, verb: str, wait: bool) -> None:
        with self._guard:
            if self._depth == 0:
                _listen()
                self._session = self._acquired(verb, wait)
                self._verb, self._lost = verb, False
                threading.Thread(target=self._watch, args=(self._session,), daemon=True).start()
            self._depth += 1

    def _leave(self) -> None:
        with self._guard:
            self._depth -= 1
            if self._depth == 0 and self._session:
                self._session.close()  # closing frees the lock
                self._session = None

    def _acquired(self, verb: str, wait: bool) -> Connection:
        with _errors(), self._connected(verb) as session:
            while not _asked(session, _TRY, _key(LEASE_ROOM)):
                if not wait:
                    who = _holder(session)
                    session.close()
                    raise LeaseHeld(_held_message(who), next_step="wait for it, or pass --wait.")
                time.sleep(_POLL_S)
        return session

    def _watch(self, session: Connection) -> None:
        """Watch the connection until the lease is released; interrupt the run when it is lost."""
        while True:
            time.sleep(_WATCH_S)
            with self._guard:
                if self._session is not session:
                    return
                if _answers(session):
                    continue
                again = self._had_again()
                if again is None:
                    self._lost = True
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    return
                session = self._session = again

    def _had_again(self) -> Connection | None:
        """Reconnect and take the lock again; None when another took it or the server is not back in time."""
        give_up = time.monotonic() + _GRACE_S
        while True:
            try:
                session = self._acquired(self._verb, wait=False)
            except (LeaseHeld, LeaseLost) as error:
                if isinstance(error, LeaseHeld) or time.monotonic() > give_up:
                    log.error("the lease is lost: %s", error.message)
                    return None
                time.sleep(_POLL_S)
            else:
                log.warning("the connection that held the lease was lost and has been restored.")
                return session

    @contextmanager
    def _connected(self, verb: str) -> Iterator[Connection]:
        """Context manager of a new session, which stays open unless the block fails."""
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict, make_conninfo
        except ImportError:
            raise ConfigurationError(
                "a lease in PostgreSQL needs psycopg.", next_step="pip install 'vidpipe[services]'."
            ) from None
        name = f"vidpipe {verb} {os.getpid()} {socket.gethostname()}"[:63]
        try:
            address = make_conninfo(self._uri, **conninfo_to_dict(_ALIVE, application_name=name))
        except psycopg.ProgrammingError:  # its words repeat the address, password and all
            raise ConfigurationError(
                "VIDPIPE_LEASE_URI is no address of a PostgreSQL database.",
                next_step="set it to postgresql://USER:PASSWORD@HOST/DATABASE.",
            ) from None
        session = psycopg.connect(address, autocommit=True)
        try:
            yield session
        except BaseException:
            session.close()
            raise


def _listen() -> None:
    """Restore SIGINT's handler: a shell's background jobs (`vidpipe nightly &`) inherit it as ignored."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _key(lock: str) -> tuple[int, int]:
    return _SPACE, zlib.crc32(lock.encode()) & 0x7FFFFFFF


def _asked(session: Connection, question: str, key: tuple[int, int]) -> bool:
    row = session.execute(question, key).fetchone()
    return bool(row and row[0])


def _answers(session: Connection) -> bool:
    try:
        session.execute("select 1")
    except Exception:  # after any error this session may have lost its lock
        return False
    return True


def _holder(session: Connection) -> dict[str, object] | None:
    row = session.execute(_WHO, _key(LEASE_ROOM)).fetchone()
    if row is None:
        return None
    words = str(row[0]).split(" ", 3)
    known = dict(zip(("program", "verb", "pid", "host"), words, strict=False))
    return {**{k: v for k, v in known.items() if k != "program"}, "since": row[1]}


def _held_message(who: dict[str, object] | None) -> str:
    if not who:
        return "another run holds the lease."
    return (
        f"{who.get('verb')} (pid {who.get('pid')} on {who.get('host')}) holds the lease "
        f"since {who.get('since')} UTC."
    )


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if type(error).__module__.split(".")[0] != "psycopg":
            raise
        raise LeaseLost(
            f"PostgreSQL, which keeps the lease, does not answer: {str(error).strip().splitlines()[0]}.",
            next_step="check VIDPIPE_LEASE_URI, the server and the network.",
        ) from None
