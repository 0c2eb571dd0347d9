"""Shared by all CLI verbs: common options, opening the home, errors and exit codes, printing the result.

Exit codes: 0 done · 1 failed or refused · 2 wrong usage · 3 done, but over the failure budget · 4 another
run holds the lease.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidpipe.errors import LeaseHeld, VidpipeError

if TYPE_CHECKING:
    from vidpipe.ports import Ports
    from vidpipe.steps.runs import Result
    from vidpipe.wiring import Home

FAILED, OVER_BUDGET, HELD = 1, 3, 4

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="VIDPIPE_HOME",
        help="Folder of the installation. Default: .vidpipe",
        show_envvar=True,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait while another run holds the lease.")]
VideoArgument = Annotated[
    str, typer.Argument(help="A video's hash (eight digits or more), its path in a collection, or a file.")
]
CollectionOption = Annotated[str | None, typer.Option("--collection", help="One collection. Default: all")]


def open_at(home: Path | None) -> Home:
    """Open the home that `--home` or the settings name, and send log lines to stderr."""
    from vidpipe.logs import log_to_stderr
    from vidpipe.settings import load_settings
    from vidpipe.wiring import open_home

    settings = load_settings(home)
    log_to_stderr(as_json=settings.log_format == "json")
    return open_home(settings)


def guarded(action: Callable[[], int], as_json: bool) -> None:
    """Run a function; a `VidpipeError` becomes one line and its exit code, never a traceback."""
    try:
        code = action()
    except VidpipeError as error:
        from vidpipe.cli.display import print_error

        print_error(error, as_json=as_json)
        code = HELD if isinstance(error, LeaseHeld) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("vidpipe: stopped. Finished work is kept; the same command continues.\n")
        code = 130
    raise typer.Exit(code)


def run_step(
    home: Path | None,
    as_json: bool,
    work: Callable[[Ports], Result],
    *,
    wait: bool = False,
    code: Callable[[Any], int] = lambda result: 0,
    show: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:
    """Run one step with all ports and print its result, for people by `show` where it is given."""

    def action() -> int:
        from vidpipe.cli.display import TerminalProgress, print_result
        from vidpipe.wiring import open_ports

        ports = open_ports(open_at(home), TerminalProgress(), wait_for_lease=wait)
        result = work(ports)
        print_result(result, as_json=as_json, show=show)
        return code(result)

    guarded(action, as_json)


def lazy_step(name: str, *arguments: Any, **options: Any) -> Callable[[Ports], Result]:
    """A call of a step that is imported only when it runs, so that `--help` stays fast.

    Args:
        name: `gc` is `vidpipe.steps.gc.gc`; `promote.rollback` is `vidpipe.steps.promote.rollback`.
        *arguments: Passed after the ports.
        **options: Passed by keyword.
    """
    module, _, function = name.partition(".")

    def call(ports: Ports) -> Result:
        run: Callable[..., Result] = getattr(import_module(f"vidpipe.steps.{module}"), function or module)
        return run(ports, *arguments, **options)

    return call


def show_records(
    home: Path | None, as_json: bool, key: str, read: Callable[[Home], list[dict[str, Any]]]
) -> None:
    """Print rows as a table, or as one JSON object with one key."""

    def action() -> int:
        from vidpipe.cli.display import print_json, print_records

        records = read(open_at(home))
        if as_json:
            print_json({key: records})
        else:
            print_records(records)
        return 0

    guarded(action, as_json)
