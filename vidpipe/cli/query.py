"""CLI verbs that read the published warehouse: `sql`, `similar` and `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidpipe.cli.runner import (
    CollectionOption,
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
    from vidpipe.adapters.database.warehouse import Answer
    from vidpipe.wiring import Home

looking = typer.Typer(rich_markup_mode=None)


@looking.command()
def sql(
    query: Annotated[
        str | None,
        typer.Argument(help="A query on the published warehouse. Default, on a terminal: a prompt."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="File with the query.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print rows as CSV.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a read-only SQL query on the published warehouse; without one, open a prompt."""

    def action() -> int:
        from vidpipe.cli.display import print_csv, print_json, print_table

        def show(answer: Answer) -> None:
            if as_json:
                print_json({"columns": answer.columns, "rows": answer.rows})
            elif as_csv:
                print_csv(answer.columns, answer.rows)
            else:
                print_table(answer.columns, answer.rows)

        if query is None and file is None and sys.stdin.isatty() and not as_json:
            from vidpipe.cli.sql_shell import converse

            converse(open_at(home).warehouse.query, show)
        else:
            show(open_at(home).warehouse.query(_query_text(query, file)))
        return 0

    guarded(action, as_json)


@looking.command()
def similar(
    video: VideoArgument,
    collection: CollectionOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many videos at most.")] = 10,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the videos that look most like one, by the cosine of their vectors; the file may be a new one."""
    from vidpipe.cli.display import print_similar

    run_step(
        home, as_json, lazy_step("similar", video, collection=collection, limit=limit), show=print_similar
    )


def _query_text(query: str | None, file: Path | None) -> str:
    if (query is None) == (file is None):
        raise typer.BadParameter("pass a query, or --file, not both.")
    if file is None:
        return query or ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {file}: {error}.", next_step="pass a text file.") from None


@looking.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; created if it does not exist.")],
    relation: Annotated[
        list[str] | None,
        typer.Option("--relation", help="A table or view to write; may be repeated. Default: all"),
    ] = None,
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="[parquet|delta|label-studio|webvtt|fiftyone|activitynet|camtrap-dp]",
            help="parquet, delta: tables and views; the others: videos with their labels, for other tools.",
        ),
    ] = "parquet",
    collection: CollectionOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write public tables and views as Parquet or Delta Lake, or videos with their labels for other tools."""

    def write(opened: Home) -> list[dict[str, Any]]:
        from vidpipe.wiring import RELATION_FORMATS, export_as, export_relations

        if format_name in RELATION_FORMATS and collection is None:
            return export_relations(opened, folder, format_name, relation)
        if format_name in RELATION_FORMATS or relation:
            raise ConfigurationError(
                "--relation is of the formats parquet and delta, and --collection of the others.",
                next_step="leave one of them out.",
            )
        return export_as(opened, folder, format_name, collection)

    show_records(home, as_json, "files", write)
