"""CLI verb `browse`: the web page to look at a collection and label it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vidpipe.cli.runner import HomeOption, JsonOption, run_step
from vidpipe.ports import Ports
from vidpipe.steps.runs import Result

browsing = typer.Typer(rich_markup_mode=None)


@browsing.command()
def browse(
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port on 127.0.0.1. Default: a free one.", show_default=False),
    ] = 0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve a page on this machine to look at videos, filter and label them, until Ctrl-C."""

    def announce(address: str) -> None:
        sys.stderr.write(f"· browse at {address} (the address is the key: keep it); Ctrl-C stops\n")
        sys.stderr.flush()
        if open_page:
            typer.launch(address)

    def work(ports: Ports) -> Result:
        from vidpipe.browse.server import serve
        from vidpipe.cli.serve import signals_as_interrupt

        with signals_as_interrupt():
            return serve(ports, port, announce)

    run_step(home, as_json, work)
