"""Shards on local clusters of two workers of each engine: the same rows and bits as in one process.

`make test-services` runs them: about a minute an engine on two quiet cores.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import certain, warehouse_rows
from servers import QUIET, Service, answers, free_port, until

from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.steps.classify import classify
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.promote import promote
from vidpipe.steps.train import train

pytestmark = pytest.mark.services
Open = Callable[[Path], Ports]
ENGINES = ("processes", "dask", "ray")
SHARD_FRAMES = 40
"""A few clips at a frame a second: a dozen shards."""
PLAY = """
import sys
from flows.classify import classify_flow
from flows.extract import extract_flow
print(extract_flow(), flush=True)
print(classify_flow(model="1"), flush=True)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server on loopback; the environment in which flows and workers find it."""
    port, folder = free_port(), tmp_path_factory.mktemp("prefect")
    api = f"http://127.0.0.1:{port}/api"
    environment = {"PREFECT_HOME": str(folder), "PREFECT_API_URL": api, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = Service("prefect", command, {**QUIET, **environment}, folder, lambda: answers(f"{api}/health"))
    try:
        server.start()
        yield {**os.environ, **QUIET, **environment}
    finally:
        server.stop()


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory,
    labelled_clips: tuple[Path, Path],
    make_ports: Open,
) -> Path:
    """A home with a version, scored here: what all clusters are compared with."""
    home = tmp_path_factory.mktemp("clusters") / "here"
    home.mkdir()
    (home / "vidpipe.toml").write_text(f"sample_fps = 1\npart_frames = {SHARD_FRAMES}\n")
    source, manifest = labelled_clips
    ports = make_ports(home)
    ingest(ports, "clips", source, manifest=manifest)
    extract(ports)
    train(ports, "clips", config=TrainingConfig(epochs=3))
    promote(ports, force=True, reason="a test")
    classify(ports, model="1")
    return home


@pytest.fixture
def elsewhere(home: Path, tmp_path: Path, labelled_clips: tuple[Path, Path], make_ports: Open) -> Path:
    """A home of its own on the same registry, where nothing has been extracted."""
    path = tmp_path / "home"
    path.mkdir()
    settings = (home / "vidpipe.toml").read_text() + "lanes = 2\n"
    (path / "vidpipe.toml").write_text(settings + f'mlflow_uri = "sqlite:///{home}/mlflow/mlflow.db"\n')
    source, manifest = labelled_clips
    ingest(make_ports(path), "clips", source, manifest=manifest)
    return path


def start(home: Path, engine: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """The flows, on a cluster of two workers."""
    return subprocess.Popen(
        [sys.executable, "-c", PLAY],
        env={**environment, "VIDPIPE_HOME": str(home), "VIDPIPE_TASK_RUNNER": engine},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def ended(flows: subprocess.Popen[str]) -> str:
    output, _ = flows.communicate(timeout=400)
    assert flows.returncode == 0, output[-6000:]
    return output


def features_of(ports: Ports) -> dict[str, np.ndarray]:
    (spec,) = ports.ledger.features.feature_specs(None)
    ids = [v.video_id for v in ports.ledger.features.labelled_videos("clips", spec.feature_set_id)]
    stored = ports.ledger.features.stored_features(spec.feature_set_id, ids)
    return {v.video_id: v.values for v in ports.store.read(spec.feature_set_id, stored)}


def predictions_of(ports: Ports) -> list[tuple[Any, ...]]:
    query = "select video_id, model_version, rank, label, score from predictions order by all"
    rows: list[tuple[Any, ...]] = warehouse_rows(ports, query)
    return rows


def same_everywhere(one: Ports, other: Ports) -> None:
    here, there = features_of(one), features_of(other)
    assert here.keys() == there.keys() and len(here) == 24
    assert all(np.array_equal(here[i], there[i]) for i in here)
    assert predictions_of(one) == predictions_of(other)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_workers_leave_the_same_rows_and_bits_as_one_process(
    engine: str, home: Path, elsewhere: Path, environment: dict[str, str], make_ports: Open
) -> None:
    output = ended(start(elsewhere, engine, environment))
    assert "'videos': 24" in output and "'classified': 24" in output
    same_everywhere(make_ports(home), make_ports(elsewhere))


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_killed_worker_loses_nothing(
    engine: str, home: Path, elsewhere: Path, environment: dict[str, str], make_ports: Open
) -> None:
    flows = start(elsewhere, engine, environment)
    # A part in the making says who makes it: the worker that has the file open.
    victim = until("a worker writes a part", lambda: maker(elsewhere), 200)
    os.kill(certain(victim), signal.SIGKILL)
    output = ended(flows)
    assert "'videos': 24" in output and "'classified': 24" in output
    same_everywhere(make_ports(home), make_ports(elsewhere))


def maker(home: Path) -> int | None:
    """The process that writes a part of this home now."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith(str(home / "features")) and target.endswith(".tmp"):
            return int(descriptor.parts[2])
    return None
