"""The store under the registry: made once, by whoever comes first, and errors that say what to do."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import run_python

from vidpipe.adapters.models.mlflow_store import MlflowStore
from vidpipe.errors import RegistryUnreachable


@pytest.fixture
def keep_tracking_uri() -> Iterator[None]:
    """MLflow's tracking URI is global: a store must not leave its own behind."""
    import mlflow

    before = mlflow.get_tracking_uri()
    yield
    mlflow.set_tracking_uri(before)


# -- first use ----------------------------------------------------------------------------------

FIRST_USE = """
    import sys
    from pathlib import Path
    from vidpipe.adapters.models.mlflow_store import MlflowStore
    store = MlflowStore(Path(sys.argv[1]), None)
    print(store.client.get_experiment_by_name("vidpipe").experiment_id, store.is_unborn)
"""


def test_two_processes_that_make_the_store_at_once_both_work(tmp_path: Path) -> None:
    assert MlflowStore(tmp_path / "mlflow", None).is_unborn
    processes = [run_python(FIRST_USE, tmp_path / "mlflow") for _ in range(2)]

    found = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found.append(out)

    assert found[0] == found[1] == "1 False\n"


# -- temporary folders --------------------------------------------------------------------------


def test_temporary_folders_are_swept_when_they_are_old(tmp_path: Path) -> None:
    store = MlflowStore(tmp_path, None)
    left = tmp_path / "tmp" / "left"
    left.mkdir(parents=True)
    (left / "file").write_bytes(b"12345")

    assert store.sweep(older_than_s=3600) == (0, 0)
    assert store.sweep(older_than_s=0) == (1, 5)
    assert list((tmp_path / "tmp").iterdir()) == []


# -- a world that breaks ------------------------------------------------------------------------


def test_a_server_that_is_away_is_unreachable_within_seconds(
    tmp_path: Path, keep_tracking_uri: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        port = closed_again.getsockname()[1]
    away = MlflowStore(tmp_path, f"http://127.0.0.1:{port}")
    started = time.monotonic()

    with pytest.raises(RegistryUnreachable, match=f"127.0.0.1:{port}") as caught:
        _ = away.client

    assert time.monotonic() - started < 10
    assert "VIDPIPE_MLFLOW_URI" in caught.value.next_step
    assert list(tmp_path.iterdir()) == [], "no store is made beside a server"
