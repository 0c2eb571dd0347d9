"""`python -m vidpipe` and `python -c` without the imports: a process that has made them forks for each start.

Importing PyTorch, MLflow and DuckDB takes one to five seconds of CPU, and the tests start `vidpipe` some
hundred times. So what they start is this file, by a bare Python, and the server does the rest at once:

    test ──subprocess──▶ start ──arguments, environment, folder, stdio──▶ serve ──▶ keep ──▶ python
                           ◀───────────────────── exit code ───────────────────────┘

The server only imports. It opens no database, reads no setting and computes nothing, so that no thread and
no lock of a library is caught half-way by a fork; each fork asserts that there is no thread. The child has
the arguments, environment, folder and standard streams of `start`, and ends as a process does that was
started the usual way. It *is* started the usual way where its environment differs in what a library may
read on being imported.

New homes in a child begin with copies of new stores, as those in the tests' own process do (`new_stores.py`).

A fork cannot show an import that is missing, slow or heavier than it should be, nor what Python says when
it takes apart its modules at the end. Tests of that, and one start of each verb, use `sys.executable`.
"""

from __future__ import annotations

import atexit
import gc
import marshal
import os
import select
import signal
import socket
import sys

STDIO = (0, 1, 2)
ENOUGH = 1 << 17
"""Bytes of one message."""
IMPORTED = """
vidpipe.cli.main alembic.command cv2 duckdb jinja2 matplotlib.figure mlflow.pyfunc pandas
mlflow.store.model_registry.sqlalchemy_store mlflow.store.tracking.sqlalchemy_store prometheus_client
pyarrow.dataset pyarrow.parquet torch rich.progress safetensors.torch scipy.optimize scipy.stats
sklearn.metrics sklearn.model_selection vidpipe.adapters.features.store vidpipe.adapters.models.registry
vidpipe.steps.nightly vidpipe.steps.train vidpipe.vision.backbones new_stores
"""
READ_LATER = ("COLUMNS", "DO_NOT_TRACK", "LINES", "LOGNAME", "MLFLOW_", "PATH", "PYTEST_", "USER", "VIDPIPE_")
"""Beginnings of the variables that nobody reads before a verb runs."""
BORN_WITH = dict(os.environ)
"""The environment before imports set what they set."""
INTERRUPTED = signal.getsignal(signal.SIGINT)
HARMLESS = {"jemalloc_bg_thd"}
"""Threads that may be there: jemalloc comes with pyarrow, and starts its own anew after a fork."""
exit_code = [1]
"""What `leave` ends with."""


def start(address: str, arguments: list[str]) -> int:
    """Run `python ARGUMENTS` in a forked child and return its exit code, or die by the signal it died by."""
    message = marshal.dumps((arguments, dict(os.environ), os.getcwd()))  # noqa: PTH109
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        socket.send_fds(server, [message], STDIO)
        code = int(server.recv(ENOUGH))
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def serve(listener: socket.socket) -> None:
    """Accept connections of `start` and fork a child for each; returns in the child, to run.

    Ends with standard input.
    """
    atexit.register(leave)  # before imports register theirs: the last to be called
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in IMPORTED.split():
        __import__(name)
    sys.modules["new_stores"].remember_revision()
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise touch, and so copy, all that was imported
    if (first := os.fork()) == 0:  # before a fork, OpenBLAS ends the threads that NumPy's import started
        os._exit(0)
    os.waitpid(first, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a keeper
    while True:
        ready, _, _ = select.select([listener.fileno(), STDIO[0]], [], [])
        if STDIO[0] in ready:
            os._exit(0)
        connection, _ = listener.accept()
        assert threads() <= HARMLESS, threads()
        if os.fork() == 0:
            listener.close()
            return keep(connection)
        connection.close()


def keep(connection: socket.socket) -> None:
    """Supervise one forked child: send its exit code to `start`, or kill it where `start` is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, ENOUGH, len(STDIO))
    child = os.fork()
    if child == 0:
        connection.close()
        arguments, environment, folder = marshal.loads(message)
        return become(arguments, environment, folder, streams)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, connection.fileno()], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ended in ready:
        connection.send(str(code).encode())
    os._exit(0)


def threads() -> set[str]:
    """Names of this process's threads besides the main one."""
    from pathlib import Path

    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    return {(task / "comm").read_text().strip() for task in tasks}


def become(arguments: list[str], environment: dict[str, str], folder: str, streams: list[int]) -> None:
    """Take over what `start` was given."""
    for number, stream in zip(STDIO, streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    signal.signal(signal.SIGINT, INTERRUPTED)
    import new_stores

    if read_early(environment) != read_early(BORN_WITH):
        os.execve(sys.executable, [sys.executable, *arguments], environment)
    for name in BORN_WITH.keys() - environment.keys():
        os.environ.pop(name, None)
    os.environ.update(environment)
    sys.argv[1:], sys.path[0] = arguments, folder
    if new_stores.FOLDER in environment:
        new_stores.copy_in_this_process()
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        before = getattr(sys, name)
        buffering = 1 if name == "stderr" else -1
        again = open(before.fileno(), mode, buffering, before.encoding, before.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, again)
        setattr(sys, f"__{name}__", again)


def run() -> None:
    """`python -m MODULE …` or `python -c CODE …`."""
    import runpy

    how, what, *sys.argv[1:] = sys.argv[1:]
    try:
        if how == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
        exit_code[0] = 0
    except SystemExit as ended:
        exit_code[0] = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise


def leave() -> None:
    """Exit at once, after the exit handlers: tearing down all imported modules takes a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code[0])


def read_early(environment: dict[str, str]) -> dict[str, str]:
    """The variables that a library may read on being imported."""
    return {name: value for name, value in environment.items() if not name.startswith(READ_LATER)}


if __name__ == "__main__":
    role, where, *words = sys.argv[1:]
    if role == "start":
        sys.exit(start(f"\0{where}", words))
    serve(socket.socket(fileno=int(where)))
    run()
