"""The verbs that look and change nothing: doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from vidpipe.command import FAILED, HomeOption, JsonOption, guarded
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
