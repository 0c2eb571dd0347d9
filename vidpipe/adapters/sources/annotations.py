"""Readers of annotations of videos: VIA's and CVAT's exports, ActivityNet's and AVA's lists.

A tool knows a video by an address of its own, so the file is found by its name. A reader turns one format
into `ListedVideo`s: a label of the whole video, labelled spans, or the doubt that leaves a video out.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, cast
from xml.etree import ElementTree

from vidpipe.adapters.sources.csv_files import read_rows, read_text
from vidpipe.errors import ConfigurationError
from vidpipe.records.labels import LabelledSpan, ListedVideo
from vidpipe.records.names import SPLIT_WORDS, folded

SEVERAL, DISAGREEING = "several labels", "annotators disagree"
AVA_SPAN_S = 1.0
"""AVA labels one frame a second, and says what happens in the second around it."""


Read = TypeVar("Read", bound=Callable[..., list[ListedVideo]])


def of_format(expected: str) -> Callable[[Read], Read]:
    """Decorator of a reader: a file whose values are not where the format has them is refused by its name."""

    def decorate(read: Read) -> Read:
        @wraps(read)
        def checked(file: Path, *arguments: Any, **options: Any) -> list[ListedVideo]:
            try:
                return read(file, *arguments, **options)
            except ConfigurationError:
                raise
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise other_format(file, f"{type(error).__name__}: {error}", expected) from None

        return cast("Read", checked)

    return decorate


# -- VIA --------------------------------------------------------------------------------------------


@of_format("a project of VIA 3")
def via(file: Path, attribute: str | None = None) -> list[ListedVideo]:
    """Read a project of VIA 3 (VGG Image Annotator): labels of videos and of spans of them.

    What is drawn in a single frame says nothing of a span, and is left aside.

    Source: https://gitlab.com/vgg/via/-/blob/master/via-3.x.y/CodeDoc.md

    Args:
        file: The project's JSON.
        attribute: Name of the attribute with the labels, where there are several.

    Raises:
        ConfigurationError: Another format, or no such attribute.
    """
    project = read_json(file, "a project of VIA 3")
    if not isinstance(project, dict) or not {"attribute", "file", "metadata"} <= project.keys():
        raise other_format(file, "no attribute, file and metadata", "a project of VIA 3, saved as JSON")
    number, options = _via_attribute(file, project["attribute"], attribute)
    views = {number: view.get("fid_list") or [] for number, view in (project.get("view") or {}).items()}
    names = {
        fid: PurePosixPath(str(f.get("fname", "")).replace("\\", "/")).name
        for fid, f in project["file"].items()
    }
    whole: dict[str, list[str]] = {name: [] for name in names.values() if name}
    spans: dict[str, list[LabelledSpan]] = defaultdict(list)
    for entry in project["metadata"].values():
        value = (entry.get("av") or {}).get(number)
        for fid in views.get(str(entry.get("vid")), [str(entry.get("vid"))]):
            if not value or fid not in names:
                continue
            label, times = str(options.get(value, value)), entry.get("z") or []
            if len(times) == 2:
                spans[names[fid]].append(LabelledSpan(float(times[0]), float(times[1]), label))
            elif not times and not entry.get("xy"):
                whole[names[fid]].append(label)
    return [
        ListedVideo(name, spans=tuple(spans[name])) if spans.get(name)
        else agreed(name, [labels] if labels else [])
        for name, labels in whole.items()
    ]  # fmt: skip


def _via_attribute(
    file: Path, attributes: Mapping[str, Any], wanted: str | None
) -> tuple[str, Mapping[str, str]]:
    """Number and options of the attribute with the labels."""
    names = {number: str(a.get("aname", number)) for number, a in attributes.items()}
    fitting = [number for number, name in names.items() if wanted in (None, name)]
    if len(fitting) != 1:
        raise ConfigurationError(
            f"{file} has the attributes {', '.join(map(repr, names.values())) or 'none'}.",
            next_step="pass --attribute, the name of the one with the labels.",
        )
    options = attributes[fitting[0]].get("options")
    return fitting[0], options if isinstance(options, dict) else {}


# -- CVAT -------------------------------------------------------------------------------------------


@of_format("CVAT for video 1.1")
def cvat(file: Path, fps: float | None = None) -> list[ListedVideo]:
    """Read CVAT's `CVAT for video 1.1` (XML): the labels of tracks and tags of one task.

    Where all have one label, it is the video's. Where they differ, each is a span from its first frame to
    its last visible one, which needs `fps`, since the file does not say it.

    Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/

    Raises:
        ConfigurationError: Another format, several tasks, no name of a video, or spans without `fps`.
    """
    text = read_text(file)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise other_format(file, "a document type", "CVAT for video 1.1, which has none")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  (no document type: no entities)
    except ElementTree.ParseError as error:
        raise other_format(file, str(error), "CVAT for video 1.1") from None
    sources = [e.text or "" for e in root.iterfind("./meta//source") if e.text]
    if root.tag != "annotations" or len(sources) != 1:
        raise other_format(
            file, f"{len(sources)} names of videos", "one task, exported as CVAT for video 1.1"
        )
    path = PurePosixPath(sources[0].replace("\\", "/")).name
    frames = list(_cvat_frames(root))
    if len({label for label, _, _ in frames}) < 2:
        return [ListedVideo(path, frames[0][0] if frames else None)]
    if fps is None:
        raise ConfigurationError(
            f"{file} has {len(frames)} tracks and tags with different labels, in frames.",
            next_step="pass --fps, the video's frame rate: each becomes a span.",
        )
    spans = tuple(LabelledSpan(first / fps, (last + 1) / fps, label) for label, first, last in frames)
    return [ListedVideo(path, spans=spans)]


def _cvat_frames(root: ElementTree.Element) -> Iterator[tuple[str, int, int]]:
    """Label, first and last visible frame of each track and tag."""
    for track in root.iterfind("track"):
        seen = [int(shape.get("frame", 0)) for shape in track if shape.get("outside") != "1"]
        if seen:
            hidden = [int(s.get("frame", 0)) - 1 for s in track if s.get("outside") == "1"]
            last = max([*seen, *(frame for frame in hidden if frame >= max(seen))])
            yield track.get("label", ""), min(seen), last
    for tag in root.iterfind("tag"):
        frame = int(tag.get("frame", 0))
        yield tag.get("label", ""), frame, frame


# -- ActivityNet and AVA ----------------------------------------------------------------------------


@of_format("ActivityNet's JSON")
def activitynet(file: Path, paths: Sequence[str] = ()) -> list[ListedVideo]:
    """Read ActivityNet's JSON, as other temporal action sets use it: segments with labels, and subsets.

    A video is `v_<id>` or `<id>`, with any extension.

    Source: http://activity-net.org/download.html, "Database format"

    Args:
        file: The JSON.
        paths: Of the files that are there.

    Raises:
        ConfigurationError: Another format, or an unknown subset.
    """
    database = read_json(file, "ActivityNet's JSON")
    database = database.get("database") if isinstance(database, dict) else None
    if not isinstance(database, dict):
        raise other_format(file, "no key database", "ActivityNet's JSON")
    stems = {PurePosixPath(path).stem for path in paths}
    return [
        _activity(file, f"v_{name}" if f"v_{name}" in stems else name, video)
        for name, video in database.items()
    ]


def _activity(file: Path, name: str, video: Any) -> ListedVideo:
    try:
        subset = str(video.get("subset") or "")
        spans = tuple(
            LabelledSpan(float(a["segment"][0]), float(a["segment"][1]), str(a["label"]))
            for a in video.get("annotations") or []
        )
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise other_format(file, f"video {name}", "a subset, and annotations of segment and label") from None
    word = folded(subset)
    if subset and word not in SPLIT_WORDS:
        raise other_format(file, f"video {name} in subset {subset!r}", ", ".join(SPLIT_WORDS))
    splits = {"split": SPLIT_WORDS[word]} if subset else {}
    return ListedVideo(f"{name}.mp4", splits=splits, spans=tuple(s for s in spans if s.end_s > s.start_s))


def ava(train: Path, validation: Path, labels: Path | None = None) -> list[ListedVideo]:
    """Read AVA's lists: the action of each person in one frame a second.

    A second in which all persons do the same is a span of that label; one with several actions is none.

    Source: https://research.google.com/ava/download.html, "CSV format"

    Args:
        train: Of the training videos.
        validation: Of the validation videos.
        labels: Names of the actions (`.pbtxt`); without it they are called by their numbers.

    Raises:
        ConfigurationError: A line of another form.
    """
    names = _ava_names(labels) if labels else {}
    lists = ((train, SPLIT_WORDS["train"]), (validation, SPLIT_WORDS["val"]))
    return [
        ListedVideo(
            f"{name}.mp4",
            splits={"split": split},
            spans=tuple(_ava_spans(seconds, names)),
            mixed=tuple(_ava_spans(seconds, names, mixed=True)),
        )
        for file, split in lists
        for name, seconds in _ava_seconds(file).items()
    ]


def _ava_seconds(file: Path) -> dict[str, dict[float, set[str]]]:
    found: dict[str, dict[float, set[str]]] = defaultdict(lambda: defaultdict(set))
    for number, cells in read_rows(file, ","):
        try:
            second, action = float(cells[1]), cells[6]
        except (IndexError, ValueError):
            raise ConfigurationError(
                f"{file} line {number}: got {','.join(cells)[:100]!r}, expected "
                "video_id,middle_frame_timestamp,x1,y1,x2,y2,action_id,person_id.",
                next_step="check that this is the file that the format asks for.",
            ) from None
        if action:
            found[cells[0]][second].add(action)
    return found


def _ava_spans(
    seconds: Mapping[float, set[str]], names: Mapping[str, str], *, mixed: bool = False
) -> Iterator[LabelledSpan]:
    """Spans of seconds with one action, or of each action in those with several."""
    for second, actions in sorted(seconds.items()):
        if (len(actions) > 1) == mixed:
            start_s, end_s = max(0.0, second - AVA_SPAN_S / 2), second + AVA_SPAN_S / 2
            yield from (LabelledSpan(start_s, end_s, names.get(name, name)) for name in sorted(actions))


def _ava_names(labels: Path) -> dict[str, str]:
    """Names of the actions by number, from lines `name: "…"` and `id: …` or `label_id: …`."""
    entries = re.findall(r'name:\s*"([^"]+)"\s*(?:label_)?id:\s*(\d+)', read_text(labels))
    if not entries:
        raise other_format(labels, "no name with an id", 'entries of name: "…" and id: …')
    return {number: name for name, number in entries}


# -- shared ----------------------------------------------------------------------------------------


def agreed(path: str, answers: Sequence[Sequence[str]]) -> ListedVideo:
    """The label that more than half of the annotators give; a doubt where they do not, or give several."""
    given = Counter(tuple(sorted(set(answer))) for answer in answers if answer)
    if not given:
        return ListedVideo(path)
    ((labels, times),) = given.most_common(1)
    if 2 * times <= given.total():
        return ListedVideo(path, doubt=DISAGREEING)
    if len(labels) > 1:
        return ListedVideo(path, doubt=SEVERAL, chosen=labels)
    return ListedVideo(path, labels[0], chosen=labels)


def read_json(file: Path, expected: str) -> Any:
    """Read a JSON file; raises ConfigurationError with the expected format."""
    try:
        return json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise other_format(file, str(error), expected) from None


def other_format(file: Path, got: str, expected: str) -> ConfigurationError:
    """Error of a file in another format."""
    return ConfigurationError(
        f"{file}: got {got[:100]}, expected {expected}.",
        next_step="check that this is the file that the format asks for.",
    )
