"""CLI verbs of labels: `label-queue` (what to label next), `label-issues` (doubtful), `label` (import)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vidpipe.cli.runner import CollectionOption, HomeOption, JsonOption, WaitOption, lazy_step, run_step

labelling = typer.Typer(rich_markup_mode=None)


@labelling.command("label-queue")
def label_queue(
    output: Annotated[Path, typer.Option("--output", help="The CSV to write.")],
    collection: CollectionOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many videos at most.")] = 50,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a CSV of the unlabelled videos most worth labelling; fill it in, then `vidpipe label`."""
    work = lazy_step("label.label_queue", output, collection=collection, limit=limit, overwrite=overwrite)
    run_step(home, as_json, work)


@labelling.command("label-issues")
def label_issues(
    output: Annotated[Path, typer.Option("--output", help="The CSV to write.")],
    collection: CollectionOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many videos at most. Default: all.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a CSV of labels that are probably wrong, likeliest first; fill it in, then `vidpipe label`."""
    work = lazy_step("label_issues", output, collection=collection, limit=limit, overwrite=overwrite)
    run_step(home, as_json, work)


@labelling.command()
def label(
    file: Annotated[Path, typer.Argument(help="CSV: path, label, and any of collection, video_id.")],
    collection: Annotated[
        str | None, typer.Option("--collection", help="Collection of lines that name none.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Who labelled them, recorded with each label. Default: the name of the file."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Import labels from a CSV for the next training; labels that the file does not name are kept."""
    run_step(home, as_json, lazy_step("label", file, collection=collection, source=source), wait=wait)
