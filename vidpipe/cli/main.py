"""The command `vidpipe`: its groups of verbs are joined here, in the order of `vidpipe --help`.

Each verb opens a home, runs one step and prints its report; no step is written there. What they share
(options, errors, exit codes) is in `runner.py`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vidpipe import __version__
from vidpipe.cli.labels import labelling
from vidpipe.cli.manifests import manifests
from vidpipe.cli.models import learning
from vidpipe.cli.nights import nights
from vidpipe.cli.query import looking
from vidpipe.cli.status import standing
from vidpipe.cli.videos import arriving

app = typer.Typer(
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
app.add_typer(labelling)
app.add_typer(looking)


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


def main() -> None:
    """Entry point of the `vidpipe` command."""
    app()
