"""CLI verbs that read video files: `demo`, `ingest`, `extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vidpipe.cli.runner import (
    CollectionOption,
    HomeOption,
    JsonOption,
    WaitOption,
    guarded,
    lazy_step,
    open_at,
    run_step,
)
from vidpipe.errors import ConfigurationError

arriving = typer.Typer(rich_markup_mode=None)


@arriving.command()
def demo(
    source: Annotated[Path | None, typer.Option(help="Your own folder of labelled videos.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="Its manifest: path,label[,group][,split].")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole pipeline on generated clips through Prefect, ending in a SQL query."""

    def action() -> int:
        from vidpipe.cli.demo import run_demo

        if (source is None) != (manifest is None):
            raise ConfigurationError(
                "--source and --manifest go together.", next_step="pass both, or neither."
            )
        run_demo(open_at(home), source, manifest, as_json=as_json)
        return 0

    guarded(action, as_json)


@arriving.command()
def ingest(
    source: Annotated[
        str, typer.Argument(help="Folder of videos, s3:// or gs:// prefix, or a CSV manifest in it.")
    ],
    collection: Annotated[str, typer.Option("--collection", help="Name of the collection.")],
    manifest: Annotated[
        str | None, typer.Option(help="CSV, by path or URI: path, and any of label, group, splits.")
    ] = None,
    label_from: Annotated[
        str | None, typer.Option(help="`folder`: the name of the top folder is the label.")
    ] = None,
    window_s: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Length of the windows in seconds that long videos are scored in; 0: each video as a whole.",
        ),
    ] = None,
    stride_s: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds from the start of one window to that of the next. Default: half a window."
        ),
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            metavar="[shots]",
            help="shots: each shot is a window; they are found by a network (vidpipe[shots]). Remembered.",
        ),
    ] = None,
    replace_source: Annotated[
        bool, typer.Option("--replace-source", help="Give an existing collection another source.")
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing", help="Accept a source that is empty or has lost more than half of its videos."
        ),
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            help="Take only files that match this pattern, such as '*.mp4'; may be repeated. Remembered."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            help="Pass over files and folders that match, such as 'thumbs'; '' forgets. Remembered."
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:TYPE",
            help="Column of the manifest as a typed column of the view attributes_<collection>, such as "
            "temperature:double; text, integer, bigint, double, boolean, date, time or timestamp; may be "
            "repeated; '' forgets. Remembered.",
        ),
    ] = None,
    time_from_name: Annotated[
        str | None,
        typer.Option(
            help="How file names say when a video was recorded: 'cam_%Y%m%d_%H%M%S'; '' forgets. Remembered."
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            help="Zone of recording times that name none: Europe/Berlin, +02:00. Default: UTC. Remembered."
        ),
    ] = None,
    multi_label: Annotated[
        bool | None,
        typer.Option(
            "--multi-label/--single-label",
            help="A video may have several labels, with a bar between two in the manifest: crowd|rain. "
            "Default: one. Remembered.",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Hash and probe the videos of a folder, bucket or manifest into a collection."""
    from vidpipe.cli.display import print_ingest

    work = lazy_step(
        "ingest", collection, source, manifest=manifest, label_from=label_from, window_s=window_s,
        stride_s=stride_s, windows=windows, replace_source=replace_source, allow_missing=allow_missing,
        include=include, exclude=exclude, attributes=attribute, time_from_name=time_from_name,
        time_zone=time_zone, multi_label=multi_label,
    )  # fmt: skip
    run_step(home, as_json, work, wait=wait, show=print_ingest)


@arriving.command()
def extract(
    collection: CollectionOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Decode videos that lack features and run the CNN over their frames, into Parquet."""
    run_step(home, as_json, lazy_step("extract", collection), wait=wait)
