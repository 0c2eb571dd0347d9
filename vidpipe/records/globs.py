"""Glob patterns (include and exclude) that choose which files of a source belong to a collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Globs:
    """Include and exclude patterns over paths relative to the source, in any case (`*.mp4` takes `A.MP4`).

    A pattern without a slash speaks of every file and folder of its name, wherever it lies; one with a slash
    of a path from the source on, where `*` crosses slashes and `**/` may be nothing. A folder's pattern holds
    for all below it.
    """

    include: tuple[str, ...] = ()
    """Empty: all."""
    exclude: tuple[str, ...] = ()
    """Stronger than `include`."""

    @classmethod
    def of(cls, include: Iterable[str] | None, exclude: Iterable[str] | None) -> Globs:
        """Patterns as given by a person or the ledger; empty ones are dropped: `--exclude ''` clears them."""
        return cls(tuple(filter(None, include or ())), tuple(filter(None, exclude or ())))

    def take(self, path: str) -> bool:
        """Whether a path matches: included, and not excluded."""
        included = not self.include or any(_matches(path, glob) for glob in self.include)
        return included and not any(_matches(path, glob) for glob in self.exclude)

    def name_suffix_of(self, path: str) -> bool:
        """Whether an include pattern such as `*.dat` names this suffix: such files count as videos."""
        if not self.include:
            return False
        suffix = PurePosixPath(path).suffix.lower()
        asked = (PurePosixPath(glob).suffix.lower() for glob in self.include)
        return bool(suffix) and any(suffix == end and not _WILD & set(end) for end in asked)


ALL = Globs()
"""No pattern: every video of a source."""


def _matches(path: str, glob: str) -> bool:
    path, glob = path.lower(), glob.lower().strip("/")
    if "/" not in glob:
        return any(fnmatchcase(part, glob) for part in PurePosixPath(path).parts)
    places = [path, *map(str, PurePosixPath(path).parents)]
    spellings = {glob, glob.replace("**/", "")}
    return any(fnmatchcase(place, spelling) for place in places for spelling in spellings)


def counted(passed_over: Mapping[str, int]) -> str:
    """Number of files by suffix as text, the most frequent first: `12 files: 9 .txt, 3 .xmp`."""
    total = sum(passed_over.values())
    ordered = sorted(passed_over.items(), key=lambda item: (-item[1], item[0]))
    each = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in ordered)
    return f"{total} file{'s' if total != 1 else ''}: {each}"
