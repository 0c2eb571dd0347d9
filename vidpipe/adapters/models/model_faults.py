"""Health checks of MLflow's model registry by SQL or HTTP, without importing MLflow, which takes seconds.

Source: https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Set
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from vidpipe.adapters.http_login import mlflow_authorization, request
from vidpipe.adapters.models.bundle_files import digest
from vidpipe.adapters.models.mlflow_schema import RESTORE, restore_command, revisions, schema_in_words
from vidpipe.adapters.models.mlflow_store import EXPERIMENT
from vidpipe.records.machine import ModelFault, ServiceFacts

WAIT_S = 2.0
_TRAIN = "vidpipe train, then vidpipe promote"


class Shelf(Protocol):
    """Interface of read-only access to a registered model."""

    def aliases(self) -> dict[str, int]:
        """Alias to version."""
        ...

    def version(self, number: int) -> tuple[dict[str, str], str] | None:
        """Tags of a version, and the URI of its files; None where there is no such version."""
        ...


class SqliteShelf:
    """Access to a registered model by SQL in MLflow's SQLite database."""

    def __init__(self, file: Path, model: str) -> None:
        self._file, self._model = file, model

    def aliases(self) -> dict[str, int]:
        """Alias to version."""
        rows = self._rows("select alias, version from registered_model_aliases where name = ?")
        return {alias: int(version) for alias, version in rows}

    def version(self, number: int) -> tuple[dict[str, str], str] | None:
        """Tags of a version, and the URI of its files; None where there is no such version."""
        found = self._rows(
            "select coalesce(storage_location, source) from model_versions where name = ? and version = ? "
            "and current_stage <> 'Deleted_Internal'", number,
        )  # fmt: skip
        tags = self._rows("select key, value from model_version_tags where name = ? and version = ?", number)
        return (dict(tags), str(found[0][0])) if found else None

    def _rows(self, query: str, *more: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=WAIT_S)) as store:
            return store.execute(query, (self._model, *more)).fetchall()


class ServerShelf:
    """Access to a registered model by the REST API of a tracking server."""

    def __init__(self, uri: str, model: str) -> None:
        self._uri, self._model = uri.rstrip("/"), model

    def aliases(self) -> dict[str, int]:
        """Alias to version."""
        found = self._get("registered-models/get") or {}
        given = found.get("registered_model", {}).get("aliases", [])
        return {entry["alias"]: int(entry["version"]) for entry in given}

    def version(self, number: int) -> tuple[dict[str, str], str] | None:
        """Tags of a version; its files are the server's."""
        found = self._get("model-versions/get", version=str(number))
        tags = found["model_version"].get("tags", []) if found else []
        return ({tag["key"]: tag.get("value", "") for tag in tags}, "") if found else None

    def _get(self, what: str, **parameters: str) -> dict[str, Any] | None:
        query = urllib.parse.urlencode({"name": self._model, **parameters})
        address = f"{self._uri}/api/2.0/mlflow/{what}?{query}"
        try:
            asked = request(address, mlflow_authorization())
            with urllib.request.urlopen(asked, timeout=WAIT_S) as answer:  # noqa: S310  (as configured)
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def shelf(home: Path, uri: str | None, model: str) -> Shelf | None:
    """Open access to the registered model; None where nothing has been trained, or no store can be read."""
    if uri and uri.startswith(("http://", "https://")):
        return ServerShelf(uri, model)
    file = database(home, uri)
    return SqliteShelf(file, model) if file and file.exists() else None


def database(home: Path, uri: str | None) -> Path | None:
    """Path of MLflow's SQLite file; None for a server."""
    if uri is None:
        return home / "mlflow.db"
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def store(file: Path) -> ServiceFacts:
    """Check MLflow's SQLite file: integrity, schema revision, experiment."""
    if not file.exists():
        return ServiceFacts(str(file), None, "made by the first training")
    uri = f"sqlite:///{file}"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=WAIT_S)) as opened:
            (damage,) = opened.execute("pragma quick_check(1)").fetchone()
            revision = str(opened.execute("select version_num from alembic_version").fetchone()[0])
            deleted = opened.execute(
                "select experiment_id from experiments where name = ? and lifecycle_stage = 'deleted'",
                (EXPERIMENT,),
            ).fetchone()
    except (sqlite3.Error, TypeError) as error:
        return ServiceFacts(str(file), f"it is damaged: {error}", repair=RESTORE)
    if damage != "ok":
        return ServiceFacts(str(file), f"it is damaged: {damage}", repair=RESTORE)
    if revision not in revisions()[1]:
        message, repair = schema_in_words(uri, revision)
        return ServiceFacts(str(file), message, repair=repair)
    if deleted:
        return ServiceFacts(
            str(file), f"the experiment {EXPERIMENT!r} was deleted", repair=restore_command(uri, deleted[0])
        )
    return ServiceFacts(str(file), None)


def faults(
    on: Shelf, champion: int | None, serving: Set[int], copies: Set[int], digests: Mapping[int, str]
) -> Iterator[ModelFault]:
    """Faults that keep versions from being served, each with the command that repairs it.

    Args:
        on: The registered model.
        champion: The champion on record in the ledger.
        serving: Versions that collections serve.
        copies: Versions of which the home has a copy to score with meanwhile.
        digests: What the numbers stand for, where that is known.
    """
    aliases = on.aliases()
    looked_at = {"champion": champion, **aliases}
    for alias in ("champion", "challenger"):
        if (number := aliases.get(alias)) is not None and not _is_ours(on.version(number)):
            back = f"vidpipe promote {champion}" if champion else _TRAIN
            repair = back if alias == "champion" else "vidpipe train registers another challenger"
            yield ModelFault(f"the alias {alias} points to version {number}, not vidpipe's", repair)
    if (
        champion is not None
        and "champion" not in aliases
        and (found := on.version(champion))
        and not _is_another(found, digests.get(champion))
    ):
        yield ModelFault(
            f"the alias champion is gone; version {champion} had it", f"vidpipe promote {champion} --force"
        )
    wanted = serving | {v for a, v in looked_at.items() if v is not None and a in ("champion", "challenger")}
    for number in sorted(wanted | ({champion} if champion is not None else set())):
        yield from _faults_of(on.version(number), number, champion, number in copies, digests.get(number))


def _faults_of(
    found: tuple[Mapping[str, str], str] | None,
    number: int,
    champion: int | None,
    has_copy: bool,
    digest_known: str | None,
) -> Iterator[ModelFault]:
    meanwhile = "; nights score with its local copy" if has_copy else ", and the home has no copy of it"
    archive = "vidpipe classify scores its collections with the champion instead"
    repair = f"{_TRAIN}; or restore MLflow's store" if number == champion else archive
    if found is None:
        yield ModelFault(f"version {number} serves, but is gone from the registry{meanwhile}", repair)
    elif _is_another(found, digest_known):
        new = f"the registry's version {number} is not the one that had this number{meanwhile}"
        yield ModelFault(new, f"vidpipe promote {number} decides on the new one")
    elif _is_ours(found) and (said := _wrong_with_files(*found)):
        yield ModelFault(f"the files of version {number} {said}{meanwhile}", f"restore them; or {repair}")


def _is_ours(found: tuple[Mapping[str, str], str] | None) -> bool:
    return found is not None and "vidpipe.spec" in found[0]


def _is_another(found: tuple[Mapping[str, str], str], digest_known: str | None) -> bool:
    """Whether MLflow gave a version number again, to another version than the one recorded here."""
    return _is_ours(found) and digest_known not in (None, found[0].get("vidpipe.digest"))


def _wrong_with_files(tags: Mapping[str, str], uri: str) -> str | None:
    """Check a version's files on this machine; files on servers are checked when they are read."""
    if not uri.startswith(("file://", "/")):
        return None
    folder = Path(urllib.parse.unquote(uri.removeprefix("file://"))) / "artifacts" / "bundle"
    try:
        same = digest(folder) == tags.get("vidpipe.digest")
    except OSError:
        return f"are not at {folder}"
    return None if same else f"at {folder} are not those that were registered"
