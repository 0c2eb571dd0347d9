"""The verbs that ask the working home how things stand: a video's label, collections, versions, runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidpipe.command import HomeOption, JsonOption, guarded, open_at, run_step, show_records

if TYPE_CHECKING:
    from vidpipe.ports import Ports
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
    from vidpipe.display import print_explanation

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
        from vidpipe.display import TerminalProgress
        from vidpipe.steps import inspect
        from vidpipe.wiring import open_ports

        return inspect.models(open_ports(opened, TerminalProgress()))

    show_records(home, as_json, "models", read)


@standing.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Champion, lease, collections, last runs, what fails."""

    def action() -> int:
        from vidpipe.display import print_json, print_records
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
