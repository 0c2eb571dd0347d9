"""The verbs. Each opens a home, runs one step and prints its report; no step is written here.

What they share (options, errors, exit codes) is in `command.py`; manifests, labels and the verbs that only
look have rooms of their own.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vidpipe import __version__
from vidpipe.cli_label import labelling
from vidpipe.cli_look import looking
from vidpipe.cli_manifest import manifests
from vidpipe.command import (
    FAILED,
    OVER_BUDGET,
    CollectionOption,
    HomeOption,
    JsonOption,
    WaitOption,
    guarded,
    open_at,
    run_step,
    show_records,
)
from vidpipe.errors import ConfigurationError

if TYPE_CHECKING:
    from vidpipe.ports import Ports
    from vidpipe.steps.runs import Report
    from vidpipe.wiring import Home

app = typer.Typer(
    help="Nightly video classification: files to features to predictions, answered by SQL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(manifests, name="manifest")
app.add_typer(labelling)
app.add_typer(looking)


# -- the job ------------------------------------------------------------------------------------


@app.command()
def demo(
    source: Annotated[Path | None, typer.Option(help="Your own folder of labelled videos.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="Its manifest: path,label[,group][,split].")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play the whole job through the Prefect flow on an embedded server, ending in SQL."""

    def action() -> int:
        from vidpipe.demo import run_demo

        if (source is None) != (manifest is None):
            raise ConfigurationError(
                "--source and --manifest go together.", next_step="pass both, or neither."
            )
        run_demo(open_at(home), source, manifest, as_json=as_json)
        return 0

    guarded(action, as_json)


@app.command()
def ingest(
    source: Annotated[
        str, typer.Argument(help="Folder of videos, s3:// or gs:// prefix, or a CSV manifest in it.")
    ],
    collection: Annotated[str, typer.Option("--collection", help="Name of the collection.")],
    manifest: Annotated[
        str | None, typer.Option(help="CSV, by path or URI: path, and any of label, group, splits.")
    ] = None,
    label_from: Annotated[str | None, typer.Option(help="`folder`: the top folder is the label.")] = None,
    window_s: Annotated[
        float | None,
        typer.Option(min=0, help="Score long videos in windows of so many seconds; 0: as a whole."),
    ] = None,
    stride_s: Annotated[
        float | None, typer.Option(min=0, help="From one window to the next. Default: half a window.")
    ] = None,
    replace_source: Annotated[bool, typer.Option("--replace-source", help="Change the source.")] = False,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Believe a shrunk listing.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Hash and probe the videos of a folder, bucket or manifest into a collection."""
    from vidpipe.steps.ingest import ingest as step

    run_step(
        home, as_json,
        lambda ports: step(
            ports, collection, source, manifest=manifest, label_from=label_from, window_s=window_s,
            stride_s=stride_s, replace_source=replace_source, allow_missing=allow_missing,
        ), wait=wait,
    )  # fmt: skip


@app.command()
def extract(
    collection: CollectionOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    wait: WaitOption = False,
) -> None:
    """Decode videos that lack features and run the CNN over their frames, into Parquet."""
    from vidpipe.steps.extract import extract as step

    run_step(home, as_json, lambda ports: step(ports, collection), wait=wait)


@app.command()
def train(
    collection: Annotated[str, typer.Option("--collection", help="A collection with labels.")],
    split_column: Annotated[str | None, typer.Option(help="Manifest column of train/val/test.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Default: 40, more on few videos.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    hidden_size: Annotated[int | None, typer.Option(min=1, help="LSTM units. Default: 128")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="LSTM layers. Default: 1")] = None,
    head: Annotated[
        Literal["last", "mean", "max", "attention"] | None,
        typer.Option(help="How a video's hidden states become one."),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="The textbook's LSTM: one direction, last state, 256 units.")
    ] = False,
    warm_start: Annotated[
        str | None, typer.Option(help="Go on from a version or alias: new labels join its own.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the LSTM and its baseline, register the version in MLflow as challenger."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.train import train as run
        from vidpipe.training import TrainingConfig

        base = TrainingConfig(seed=seed).plain() if plain else TrainingConfig(seed=seed)
        config = replace(
            base, epochs=epochs, hidden_size=hidden_size or base.hidden_size,
            num_layers=layers or base.num_layers, head=head or base.head,
        )  # fmt: skip
        return run(ports, collection, split_column=split_column, config=config, warm_start=warm_start)

    run_step(home, as_json, step)


@app.command()
def tune(
    collection: Annotated[str, typer.Option("--collection", help="A collection with labels.")],
    split_column: Annotated[str | None, typer.Option(help="Manifest column of train/val/test.")] = None,
    budget_s: Annotated[
        float, typer.Option(min=0, help="Seconds for the trials; there is at least one.")
    ] = 600,
    seed: Annotated[int, typer.Option(help="Seed of everything random, the search included.")] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search for a better training config within a time budget; train and register the best."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.tune import tune as run
        from vidpipe.training import TrainingConfig

        config = TrainingConfig(seed=seed)
        return run(ports, collection, split_column=split_column, config=config, budget_s=budget_s)

    run_step(home, as_json, step)


@app.command()
def evaluate(
    model: Annotated[str | None, typer.Option(help="champion, challenger or a version.")] = None,
    collection: Annotated[str | None, typer.Option(help="Default: the one it was trained on.")] = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a version on labelled videos, its mean + linear baseline beside it."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.evaluate import evaluate as run

        return run(ports, model=model, collection=collection, split=split)

    run_step(home, as_json, step)


@app.command("freeze-eval")
def freeze_eval(
    collection: Annotated[str, typer.Option("--collection", help="A collection with labels.")],
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    split_column: Annotated[str | None, typer.Option(help="Manifest column of train/val/test.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze an evaluation set: from now on every version is judged on these videos."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.freeze_eval import freeze_eval as run

        return run(ports, collection, split=split, split_column=split_column)

    run_step(home, as_json, step)


@app.command()
def promote(
    version: Annotated[str | None, typer.Argument(help="Default: the challenger.")] = None,
    eval_set: Annotated[str | None, typer.Option(help="A frozen set's hash. Default: the last one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Promote against the gate; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Recorded with the decision.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version champion, if the gate lets it. A refusal exits 1 and says why."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.promote import promote as run

        return run(ports, version, eval_set=eval_set, force=force, reason=reason)

    run_step(home, as_json, step, code=lambda report: FAILED if report.decision == "refused" else 0)


@app.command()
def rollback(
    to: Annotated[int | None, typer.Option(help="An earlier champion. Default: the last one.")] = None,
    reason: Annotated[str | None, typer.Option(help="Recorded with the decision.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give the title back to the champion before; its predictions reappear at once."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.promote import rollback as run

        return run(ports, to, reason=reason)

    run_step(home, as_json, step)


@app.command()
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


@app.command()
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


@app.command()
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
        from vidpipe.display import print_facts, print_json
        from vidpipe.serve import serve as run

        facts = {"seconds": run(open_at(home), cron=cron, retrain_cron=retrain_cron, port=port)}
        if as_json:
            print_json(facts)
        else:
            print_facts("serve", facts)
        return 0

    guarded(action, as_json)


@app.command()
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


@app.command()
def gc(home: HomeOption = None, as_json: JsonOption = False, wait: WaitOption = False) -> None:
    """Remove what crashes left behind, older than a day, and the pages of nights of 90 days ago."""

    def step(ports: Ports) -> Report:
        from vidpipe.steps.gc import gc as run

        return run(ports)

    run_step(home, as_json, step, wait=wait)


@app.command()
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


# -- looking ------------------------------------------------------------------------------------


@app.command()
def explain(
    video_id: Annotated[str, typer.Argument(help="The video's hash, or its first eight or more digits.")],
    model: Annotated[
        str | None,
        typer.Option(help="champion, challenger or a version. Default: the champion, else the challenger."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why a video gets its label: the best labels, and which of its frames weigh most."""
    from vidpipe.display import print_explanation

    def step(ports: Ports) -> Report:
        from vidpipe.steps.explain import explain as run

        return run(ports, video_id, model=model)

    run_step(home, as_json, step, show=print_explanation)


@app.command()
def collections(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """One row per collection: present, classified, failing, serving version."""
    from vidpipe.steps import inspect

    show_records(home, as_json, "collections", lambda opened: inspect.collections(opened.ledger))


@app.command()
def models(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """One row per registered version, with its aliases and test scores."""

    def read(opened: Home) -> list[dict[str, Any]]:
        from vidpipe.display import TerminalProgress
        from vidpipe.steps import inspect
        from vidpipe.wiring import open_ports

        return inspect.models(open_ports(opened, TerminalProgress()))

    show_records(home, as_json, "models", read)


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Champion, lease, collections, last runs, what fails."""

    def action() -> int:
        from vidpipe.display import print_json, print_records
        from vidpipe.steps import inspect

        opened = open_at(home)
        found = inspect.status(opened.ledger, opened.lease.holder())
        if as_json:
            print_json(found)
            return 0
        sys.stdout.write(f"home      {opened.settings.home}\n")
        sys.stdout.write(f"champion  {found['champion'] or 'none yet: vidpipe promote'}\n")
        sys.stdout.write(f"lease     {inspect.lease_in_words(found['lease'])}\n")
        for name in ("collections", "runs", "failures", "promotions"):
            sys.stdout.write(f"\n{name}\n")
            print_records(found[name])
        return 0

    guarded(action, as_json)


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
