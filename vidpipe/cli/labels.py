"""The label loop's verbs: what to label next, and the labels taken in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidpipe.cli.runner import CollectionOption, HomeOption, JsonOption, WaitOption, run_step

if TYPE_CHECKING:
    from vidpipe.ports import Ports
    from vidpipe.steps.runs import Report

labelling = typer.Typer(rich_markup_mode=None)


@labelling.command("label-queue")
def label_queue(
    output: Annotated[Path, typer.Option("--output", help="The CSV to write.")],
    collection: CollectionOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Videos at most.")] = 50,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another file of that name.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the most useful videos to label next as a CSV; fill its column label."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.label import label_queue as run

        return run(ports, output, collection=collection, limit=limit, overwrite=overwrite)

    run_step(home, as_json, step)


@labelling.command()
def label(
    file: Annotated[Path, typer.Argument(help="CSV: path, label, and any of collection, video_id.")],
    collection: Annotated[
        str | None, typer.Option("--collection", help="That of lines which name none.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Who gave them. Default: the file's name.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Take in labels; the next training uses them. What the file leaves out stays as it is."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.label import label as run

        return run(ports, file, collection=collection, source=source)

    run_step(home, as_json, step, wait=wait)
