"""`vidpipe manifest`: convert a dataset's own lists to a manifest, one subcommand for each format."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidpipe.cli.runner import HomeOption, JsonOption, guarded

if TYPE_CHECKING:
    from vidpipe.steps.manifest import Reader

manifests = typer.Typer(
    help="Turn a dataset's own lists, folders or CSV into a manifest for ingest.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RootOption = Annotated[Path, typer.Option("--root", help="Folder of the videos.")]
ListsOption = Annotated[Path, typer.Option("--lists", help="Folder of the official lists.")]
OutputOption = Annotated[Path, typer.Option("--output", help="Manifest to write.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")]
ValAsTestOption = Annotated[
    bool,
    typer.Option("--val-as-test", help="Use val as the test split, where the test labels are not public."),
]


def _manifest(
    read: Reader,
    root: Path,
    output: Path,
    home: Path | None,
    as_json: bool,
    *,
    overwrite: bool,
    by_stem: bool,
    val_as_test: bool = False,
) -> None:
    """Write a manifest, print what it holds and the command that comes next."""

    def action() -> int:
        from vidpipe.cli.display import print_json, print_manifest
        from vidpipe.steps.manifest import manifest as step
        from vidpipe.wiring import open_catalog

        report = step(
            open_catalog(), read, root, output,
            by_stem=by_stem, val_as_test=val_as_test, overwrite=overwrite,
        )  # fmt: skip
        command = ["vidpipe", "ingest", str(root), "--collection", "NAME", "--manifest", str(output)]
        command += ["--home", str(home)] if home else []
        facts = {**report.to_dict(), "next": shlex.join(command)}
        print_json(facts) if as_json else print_manifest(facts)
        return 0

    guarded(action, as_json)


@manifests.command()
def ucf101(
    root: RootOption,
    lists: ListsOption,
    output: OutputOption,
    overwrite: OverwriteOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """UCF101: classInd.txt, trainlist01.txt to testlist03.txt."""
    from vidpipe.adapters.sources import datasets

    _manifest(
        lambda _: datasets.ucf101(lists), root, output, home, as_json, overwrite=overwrite, by_stem=True
    )


@manifests.command()
def hmdb51(
    root: RootOption,
    lists: ListsOption,
    output: OutputOption,
    overwrite: OverwriteOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """HMDB51: brush_hair_test_split1.txt and its like."""
    from vidpipe.adapters.sources import datasets

    _manifest(
        lambda _: datasets.hmdb51(lists), root, output, home, as_json, overwrite=overwrite, by_stem=True
    )


@manifests.command()
def kinetics(
    root: RootOption,
    csv: Annotated[list[Path], typer.Option("--csv", help="An official list; once for each.")],
    output: OutputOption,
    val_as_test: ValAsTestOption = False,
    overwrite: OverwriteOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Kinetics-400, -600, -700: label,youtube_id,time_start,time_end,split."""
    from vidpipe.adapters.sources import datasets

    _manifest(
        lambda _: datasets.kinetics(csv), root, output, home, as_json,
        overwrite=overwrite, by_stem=True, val_as_test=val_as_test,
    )  # fmt: skip


@manifests.command()
def ssv2(
    root: RootOption,
    train: Annotated[Path, typer.Option("--train", help="The JSON list of training videos.")],
    validation: Annotated[Path, typer.Option("--validation", help="The JSON list of validation videos.")],
    output: OutputOption,
    test: Annotated[Path | None, typer.Option("--test", help="The JSON list of test videos.")] = None,
    test_answers: Annotated[
        Path | None, typer.Option("--test-answers", help="Their labels, lines of id;label.")
    ] = None,
    val_as_test: ValAsTestOption = False,
    overwrite: OverwriteOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Something-Something v2: JSON lists; the label is the template."""
    from vidpipe.adapters.sources import datasets

    _manifest(
        lambda _: datasets.ssv2(train, validation, test, test_answers), root, output, home, as_json,
        overwrite=overwrite, by_stem=True, val_as_test=val_as_test,
    )  # fmt: skip


@manifests.command()
def folders(
    root: RootOption,
    output: OutputOption,
    val_as_test: ValAsTestOption = False,
    overwrite: OverwriteOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """A folder a label, or train/LABEL/…, val/LABEL/…, test/LABEL/…."""
    from vidpipe.adapters.sources import datasets

    _manifest(
        datasets.folders, root, output, home, as_json,
        overwrite=overwrite, by_stem=False, val_as_test=val_as_test,
    )  # fmt: skip


@manifests.command("csv")
def any_csv(
    root: RootOption,
    file: Annotated[Path, typer.Option("--file", help="The CSV.")],
    output: OutputOption,
    path_column: Annotated[
        str, typer.Option(help="Column of the paths: a name, or without a header a number from 1.")
    ],
    label_column: Annotated[str | None, typer.Option(help="Column of the labels.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Column of the groups.")] = None,
    split_column: Annotated[str | None, typer.Option(help="Column of train, val and test.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="One character, or tab, or space. Default: as the header has it.")
    ] = None,
    val_as_test: ValAsTestOption = False,
    overwrite: OverwriteOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Any CSV, its columns named one by one; or a list without a header."""
    from vidpipe.adapters.sources import datasets

    columns = datasets.Columns(path_column, label_column, group_column, split_column)
    _manifest(
        lambda _: datasets.any_csv(file, root, columns, delimiter), root, output, home, as_json,
        overwrite=overwrite, by_stem=False, val_as_test=val_as_test,
    )  # fmt: skip
