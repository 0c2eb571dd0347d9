"""Request of a collection: source, manifest, windows, patterns, attributes; omitted options stay."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.records.attributes import UNDECLARED, Declared
from vidpipe.records.globs import Globs
from vidpipe.records.videos import Collection
from vidpipe.records.windows import SHOTS, Windows
from vidpipe.uris import checked_uri, is_uri


def requested(
    ports: Ports,
    name: str,
    source: str | Path,
    manifest: str | Path | None,
    label_from: str | None,
    *,
    window_s: float | None,
    stride_s: float | None,
    windows: str | None,
    replace_source: bool,
    include: Sequence[str] | None,
    exclude: Sequence[str] | None,
    attributes: Sequence[str] | None,
    time_from_name: str | None,
    time_zone: str | None,
    multi_label: bool | None,
) -> Collection:
    """The collection as requested; the arguments are those of `ingest`.

    Raises:
        ConfigurationError: The request cannot be right.
    """
    wanted = _request(ports, name, source, manifest, label_from, replace_source)
    wanted = replace(wanted, windows=_windows(ports, name, window_s, stride_s, windows))
    wanted = replace(wanted, globs=_globs(ports, wanted, include, exclude, replace_source))
    wanted = replace(wanted, declared=_declared(ports, wanted, attributes, time_from_name, time_zone))
    known = ports.ledger.sources.collection(name)
    before = known.multi_label if known else False
    return replace(wanted, multi_label=before if multi_label is None else multi_label)


def _request(
    ports: Ports,
    name: str,
    source: str | Path,
    manifest: str | Path | None,
    label_from: str | None,
    replace: bool,
) -> Collection:
    """The collection as requested; omitted options keep their recorded values."""
    if not name or name != name.strip():
        raise ConfigurationError(f"{name!r} is no collection name.", next_step="pass --collection NAME.")
    if label_from not in (None, "folder"):
        raise ConfigurationError(
            f"--label-from {label_from!r} is unknown.", next_step="pass --label-from folder."
        )
    source = _absolute(source)
    if source.lower().endswith(".csv") and (is_uri(source) or Path(source).is_file()):
        source, manifest = source.rsplit("/", 1)[0], manifest or source
    known = ports.ledger.sources.collection(name)
    if known and known.source != source and not replace:
        raise ConfigurationError(
            f"the collection {name!r} has the source {known.source}, not {source}.",
            next_step="pass --replace-source, or another --collection.",
        )
    if known and not replace:
        manifest = manifest or known.manifest
        label_from = label_from or known.label_from
    return Collection(name, source, _absolute(manifest) if manifest else None, label_from)


def _windows(
    ports: Ports, name: str, window_s: float | None, stride_s: float | None, windows: str | None
) -> Windows | None:
    """The requested windows; omitted options keep recorded values, but a new length resets the stride."""
    if windows is not None:
        return _shots(windows, alone=window_s is None and stride_s is None)
    known = ports.ledger.sources.collection(name)
    before = known.windows if known else None
    if window_s is None and stride_s is None:
        return before
    if window_s == 0:
        return None
    length_s = window_s if window_s is not None else before.window_s if before else None
    if not length_s:
        raise ConfigurationError(
            f"--stride-s {stride_s} has no effect without windows.", next_step="pass --window-s, too."
        )
    return Windows(length_s, length_s / 2 if stride_s is None else stride_s)


def _shots(windows: str, *, alone: bool) -> Windows:
    if windows != "shots":
        raise ConfigurationError(
            f"--windows {windows!r} is unknown.", next_step="pass --windows shots, or --window-s."
        )
    if not alone:
        raise ConfigurationError(
            "shots have lengths of their own.", next_step="leave out --window-s and --stride-s."
        )
    from vidpipe.vision.shots import require_shots

    require_shots()
    return SHOTS


def _globs(
    ports: Ports,
    wanted: Collection,
    include: Sequence[str] | None,
    exclude: Sequence[str] | None,
    forget: bool,
) -> Globs:
    """The requested patterns; omitted ones keep their recorded values, unless the source is replaced."""
    known = ports.ledger.sources.collection(wanted.name)
    before = known.globs if known and not forget else Globs()
    return Globs.of(
        before.include if include is None else include, before.exclude if exclude is None else exclude
    )


def _declared(
    ports: Ports,
    wanted: Collection,
    attributes: Sequence[str] | None,
    time_from_name: str | None,
    time_zone: str | None,
) -> Declared:
    """The requested attributes and recording times; omitted options keep their recorded values."""
    known = ports.ledger.sources.collection(wanted.name)
    declared = (known.declared if known else UNDECLARED).changed(attributes, time_from_name, time_zone)
    if declared.attributes and not wanted.manifest:
        raise ConfigurationError(
            f"--attribute {next(iter(declared.attributes))} has no effect without a manifest.",
            next_step="pass --manifest FILE.csv, too.",
        )
    others = [c for c in ports.ledger.sources.collections() if c.name != wanted.name]
    alike = [c.name for c in others if c.name.casefold() == wanted.name.casefold() and c.declared.attributes]
    if declared.attributes and alike:
        raise ConfigurationError(
            f"the views of the attributes of {wanted.name!r} and {alike[0]!r} would have one name.",
            next_step="pass --attribute to one of them, or another --collection.",
        )
    return declared


def _absolute(place: str | Path) -> str:
    """A URI, or an absolute path without `..`; symlinks are kept, since a mount point may be one."""
    text = checked_uri(str(place)) if is_uri(str(place)) else str(place)
    if is_uri(text):
        return text
    return os.path.abspath(Path(text).expanduser())  # noqa: PTH100  (resolve would follow links)
