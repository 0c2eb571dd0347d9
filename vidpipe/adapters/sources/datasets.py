"""Readers of dataset annotation lists: UCF101, HMDB51, Kinetics, Something-Something v2, folders, any CSV.

Each reader turns one format into `ListedVideo`s and looks at no video. It is strict about the format, so that
a wrong file is an error with its line, and leaves to the step what depends on the files that are there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vidpipe.adapters.sources.csv_files import read_rows, read_table, read_text
from vidpipe.errors import ConfigurationError
from vidpipe.records.labels import ListedVideo, SplitName
from vidpipe.records.names import SPLIT_WORDS, folded

OFFICIAL_SPLITS = (1, 2, 3)
HMDB51_USES: Mapping[str, SplitName] = {"1": "train", "2": "test"}


# -- UCF101 and HMDB51: three official splits in text files -----------------------------------------


def ucf101(lists: Path) -> list[ListedVideo]:
    """Read UCF101's `trainlist01.txt` to `testlist03.txt`, and `classInd.txt` where it is there.

    The label is the class folder, the group the `g08` of the file name as a number: the official splits
    keep group 8 of every class on one side.

    Source: https://www.crcv.ucf.edu/data/UCF101.php, "Train/Test Splits for Action Recognition"

    Raises:
        ConfigurationError: No such list, or a line of another form.
    """
    present = [
        k for k in OFFICIAL_SPLITS if any((lists / f"{s}list{k:02d}.txt").exists() for s in ("train", "test"))
    ]
    if not present:
        raise _no_lists(lists, "trainlist01.txt and testlist01.txt")
    index = lists / "classInd.txt"
    labels = {line.split()[-1] for _, line in _lines(index)} if index.exists() else None
    found = []
    for k in present:
        for split in ("train", "test"):
            file = lists / f"{split}list{k:02d}.txt"
            splits = {f"split{k}": SPLIT_WORDS[split]}
            found += [_ucf101_video(file, n, line, splits, labels) for n, line in _lines(file)]
    return found


def _ucf101_video(
    file: Path, number: int, line: str, splits: Mapping[str, SplitName], labels: set[str] | None
) -> ListedVideo:
    parts = re.fullmatch(r"(\S+/\S+?)(?:\s+\d+)?", line)
    if not parts:
        raise _bad_line(file, number, line, "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1")
    path = PurePosixPath(parts[1])
    label = path.parent.name
    if labels is not None and label not in labels:
        raise _bad_line(file, number, line, f"a class of {file.with_name('classInd.txt')}")
    group = re.search(r"_g(\d+)_c\d+$", path.stem)
    return ListedVideo(str(path), label, str(int(group[1])) if group else None, splits)


def hmdb51(lists: Path) -> list[ListedVideo]:
    """Read HMDB51's `<class>_test_split1.txt` to 3, in that folder or below it.

    A clip is named `<source video>_<class>_<properties>_<number>.avi`; its group is the part up to the class.
    Not the source alone: the official splits keep a film together within a class only; split 1 trains on
    BIG_FISH waving and tests on BIG_FISH running. A clip that a split does not use has no value in it.

    Source: https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/, "three splits"

    Raises:
        ConfigurationError: No such list, or a line of another form.
    """
    files = [f for f in sorted(lists.rglob("*_test_split[123].txt")) if not f.name.startswith(".")]
    if not files:
        raise _no_lists(lists, "brush_hair_test_split1.txt and its like")
    return [_hmdb51_video(file, n, line) for file in files for n, line in _lines(file)]


def _hmdb51_video(file: Path, number: int, line: str) -> ListedVideo:
    label, _, split = file.stem.rpartition("_test_split")
    parts = re.fullmatch(r"([^/]+?)\s+([012])", line)
    if not parts:
        raise _bad_line(file, number, line, "NAME.avi and 0 (unused), 1 (train) or 2 (test)")
    name, use = parts[1], parts[2]
    source, marker, _ = name.rpartition(f"_{label}_")
    splits = {f"split{split}": HMDB51_USES[use]} if use in HMDB51_USES else {}
    return ListedVideo(f"{label}/{name}", label, f"{source}_{label}" if marker else None, splits)


# -- Kinetics and Something-Something ---------------------------------------------------------------


def kinetics(files: Sequence[Path]) -> list[ListedVideo]:
    """Read Kinetics-400, -600 and -700: `label,youtube_id,time_start,time_end,split`, in one file or several.

    A clip's file is named `<youtube_id>_<start>_<end>.mp4`, the seconds in six digits; its group is the
    YouTube id. The lists of a test split may lack the label.

    Source: https://github.com/cvdfoundation/kinetics-dataset and
    https://github.com/activitynet/ActivityNet/tree/master/Crawler/Kinetics (file names)

    Raises:
        ConfigurationError: Another header, a time that is no number, an unknown split.
    """
    return [video for file in files for video in _kinetics_file(file)]


def _kinetics_file(file: Path) -> Iterator[ListedVideo]:
    for number, row in _records(file, ("youtube_id", "time_start", "time_end", "split")):
        youtube_id = row["youtube_id"]
        try:
            start, end = (int(float(row[name])) for name in ("time_start", "time_end"))
            name = f"{youtube_id}_{start:06d}_{end:06d}.mp4"
        except (ValueError, OverflowError):
            raise _bad_line(file, number, ",".join(row.values()), "seconds as numbers") from None
        split = {"split": _split(row["split"], file, number)} if row["split"] else {}
        yield ListedVideo(name, row.get("label") or None, youtube_id or None, split)


def ssv2(
    train: Path, validation: Path, test: Path | None = None, test_answers: Path | None = None
) -> list[ListedVideo]:
    """Read Something-Something v2: JSON lists of `id` and `template`; the test answers are lines `id;label`.

    The label is the template without its brackets, as in the dataset's own `labels.json`. Test videos without
    answers have none. The files are `<id>.webm`; nothing tells who filmed, so there are no groups.

    Source: https://www.qualcomm.com/developer/software/something-something-v-2-dataset and
    https://github.com/open-mmlab/mmaction2/blob/main/tools/data/parse_file_list.py (templates to labels)

    Raises:
        ConfigurationError: Not such a list, or answers without a test list.
    """
    if test_answers and not test:
        raise ConfigurationError(
            "--test-answers without --test: answers need the list that they answer.",
            next_step="pass --test FILE as well.",
        )
    answers = dict(_ssv2_answers(test_answers)) if test_answers else {}
    found = [*_ssv2_list(train, "train", {}), *_ssv2_list(validation, "val", {})]
    return found + (list(_ssv2_list(test, "test", answers)) if test else [])


def _ssv2_list(file: Path, split: SplitName, answers: Mapping[str, str]) -> Iterator[ListedVideo]:
    try:
        entries = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"cannot read {file} as JSON: {error}.", next_step="pass the dataset's own JSON file."
        ) from None
    if not isinstance(entries, list):
        raise _bad_line(file, 1, type(entries).__name__, 'a list of {"id": …, "template": …}')
    for number, entry in enumerate(entries, start=1):
        if (
            not isinstance(entry, dict)
            or not str(entry.get("id", ""))
            or (split != "test" and not _label(entry))
        ):
            raise _bad_line(file, number, json.dumps(entry), '{"id": …, "template": …}', "entry")
        name = str(entry["id"])
        yield ListedVideo(f"{name}.webm", answers.get(name) or _label(entry), None, {"split": split})


def _label(entry: Mapping[str, Any]) -> str | None:
    return _without_brackets(str(entry.get("template") or "")) or None


def _ssv2_answers(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in _lines(file):
        name, separator, label = line.partition(";")
        if not separator:
            raise _bad_line(file, number, line, "id;label")
        yield name.strip(), _without_brackets(label.strip().strip('"'))


def _without_brackets(template: str) -> str:
    return template.replace("[", "").replace("]", "").strip()


# -- folders and any other CSV ----------------------------------------------------------------------


def folders(paths: Iterable[str]) -> list[ListedVideo]:
    """Read labels from folder names: LABEL/…, or train/LABEL/…, val/…, test/… (`SPLIT_WORDS`).

    Raises:
        ConfigurationError: Some of the top folders are splits, and others are not.
    """
    parts = [PurePosixPath(path).parts for path in paths]
    tops = {p[0] for p in parts if len(p) > 1}
    splits = {p[0] for p in parts if len(p) > 2 and p[0].lower() in SPLIT_WORDS}
    if not splits:
        return [ListedVideo("/".join(p), p[0] if len(p) > 1 else None) for p in parts]
    if others := sorted(top for top in tops if top.lower() not in SPLIT_WORDS):
        raise ConfigurationError(
            f"the top folders are splits ({', '.join(sorted(splits))}) and others ({', '.join(others[:3])}).",
            next_step="move the others away, or describe the tree in a CSV: vidpipe manifest csv.",
        )
    return [_in_split_folder(p) for p in parts]


def _in_split_folder(parts: Sequence[str]) -> ListedVideo:
    label = parts[1] if len(parts) > 2 else None
    splits = {"split": SPLIT_WORDS[parts[0].lower()]} if len(parts) > 1 else {}
    return ListedVideo("/".join(parts), label, None, splits)


@dataclass(frozen=True, slots=True)
class Columns:
    """Mapping of a CSV's columns, by name, or by number from 1 in a list without a header."""

    path: str = "path"
    label: str | None = None
    group: str | None = None
    split: str | None = None

    def given(self) -> dict[str, str]:
        """Map vidpipe's column names to the file's."""
        named = {"path": self.path, "label": self.label, "group": self.group, "split": self.split}
        return {ours: theirs for ours, theirs in named.items() if theirs is not None}


def any_csv(file: Path, root: Path, columns: Columns, delimiter: str | None = None) -> list[ListedVideo]:
    """Read a CSV with other column names, or without a header and columns by number from 1.

    Paths are relative to `root`, or absolute and inside it; without `delimiter` the header tells it.

    Raises:
        ConfigurationError: A column that is not there, a short line, an unknown split.
    """
    given = columns.given()
    if all(theirs.isdigit() for theirs in given.values()):
        lines = _numbered(file, given.values(), delimiter or ",")
    else:
        lines = _records(file, tuple(given.values()), delimiter)
    return [
        _csv_video({ours: row[theirs] for ours, theirs in given.items()}, root, file, number)
        for number, row in lines
    ]


def _csv_video(row: Mapping[str, str], root: Path, file: Path, number: int) -> ListedVideo:
    path, top = PurePosixPath(row["path"]), PurePosixPath(os.path.abspath(root))  # noqa: PTH100  (links stay)
    if path.is_absolute() and path.is_relative_to(top):
        path = path.relative_to(top)
    splits = {"split": _split(row["split"], file, number)} if row.get("split") else {}
    said = str(path) if row["path"] else ""
    return ListedVideo(said, row.get("label") or None, row.get("group") or None, splits)


def _numbered(file: Path, numbers: Iterable[str], delimiter: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    wanted = list(numbers)
    for number, values in read_rows(file, delimiter):
        cells = {str(k): value for k, value in enumerate(values, start=1)}
        if not set(wanted) <= set(cells):
            raise _bad_line(file, number, delimiter.join(values), f"columns {', '.join(wanted)}")
        yield number, cells


# -- reading ----------------------------------------------------------------------------------------


def _records(
    file: Path, needed: Sequence[str], delimiter: str | None = ","
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Line number and cells by column name of each line."""
    for line in read_table(file, needed, separator=delimiter).lines:
        yield line.number, line.cells | {name: line.cells[folded(name)] for name in needed}


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each line that is not blank."""
    text = read_text(file).replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def _split(word: str, file: Path, number: int) -> SplitName:
    if folded(word) not in SPLIT_WORDS:
        raise _bad_line(file, number, word, f"a split ({', '.join(SPLIT_WORDS)})")
    return SPLIT_WORDS[folded(word)]


def _bad_line(file: Path, number: int, got: str, expected: str, unit: str = "line") -> ConfigurationError:
    return ConfigurationError(
        f"{file} {unit} {number}: got {got[:100]!r}, expected {expected}.",
        next_step="check that this is the file that the format asks for.",
    )


def _no_lists(folder: Path, expected: str) -> ConfigurationError:
    try:
        there = sorted(os.listdir(folder))  # noqa: PTH208  (names only)
    except OSError as error:
        there = [error.strerror or "nothing"]
    got = ", ".join(repr(name) for name in there[:5]) or "nothing"
    return ConfigurationError(
        f"{folder} has no {expected}, but {got}.", next_step="pass --lists the folder of the official lists."
    )
