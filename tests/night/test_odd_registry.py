"""A night with a registry that is away, damaged or half deleted reads, scores and says what is wrong."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import concrete, warehouse_rows
from guarded import guarded

from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.models.mlflow_store import MlflowStore
from vidpipe.adapters.models.registry import Registry
from vidpipe.errors import NotFound, RegistryBroken, UnsafeModel, VidpipeError
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.steps.champion_alias import champion, verified
from vidpipe.steps.classify import classify
from vidpipe.steps.nightly import nightly
from vidpipe.steps.plan_extraction import wanted_specs
from vidpipe.steps.promote import promote
from vidpipe.steps.train import train

MODEL = "video-classifier"
ONE_EPOCH = TrainingConfig(seed=0, epochs=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, crowned_home: Any, make_ports: Any) -> Path:
    """A home whose version 1 is champion and has been copied, and whose version 2 is the challenger."""
    home: Path = crowned_home(tmp_path_factory.mktemp("served") / "home")
    ports = make_ports(home)
    train(ports, "clips", split_column="split", config=TrainingConfig(seed=1, epochs=1))
    assert nightly(ports).status == "ok"
    return home


@pytest.fixture
def home(served: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(served, tmp_path / "home", ignore=shutil.ignore_patterns("artifacts")))


@pytest.fixture
def ports(home: Path, make_ports: Callable[[Path], Ports]) -> Ports:
    return make_ports(home)


def with_news(ports: Ports) -> None:
    """Two videos whose features are there have not been scored yet."""
    with concrete(ports.ledger, Ledger).database.session() as session:
        session.connection.execute("delete from core.prediction where video_key in (1, 2)")


def client(home: Path) -> Any:
    return Registry(home / "mlflow", MODEL, None).store.client


def statement(home: Path, sql: str) -> None:
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as store:
        store.execute(sql)
    store.close()


def foreign(home: Path, alias: str) -> None:
    """The alias on a version that another tool made."""
    made = client(home).create_model_version(MODEL, "file:///nothing")
    client(home).set_registered_model_alias(MODEL, alias, made.version)


def source_of(home: Path) -> Path:
    """Where the files of version 1 lie."""
    uri = Registry(home / "mlflow", MODEL, None).store.client.get_model_version_download_uri(MODEL, "1")
    return Path(uri.removeprefix("file://"))


@contextmanager
def undone(place: Path) -> Iterator[None]:
    """What happens to a folder of the module's home is undone."""
    before = shutil.copytree(place, place.with_name("before"))
    try:
        yield
    finally:
        shutil.rmtree(place, ignore_errors=True)
        before.rename(place)


@contextmanager
def with_damaged_file(home: Path) -> Iterator[None]:
    place = source_of(home)
    with undone(place):
        (place / "artifacts" / "bundle" / "lstm.safetensors").write_bytes(b"damaged")
        yield


@contextmanager
def without_files(home: Path) -> Iterator[None]:
    place = source_of(home)
    with undone(place):
        shutil.rmtree(place)
        yield


def once(happens: Callable[[Path], object]) -> Callable[[Path], Any]:
    @contextmanager
    def around(home: Path) -> Iterator[None]:
        happens(home)
        yield

    return around


def damage(home: Path) -> None:
    file = home / "mlflow" / "mlflow.db"
    file.write_bytes(b"damaged" * 1000 + file.read_bytes()[7000:])


ODDITIES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "served version deleted": (once(lambda h: client(h).delete_model_version(MODEL, "1")), "version 1"),
    "model deleted": (once(lambda h: client(h).delete_registered_model(MODEL)), "version 1"),
    "champion at another tool's version": (once(lambda h: foreign(h, "champion")), "vidpipe promote 1"),
    "challenger at another tool's version": (once(lambda h: foreign(h, "challenger")), "version 3"),
    "database of an older release": (
        once(lambda h: statement(h, "update alembic_version set version_num = '4465047574b1'")),
        "mlflow db upgrade",
    ),
    "database of a newer release": (
        once(lambda h: statement(h, "update alembic_version set version_num = 'ffffffffffff'")),
        "newer release",
    ),
    "table dropped": (once(lambda h: statement(h, "drop table registered_model_aliases")), "mlflow.db"),
    "damaged database": (once(damage), "is damaged"),
    "database deleted": (once(lambda h: (h / "mlflow" / "mlflow.db").unlink()), "version 1"),
    "damaged model file": (with_damaged_file, "the registered hash is"),
    "files moved": (without_files, "files are not where"),
}  # fmt: skip


@pytest.mark.parametrize("oddity", ODDITIES)
def test_a_night_with_an_odd_registry_reads_scores_and_says_what_is_wrong(
    home: Path, ports: Ports, oddity: str, make_ports: Any
) -> None:
    happens, said = ODDITIES[oddity]
    with_news(ports)
    spec = ports.limits.spec
    with happens(home):
        night = nightly(ports)
        assert (night.status, night.classified) == ("degraded", 2), night.problems
        assert said in " ".join(night.problems)
        assert wanted_specs(ports, alone=False) == [spec]
        answer = "select count(*), min(model_version), max(model_version) from latest_predictions"
        assert warehouse_rows(ports, answer) == [(6, 1, 1)]
        assert night.report is not None
        page = Path(night.report).read_text(encoding="utf-8")
        assert ">degraded<" in page and "Problem:" in page
        assert_never_a_traceback(make_ports(home))


def assert_never_a_traceback(ports: Ports) -> None:
    """Every verb that asks the registry ends well or in an error of ours."""
    for verb in (
        ports.registry.versions,
        lambda: promote(ports),
        lambda: train(ports, "clips", split_column="split", config=ONE_EPOCH),
    ):
        try:
            verb()
        except VidpipeError as error:
            assert error.message and error.next_step, repr(error)


def test_without_a_copy_nothing_can_be_scored_and_the_night_fails_with_its_page(
    home: Path, ports: Ports
) -> None:
    shutil.rmtree(home / "models")
    with_news(ports)
    damage(home)
    night = nightly(ports)
    assert (night.status, night.classified) == ("failed", 0)
    assert "is damaged" in night.problems[0] and night.report is not None


def test_a_night_whose_server_asks_for_a_login_scores_with_the_copy_and_says_what_to_set(
    home: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with_news(ports)
    with guarded() as uri:
        concrete(ports.registry, Registry).store = MlflowStore(home / "mlflow", uri)
        night = nightly(ports)

    assert (night.status, night.classified) == ("degraded", 2), night.problems
    assert "asks for a login" in night.problems[0] and "MLFLOW_TRACKING_USERNAME" in night.problems[0]


def test_a_damaged_copy_is_not_scored_with(home: Path, ports: Ports) -> None:
    (file,) = (home / "models").rglob("1-*/bundle/lstm.safetensors")
    file.write_bytes(b"damaged")
    damage(home)
    assert nightly(ports).status == "failed"


def test_the_champion_is_put_back_by_promoting_it_again(home: Path, ports: Ports) -> None:
    foreign(home, "champion")
    found, (problem,) = champion(ports)
    assert found is not None and (found.version, found.is_copy) == (1, False)
    assert "vidpipe promote 1" in problem
    told = promote(ports, "1")
    assert (told.decision, ports.registry.aliases()["champion"]) == ("unchanged", 1)
    assert nightly(ports).status == "ok"


def test_a_champion_that_is_gone_is_followed_by_another(home: Path, ports: Ports) -> None:
    client(home).delete_model_version(MODEL, "1")
    assert promote(ports, "2", force=True, reason="a test").decision == "forced"
    night = nightly(ports)
    assert (night.status, night.problems, ports.registry.aliases()["champion"]) == ("ok", [], 2)


def test_an_older_version_that_a_collection_serves_is_scored_from_its_copy(home: Path, ports: Ports) -> None:
    promote(ports, "2", force=True, reason="a test")
    client(home).delete_model_version(MODEL, "1")
    version, (problem,) = verified(ports, 1)
    assert version.is_copy and "version 1" in problem
    told = classify(ports)
    assert (told.version, told.is_complete) == (2, True)


# -- what surrounds MLflow ----------------------------------------------------------------------


def test_a_deleted_experiment_names_the_command_that_restores_it(home: Path, ports: Ports) -> None:
    client(home).delete_experiment(client(home).get_experiment_by_name("vidpipe").experiment_id)
    config = TrainingConfig(seed=7, epochs=1)
    with pytest.raises(RegistryBroken, match="deleted") as caught:
        train(ports, "clips", split_column="split", config=config)
    command = caught.value.next_step
    assert "mlflow experiments restore --experiment-id 1" in command
    assert nightly(ports).status == "ok", "a night needs no experiment"


@pytest.mark.parametrize("name", ["MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"])
def test_a_store_that_the_shell_names_is_not_asked(
    home: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ports.registry.aliases() == {"champion": 1, "challenger": 2}
    assert nightly(ports).status == "ok"


def test_a_run_that_the_shell_names_is_not_written_to(
    home: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    assert train(ports, "clips", split_column="split", config=TrainingConfig(seed=8, epochs=1)).version == 3


def test_errors_of_the_caller_pass_through_as_they_are(home: Path, ports: Ports) -> None:
    with pytest.raises(KeyError, match="mine"), concrete(ports.registry, Registry).store.errors():
        raise KeyError("mine")


def test_a_copy_of_what_serves_stays_and_others_go(home: Path, ports: Ports) -> None:
    ports.registry.load(ports.registry.version("2"))
    assert {f.name[:2] for f in (home / "models" / MODEL).iterdir()} == {"1-", "2-"}
    ports.registry.sweep({1}, 0.0)
    assert {f.name[:2] for f in (home / "models" / MODEL).iterdir()} == {"1-"}
    with pytest.raises(NotFound, match="no copy of version 2"):
        ports.registry.kept(2)


def test_a_copy_whose_facts_are_damaged_is_unsafe(home: Path, ports: Ports) -> None:
    (file,) = (home / "models").rglob("1-*/version.json")
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | {"labels": ["x"]}))
    with pytest.raises(UnsafeModel, match="names other labels"):
        ports.registry.load(ports.registry.kept(1))
    file.write_text("{")
    with pytest.raises(UnsafeModel, match="is damaged"):
        ports.registry.kept(1)
