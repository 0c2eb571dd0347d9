"""The operator's verbs: what a night does, its schedule, and what is mended or cleared away after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vidpipe.cli.runner import (
    FAILED,
    OVER_BUDGET,
    CollectionOption,
    HomeOption,
    JsonOption,
    WaitOption,
    guarded,
    open_at,
    run_step,
)
from vidpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from vidpipe.ports import Ports
    from vidpipe.steps.runs import Report

nights = typer.Typer(rich_markup_mode=None)


@nights.command()
def classify(
    collection: CollectionOption = None,
    model: Annotated[str, typer.Option(help="champion, challenger or a version.")] = "champion",
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Only what older versions have scored, newest first.")
    ] = False,
    budget_s: Annotated[
        float | None, typer.Option(min=0, help="Seconds for what older versions have scored. Default: all.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Score stored features into prediction rows; no video is opened."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.classify import classify as run

        if backfill and model != "champion":
            raise ConfigurationError(
                f"--backfill is the champion's, not that of {model!r}.", next_step="leave out --model."
            )
        return run(ports, collection, model=model, backfill=backfill, budget_s=budget_s)

    run_step(home, as_json, step, wait=wait)


@nights.command()
def nightly(
    failure_budget: Annotated[
        str | None,
        typer.Option(help="Share (0.1) or count (25) of failing videos that is too much."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Every collection: what is new, ingested, extracted, classified, published."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.nightly import nightly as run

        return run(ports, failure_budget=failure_budget)

    codes = {"over_budget": OVER_BUDGET, "failed": FAILED}
    run_step(home, as_json, step, wait=wait, code=lambda report: codes.get(report.status, 0))


@nights.command()
def serve(
    cron: Annotated[str, typer.Option(help="When the night starts, UTC.")] = "0 2 * * *",
    retrain_cron: Annotated[
        str | None, typer.Option(help="When a challenger is trained, UTC. Default: when asked for.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of Prefect on 127.0.0.1, if PREFECT_API_URL names none.")
    ] = 4200,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the nights on schedule on this machine, with a Prefect server of its own, until Ctrl-C."""

    def action() -> int:
        from vidpipe.cli.display import print_facts, print_json
        from vidpipe.cli.serve import serve as run

        facts = {"seconds": run(open_at(home), cron=cron, retrain_cron=retrain_cron, port=port)}
        if as_json:
            print_json(facts)
        else:
            print_facts("serve", facts)
        return 0

    guarded(action, as_json)


@nights.command()
def retry(
    collection: CollectionOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for another try of failing and quarantined videos; the next ingest and extract make it."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.retry import retry as run

        return run(ports, collection)

    run_step(home, as_json, step)


@nights.command()
def gc(home: HomeOption = None, as_json: JsonOption = False, wait: WaitOption = False) -> None:
    """Remove what crashes left behind, older than a day, and the pages of nights of 90 days ago."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.gc import gc as run

        return run(ports)

    run_step(home, as_json, step, wait=wait)


@nights.command()
def forget(
    video_id: Annotated[str, typer.Argument(help="The video's hash, or its first eight or more digits.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Erase a video's features and predictions for good; the same bytes are left alone from then on."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.forget import forget as run

        return run(ports, video_id)

    run_step(home, as_json, step, wait=wait)
