"""Convert a dataset's lists to a manifest CSV, joined with the files that exist.

Every path in it comes from the listing of the root, never from a dataset's list, so that a list cannot name a
file outside (path traversal).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from vidpipe.errors import ConfigurationError
from vidpipe.ports.sources import Catalog
from vidpipe.records.label_sets import names_in, set_of, stored_set
from vidpipe.records.labels import LabelledSpan, ListedVideo
from vidpipe.splits import SPLITS
from vidpipe.steps.runs import Result

SHOWN = 5
_NOT_UTF_8 = re.compile(r"\\udc[89a-f][0-9a-f]")
"""How the catalog shows bytes of a name that are not UTF-8."""

Reader = Callable[[Sequence[str]], Sequence[ListedVideo]]
"""A dataset's lists, given the paths that are there."""


@dataclass(frozen=True, slots=True)
class ManifestResult(Result):
    """Result of `vidpipe manifest`: what the manifest holds, and what it leaves out."""

    manifest: str
    status: str
    """`written`, or `unchanged` where the same manifest was there already."""
    rows: int
    """Videos; one with labelled spans has a line for each in the manifest."""
    spans: int
    labels: int
    """Different ones."""
    unlabelled: int
    groups: int
    splits: dict[str, dict[str, int]]
    """By column: videos in train, val and test."""
    left_out: dict[str, int]
    """By reason: missing (listed, not there), ambiguous (several files fit), conflicting (lines contradict
    each other), outside (a path that leaves the root), unnameable (a manifest cannot carry the name), several
    labels, annotators disagree."""
    left_out_first: list[str]
    unlisted: int
    """Videos there that no list names."""
    unlisted_first: list[str]
    warnings: list[str]


def manifest(
    catalog: Catalog,
    read: Reader,
    root: Path,
    output: Path,
    *,
    by_stem: bool,
    val_as_test: bool = False,
    overwrite: bool = False,
    multi_label: bool = False,
) -> ManifestResult:
    """Write the manifest of a dataset below `root`.

    Args:
        catalog: File trees and manifests.
        read: Reads the dataset's lists.
        root: Folder of the videos, later the collection's source.
        output: The CSV to write.
        by_stem: The dataset's file names are unique: a file counts wherever it lies, whatever its extension.
        val_as_test: Judge on the dataset's validation videos, where its test labels are secret.
        overwrite: Replace an `output` with other content.
        multi_label: Several labels of a video, or of a moment, are a set: no reason to leave it out.

    Raises:
        ConfigurationError: The root, the lists or the request cannot be right, or no listed video is there.
    """
    there = [file.path for file in catalog.list_folder(root).files]
    paths = [path for path in there if _is_nameable(path)]
    listed = [_as_set(video) for video in read(paths)] if multi_label else read(paths)
    rows, reasons = join(listed, paths, by_stem=by_stem, multi_label=multi_label)
    if not rows:
        raise _nothing_there(listed, paths, root)
    warnings = [] if multi_label else _overlap_warnings(rows)
    rows = [replace(row, spans=disjoint(row.spans, multi_label=multi_label)) for row in rows]
    left_out = reasons + [("unnameable", path) for path in there if not _is_nameable(path)]
    if val_as_test:
        rows = _judged_on_val(rows)
    columns = sorted({column for row in rows for column in row.splits})
    written = catalog.write_manifest(output, *_table(rows, columns), overwrite=overwrite)
    unlisted = _unlisted(paths, rows, left_out)
    split: Callable[[str], tuple[str, ...]] = names_in if multi_label else lambda text: (text,)
    return ManifestResult(
        manifest=str(output),
        status="written" if written else "unchanged",
        rows=len(rows),
        spans=sum(len(row.spans) for row in rows),
        labels=len({name for row in rows for text in _labels(row) for name in split(text)}),
        unlabelled=sum(not _labels(row) for row in rows),
        groups=len({row.group for row in rows} - {None}),
        splits={c: _counts(rows, c) for c in columns},
        left_out=dict(Counter(reason for reason, _ in left_out)),
        left_out_first=[f"{reason}: {_shown(name)}" for reason, name in left_out[:SHOWN]],
        unlisted=len(unlisted),
        unlisted_first=[_shown(path) for path in unlisted[:SHOWN]],
        warnings=warnings + [warning for c in columns for warning in _warnings(rows, c)],
    )


# -- joining lists and files -----------------------------------------------------------------------------


def join(
    listed: Iterable[ListedVideo], paths: Sequence[str], *, by_stem: bool, multi_label: bool = False
) -> tuple[list[ListedVideo], list[tuple[str, str]]]:
    """Join lists and files: one row for each listed file that exists, and the rest as (reason, name).

    Several lines about one file are put together; where they contradict each other, the file is left out.
    """
    find = _by_stem(paths) if by_stem else _by_path(paths)
    said: dict[str, list[ListedVideo]] = defaultdict(list)
    left_out: dict[tuple[str, str], None] = {}  # in order, each once
    for video in listed:
        fitting = find(video.path) if _is_inside(video.path) else []
        if len(fitting) == 1:
            said[fitting[0]].append(video)
        else:
            outside = not _is_inside(video.path)
            left_out["outside" if outside else "ambiguous" if fitting else "missing", video.path] = None
    merged = [_merged(path, said[path], multi_label) for path in sorted(said)]
    left_out |= {(row.doubt, row.path): None for row in merged if row.doubt}
    return [row for row in merged if not row.doubt], list(left_out)


def _by_path(paths: Sequence[str]) -> Callable[[str], list[str]]:
    known = set(paths)
    return lambda name: [str(PurePosixPath(name))] if str(PurePosixPath(name)) in known else []


def _by_stem(paths: Sequence[str]) -> Callable[[str], list[str]]:
    """The file whose stem is the listed one's; among several the one in the same place, then in the same
    class folder, then with the same extension. Those that fit equally well are all returned."""
    known: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        known[PurePosixPath(path).stem].append(path)

    def find(name: str) -> list[str]:
        found = known.get(PurePosixPath(name).stem, [])
        if len(found) < 2:
            return found
        fits = {path: _fit(PurePosixPath(path), PurePosixPath(name)) for path in found}
        return [path for path in found if fits[path] == max(fits.values())]

    return find


def _fit(path: PurePosixPath, name: PurePosixPath) -> tuple[bool, bool, bool]:
    return path == name, path.parent.name == name.parent.name, path.suffix == name.suffix


def _as_set(video: ListedVideo) -> ListedVideo:
    """A listed video whose label is a set: all that a tool has chosen, or as a list writes it."""
    if video.chosen:
        doubt = "" if len(video.chosen) > 1 else video.doubt
        return replace(video, label=set_of(video.chosen), doubt=doubt)
    video = replace(video, spans=(*video.spans, *video.mixed))
    return replace(video, label=stored_set(video.label, video.path)) if video.label else video


def _merged(path: str, videos: Sequence[ListedVideo], multi_label: bool) -> ListedVideo:
    """Merge several lines about one file; a doubt where they contradict each other."""
    labels = {v.label for v in videos} - {None}
    if multi_label and labels:
        labels = {set_of(name for text in labels if text for name in names_in(text))}
    groups = {v.group for v in videos} - {None}
    splits = {item for v in videos for item in v.splits.items()}
    doubts = [v.doubt for v in videos if v.doubt]
    spans = tuple(span for v in videos for span in v.spans)
    if len(labels) > 1 or len(groups) > 1 or len(dict(splits)) < len(splits) or (labels and spans):
        doubts.append("conflicting")
    return ListedVideo(
        path, next(iter(labels), None), next(iter(groups), None), dict(splits), spans,
        doubt=doubts[0] if doubts else "",
    )  # fmt: skip


def disjoint(spans: Sequence[LabelledSpan], *, multi_label: bool = False) -> tuple[LabelledSpan, ...]:
    """Spans in order of time: what has two labels at once is left out, and pieces of one label are joined.

    With `multi_label`, what has two labels at once is a span of both.
    """
    found: list[LabelledSpan] = []
    for start_s, end_s, labels in _pieces(spans):
        if len(labels) != 1 and not multi_label:
            continue
        label = set_of(labels) if multi_label else next(iter(labels))
        if found and found[-1].end_s == start_s and found[-1].label == label:
            found[-1] = replace(found[-1], end_s=end_s)
        else:
            found.append(LabelledSpan(start_s, end_s, label))
    return tuple(found)


def _pieces(spans: Sequence[LabelledSpan]) -> Iterator[tuple[float, float, set[str]]]:
    """Start, end and labels of each piece between two times at which a span begins or ends."""
    changes = [change for s in spans for change in ((s.start_s, 1, s.label), (s.end_s, -1, s.label))]
    running: Counter[str] = Counter()
    before_s = 0.0
    for time_s, change, label in sorted(changes):
        labels = {name for name, times in running.items() if times > 0}
        if labels and time_s > before_s:
            yield before_s, time_s, labels
        running[label] += change
        before_s = time_s


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _is_nameable(path: str) -> bool:
    """Whether a path can be written in a manifest: UTF-8, and no spaces at its ends, which are trimmed."""
    return path == path.strip() and not _NOT_UTF_8.search(path)


def _unlisted(
    paths: Sequence[str], rows: Sequence[ListedVideo], left_out: Iterable[tuple[str, str]]
) -> list[str]:
    named = {row.path for row in rows} | {name for reason, name in left_out if reason == "conflicting"}
    return [path for path in paths if path not in named]


# -- splits ---------------------------------------------------------------------------------------------


def _judged_on_val(rows: Sequence[ListedVideo]) -> list[ListedVideo]:
    if known := next((r for r in rows if _labels(r) and "test" in r.splits.values()), None):
        raise ConfigurationError(
            f"--val-as-test, but there are test videos with labels, such as {_shown(known.path)}.",
            next_step="leave out --val-as-test.",
        )
    return [
        replace(row, splits={c: "test" if s == "val" else s for c, s in row.splits.items()}) for row in rows
    ]


def _counts(rows: Sequence[ListedVideo], column: str) -> dict[str, int]:
    found = Counter(row.splits.get(column) for row in rows)
    return {name: found[name] for name in SPLITS}


def _overlap_warnings(rows: Iterable[ListedVideo]) -> list[str]:
    """Warning about time with two labels at once, which is left out."""
    lost = [
        sum(end_s - start_s for start_s, end_s, labels in _pieces(row.spans) if len(labels) > 1)
        for row in rows
    ]
    videos = sum(seconds > 0 for seconds in lost)
    return (
        [f"in {videos} videos, {sum(lost):.1f} s have two labels at once, and are left out."]
        if videos
        else []
    )


def _warnings(rows: Sequence[ListedVideo], column: str) -> list[str]:
    """Warnings about split columns that `train` would refuse."""
    labelled = [row for row in rows if _labels(row) and column in row.splits]
    warnings = []
    where: dict[str, set[str]] = defaultdict(set)
    for row in labelled:
        if row.group:
            where[row.group].add(row.splits[column])
    if bad := sorted(group for group, names in where.items() if len(names) > 1):
        warnings.append(
            f"in {column}, {len(bad)} groups stand in more than one split, such as {_shown(bad[0])}: "
            "train will refuse the column."
        )
    counts = _counts(labelled, column)
    if not counts["test"]:
        hint = " --val-as-test judges on val instead." if counts["val"] else ""
        warnings.append(f"in {column}, no labelled video is in test: train will refuse the column.{hint}")
    return warnings


# -- output ---------------------------------------------------------------------------------------------


def _table(rows: Sequence[ListedVideo], splits: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells of the manifest, a line for each span, without empty columns."""
    cells: Mapping[str, Callable[[ListedVideo, LabelledSpan | None], str]] = {
        "label": lambda row, span: (span.label if span else row.label) or "",
        "group": lambda row, _: row.group or "",
        "start_s": lambda _, span: f"{span.start_s:.3f}" if span else "",
        "end_s": lambda _, span: f"{span.end_s:.3f}" if span else "",
    }
    lines = [(row, span) for row in rows for span in row.spans or (None,)]
    used = [name for name, value in cells.items() if any(value(*line) for line in lines)]
    return ["path", *used, *splits], [
        [row.path, *(cells[name](row, span) for name in used), *(row.splits.get(c, "") for c in splits)]
        for row, span in lines
    ]


def _labels(row: ListedVideo) -> set[str]:
    """Labels of a video and its spans."""
    return {span.label for span in row.spans} | ({row.label} if row.label else set())


def _nothing_there(listed: Sequence[ListedVideo], paths: Sequence[str], root: Path) -> ConfigurationError:
    wanted = f"such as {_shown(listed[0].path)}" if listed else "being empty"
    got = f"{len(paths)} videos, such as {_shown(paths[0])}" if paths else "no video"
    return ConfigurationError(
        f"no listed video is in {root}: it holds {got}; the lists have {len(listed)} lines, {wanted}.",
        next_step="pass --root the folder of the videos, and the lists that belong to them.",
    )


def _shown(name: str) -> str:
    """Escape an untrusted name for printing."""
    return name if name.isprintable() else repr(name)
