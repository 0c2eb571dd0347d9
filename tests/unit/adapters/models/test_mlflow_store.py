"""The store under the registry: made once, by whoever comes first, and errors that say what to do."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import run_python
from guarded import GOOD, guarded
from mlflow.exceptions import MlflowException

from vidpipe.adapters import machine
from vidpipe.adapters.http_login import prefect_server
from vidpipe.adapters.models.mlflow_store import MlflowStore
from vidpipe.adapters.models.model_faults import ServerShelf
from vidpipe.adapters.models.registry import Registry
from vidpipe.cli.flow_process import flow_environment
from vidpipe.errors import ConfigurationError, RegistryUnreachable
from vidpipe.steps.champion_alias import ODD


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


LOGINS = {
    "none": (None, 401, "none is set", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    "wrong": ("bad", 401, "is wrong", "correct MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    "forbidden": ("good", 403, "forbids this", "allow it to the user"),
}


@pytest.fixture
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.mark.parametrize("case", LOGINS)
def test_a_refused_login_is_a_configuration_fault_for_the_client_and_for_doctor(
    case: str, tmp_path: Path, keep_tracking_uri: None, no_login: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    password, status, says, advice = LOGINS[case]
    if password:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "user")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    with guarded(forbids=status == 403) as uri:
        with pytest.raises(ConfigurationError, match=f"{uri} .*HTTP {status}") as caught:
            _ = MlflowStore(tmp_path, uri).client
        found = machine.mlflow(tmp_path, uri)

    assert says in caught.value.message and advice in caught.value.next_step
    assert (found.problem, found.repair) == (caught.value.message, caught.value.next_step)


def test_a_login_in_the_address_is_sent_and_never_shown(
    tmp_path: Path, keep_tracking_uri: None, no_login: None
) -> None:
    with guarded() as uri:
        good, wrong = (uri.replace("//", f"//user:{password}@") for password in ("good", "s3cret"))
        assert machine.mlflow(tmp_path, good).problem is None
        assert ServerShelf(good, "model").aliases() == {}
        with pytest.raises(ConfigurationError, match="is wrong") as caught:
            _ = MlflowStore(tmp_path, wrong).client
        found = machine.mlflow(tmp_path, wrong)

    assert "s3cret" not in f"{caught.value}{found}"


@pytest.mark.parametrize(
    "text",
    ["No such artifact: weights", "database schema is out of date", "disk image is malformed", "odd"],
)
def test_no_error_of_the_registry_shows_the_login_of_its_address(tmp_path: Path, text: str) -> None:
    store = MlflowStore(tmp_path, "http://user:s3cret@127.0.0.1:1")
    found = store._translated(MlflowException(text))
    assert found is not None and "127.0.0.1:1" in str(found)
    assert "s3cret" not in f"{found} {found.next_step}"


def test_a_night_takes_a_refused_login_as_an_odd_registry(
    tmp_path: Path, keep_tracking_uri: None, no_login: None
) -> None:
    with guarded() as uri, pytest.raises(ODD):
        Registry(tmp_path, "model", uri).aliases()


def test_prefect_with_a_login_is_refused_before_a_flow_starts(
    no_login: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with guarded() as uri:
        monkeypatch.setenv("PREFECT_API_URL", f"{uri}/api")
        with pytest.raises(ConfigurationError, match="asks for a login") as caught:
            machine.need_prefect(*prefect_server(tmp_path))
        assert caught.value.next_step == "set PREFECT_API_AUTH_STRING."
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "user:bad")
        with pytest.raises(ConfigurationError, match="is wrong"):
            machine.need_prefect(*prefect_server(tmp_path))
        machine.need_prefect(f"{uri}/api", GOOD)
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "user:good")
        machine.need_prefect(*prefect_server(tmp_path))


@pytest.mark.parametrize("where", ["home", "PREFECT_HOME", "PREFECT_PROFILES_PATH"])
def test_a_login_that_only_a_prefect_profile_has_is_that_of_flows_and_of_doctor(
    where: str, no_login: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Prefect's own settings say: the oracle is what a flow's process would send, and where."""
    home, folder = tmp_path / "prefect", tmp_path / ("prefect" if where == "home" else "elsewhere")
    folder.mkdir()
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    if where != "home":
        monkeypatch.setenv(where, str(folder / ("profiles.toml" if "PATH" in where else "")))
    with guarded() as uri:
        for password, problem in (("good", None), ("bad", "is wrong")):
            (folder / "profiles.toml").write_text(
                f'active = "fleet"\n[profiles.fleet]\nPREFECT_API_URL = "{uri}/api"\n'
                f'PREFECT_API_AUTH_STRING = "user:{password}"\n[profiles.other]\n', encoding="utf-8"
            )  # fmt: skip
            found = machine.prefect(home)
            assert (found.where, (found.problem or "").endswith("wrong.")) == (f"{uri}/api", bool(problem))
            assert asked_by_a_flow(home) == (f"{uri}/api", f"user:{password}")
            url, _ = prefect_server(home)
            assert url == f"{uri}/api"
        monkeypatch.setenv("PREFECT_PROFILE", "other")
        assert machine.prefect(home).note.startswith("embedded")
        (folder / "profiles.toml").write_text("active = ", encoding="utf-8")
        assert machine.prefect(home).note.startswith("embedded")


def asked_by_a_flow(home: Path) -> tuple[str, str]:
    """Address and login of Prefect in the process of a flow."""
    read = "from prefect.settings import *; print(PREFECT_API_URL.value(), PREFECT_API_AUTH_STRING.value())"
    ended = subprocess.run(
        [sys.executable, "-c", read], env=flow_environment(home.parent), cwd=home.parent, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    url, login = ended.stdout.split()
    return url, login
