"""What people do in MLflow by hand, and what its store looks like after upgrades and restores."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.accidents.stage import Accident, Stage

MODEL = "video-classifier"


def accidents() -> Iterator[Accident]:
    """All of them."""
    for what, do in BY_HAND.items():
        yield Accident(what, partial(_by_hand, do), same="served")
    for what, sql in STORE.items():
        yield Accident(what, partial(_store, sql), same="served")
    yield Accident("MLflow's store deleted", _deleted, same="served")
    yield Accident("MLflow's store damaged for a night", _damaged)
    yield Accident("a registered model deleted and trained anew", _anew, same="files", same_model=False)
    yield Accident("another model name for a night", _other_name)
    for name, value in SHELL.items():
        yield Accident(f"{name} in the shell", partial(_shell, name, value))
    yield Accident(
        "a rollback to a version that was deleted", _rollback_to_nothing, same="files", same_model=False
    )
    yield Accident("a promotion of a version that was deleted", _promotion_of_nothing, same="served")


def _by_hand(do: Callable[[Any], object], on: Stage) -> None:
    on.mlflow(do)
    on.night()


def _foreign(alias: str, client: Any) -> None:
    """The alias on a version that another tool made."""
    made = client.create_model_version(MODEL, "file:///nothing")
    client.set_registered_model_alias(MODEL, alias, made.version)


def _no_experiments(client: Any) -> None:
    for experiment in client.search_experiments():
        if experiment.experiment_id != "0":
            client.delete_experiment(experiment.experiment_id)


BY_HAND: dict[str, Callable[[Any], object]] = {
    "the champion's version deleted": lambda client: client.delete_model_version(MODEL, "1"),
    "the challenger's version deleted": lambda client: client.delete_model_version(MODEL, "2"),
    "the registered model deleted": lambda client: client.delete_registered_model(MODEL),
    "the alias challenger on another tool's version": partial(_foreign, "challenger"),
    "the alias champion on another tool's version": partial(_foreign, "champion"),
    "the alias challenger removed": lambda client: client.delete_registered_model_alias(MODEL, "challenger"),
    "the experiment deleted": _no_experiments,
    "a version's tags removed": lambda client: client.delete_model_version_tag(MODEL, "2", "vidpipe.digest"),
}
STORE = {
    "MLflow's store of an older release": "update alembic_version set version_num = '0584bdc529eb'",
    "MLflow's store of a newer release": "update alembic_version set version_num = 'feedfacefeed'",
    "a table of MLflow's store dropped": "drop table model_version_tags",
}


def _store(sql: str, on: Stage) -> None:
    with sqlite3.connect(on.home / "mlflow" / "mlflow.db") as store:
        store.execute(sql)
    store.close()
    on.night()


def _deleted(on: Stage) -> None:
    (on.home / "mlflow" / "mlflow.db").unlink()
    on.night()


def _damaged(on: Stage) -> None:
    file = on.home / "mlflow" / "mlflow.db"
    good = file.with_suffix(".good")
    shutil.copy2(file, good)
    file.write_bytes(b"no database at all" * 100)
    on.night()
    good.replace(file)


def _anew(on: Stage) -> None:
    """Number 1 comes again, and is another network."""
    on.mlflow(lambda client: client.delete_registered_model(MODEL))
    on.verb("train", "--collection", "clips", "--split-column", "split", "--epochs", "1", "--seed", "9")
    on.verb("promote", "--force", "--reason", "an accident")
    on.night()


def _other_name(on: Stage) -> None:
    on.environment = {"VIDPIPE_MODEL_NAME": "other"}
    on.night()
    on.environment = {}


SHELL = {
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "MLFLOW_REGISTRY_URI": "http://127.0.0.1:9",
    "MLFLOW_RUN_ID": "0123456789abcdef",
    "MLFLOW_EXPERIMENT_ID": "77",
}


def _shell(name: str, value: str, on: Stage) -> None:
    on.environment = {name: value}
    on.night()


def _rollback_to_nothing(on: Stage) -> None:
    on.verb("promote", "2", "--force", "--reason", "an accident")
    on.mlflow(lambda client: client.delete_model_version(MODEL, "1"))
    on.verb("rollback")
    on.night()


def _promotion_of_nothing(on: Stage) -> None:
    on.mlflow(lambda client: client.delete_model_version(MODEL, "2"))
    on.verb("promote", "2", "--force", "--reason", "an accident")
    on.verb("promote")
    on.night()
