"""CLI verbs about models: `train`, `tune`, `evaluate`, `freeze-eval`, `promote`, `rollback`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vidpipe.cli.runner import FAILED, HomeOption, JsonOption, lazy_step, run_step

if TYPE_CHECKING:
    from vidpipe.ports import Ports
    from vidpipe.steps.runs import Result

learning = typer.Typer(rich_markup_mode=None)

LabelledCollectionOption = Annotated[str, typer.Option("--collection", help="A collection with labels.")]
SplitColumnOption = Annotated[str | None, typer.Option(help="Manifest column of train/val/test.")]
CopiesOption = Annotated[
    Literal["refuse", "strictest"],
    typer.Option(help="Copies that disagree on split or group; strictest: test, then val, then train."),
]
GroupNearDuplicatesOption = Annotated[
    bool,
    typer.Option(
        "--group-near-duplicates",
        help="Keep near-duplicates in one split; without it a few are warned of, and many refused.",
    ),
]


@learning.command()
def train(
    collection: LabelledCollectionOption,
    split_column: SplitColumnOption = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Default: 40, more on few videos.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    hidden_size: Annotated[int | None, typer.Option(min=1, help="LSTM units. Default: 128")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="LSTM layers. Default: 1")] = None,
    head: Annotated[
        Literal["last", "mean", "max", "attention"] | None,
        typer.Option(help="How the LSTM's hidden states of a video are pooled."),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="A plain LSTM for comparison: one direction, last state, 256 units."),
    ] = False,
    warm_start: Annotated[
        str | None,
        typer.Option(help="Start from the weights of a version or alias; new labels are added to its own."),
    ] = None,
    parts: Annotated[
        Literal["linear,lstm", "lstm"],
        typer.Option(help="linear,lstm: the LSTM and linear heads, weighted; lstm: the LSTM alone."),
    ] = "linear,lstm",
    copies: CopiesOption = "refuse",
    group_near_duplicates: GroupNearDuplicatesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train an LSTM and linear heads, register the version in MLflow as challenger."""
    from vidpipe.cli.display import print_training

    def step(ports: Ports) -> Result:
        from vidpipe.learning.training import TrainingConfig
        from vidpipe.steps.train import train as run

        base = TrainingConfig(seed=seed).plain() if plain else TrainingConfig(seed=seed)
        config = replace(
            base, epochs=epochs, hidden_size=hidden_size or base.hidden_size,
            num_layers=layers or base.num_layers, head=head or base.head,
        )  # fmt: skip
        return run(
            ports, collection, split_column=split_column, config=config, warm_start=warm_start,
            linear=parts != "lstm", copies=copies, group_near_duplicates=group_near_duplicates,
        )  # fmt: skip

    run_step(home, as_json, step, show=print_training)


@learning.command()
def tune(
    collection: LabelledCollectionOption,
    split_column: SplitColumnOption = None,
    budget_s: Annotated[
        float, typer.Option(min=0, help="Time budget of the trials in seconds; at least one trial runs.")
    ] = 600,
    seed: Annotated[int, typer.Option(help="Random seed, of the search too.")] = 0,
    copies: CopiesOption = "refuse",
    group_near_duplicates: GroupNearDuplicatesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search for a better training config within a time budget; train and register the best."""

    def step(ports: Ports) -> Result:
        from vidpipe.learning.training import TrainingConfig
        from vidpipe.steps.tune import tune as run

        config = TrainingConfig(seed=seed)
        return run(
            ports, collection, split_column=split_column, config=config, budget_s=budget_s, copies=copies,
            group_near_duplicates=group_near_duplicates,
        )  # fmt: skip

    run_step(home, as_json, step)


@learning.command()
def evaluate(
    model: Annotated[str | None, typer.Option(help="champion, challenger or a version.")] = None,
    collection: Annotated[
        str | None, typer.Option(help="Collection to score on. Default: the one it was trained on.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a version on labelled videos, its parts and its baselines beside it."""
    run_step(home, as_json, lazy_step("evaluate", model=model, collection=collection, split=split))


@learning.command("freeze-eval")
def freeze_eval(
    collection: LabelledCollectionOption,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    split_column: SplitColumnOption = None,
    group_near_duplicates: Annotated[
        bool,
        typer.Option("--group-near-duplicates", help="As in the training whose split is frozen."),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze a split as the evaluation set that every version is compared on from now on."""
    step = lazy_step(
        "freeze_eval", collection, split=split, split_column=split_column,
        group_near_duplicates=group_near_duplicates,
    )  # fmt: skip
    run_step(home, as_json, step)


@learning.command()
def promote(
    version: Annotated[str | None, typer.Argument(help="Default: the challenger.")] = None,
    eval_set: Annotated[
        str | None, typer.Option(help="Hash of a frozen evaluation set. Default: the one frozen last.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote even if the gate refuses; needs --reason.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Recorded with the decision.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version champion if it passes the promotion gate; a refusal exits 1 and says why."""
    work = lazy_step("promote", version, eval_set=eval_set, force=force, reason=reason)
    run_step(home, as_json, work, code=lambda result: FAILED if result.decision == "refused" else 0)


@learning.command()
def rollback(
    to: Annotated[
        int | None, typer.Option(help="Version of an earlier champion. Default: the previous one.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Recorded with the decision.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the previous champion serve again; its stored predictions are shown at once."""
    run_step(home, as_json, lazy_step("promote.rollback", to, reason=reason))
