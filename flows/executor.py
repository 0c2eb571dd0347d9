"""Shard executor on Prefect task runners: in the flow's process, or on Dask or Ray workers.

The setting `task_runner` says which engine; `cluster` names a Dask scheduler or a Ray head that runs already,
else a cluster of `max_workers` workers is started on this machine for as long as there is work. Workers see
the same home and the same videos; they write parts and never open the ledger.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from prefect import task
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner

from flows.shared import RETRIES, LogProgress, retried
from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.ports.coordination import R, S
from vidpipe.settings import Settings, load_settings
from vidpipe.shards import gather
from vidpipe.wiring import open_home, open_ports

LOOPBACK = "127.0.0.1"


def ports_of(home: str | None, *, wait_for_lease: bool = False) -> Ports:
    """All ports of a home, with shards computed as Prefect tasks; settings as on the command line."""
    logging.getLogger("vidpipe").setLevel(logging.INFO)  # Prefect adds its handler, not a level
    settings = load_settings(Path(home) if home else None)
    return open_ports(
        open_home(settings), LogProgress(), executor=TaskShardExecutor(settings),
        wait_for_lease=wait_for_lease,
    )  # fmt: skip


@task(**RETRIES)
def compute_here(ports: Ports, work: Callable[[Ports, S], R], shard: S) -> R:
    """Compute a shard in the flow's own process."""
    return work(ports, shard)


@task(**RETRIES)
def compute_there(home: str, work: Callable[[Ports, S], R], shard: S) -> R:
    """Compute a shard in a worker's process, which opens the same home."""
    return work(_workers_ports(home), shard)


@cache
def _workers_ports(home: str) -> Ports:
    """Ports of a worker process, opened once, so that the CNN and the model stay loaded."""
    return ports_of(home)


class TaskShardExecutor:
    """Shard executor that submits each shard as a Prefect task with retries."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def compute(
        self, ports: Ports, work: Callable[[Ports, S], R], shards: Sequence[S]
    ) -> Iterator[tuple[S, R]]:
        """Yield each shard with its result in order of completion."""
        verb = work.__module__.rsplit(".", 1)[-1]
        names = [f"{verb}-{number}-of-{len(shards)}" for number in range(1, len(shards) + 1)]
        if self._settings.task_runner == "threads":
            for name, shard in zip(names, shards, strict=True):
                with retried():
                    result = compute_here.with_options(task_run_name=name)(ports, work, shard)
                yield shard, result
        elif shards:
            yield from self._compute_there(work, shards, names)

    def _compute_there(
        self, work: Callable[[Ports, S], R], shards: Sequence[S], names: Sequence[str]
    ) -> Iterator[tuple[S, R]]:
        home = str(self._settings.home)
        with task_runner(self._settings) as runner, retried():

            def submit(number: int) -> Any:
                named = compute_there.with_options(task_run_name=names[number])
                return runner.submit(named, {"home": home, "work": work, "shard": shards[number]})

            costs = [shard.cost for shard in shards]
            for number, result in gather(submit, costs, self._settings.max_workers):
                yield shards[number], result


def task_runner(settings: Settings) -> TaskRunner[Any]:
    """The Prefect task runner that the settings name: threads, processes, Dask or Ray.

    Raises:
        ConfigurationError: Its package is not installed.
    """
    engines: dict[str, Callable[[int, str | None], Any]] = {
        "processes": _processes, "dask": _dask, "ray": _ray,
    }  # fmt: skip
    try:
        runner: TaskRunner[Any] = engines[settings.task_runner](settings.max_workers, settings.cluster)
    except ImportError as error:
        raise ConfigurationError(
            f"the task runner {settings.task_runner!r} is not installed: {error}.",
            next_step=f"pip install 'vidpipe[{settings.task_runner}]'",
        ) from None
    return runner


def _processes(max_workers: int, _cluster: str | None) -> Any:
    return ProcessPoolTaskRunner(max_workers=max_workers)


def _dask(max_workers: int, cluster: str | None) -> Any:
    from prefect_dask import DaskTaskRunner

    if cluster:
        return DaskTaskRunner(address=cluster)
    alone = {"n_workers": max_workers, "threads_per_worker": 1, "dashboard_address": None, "host": LOOPBACK}
    return DaskTaskRunner(cluster_kwargs=alone)


def _ray(max_workers: int, cluster: str | None) -> Any:
    from prefect_ray import RayTaskRunner

    if cluster:
        return RayTaskRunner(address=cluster)
    alone = {"num_cpus": max_workers, "include_dashboard": False, "_node_ip_address": LOOPBACK}
    return RayTaskRunner(init_kwargs=alone)
