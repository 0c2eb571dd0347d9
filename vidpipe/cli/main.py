"""Entry point of the command `vidpipe`: its verbs, grouped by noun for `vidpipe --help`.

Each verb opens a home, runs one step and prints its result; the steps themselves are in `steps/`. What verbs
share (options, errors, exit codes) is in `runner.py`.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from vidpipe import __version__
from vidpipe.cli.backups import keeping
from vidpipe.cli.browse import browsing
from vidpipe.cli.labels import labelling
from vidpipe.cli.manifests import manifests
from vidpipe.cli.models import learning
from vidpipe.cli.nights import nights
from vidpipe.cli.query import looking
from vidpipe.cli.status import standing
from vidpipe.cli.videos import arriving

NOUNS = {
    "Start": ("demo",),
    "Videos": ("ingest", "manifest", "extract", "classify", "explain", "retry", "forget"),
    "Models": ("train", "tune", "evaluate", "freeze-eval", "promote", "rollback", "models", "backbones"),
    "Labels": ("browse", "label-queue", "label-issues", "label"),
    "Nights": ("nightly", "serve", "report"),
    "Query": ("sql", "similar", "export", "collections"),
    "State": ("status", "doctor", "gc", "backup", "restore"),
}
"""The verbs by noun, in the order of `vidpipe --help`."""


class GroupedByNoun(TyperGroup):
    """Typer group whose `--help` lists commands in sections, one for each noun."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (Click's signature)
        """All verbs, in the order of their nouns."""
        return [verb for verbs in self._sections().values() for verb in verbs]

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the list of commands in `--help`, a section for each noun."""
        for noun, verbs in self._sections().items():
            with formatter.section(noun):
                formatter.write_dl([(verb, self.commands[verb].get_short_help_str(120)) for verb in verbs])

    def _sections(self) -> dict[str, list[str]]:
        sections = {noun: [verb for verb in verbs if verb in self.commands] for noun, verbs in NOUNS.items()}
        known = {verb for verbs in NOUNS.values() for verb in verbs}
        return sections | ({"More": more} if (more := [v for v in self.commands if v not in known]) else {})


app = typer.Typer(
    cls=GroupedByNoun,
    help="Nightly video classification: files to features to predictions, answered by SQL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(arriving)
app.add_typer(learning)
app.add_typer(nights)
app.add_typer(standing)
app.add_typer(manifests, name="manifest")
app.add_typer(browsing)
app.add_typer(labelling)
app.add_typer(looking)
app.add_typer(keeping)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"vidpipe {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Nightly video classification: files to features to predictions, answered by SQL."""


def make_writable(*streams: TextIO) -> None:
    """Escape characters that the terminal's encoding lacks (such as \\xe9) instead of failing."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Entry point of the `vidpipe` command."""
    make_writable(sys.stdout, sys.stderr)
    app()
