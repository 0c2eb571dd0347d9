"""Text file of gauges for Prometheus, as node_exporter's textfile collector reads it.

Source: https://github.com/prometheus/node_exporter#textfile-collector
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vidpipe.adapters.atomic import LEFT_S, replacing, sweep_unfinished
from vidpipe.errors import StorageFailed
from vidpipe.records.machine import Gauge


class PrometheusFile:
    """The file `metrics.prom` of one home."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def write(self, gauges: Sequence[Gauge]) -> None:
        """Replace the file by these gauges, atomically.

        Raises:
            StorageFailed: The disk is full or read-only.
        """
        from prometheus_client import (
            CollectorRegistry,
            generate_latest,
        )  # not for `vidpipe status` to wait for
        from prometheus_client import Gauge as PrometheusGauge

        registry, made = CollectorRegistry(), dict[str, PrometheusGauge]()
        for gauge in gauges:
            if gauge.name not in made:
                made[gauge.name] = PrometheusGauge(
                    gauge.name, gauge.help, sorted(gauge.labels), registry=registry
                )
            this = made[gauge.name]
            (this.labels(**gauge.labels) if gauge.labels else this).set(gauge.value)
        self._sweep()
        try:
            with replacing(self._file) as temp:
                temp.write_bytes(generate_latest(registry))
        except OSError as error:
            raise StorageFailed(
                f"cannot write {self._file}: {error.strerror}.",
                next_step="free space; the next night writes it.",
            ) from None

    def _sweep(self) -> None:
        """Delete what a killed night left unfinished."""
        with suppress(OSError):  # the error of writing is the one that people need
            sweep_unfinished(self._file, LEFT_S)
