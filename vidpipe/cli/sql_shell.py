"""Interactive SQL prompt on the published warehouse (REPL): statements end with a semicolon.

Every statement reads the newest snapshot, read-only; an error does not end the prompt.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from vidpipe.errors import VidpipeError

if TYPE_CHECKING:
    from vidpipe.adapters.database.warehouse import Answer

FIRST, FURTHER = "vidpipe> ", "    ...> "
SHOWN_ROWS = 500
"""More would scroll away what was asked."""
HELP = """A statement ends with a semicolon, or with an empty line. Read-only.
.tables  what there is to ask    .help  this text    .quit, or Ctrl-D  the end
"""


def converse(
    ask: Callable[[str], Answer],
    show: Callable[[Answer], None],
    read_line: Callable[[str], str] = input,
) -> None:
    """Read statements and print their results until `.quit`, or the end of the input."""
    with suppress(ImportError):
        import readline  # noqa: F401  (gives `input` its history and its editing keys)
    sys.stdout.write(HELP)
    while (text := _statement(read_line)) is not None:
        if text in (".quit", ".exit"):
            return
        if text == ".help":
            sys.stdout.write(HELP)
        elif text == ".tables":
            _answer("show tables", ask, show)
        elif text.startswith("."):
            sys.stdout.write(f"no such command: {text}; .help lists them\n")
        elif text:
            _answer(text, ask, show)


def _statement(read_line: Callable[[str], str]) -> str | None:
    """The next statement or dot command; nothing after Ctrl-C; None at the end of the input."""
    lines: list[str] = []
    while True:
        try:
            line = read_line(FURTHER if lines else FIRST).strip()
        except EOFError:
            sys.stdout.write("\n")
            return None
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            return ""
        lines += [line] if line else []
        if not line or line.endswith(";") or (lines == [line] and line.startswith(".")):
            return "\n".join(lines)


def _answer(text: str, ask: Callable[[str], Answer], show: Callable[[Answer], None]) -> None:
    try:
        answer = ask(text)
    except VidpipeError as error:
        sys.stdout.write(f"{error.message}\n")
        return
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")
        return
    except Exception as error:  # such as a date that Python cannot represent
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return
    more = len(answer.rows) - SHOWN_ROWS
    show(type(answer)(answer.columns, answer.rows[:SHOWN_ROWS]))
    if more > 0:
        sys.stdout.write(f"and {more} more rows; vidpipe sql --csv 'select ...' gives them all\n")
