"""What of the documentation follows from the code: `docs/reference.md`, and the results in `docs/sql.md`.

    python docs/generate.py                   write docs/reference.md anew
    python docs/generate.py --samples HOME    run sql/examples on a home, put their results into docs/sql.md

The tests hold `docs/reference.md` to what this script writes.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import io
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import duckdb
from annotated_types import Ge, Gt, Le, Lt
from typer.main import get_command

import vidpipe.steps
from vidpipe import errors
from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.views import create_views
from vidpipe.cli import runner
from vidpipe.cli.display import print_table
from vidpipe.cli.main import app
from vidpipe.settings import Settings
from vidpipe.steps.runs import Result

DOCS = Path(__file__).resolve().parent
REFERENCE = DOCS / "reference.md"
COOKBOOK = DOCS / "sql.md"
SHOWN_ROWS = 5

HEAD = """\
# Reference

Generated from the code: change it there, then run `python docs/generate.py`.

- [Commands](#commands): every verb with its arguments and options
- [Exit codes](#exit-codes) and [errors](#errors)
- [Settings](#settings): environment variables, or lines of `vidpipe.toml`
- [Relations](#relations): what SQL may ask, column by column
"""
COMMON = """\
Every verb takes, besides its own:

| option | meaning |
|---|---|
"""
SETTINGS = """\
An environment variable, or a line of `<home>/vidpipe.toml` under the name in lower case without the prefix
(`sample_fps = 2`); the environment wins. An empty variable is none. A name that is no setting is refused.

| variable | default | values | meaning |
|---|---|---|---|
"""
RELATIONS = """\
Timestamps are UTC without a zone. `core`, where the working tables are, may change; these may grow.
"""
NOUNS = {Path: "PATH", int: "N", float: "X"}
RESULTS = {
    "rollback": "PromoteResult",
    "label-queue": "QueueResult",
    "label-issues": "IssuesResult",
    "report": "PageResult",
    "freeze-eval": "FreezeResult",
}
"""Verbs whose report is not called after them."""


def reference() -> str:
    """The whole page."""
    parts = [HEAD, "## Commands\n", *commands(), "## Exit codes\n", exit_codes(), "## Errors\n", error_tree()]
    parts += ["## Settings\n", settings(), "## Relations\n", RELATIONS, *relations()]
    return "\n".join(parts)


# -- commands -----------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """One section for each verb, in the order of `vidpipe --help`; those with subcommands, theirs below."""
    group: Any = get_command(app)
    verbs = {name: group.commands[name] for name in group.list_commands(None)}
    common = [p for p in verbs["status"].params if _name(p) in ("--home", "--json")]
    rows = [f"| `{_name(p)}` | {_cell(p.help)} |" for p in common]
    yield COMMON + "\n".join([*rows, "| `--help` | What is said here. |"]) + "\n"
    for name, verb in verbs.items():
        yield f"### vidpipe {name}\n"
        yield _about(verb)
        if parts := getattr(verb, "commands", None):
            for part, subcommand in parts.items():
                yield f"#### vidpipe {name} {part}\n"
                yield _about(subcommand)
                yield from _usage(f"vidpipe {name} {part}", subcommand)
        else:
            yield from _usage(f"vidpipe {name}", verb)
            if keys := _json_keys(name):
                yield f"`--json` has at least: {', '.join(f'`{key}`' for key in keys)}.\n"


def _about(verb: Any) -> str:
    return " ".join(verb.help.split()) + "\n"


def _usage(called: str, verb: Any) -> Iterator[str]:
    hints = get_type_hints(inspect.unwrap(verb.callback))
    own = [p for p in verb.params if _name(p) not in ("--home", "--json")]
    needed = [_called(p, hints) for p in own if p.required]
    yield f"```text\n{' '.join([called, *needed, '[OPTIONS]'])}\n```\n"
    if own:
        rows = [
            f"| `{_called(p, hints)}` | {'needed' if p.required else _default(p)} | {_cell(p.help)} |"
            for p in own
        ]
        yield "| argument or option | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _name(parameter: Any) -> str:
    """`--wait`, or `SOURCE` for an argument."""
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return "/".join((max(parameter.opts, key=len), *parameter.secondary_opts))


def _called(parameter: Any, hints: Mapping[str, Any]) -> str:
    """The parameter as one writes it, with what follows it."""
    name = _name(parameter)
    if parameter.param_type_name == "argument" or parameter.is_flag:
        return name
    hint = hints[parameter.name]
    kinds = {kind for part in (hint, *get_args(hint)) for kind in (part, *get_args(part))}
    if choices := [kind for kind in get_args(hint) + _inner(hint) if isinstance(kind, str)]:
        return f"{name} {'/'.join(choices)}"
    if parameter.name in ("collection", "relation"):
        return f"{name} NAME"
    return f"{name} {next((noun for kind, noun in NOUNS.items() if kind in kinds), 'TEXT')}"


def _inner(hint: Any) -> tuple[Any, ...]:
    return tuple(inner for part in get_args(hint) for inner in get_args(part))


def _default(parameter: Any) -> str:
    if parameter.default is None or parameter.default is False or getattr(parameter, "is_flag", False):
        return ""
    return f"`{parameter.default}`"


def _json_keys(verb: str) -> list[str]:
    """The fields of a verb's result."""
    wanted = RESULTS.get(verb, f"{verb.replace('-', '')}result").lower()
    modules = [
        importlib.import_module(f"vidpipe.steps.{m.name}")
        for m in pkgutil.iter_modules(vidpipe.steps.__path__)
    ]
    for module in modules:
        for name, found in vars(module).items():
            if name.lower() == wanted and inspect.isclass(found) and issubclass(found, Result):
                return [field.name for field in fields(found)]  # type: ignore[arg-type]
    return []


# -- exit codes, errors, settings -----------------------------------------------------------------


def exit_codes() -> str:
    """As the module that sets them says."""
    said = " ".join((runner.__doc__ or "").split("Exit codes: ")[1].split())
    codes = [code.strip(" .").split(" ", 1) for code in said.split("·")]
    return "\n".join(["| code | meaning |", "|---|---|", *(f"| {c} | {m} |" for c, m in codes)]) + "\n"


def error_tree() -> str:
    """What can go wrong, by what to do about it."""
    title, tree = (errors.__doc__ or "").strip().split("\n\n", 1)
    return f"{title}\n\n```text\n{tree}\n```\n"


def settings() -> str:
    """One row for each setting."""
    rows = [
        f"| `VIDPIPE_{name.upper()}` | {_setting_default(field)} | {_values(field)} "
        f"| {_cell(field.description)} |"
        for name, field in Settings.model_fields.items()
    ]
    return SETTINGS + "\n".join(rows) + "\n"


def _setting_default(field: Any) -> str:
    """Empty where it depends on the machine or the home; the meaning says how."""
    if field.default_factory or field.default is None:
        return ""
    return f"`{str(field.default).removesuffix('.0')}`"


def _values(field: Any) -> str:
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if field.annotation is bool:
        return "`true`, `false`"
    signs = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}
    bounds = [(signs[type(m)], m) for m in field.metadata if type(m) in signs]
    return ", ".join(f"{sign} {getattr(bound, key):g}" for (key, sign), bound in bounds)


# -- relations ------------------------------------------------------------------------------------


def relations() -> Iterator[str]:
    """Each public relation with its comment, and each of its columns with type and comment."""
    with duckdb.connect() as connection:
        for _, _, text in sqlfiles.migrations():
            connection.execute(text)
        create_views(connection)
        named = connection.execute(
            "select view_name, comment from duckdb_views() "
            "where not internal and schema_name = 'main' order by view_name"
        ).fetchall()
        for name, about in named:
            columns = connection.execute(
                "select column_name, data_type, comment from duckdb_columns() "
                "where schema_name = 'main' and table_name = ? order by column_index", [name]
            ).fetchall()  # fmt: skip
            rows = [f"| `{column}` | {kind} | {_cell(comment)} |" for column, kind, comment in columns]
            head = f"### {name}\n\n{_cell(about)}\n\n| column | type | meaning |\n|---|---|---|\n"
            yield head + "\n".join(rows) + "\n"


def _cell(text: str | None) -> str:
    """One line that a table can hold."""
    return " ".join((text or "").split()).replace("|", "\\|")


# -- the cookbook's results -----------------------------------------------------------------------


def with_samples(page: str, home: Path) -> str:
    """The cookbook with each example's question, and its first rows on that home, anew."""
    before, _, rest = page.partition("<!-- samples -->\n")
    _, _, after = rest.partition("<!-- end of samples -->\n")
    beside = {"file_search_path": str(home)}
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True, config=beside) as warehouse:
        entries = [_sample(warehouse, file) for file in sqlfiles.examples()]
    return f"{before}<!-- samples -->\n{''.join(entries)}<!-- end of samples -->\n{after}"


def _sample(warehouse: duckdb.DuckDBPyConnection, file: Path) -> str:
    """Link, question, first rows."""
    question, query = file.read_text(encoding="utf-8").split("\n", 1)
    cursor = warehouse.execute(query)
    columns, rows = [c[0] for c in cursor.description or []], cursor.fetchall()
    with redirect_stdout(io.StringIO()) as shown:
        print_table(columns, [[_shortened(v) for v in row] for row in rows[:SHOWN_ROWS]])
    table = "\n".join(line.strip("\n").rstrip() for line in shown.getvalue().splitlines() if line.strip())
    more = f"\n  … {len(rows) - SHOWN_ROWS} more rows" if len(rows) > SHOWN_ROWS else ""
    link = f"[`{file.name}`](../sql/examples/{file.name})"
    return f"\n{link}: {question.removeprefix('-- ')}\n\n```text\n{table}{more}\n```\n"


def _shortened(value: Any) -> Any:
    """Hashes and long texts by their beginning: the page shows the shape of an answer."""
    if isinstance(value, str):
        value = re.sub(r"file:\S+", "file:…", value)
        value = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1…", value)
        return value if len(value) <= 60 else f"{value[:59]}…"
    return value


def main() -> None:
    """Write what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--samples", type=Path, metavar="HOME", help="put results from this home into sql.md")
    home = parser.parse_args().samples
    if home is None:
        REFERENCE.write_text(reference(), encoding="utf-8")
    else:
        COOKBOOK.write_text(with_samples(COOKBOOK.read_text(encoding="utf-8"), home), encoding="utf-8")
    sys.stdout.write(f"{REFERENCE if home is None else COOKBOOK}\n")


if __name__ == "__main__":
    main()
