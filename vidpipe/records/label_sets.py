"""Sets of labels as text: `crowd|rain` where a video may have several labels, in manifests and in SQL.

Written as people write them, in any order and with spaces about the bars; stored sorted by name without
spaces, so that the same labels are the same text. In a collection with one label a video a bar is a
character like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from vidpipe.errors import ConfigurationError

BAR = "|"


def names_in(text: str) -> tuple[str, ...]:
    """Labels of a set, sorted by name; what `stored_set` refuses is passed over."""
    return tuple(sorted({name for part in text.split(BAR) if (name := part.strip())}))


def set_of(names: Iterable[str]) -> str:
    """Text of a set of labels.

    Raises:
        ConfigurationError: The name of a label holds a bar.
    """
    names = list(names)
    if odd := next((name for name in names if BAR in name), None):
        raise ConfigurationError(
            f"the label {odd!r} holds a bar, which stands between labels where a video may have several.",
            next_step="give it another name, or leave out --multi-label.",
        )
    return BAR.join(sorted(set(names)))


def stored_set(text: str, where: str) -> str:
    """A set of labels as it is stored.

    Args:
        text: As a person wrote it.
        where: File and line, or whatever tells the person what is meant.

    Raises:
        ConfigurationError: An empty label between bars, or a label that stands there twice.
    """
    names = [part.strip() for part in text.split(BAR)]
    twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if "" in names or twice is not None:
        what = "an empty label between bars" if "" in names else f"{twice!r} twice"
        raise ConfigurationError(
            f"{where}: label is {text!r}, with {what}; expected different labels, a bar between two of them.",
            next_step=f"write {set_of(names_in(text))!r}, if that is meant."
            if names_in(text)
            else "name a label, or leave the cell blank.",
        )
    return set_of(names)
