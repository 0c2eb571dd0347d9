"""CLI verbs about a home: `status`, `collections`, `models`, `backbones`, `explain`, `report`, `doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidpipe.cli.runner import (
    FAILED,
    HomeOption,
    JsonOption,
    VideoArgument,
    guarded,
    lazy_step,
    open_at,
    run_step,
    show_records,
)
from vidpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from vidpipe.steps.doctor import DoctorResult
    from vidpipe.wiring import Home

standing = typer.Typer(rich_markup_mode=None)


@standing.command()
def explain(
    video: VideoArgument,
    model: Annotated[
        str | None,
        typer.Option(help="champion, challenger or a version. Default: the champion, else the challenger."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a prediction: the best labels of a video, and what its label scores without each stretch."""
    from vidpipe.cli.display import print_explanation

    run_step(home, as_json, lazy_step("explain", video, model=model), show=print_explanation)


@standing.command()
def collections(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List collections: videos present, classified and failing, and the serving version."""
    from vidpipe.steps import status as step

    show_records(home, as_json, "collections", lambda opened: step.collections(opened.ledger))


@standing.command()
def models(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List registered model versions with their aliases and test scores."""

    def read(opened: Home) -> list[dict[str, Any]]:
        from vidpipe.cli.display import TerminalProgress
        from vidpipe.steps import status as step
        from vidpipe.wiring import open_ports

        return step.models(open_ports(opened, TerminalProgress()))

    show_records(home, as_json, "models", read)


@standing.command()
def backbones(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List backbones that VIDPIPE_BACKBONE may name: size, input, features, licence, measured frames/s."""

    def read(opened: Home) -> list[dict[str, Any]]:
        from vidpipe.wiring import list_backbones

        return list_backbones(opened)

    show_records(home, as_json, "backbones", read)


@standing.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the champion, who holds the lease, the collections, recent runs and failures."""

    def action() -> int:
        from vidpipe.cli.display import print_json, print_records
        from vidpipe.steps import status as step

        opened = open_at(home)
        found = step.status(opened.ledger, opened.lease.holder())
        if as_json:
            print_json(found)
            return 0
        sys.stdout.write(f"home      {opened.settings.home}\n")
        sys.stdout.write(f"champion  {found['champion'] or 'none yet: vidpipe promote'}\n")
        sys.stdout.write(f"lease     {step.lease_in_words(found['lease'])}\n")
        for name in ("collections", "runs", "failures", "promotions"):
            sys.stdout.write(f"\n{name}\n")
            print_records(found[name])
        return 0

    guarded(action, as_json)


@standing.command()
def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check that what a run needs is there and nothing is half done; exits 1 if something needs fixing."""

    def action() -> int:
        from vidpipe.cli.display import print_doctor, print_json

        result = _examined(home)
        print_json(result.to_dict()) if as_json else print_doctor(result.to_dict())
        return 0 if result.is_well else FAILED

    guarded(action, as_json)


def _examined(home: Path | None) -> DoctorResult:
    """Run all checks of `doctor`; invalid settings are reported alone, as nothing else can be checked."""
    from vidpipe.settings import load_settings
    from vidpipe.steps.doctor import DoctorResult, Line
    from vidpipe.steps.doctor import doctor as step
    from vidpipe.wiring import open_home, open_probes

    try:
        settings = load_settings(home)
    except ConfigurationError as error:
        return DoctorResult([Line("settings", "fix", error.message, error.next_step)], 0.0)
    return step(open_probes(open_home(settings)))


@standing.command()
def report(
    run: Annotated[int | None, typer.Argument(help="run_id of a night. Default: the last one.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the HTML report of a night from the published warehouse, and print its path."""

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
