"""The verbs that show what is published, and `doctor`, which looks at everything; nothing is changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidpipe.command import FAILED, HomeOption, JsonOption, guarded, open_at, show_records
from vidpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from vidpipe.adapters.warehouse import Answer
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

        from vidpipe.display import print_json
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


@looking.command()
def sql(
    query: Annotated[
        str | None,
        typer.Argument(help="A query on the published warehouse. Default, on a terminal: a prompt."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file that holds the query.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated rows.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the published warehouse, read-only."""

    def action() -> int:
        from vidpipe.display import print_csv, print_json, print_table

        def show(answer: Answer) -> None:
            if as_json:
                print_json({"columns": answer.columns, "rows": answer.rows})
            elif as_csv:
                print_csv(answer.columns, answer.rows)
            else:
                print_table(answer.columns, answer.rows)

        if query is None and file is None and sys.stdin.isatty() and not as_json:
            from vidpipe.prompt import converse

            converse(open_at(home).warehouse.query, show)
        else:
            show(open_at(home).warehouse.query(_query_text(query, file)))
        return 0

    guarded(action, as_json)


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
    folder: Annotated[Path, typer.Argument(help="Where the files go; it is made if need be.")],
    relation: Annotated[
        list[str] | None, typer.Option("--relation", help="One of them; once for each. Default: all")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the public relations as Parquet, one file each, for other engines."""
    show_records(home, as_json, "files", lambda opened: opened.warehouse.export(folder, relation))
