"""`vidpipe manifest`: convert a dataset's own lists to a manifest, one subcommand for each format."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidpipe.cli.runner import HomeOption, JsonOption, guarded

if TYPE_CHECKING:
    from vidpipe.steps.manifest import Reader
else:
    Reader = Any  # typer evaluates the annotations, and steps are imported only when they run


manifests = typer.Typer(
    help="Turn a dataset's own lists, a tool's annotations, folders or CSV into a manifest for ingest.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ListsOption = Annotated[Path, typer.Option("--lists", help="Folder of the official lists.")]
FpsOption = Annotated[
    float | None, typer.Option("--fps", help="Frame rate in which the file counts.", min=0.001)
]


def _common(
    root: Annotated[Path, typer.Option("--root", help="Folder of the videos.")],
    output: Annotated[Path, typer.Option("--output", help="Manifest to write.")],
    val_as_test: Annotated[
        bool,
        typer.Option(
            "--val-as-test", help="Use val as the test split, where the test labels are not public."
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="A video may have several labels: crowd|rain.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Options that every format has."""


def _format(name: str, *, by_stem: bool = True) -> Callable[[Callable[..., Reader]], Callable[..., Reader]]:
    """Register a subcommand: what makes a format's reader, with its own options before those of all.

    Args:
        name: Of the subcommand.
        by_stem: The format's file names are unique: a file counts wherever it lies, whatever its extension.
    """

    def register(made: Callable[..., Reader]) -> Callable[..., Reader]:
        own, common = (inspect.signature(f, eval_str=True).parameters for f in (made, _common))

        def command(**given: Any) -> None:
            shared = {key: given[key] for key in common}
            _write(made(**{key: given[key] for key in own}), **shared, by_stem=by_stem)

        parameters = sorted({**own, **common}.values(), key=lambda p: p.default is not p.empty)
        command.__doc__ = made.__doc__
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what typer looks at
            [p.replace(kind=p.KEYWORD_ONLY) for p in parameters]
        )
        manifests.command(name)(command)
        return made

    return register


def _write(
    read: Reader,
    *,
    root: Path,
    output: Path,
    val_as_test: bool,
    overwrite: bool,
    multi_label: bool,
    home: Path | None,
    as_json: bool,
    by_stem: bool,
) -> None:
    """Write a manifest, print what it holds and the command that comes next."""

    def action() -> int:
        from vidpipe.cli.display import print_json, print_manifest
        from vidpipe.steps.manifest import manifest as step
        from vidpipe.wiring import open_catalog

        result = step(
            open_catalog(), read, root, output,
            by_stem=by_stem, val_as_test=val_as_test, overwrite=overwrite, multi_label=multi_label,
        )  # fmt: skip
        command = ["vidpipe", "ingest", str(root), "--collection", "NAME", "--manifest", str(output)]
        command += ["--multi-label"] if multi_label else []
        command += ["--home", str(home)] if home else []
        facts = {**result.to_dict(), "next": shlex.join(command)}
        print_json(facts) if as_json else print_manifest(facts)
        return 0

    guarded(action, as_json)


# -- datasets ---------------------------------------------------------------------------------------


@_format("ucf101")
def _ucf101(lists: ListsOption) -> Reader:
    """UCF101: classInd.txt, trainlist01.txt to testlist03.txt."""
    from vidpipe.adapters.sources import datasets

    return lambda _: datasets.ucf101(lists)


@_format("hmdb51")
def _hmdb51(lists: ListsOption) -> Reader:
    """HMDB51: brush_hair_test_split1.txt and its like."""
    from vidpipe.adapters.sources import datasets

    return lambda _: datasets.hmdb51(lists)


@_format("kinetics")
def _kinetics(
    csv: Annotated[list[Path], typer.Option("--csv", help="An official list; once for each.")],
) -> Reader:
    """Kinetics-400, -600, -700: label,youtube_id,time_start,time_end,split."""
    from vidpipe.adapters.sources import datasets

    return lambda _: datasets.kinetics(csv)


@_format("ssv2")
def _ssv2(
    train: Annotated[Path, typer.Option("--train", help="The JSON list of training videos.")],
    validation: Annotated[Path, typer.Option("--validation", help="The JSON list of validation videos.")],
    test: Annotated[Path | None, typer.Option("--test", help="The JSON list of test videos.")] = None,
    test_answers: Annotated[
        Path | None, typer.Option("--test-answers", help="Their labels, lines of id;label.")
    ] = None,
) -> Reader:
    """Something-Something v2: JSON lists; the label is the template."""
    from vidpipe.adapters.sources import datasets

    return lambda _: datasets.ssv2(train, validation, test, test_answers)


@_format("activitynet")
def _activitynet(file: Annotated[Path, typer.Option("--file", help="The JSON.")]) -> Reader:
    """ActivityNet, THUMOS, FineAction: one JSON of segments with labels, and subsets."""
    from vidpipe.adapters.sources import annotations

    return lambda paths: annotations.activitynet(file, paths)


@_format("ava")
def _ava(
    train: Annotated[Path, typer.Option("--train", help="The CSV of training videos.")],
    validation: Annotated[Path, typer.Option("--validation", help="The CSV of validation videos.")],
    labels: Annotated[Path | None, typer.Option("--labels", help="Names of the actions, a .pbtxt.")] = None,
) -> Reader:
    """AVA: an action a person and second; seconds in which all do the same become spans."""
    from vidpipe.adapters.sources import annotations

    return lambda _: annotations.ava(train, validation, labels)


# -- annotation tools -------------------------------------------------------------------------------


@_format("label-studio")
def _label_studio(
    file: Annotated[Path, typer.Option("--file", help="The export: JSON, JSON-MIN or CSV.")],
    fps: FpsOption = None,
) -> Reader:
    """Label Studio: choices and timeline labels; more than half of the annotators decide."""
    from vidpipe.adapters.sources.label_studio import label_studio

    return lambda _: label_studio(file, fps)


@_format("via")
def _via(
    file: Annotated[Path, typer.Option("--file", help="The project's JSON.")],
    attribute: Annotated[
        str | None, typer.Option("--attribute", help="Name of the attribute with the labels, among several.")
    ] = None,
) -> Reader:
    """VIA 3 (VGG Image Annotator): labels of videos and of spans."""
    from vidpipe.adapters.sources import annotations

    return lambda _: annotations.via(file, attribute)


@_format("cvat")
def _cvat(
    file: Annotated[Path, typer.Option("--file", help="A task's XML, CVAT for video 1.1.")],
    fps: FpsOption = None,
) -> Reader:
    """CVAT: labels of tracks and tags; one label is the video's, several become spans."""
    from vidpipe.adapters.sources import annotations

    return lambda _: annotations.cvat(file, fps)


# -- folders and any other CSV ----------------------------------------------------------------------


@_format("folders", by_stem=False)
def _folders() -> Reader:
    """A folder a label, or train/LABEL/…, val/LABEL/…, test/LABEL/…."""
    from vidpipe.adapters.sources import datasets

    return datasets.folders


@_format("csv", by_stem=False)
def _csv(
    root: Annotated[Path, typer.Option("--root", help="Folder of the videos.")],
    file: Annotated[Path, typer.Option("--file", help="The CSV.")],
    path_column: Annotated[
        str, typer.Option(help="Column of the paths: a name, or without a header a number from 1.")
    ],
    label_column: Annotated[str | None, typer.Option(help="Column of the labels.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Column of the groups.")] = None,
    split_column: Annotated[str | None, typer.Option(help="Column of train, val and test.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="One character, or tab, or space. Default: as the header has it.")
    ] = None,
) -> Reader:
    """Any CSV, its columns named one by one; or a list without a header."""
    from vidpipe.adapters.sources import datasets

    columns = datasets.Columns(path_column, label_column, group_column, split_column)
    return lambda _: datasets.any_csv(file, root, columns, delimiter)
