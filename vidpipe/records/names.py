"""Normalisation of column names, labels and splits: case folding, invisible characters, look-alike labels."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # videos.py imports what imports this module
    from vidpipe.records.labels import SplitName

SPLIT_WORDS: Mapping[str, SplitName] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validate": "val",
    "validation": "val", "test": "test", "testing": "test",
}  # fmt: skip
"""What people call the three, in lower case; Kinetics says `validate`, Something-Something `validation`."""


def folded(name: str) -> str:
    """Normalise a column name: trimmed, case-folded, without invisible characters."""
    return visible(name).strip().casefold()


def visible(text: str) -> str:
    """Remove invisible characters, such as U+200B, or a byte order mark in the middle of a file."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc"))


def look_alikes(values: Iterable[str]) -> list[list[str]]:
    """Groups of values that differ only in case, spaces, composed accents or invisible characters, sorted."""
    alike: dict[str, set[str]] = defaultdict(set)
    for value in values:
        key = unicodedata.normalize("NFKC", visible(value)).casefold()
        alike["".join(key.split())].add(value)
    return [sorted(same) for _, same in sorted(alike.items()) if len(same) > 1]
