"""Subprocess with limits on memory, CPU time and waiting time, whose pipes are drained.

It runs in a process group of its own and is killed when this process dies.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

from vidpipe.errors import TooSlow

MEMORY_LIMIT_BYTES = 4 << 30
MAX_ANSWER_BYTES = 16 << 20


class LimitedProcess:
    """A subprocess with limits, whose stderr a thread drains line by line."""

    def __init__(
        self,
        command: list[str],
        wait_s: float,
        on_line: Callable[[str], None],
        *,
        brief: bool = False,
        pass_fds: Sequence[int] = (),
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start the process.

        A `brief` one is started without `setpriv`, which saves a millisecond: if this process dies, it ends
        by itself, by its closed pipe or by its CPU limit.
        """
        self.wait_s = wait_s
        self._waited_s = 0.0
        self._popen = subprocess.Popen(
            command if brief else [*die_with_parent("KILL"), *command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        _limit(self._popen.pid, wait_s)
        self._drain = threading.Thread(target=self._read_lines, args=(on_line,), daemon=True)
        self._drain.start()

    def _read_lines(self, on_line: Callable[[str], None]) -> None:
        assert self._popen.stderr is not None
        for raw in iter(lambda: self._popen.stderr.readline(1 << 16), b""):  # type: ignore[union-attr]
            on_line(raw.decode("utf-8", "replace").rstrip())

    @property
    def stdout(self) -> int:
        """Descriptor of what it writes, for another process to read instead of us."""
        assert self._popen.stdout is not None
        return self._popen.stdout.fileno()

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` from stdout; fewer bytes only at the end of the stream.

        Only the time spent waiting for the decoder counts, so that back-pressure is never its fault.

        Raises:
            TooSlow: The decoder took longer than its time limit.
        """
        assert self._popen.stdout is not None
        descriptor = self._popen.stdout.fileno()
        filled = 0
        while filled < len(buffer):
            self._await(descriptor)
            count = os.readv(descriptor, [buffer[filled:]])
            if count == 0:
                break
            filled += count
        return filled

    def _await(self, descriptor: int) -> None:
        started = time.monotonic()
        ready = _readable(descriptor, self.wait_s - self._waited_s)
        self._waited_s += time.monotonic() - started
        if not ready:
            self.kill()
            raise TooSlow(f"the decoder gave nothing for {self.wait_s:.0f} s.")

    def read_all(self) -> bytes:
        """Read all of stdout within the time limit, truncated at 16 MiB."""
        answer, buffer = bytearray(), bytearray(1 << 16)
        while len(answer) < MAX_ANSWER_BYTES and (count := self.read_into(memoryview(buffer))):
            answer += buffer[:count]
        return bytes(answer)

    def finish(self) -> int:
        """Wait for the end; returns the exit code."""
        try:
            code = _wait(self._popen, max(1.0, self.wait_s - self._waited_s))
        except subprocess.TimeoutExpired:
            self.kill()
            raise TooSlow(f"the decoder did not end within {self.wait_s:.0f} s.") from None
        self._drain.join(timeout=5)
        return code

    def kill(self) -> None:
        """Kill the whole process group; no effect when it has ended."""
        if self._popen.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
        self._drain.join(timeout=5)
        for pipe in (self._popen.stdout, self._popen.stderr):
            if pipe:
                pipe.close()


def _wait(process: subprocess.Popen[bytes], most_s: float) -> int:
    """Wait for the exit code by pidfd, without the polling delays of `Popen.wait` with a timeout."""
    if process.poll() is None and hasattr(os, "pidfd_open"):
        descriptor = os.pidfd_open(process.pid)
        try:
            most_s = most_s if _readable(descriptor, most_s) else 0
        finally:
            os.close(descriptor)
    return process.wait(timeout=most_s)


def _readable(descriptor: int, most_s: float) -> bool:
    """Wait until a descriptor is readable or closed; False after `most_s` seconds."""
    poll = select.poll()  # unlike select(), it takes descriptors above 1023
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(max(0.0, most_s) * 1000))


def _limit(pid: int, wait_s: float) -> None:
    """Limit address space and CPU time from outside (prlimit): a preexec function would cost more."""
    seconds = int(wait_s * 4) + 10
    try:
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
        resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds))
    except ProcessLookupError:
        pass  # it has ended already


@cache
def die_with_parent(how: str) -> tuple[str, ...]:
    """Command prefix that makes the kernel send a signal when this process dies (setpriv of util-linux)."""
    setpriv = shutil.which("setpriv")
    if not setpriv:
        return ()
    probe = subprocess.run([setpriv, "--pdeathsig", how, "true"], capture_output=True, check=False)
    return (setpriv, "--pdeathsig", how) if probe.returncode == 0 else ()
