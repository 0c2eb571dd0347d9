"""CLI verbs of the home as a whole: `backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vidpipe.cli.runner import HomeOption, JsonOption, guarded, open_at

keeping = typer.Typer(rich_markup_mode=None)


@keeping.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for the backup.")],
    list_features: Annotated[
        bool, typer.Option("--list-features", help="Name the features' files and leave them out.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up a home, also while a night runs: ledger, models, reports; features by hard link."""

    def action() -> int:
        from vidpipe.cli.display import print_result
        from vidpipe.steps import backup as step
        from vidpipe.wiring import open_archive

        made = step.backup(open_archive(open_at(home)), folder, list_features=list_features)
        print_result(made, as_json=as_json)
        return 0

    guarded(action, as_json)


@keeping.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `vidpipe backup` made.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new home from a backup, once every file has been checked; publish its warehouse."""

    def action() -> int:
        from vidpipe.cli.display import print_result
        from vidpipe.steps import backup as step
        from vidpipe.wiring import open_archive

        opened = open_at(home)
        archive, publish = open_archive(opened), opened.warehouse.publish
        print_result(step.restore(archive, folder, opened.settings.home, publish), as_json=as_json)
        return 0

    guarded(action, as_json)
