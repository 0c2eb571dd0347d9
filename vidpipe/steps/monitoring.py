"""Gauges of the last night for monitoring (`metrics.prom`), from the published warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vidpipe.ports.outcome import Monitoring, Warehouse
from vidpipe.records.machine import Gauge

GAUGES = {
    "vidpipe_night_videos": ("Videos that the last night ingested.", "ingested"),
    "vidpipe_night_extracted": ("Videos whose features the last night extracted.", "extracted"),
    "vidpipe_night_classified": ("Videos that the last night classified.", "classified"),
    "vidpipe_night_failures": ("Videos that failed in the last night.", "failed"),
    "vidpipe_night_seconds": ("How long the last night took.", "seconds"),
    "vidpipe_last_night_timestamp_seconds": ("When the last night ended.", "finished_s"),
    "vidpipe_last_good_night_timestamp_seconds": ("When a night last ended well (exit 0).", "good_s"),
    "vidpipe_champion_version": ("Version of the model that serves.", "champion_version"),
}
"""Help and column of each; without a value it is left out, as Prometheus wants it."""


def write_gauges(warehouse: Warehouse, file: Monitoring) -> None:
    """Write the gauges of the last night that has ended; nothing where none has.

    Raises:
        NotFound: Nothing has been published.
        StorageFailed: The file cannot be written.
    """
    with warehouse.reading() as read:
        rows, drift = read("night_gauges"), read("drift_gauges")
    if rows:
        file.write([*_gauges(rows[0]), *(_drift(row) for row in drift)])


def _gauges(night: Mapping[str, Any]) -> Iterator[Gauge]:
    for name, (text, column) in GAUGES.items():
        if night[column] is not None:
            yield Gauge(name, text, float(night[column]))
    yield Gauge("vidpipe_night_status", "How the last night ended.", 1.0, {"status": night["status"]})


def _drift(row: Mapping[str, Any]) -> Gauge:
    text = "Evidence that a collection's videos changed, as its last night left it; 20 is an alarm."
    return Gauge("vidpipe_feature_drift", text, float(row["e_value"]), {"collection": row["collection"]})
