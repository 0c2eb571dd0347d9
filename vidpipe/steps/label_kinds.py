"""One label a video or several: labels as a collection stores them, and refusal of the other kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.records.label_sets import stored_set
from vidpipe.records.labels import GivenLabel
from vidpipe.records.models import ModelVersion
from vidpipe.records.videos import Collection, Listing, SourceFile

WORDS = {True: "several labels a video", False: "one label a video"}


def with_stored_labels(wanted: Collection, listing: Listing) -> Listing:
    """The listing with its labels as sets, where the collection has several a video.

    Raises:
        ConfigurationError: An empty label between bars, or a label twice in one video.
    """
    if not wanted.multi_label:
        return listing
    return replace(listing, files=[_stored(wanted, file) for file in listing.files])


def _stored(wanted: Collection, file: SourceFile) -> SourceFile:
    where = f"{wanted.manifest} line {file.line}" if file.line else f"{wanted.source}/{file.path}"
    label = stored_set(file.label, where) if file.label else None
    spans = tuple(
        replace(span, label=stored_set(span.label, f"{wanted.manifest}, {file.path} from {span.start_s:g} s"))
        for span in file.spans
    )
    return replace(file, label=label, spans=spans)


def given_as_stored(
    ports: Ports, collection: str, lines: Sequence[GivenLabel], file: str
) -> list[GivenLabel]:
    """Lines of a label file with their labels as the collection stores them.

    Raises:
        ConfigurationError: As `with_stored_labels`.
    """
    if not is_multi_label(ports, collection):
        return list(lines)
    return [
        replace(line, label=stored_set(line.label, f"{file} line {line.line}" if line.line else line.path))
        if line.label
        else line
        for line in lines
    ]


def is_multi_label(ports: Ports, collection: str) -> bool:
    """Whether a video of this collection may have several labels."""
    known = ports.ledger.sources.collection(collection)
    return bool(known and known.multi_label)


def of_other_kind(ports: Ports, version: ModelVersion) -> set[str]:
    """Names of collections with labels that are not of a version's kind."""
    others = [c.name for c in ports.ledger.sources.collections() if c.multi_label != version.multi_label]
    return {name for name in others if ports.ledger.sources.count_labelled(name)}


def refuse_other_kind(ports: Ports, version: ModelVersion, collection: str) -> None:
    """Refuse a version with one label a video on a collection with several, and the reverse.

    Raises:
        ConfigurationError: They are of different kinds.
    """
    of_collection = is_multi_label(ports, collection)
    if version.multi_label != of_collection:
        raise ConfigurationError(
            f"version {version.version} gives {WORDS[version.multi_label]}; the collection {collection!r} "
            f"has {WORDS[of_collection]}.",
            next_step=f"vidpipe train --collection {collection}, or name another --collection or --model.",
        )
