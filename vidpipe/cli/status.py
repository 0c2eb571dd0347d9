"""Verbs about the state of a home: `status`, `collections`, `models`, `explain`, `report`, `doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidpipe.cli.runner import FAILED, HomeOption, JsonOption, guarded, open_at, run_step, show_records
from vidpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from vidpipe.ports import Ports
    from vidpipe.steps.doctor import DoctorReport
    from vidpipe.steps.runs import Report
    from vidpipe.wiring import Home

standing = typer.Typer(rich_markup_mode=None)


@standing.command()
def explain(
    video_id: Annotated[str, typer.Argument(help="The video's hash, or its first eight or more digits.")],
    model: Annotated[
        str | None,
        typer.Option(help="champion, challenger or a version. Default: the champion, else the challenger."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why a video gets its label: the best labels, and which of its frames weigh most."""
    from vidpipe.cli.display import print_explanation

    def step(ports: Ports) -> Report:
        from vidpipe.steps.explain import explain as run

        return run(ports, video_id, model=model)

    run_step(home, as_json, step, show=print_explanation)


@standing.command()
def collections(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """One row per collection: present, classified, failing, serving version."""
    from vidpipe.steps import inspect

    show_records(home, as_json, "collections", lambda opened: inspect.collections(opened.ledger))


@standing.command()
def models(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """One row per registered version, with its aliases and test scores."""

    def read(opened: Home) -> list[dict[str, Any]]:
        from vidpipe.cli.display import TerminalProgress
        from vidpipe.steps import inspect
        from vidpipe.wiring import open_ports

        return inspect.models(open_ports(opened, TerminalProgress()))

    show_records(home, as_json, "models", read)


@standing.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Champion, lease, collections, last runs, what fails."""

    def action() -> int:
        from vidpipe.cli.display import print_json, print_records
        from vidpipe.steps import inspect

        opened = open_at(home)
        found = inspect.status(opened.ledger, opened.lease.holder())
        if as_json:
            print_json(found)
            return 0
        sys.stdout.write(f"home      {opened.settings.home}\n")
        sys.stdout.write(f"champion  {found['champion'] or 'none yet: vidpipe promote'}\n")
        sys.stdout.write(f"lease     {inspect.lease_in_words(found['lease'])}\n")
        for name in ("collections", "runs", "failures", "promotions"):
            sys.stdout.write(f"\n{name}\n")
            print_records(found[name])
        return 0

    guarded(action, as_json)


@standing.command()
def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Is everything there that a run needs, is anything half done? Exits 1 if something is to be fixed."""

    def action() -> int:
        from vidpipe.cli.display import print_doctor, print_json

        report = _examined(home)
        print_json(report.to_dict()) if as_json else print_doctor(report.to_dict())
        return 0 if report.is_well else FAILED

    guarded(action, as_json)


def _examined(home: Path | None) -> DoctorReport:
    """Settings that cannot be right are the first thing to mend; the rest waits for them."""
    from vidpipe.settings import load_settings
    from vidpipe.steps.doctor import DoctorReport, Line
    from vidpipe.steps.doctor import doctor as step
    from vidpipe.wiring import open_home, open_probes

    try:
        settings = load_settings(home)
    except ConfigurationError as error:
        return DoctorReport([Line("settings", "fix", error.message, error.next_step)], 0.0)
    return step(open_probes(open_home(settings)))


@standing.command()
def report(
    run: Annotated[int | None, typer.Argument(help="Number of a run. Default: the last night.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the page of a night anew from the published warehouse, and say where it lies."""

    def action() -> int:
        import webbrowser

        from vidpipe.cli.display import print_json
        from vidpipe.steps.report import report as step
        from vidpipe.wiring import open_staging, open_videos

        opened = open_at(home)
        page = step(
            opened.warehouse, open_videos(opened.settings), opened.reports, run,
            staging=open_staging(opened.settings),
        )  # fmt: skip
        print_json(page.to_dict()) if as_json else sys.stdout.write(f"{page.report}\n")
        if open_page:
            webbrowser.open(Path(page.report).as_uri())
        return 0

    guarded(action, as_json)
