"""The prompt: statements over several lines, errors that end nothing, a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vidpipe.adapters.database.warehouse import Answer
from vidpipe.cli.sql_shell import SHOWN_ROWS, converse
from vidpipe.errors import ConfigurationError
from vidpipe.wiring import Home

Captured = pytest.CaptureFixture[str]


def typed(*lines: str | type[BaseException]) -> Callable[[str], str]:
    """What a person types; an exception class is Ctrl-C or Ctrl-D."""
    waiting: Iterator[str | type[BaseException]] = iter([*lines, EOFError])

    def read_line(prompt: str) -> str:
        line = next(waiting)
        if isinstance(line, str):
            return line
        raise line

    return read_line


def conversation(*lines: str | type[BaseException]) -> tuple[list[str], list[Answer]]:
    """What was asked, and what was shown."""
    asked: list[str] = []
    shown: list[Answer] = []

    def ask(sql: str) -> Answer:
        asked.append(sql)
        if "wrong" in sql:
            raise ConfigurationError("Parser Error: wrong", next_step="-")
        if "odd" in sql:
            raise OverflowError("date value out of range")
        return Answer(["n"], [(k,) for k in range(SHOWN_ROWS + 3 if "many" in sql else 1)])

    converse(ask, shown.append, typed(*lines))
    return asked, shown


def test_a_statement_ends_with_a_semicolon_or_an_empty_line() -> None:
    asked, _ = conversation("select 1", "as a;", "from x", "", "", "select 2;")

    assert asked == ["select 1\nas a;", "from x", "select 2;"]


def test_errors_of_any_kind_end_nothing(capsys: Captured) -> None:
    asked, shown = conversation("wrong;", "odd;", "right;")

    assert len(asked) == 3 and len(shown) == 1
    said = capsys.readouterr().out
    assert "Parser Error: wrong" in said and "OverflowError: date value" in said


def test_ctrl_c_forgets_the_statement_and_ctrl_d_ends(capsys: Captured) -> None:
    asked, _ = conversation("select 1", KeyboardInterrupt, "select 2;", EOFError, "select 3;")

    assert asked == ["select 2;"]


def test_dot_commands_and_what_is_none(capsys: Captured) -> None:
    asked, _ = conversation(".tables", ".help", ".schema", ".quit", "select 1;")

    assert asked == ["show tables"]
    assert "no such command: .schema" in capsys.readouterr().out


def test_a_long_answer_is_cut_and_says_so(capsys: Captured) -> None:
    _, (answer,) = conversation("many;")

    assert len(answer.rows) == SHOWN_ROWS
    assert "and 3 more rows" in capsys.readouterr().out


def test_without_a_terminal_and_without_a_query_it_is_wrong_usage(vidpipe: Callable[..., object]) -> None:
    assert vidpipe("sql").returncode == 2  # type: ignore[attr-defined]


def test_on_a_real_terminal_it_asks_the_warehouse_read_only(home: Home) -> None:
    home.ledger.runs.start("extract")
    home.warehouse.publish()
    before = home.warehouse.file.read_bytes()
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "vidpipe", "sql", "--csv", "--home", str(home.settings.home)]
    environment = {**os.environ, "TERM": "dumb"}
    with subprocess.Popen(
        command, stdin=terminal, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        os.write(controller, b"select 40 +\n2 as n;\ndrop view runs;\nselect count(*) from runs;\n.quit\n")
        said, _ = process.communicate(timeout=60)
    os.close(controller)
    os.close(terminal)

    assert process.returncode == 0
    lines = said.splitlines()
    assert "42" in lines and "1" in lines and "read-only" in said
    assert Path(home.warehouse.file).read_bytes() == before
