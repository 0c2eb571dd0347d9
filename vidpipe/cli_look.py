"""The verbs that only look: what is there is shown, nothing of it is changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vidpipe.command import FAILED, HomeOption, JsonOption, guarded, open_at
from vidpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from vidpipe.steps.doctor import DoctorReport

looking = typer.Typer(rich_markup_mode=None)


@looking.command()
def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Is everything there that a run needs, is anything half done? Exits 1 if something is to be fixed."""

    def action() -> int:
        from vidpipe.display import print_doctor, print_json

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


@looking.command()
def report(
    run: Annotated[int | None, typer.Argument(help="Number of a run. Default: the last night.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the page of a night anew from the published warehouse, and say where it lies."""

    def action() -> int:
        import webbrowser
        from pathlib import Path

        from vidpipe.display import print_json
        from vidpipe.steps.report import report as step
        from vidpipe.wiring import open_videos

        opened = open_at(home)
        page = step(opened.warehouse, open_videos(opened.settings), opened.reports, run)
        print_json(page.to_dict()) if as_json else sys.stdout.write(f"{page.report}\n")
        if open_page:
            webbrowser.open(Path(page.report).as_uri())
        return 0

    guarded(action, as_json)
