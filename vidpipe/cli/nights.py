"""CLI verbs of the nightly batch: `classify`, `nightly`, `serve`, `retry`, `gc`, `forget`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vidpipe.cli.runner import (
    FAILED,
    OVER_BUDGET,
    CollectionOption,
    HomeOption,
    JsonOption,
    VideoArgument,
    WaitOption,
    guarded,
    lazy_step,
    open_at,
    run_step,
)
from vidpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from vidpipe.ports import Ports
    from vidpipe.steps.runs import Result

nights = typer.Typer(rich_markup_mode=None)


@nights.command()
def classify(
    collection: CollectionOption = None,
    model: Annotated[str, typer.Option(help="champion, challenger or a version.")] = "champion",
    backfill: Annotated[
        bool,
        typer.Option("--backfill", help="Score only videos that older versions have scored, newest first."),
    ] = False,
    budget_s: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds to spend on videos that older versions have scored. Default: no limit."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Write predictions from stored features; no video is opened."""

    def step(ports: Ports) -> Result:
        if backfill and model != "champion":
            raise ConfigurationError(
                f"--backfill is the champion's, not that of {model!r}.", next_step="leave out --model."
            )
        return lazy_step("classify", collection, model=model, backfill=backfill, budget_s=budget_s)(ports)

    run_step(home, as_json, step, wait=wait, code=lambda result: 0 if result.is_complete else FAILED)


@nights.command()
def nightly(
    failure_budget: Annotated[
        str | None,
        typer.Option(help="Share (0.1) or count (25) of failing videos above which the night exits 3."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Ingest, extract, classify and publish what is new in every collection."""
    codes = {"over_budget": OVER_BUDGET, "failed": FAILED}
    run_step(
        home, as_json, lazy_step("nightly", failure_budget=failure_budget), wait=wait,
        code=lambda result: codes.get(result.status, 0),
    )  # fmt: skip


@nights.command()
def serve(
    cron: Annotated[str, typer.Option(help="Cron schedule of the nights, UTC.")] = "0 2 * * *",
    retrain_cron: Annotated[
        str | None, typer.Option(help="Cron schedule of retraining, UTC. Default: none.")
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            min=1,
            max=65535,
            help="Port of the Prefect server on 127.0.0.1; not used if PREFECT_API_URL names a server.",
        ),
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
    """Reset failing and quarantined videos, so that the next ingest and extract try them again."""
    run_step(home, as_json, lazy_step("retry", collection))


@nights.command()
def gc(
    lost_parts: Annotated[
        bool, typer.Option("--lost-parts", help="Recompute features whose parts are gone, even if all are.")
    ] = False,
    keep_predictions_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Delete older predictions, but for the best label, and all over their threshold, by "
            "versions in use; default: keep all.",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Delete unused feature parts and temporary files older than a day, pages and pictures of 90 days ago."""
    asked = lazy_step("gc", lost_parts=lost_parts, keep_predictions_days=keep_predictions_days)
    run_step(home, as_json, asked, wait=wait)


@nights.command()
def forget(
    video: VideoArgument,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Erase a video's features and predictions for good; the same bytes are never processed again."""
    run_step(home, as_json, lazy_step("forget", video), wait=wait)
